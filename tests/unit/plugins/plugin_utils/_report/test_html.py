"""The page of a run: well-formed, escaped, and it says what the report holds."""

from __future__ import annotations

import html.parser
import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import measured, page, said, title
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html_timeline import clock, stages_with_begin, ticks
from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import VOID, clean, el, join
from ansible_collections.nexod.infra.plugins.plugin_utils._report.parts import link, moment, ticked
from ansible_collections.nexod.infra.plugins.plugin_utils._report.style import DARK, LIGHT

REPORTS = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parents[4] / "fixtures/reports").glob("*.json")
}
HOSTILE = (
    "</title></style><script>alert(1)</script>\"'><img src=x onerror=y>\x1b[31m\x00\x07\u202e\ud800\r\n" + "w" * 300
)
HEADINGS = [
    "What went wrong",
    "Latency verdict",
    "Latency before, during and after the deploy",
    "Migrations",
    "Time line",
    "What changed",
    "What would change",
    "Stand-ins",
    "Links",
]


class Page(html.parser.HTMLParser):
    """Reads a page strictly: what is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.heads: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2"):
            self.heads.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.heads[-1] += data

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def hostile(value: t.Any) -> t.Any:
    """The same structure with every text replaced by a hostile one."""
    if isinstance(value, dict):
        return {
            (f"{key}{HOSTILE}" if key[:1].isupper() or "-" in key else key): hostile(row) for key, row in value.items()
        }
    if isinstance(value, list):
        return [hostile(row) for row in value]
    return HOSTILE if isinstance(value, str) else value


EVERY = [
    *(pytest.param(report, id=name) for name, report in REPORTS.items()),
    *(pytest.param(hostile(report), id=f"{name}, hostile") for name, report in REPORTS.items()),
    pytest.param({}, id="nothing known"),
]


@pytest.mark.parametrize("report", EVERY)
def test_it_is_well_formed_alone_and_always_the_same(report: dict[str, t.Any]) -> None:
    text = page(report)
    assert text == page(json.loads(json.dumps(report)))
    text.encode()
    read = Page(text)
    names = [tag for tag, _attributes in read.tags]
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(names)
    assert names.count("h1") == names.count("title") == names.count("main") == 1
    assert ("html", {"lang": "en"}) in read.tags
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action")]
        href = attributes.get("href")
        assert href is None or href.startswith("data:image/svg+xml," if tag == "link" else ("http://", "https://"))
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("good", ["lab: deploy done", *HEADINGS[1:6], *HEADINGS[7:]]),
        ("failed", ["lab: deploy FAILED", "What went wrong", *HEADINGS[3:6], *HEADINGS[7:]]),
        ("plan", ["staging: plan of deploy", "What would change", "Time line"]),
        ("empty", ["unnamed environment: deploy done"]),
    ],
)
def test_sections_are_there_by_content(name: str, heads: list[str]) -> None:
    assert Page(page(REPORTS[name])).heads == heads


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "good",
            [
                *("took 3 min 8 s", "started 2026-11-24 08:12:03 UTC", "1.0.0 → 1.1.0", "0006_sessions →"),
                *("3 migrations in 3.9 s", "412 keys flushed", "37 sessions kept", "6 of 7 targets met"),
                *("99.61% in time", "0.0123 s", "0 of 500 needed", "0008_tenant_region", "11 of 11"),
                *("/etc/haproxy/haproxy.cfg", "6 changes on 2 hosts", "not measured"),
            ],
        ),
        (
            "failed",
            [
                "What to do next Correct what it complains of and run again; journalctl -u api has more.",
                'backend on api-1, task "backend : run | Prove it live"',
                "SQLSTATE 28P01",
                "failed here",
                "✕ failed",
                "api-1 4 tasks",
            ],
        ),
        ("plan", ["Nothing was changed. This is what a run would do.", "5 to change", "would change something"]),
    ],
)
def test_what_it_says(name: str, words: list[str]) -> None:
    read = Page(page(REPORTS[name])).words.replace("What to do next", "What to do next ").replace("  ", " ")
    assert [word for word in words if word not in read] == []


def test_what_went_wrong_comes_first_and_once_for_all_its_hosts() -> None:
    failures = REPORTS["failed"]["failures"]
    both = [failures[0], {**failures[0], "host": "api-9"}]
    read = Page(page({**REPORTS["failed"], "failures": both}))
    assert "on api-1, api-9, task" in read.words
    assert read.words.count("SQLSTATE 28P01") == 1
    assert read.heads[1] == "What went wrong"


ISSUES = {"verdict": "missed", "issues": [{"title": "KeyError", "url": "https://example.com/9"}]}


@pytest.mark.parametrize(
    ("report", "words"),
    [
        pytest.param({"hosts": {"a": {}}, "changed_hosts": []}, "Nothing. Everything is as declared.", id="nothing"),
        pytest.param({"hosts": {"a": {"changed": 2}}, "changed_hosts": ["a"]}, "a 2 tasks", id="hosts alone"),
        pytest.param({"verdict": {"verdict": "missed", "faults": ["up == 0: db-1"]}}, "✕ up == 0: db-1", id="faults"),
        pytest.param({"verdict": {"verdict": "met", "issues": ISSUES}}, "✕ missed", id="new issues"),
        pytest.param(
            {"verdict": {"verdict": "met", "issues": ISSUES}}, "KeyErrorhttps://example.com/9", id="a new issue"
        ),
        pytest.param(
            {
                "verdict": {
                    "identity": {"verdict": "missed", "says": "Clerk: missed", "faults": ["Clerk: check failed: x"]}
                }
            },
            "✕ Clerk: check failed: x",
            id="what Clerk signs",
        ),
        pytest.param({"verdict": {"unrecorded": "not recorded at Sentry"}}, "not recorded at Sentry", id="unrecorded"),
        pytest.param({"stages": [{"name": "x", "seconds": 2}], "seconds": 2}, "The stages as a table", id="no hosts"),
        pytest.param({"version": {"before": "1", "after": "1"}}, "1unchanged", id="same version"),
        pytest.param({"cache": {"deleted": 1, "sessions_kept": None}}, "1 key flushed0 sessions kept", id="cache"),
    ],
)
def test_what_part_of_a_report_says(report: dict[str, t.Any], words: str) -> None:
    assert words in Page(page({"outcome": "ok", **report})).words


def test_a_long_list_of_changes_is_folded() -> None:
    change = {"stage": "s", "host": "h", "task": "t", "action": "run", "kind": "k", "object": "o", "detail": ""}
    few, many = (page({"hosts": {"h": {}}, "changes": [change] * number}) for number in (12, 13))
    assert '<details class="group" open="">' in few
    assert '<details class="group">' in many


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\tb\r\nc\rd", "a\tb\nc\nd"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("\x00\x1b\x85\u202e\ud800", "�" * 5),
        ("日本 é 🙂", "日本 é 🙂"),
    ],
)
def test_clean(text: str, kept: str) -> None:
    assert clean(text) == kept


def test_what_is_not_built_is_escaped() -> None:
    assert el("p", {"title": '"<', "x": None}, "<b>", el("br"), [1, None, ["&"]]) == (
        '<p title="&quot;&lt;">&lt;b&gt;<br>1&amp;</p>'
    )
    assert join(None, [], "") == ""


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("http://10.0.0.1:9090", True),
        ("https://x/?a=1&b=<", True),
        ("javascript:alert(1)", False),
        (" JaVaScRiPt:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//host/x", False),
        ("http://", False),
        ("http://[", False),
        ("file:///etc/passwd", False),
    ],
)
def test_only_what_a_browser_is_for_is_a_link(url: str, linked: bool) -> None:
    assert ("<a " in link("x", url)) is linked


ROW = {"quantile": 0.95, "target_seconds": 0.5}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({**ROW, "value": None}, None),
        (
            {**ROW, "value": 0.9712, "says": "… (97.12% of 600 requests were that fast)"},
            ("97.12% in time", 0.9712, 0.95),
        ),
        ({**ROW, "value": 0.25, "says": "… (0.25 s over 8 probes)"}, ("0.25 s", 0.4, 0.8)),
        ({**ROW, "value": 0.8, "says": "… (0.8 s over 8 probes)"}, ("0.8 s", 0.8, 0.5)),
    ],
)
def test_measured(row: dict[str, t.Any], found: tuple[str, float, float] | None) -> None:
    assert measured(row) == found


@pytest.mark.parametrize(
    ("total", "found"),
    [(0.1, [0]), (4, [0, 1, 2, 3, 4]), (59, [0, 15, 30, 45]), (188, [0, 60, 120, 180]), (1e6, None)],
)
def test_ticks(total: float, found: list[float] | None) -> None:
    assert len(ticks(total)) <= 13
    assert found is None or ticks(total) == found


@pytest.mark.parametrize(
    ("seconds", "total", "text"), [(0.5, 2, "0.5 s"), (15, 59, "15 s"), (90, 188, "1:30"), (0, 60, "0:00")]
)
def test_clock(seconds: float, total: float, text: str) -> None:
    assert clock(seconds, total) == text


def test_a_stage_without_its_beginning_follows_the_one_before() -> None:
    stages = [{"name": "a", "seconds": 2}, {"name": "b", "seconds": 3, "begun": 4}, {"name": "c", "seconds": 1}]
    assert [begun for _stage, begun in stages_with_begin(stages)] == [0, 4, 7]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-01T01:00:00+01:00", "2026-01-01 00:00:00 UTC"),
        ("2026-01-01T01:00:00", "2026-01-01 01:00:00"),
        ("<yesterday>", "<yesterday>"),
    ],
)
def test_moment(text: str, shown: str) -> None:
    assert moment(text) == shown


def test_the_next_step_stands_apart() -> None:
    assert said("Cannot x: y.\nDo z.\nlog", "Do z.") == "Cannot x: y.\n\nlog"
    assert said("Cannot x", "") == "Cannot x"
    assert join(ticked("run `a <b>` now")) == "run <code>a &lt;b&gt;</code> now"


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (
            {"outcome": "failed", "check_mode": True, "playbook": "roll_back.yml"},
            "unnamed environment: plan of roll_back FAILED",
        ),
        ({}, "unnamed environment: run"),
    ],
)
def test_title(report: dict[str, t.Any], text: str) -> None:
    assert title(report) == text


def luminance(colour: str) -> float:
    parts = (int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")])
def test_contrast_is_aa(colours: dict[str, str]) -> None:
    text = [(ink, ground) for ink in ("ink", "muted") for ground in ("page", "card", "tint")]
    text += [(kind, ground) for kind in ("ok", "bad", "plan", "changed") for ground in ("card", f"{kind}-tint")]
    drawn = [("idle", "tint"), ("did", "tint"), ("bad", "tint"), ("plan", "card"), ("ok", "tint")]
    weak = [pair for pair in text if contrast(colours[pair[0]], colours[pair[1]]) < 4.5]
    weak += [pair for pair in drawn if contrast(colours[pair[0]], colours[pair[1]]) < 3]
    assert weak == []
