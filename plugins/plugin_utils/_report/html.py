# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as a single HTML page: self-contained, without scripts, readable on a phone."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules
from ansible_collections.nexod.infra.plugins.plugin_utils._report.document import document
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html_latency import latency
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html_timeline import time_line
from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, Markup, el
from ansible_collections.nexod.infra.plugins.plugin_utils._report.parts import (
    SIGNS,
    Facts,
    badge,
    count,
    link,
    moment,
    number,
    section,
    table,
    task_of,
    ticked,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import (
    UNKNOWN,
    cost_text,
    duration,
    headline,
    is_incomplete_plan,
    selection_text,
    verdict_word,
)

# A stage with more changes is collapsed: a first deploy has hundreds.
MOST_OPEN = 12
VERDICTS = {"met": "ok", "missed": "bad"}


# -- head


def kind_of(report: Facts) -> str:
    if report.get("outcome") == "failed":
        return "bad"
    if report.get("outcome") != "ok":
        return "muted"
    return "plan" if report.get("check_mode") else "ok"


def title(report: Facts) -> str:
    """``lab: deploy done``, ``lab: deploy FAILED``, ``lab: plan of deploy``."""
    playbook = str(report.get("playbook") or "run").removesuffix(".yml").removesuffix(".yaml")
    what = f"plan of {playbook}" if report.get("check_mode") else playbook
    ends = {"ok": " done", "bad": " FAILED", "plan": "", "muted": ""}
    return f"{report.get('environment') or 'unnamed environment'}: {what}{ends[kind_of(report)]}"


def _head(report: Facts) -> Markup:
    kind = kind_of(report)
    started = str(report.get("started") or "")
    begun = ["started ", el("time", {"datetime": started}, moment(started))] if started else None
    hosts = len(report.get("hosts") or {})
    note = "Nothing was changed. This is what a run would do." if report.get("check_mode") else None
    if is_incomplete_plan(report):
        note = "Nothing was changed. The plan failed, so this is not all that a run would do."
    selection = selection_text(report)
    return el(
        "header",
        None,
        el("div", {"class": f"seal {kind}", "aria-hidden": "true"}, el("span", None, SIGNS[kind])),
        el(
            "div",
            None,
            el("h1", None, title(report)),
            el(
                "p",
                {"class": "meta num"},
                el("span", None, f"took {duration(number(report.get('seconds')))}"),
                el("span", None, begun) if begun else None,
                el("span", None, count(hosts, "host")) if hosts else None,
                el("span", None, el("code", None, selection)) if selection else None,
            ),
            el("p", {"class": "note"}, note) if note else None,
        ),
    )


# -- errors


def said(message: str, next_step: str) -> str:
    """The message without the next step, which is shown separately."""
    rest = message.replace(next_step, "", 1) if next_step else message
    return re.sub(r"\n{3,}", "\n\n", rest).strip()


def grouped(failures: t.Iterable[Facts]) -> list[tuple[Facts, list[str]]]:
    """Each distinct failure once, with all hosts that had it."""
    found: dict[tuple[str, ...], tuple[Facts, list[str]]] = {}
    for failure in failures:
        key = tuple(str(failure.get(name)) for name in ("stage", "task", "path", "message"))
        hosts = found.setdefault(key, (failure, []))[1]
        if (host := str(failure.get("host"))) not in hosts:
            hosts.append(host)
    return list(found.values())


def _error(failure: Facts, hosts: t.Sequence[str]) -> Markup:
    error = failure.get("error") if isinstance(failure.get("error"), dict) else None
    next_step = str((error or {}).get("next_step") or "")
    first, _newline, rest = said(str(failure.get("message") or "no message"), next_step).partition("\n")
    where = [badge("bad", str(failure.get("stage") or "no stage")), " on ", el("strong", None, ", ".join(hosts))]
    path = failure.get("path")
    return el(
        "article",
        {"class": "error"},
        el("h3", None, first),
        el("p", {"class": "small where"}, where, el("span", {"class": "muted"}, f', task "{task_of(failure)}"')),
        el("pre", None, rest.strip("\n")) if rest.strip() else None,
        el("p", {"class": "next-step"}, el("strong", None, "What to do next"), el("span", None, ticked(next_step)))
        if next_step
        else None,
        el("p", {"class": "small muted"}, el("code", None, path)) if path else None,
    )


def _errors(report: Facts) -> Child:
    failures = grouped(report.get("failures") or ())
    if not failures:
        return None
    return section("What went wrong", [_error(*pair) for pair in failures], kind="wrong")


# -- facts


def step(pair: Facts | None) -> tuple[Child, str]:
    """Before and after, and a remark; nothing if neither is known."""
    before, after = (pair or {}).get("before"), (pair or {}).get("after")
    if not before and not after:
        return None, ""
    if before == after:
        return str(after), "unchanged"
    return [
        el("span", {"class": "from"}, f"{before or 'none'} →"),
        " ",
        el("span", {"class": "to"}, after or "unknown"),
    ], ""


def _fact(label: str, value: Child, note: str = "", kind: str | None = None) -> Child:
    if not value:
        return None
    return el(
        "div", {"class": kind}, el("dt", None, label), el("dd", None, value), el("dd", None, note) if note else None
    )


def _cache(cache: Facts, planned: bool) -> tuple[str, str]:
    deleted, kept = cache.get("deleted"), cache.get("sessions_kept")
    if deleted is None and kept is None:
        return "", ""
    rows = [row for row in cache.get("warmed") or () if isinstance(row, dict)]
    warmed = f", {count(len(rows), 'page')} warmed" if rows else ""
    flushed = "to be flushed, as of now" if planned else "flushed"
    return f"{count(int(number(deleted)), 'key')} {flushed}", f"{count(int(number(kept)), 'session')} kept{warmed}"


def _rows(verdict: Facts | None) -> list[Facts]:
    return [row for row in (verdict or {}).get("rows") or () if isinstance(row, dict)]


def _changed_hosts(report: Facts, changed: int, hosts: int) -> str | None:
    if not hosts:
        return None
    if is_incomplete_plan(report):
        return f"at least {changed} of {hosts}" if changed else "not known"
    return f"{changed} of {hosts}"


def _facts(report: Facts) -> Child:
    planned = bool(report.get("check_mode"))
    version, version_note = step(report.get("version"))
    revision, revision_note = step(report.get("revision"))
    steps = report.get("migrations") or []
    if steps:
        took = duration(sum(number(row.get("seconds")) for row in steps))
        revision_note = f"{count(len(steps), 'migration')} {'pending' if planned else f'in {took}'}"
    cache, cache_note = _cache(report.get("cache") or {}, planned)
    # A plan deploys nothing that could be measured.
    verdict, rows = ({}, []) if planned else (report.get("verdict") or {}, _rows(report.get("verdict")))
    word = verdict_word(verdict) if verdict else ""
    met = sum(row.get("verdict") == "met" for row in rows)
    hosts, changed = report.get("hosts") or {}, report.get("changed_hosts") or []
    mode = "Hosts that would change" if planned else "Hosts changed"
    kind = VERDICTS.get(word, "muted")
    cards = [
        _fact("Version", version, version_note),
        _fact("Database revision", revision, revision_note, kind="long"),
        _fact("Cache", cache, cache_note),
        _fact(
            "Verdict",
            el("span", {"class": kind}, f"{SIGNS[kind]} {word}") if word else None,
            f"{met} of {count(len(rows), 'target')} met" if rows else "",
        ),
        _fact(mode, _changed_hosts(report, len(changed), len(hosts))),
        _fact("Cost", *cost_text(report), kind="long"),
    ]
    shown = [card for card in cards if card]
    return el("dl", {"class": "facts"}, shown) if shown else None


def meter(kind: str, share: float, mark: float | None = None, label: str = "") -> Markup:
    """A bar that is full at 1, with a line at the target."""

    def percent(value: float) -> str:
        return f"{min(max(value, 0.0), 1.0):.2%}"

    return el(
        "div",
        {"class": f"meter {kind}", "aria-hidden": "true", "title": label or None},
        el("i", {"style": f"width:{percent(share)}"}),
        el("b", {"style": f"left:{percent(mark)}"}) if mark is not None else None,
    )


def _migrations(report: Facts) -> Child:
    steps = report.get("migrations") or []
    if not steps:
        return None
    if report.get("check_mode"):
        pending = [(el("code", None, row.get("revision")), row.get("doc") or "") for row in steps]
        return section("Migrations", table(["Revision", "What it would do"], pending, "Migrations, in their order"))
    longest = max(number(row.get("seconds")) for row in steps) or 1
    rows = [
        (
            el("code", None, row.get("revision")),
            row.get("doc") or "",
            [
                el("span", {"class": "num"}, duration(number(row.get("seconds")))),
                meter("plan", number(row.get("seconds")) / longest),
            ],
        )
        for row in steps
    ]
    return section("Migrations", table(["Revision", "What it does", "Took"], rows, "Migrations, in their order"))


# -- verdict


def measured(row: Facts) -> tuple[str, float, float] | None:
    """The measurement as text, and value and target as fractions of a bar; None without a measurement.

    A row's value is the fraction of requests within the target, or for probes the quantile in seconds.
    """
    value, target = row.get("value"), number(row.get("target_seconds"))
    if value is None:
        return None
    if re.search(r" s over \d+ probes\)$", str(row.get("says") or "")):
        full = max(number(value), target) * 1.25 or 1.0
        return f"{number(value):.3g} s", number(value) / full, target / full
    return f"{number(value):.2%} in time", number(value), number(row.get("quantile"))


def _row(row: Facts) -> list[Child]:
    word = str(row.get("verdict") or "unknown")
    kind = VERDICTS.get(word, "muted")
    found = measured(row)
    samples = str(row.get("samples") if row.get("samples") is not None else "")
    if word not in VERDICTS and row.get("needed"):
        samples = f"{samples} of {row['needed']} needed"
    shown = [found[0], meter(kind, found[1], found[2], str(row.get("says") or ""))] if found else "not measured"
    return [
        row.get("metric") or "",
        rules.percentile(number(row.get("quantile"))),
        f"within {number(row.get('target_seconds')):g} s",
        el("div", {"class": "num" if found else "muted"}, shown),
        el("span", {"class": "num"}, samples),
        badge(kind, word),
    ]


def _verdict(report: Facts) -> Child:
    verdict, rows = report.get("verdict"), _rows(report.get("verdict"))
    if not verdict or report.get("check_mode"):
        return None
    heads = ["Metric", "Quantile", "Target", "Measured", "Samples", "Verdict"]
    identity = verdict.get("identity") or {}
    faults = [str(fault) for part in (verdict, identity) for fault in part.get("faults") or ()]
    sessions = {
        "kept": "A session from before the release is still valid.",
        "new": "A session was created; there was none from before.",
    }
    session = sessions.get(str(verdict.get("session")))
    issues = verdict.get("issues") or {}
    word = str(issues.get("verdict") or "")
    new = [
        link(str(one.get("title") or one.get("id") or ""), str(one.get("url") or ""))
        for one in issues.get("issues") or ()
    ]
    return section(
        "Latency verdict",
        el("ul", {"class": "plain bad"}, [el("li", None, f"✕ {fault}") for fault in faults]) if faults else None,
        table(heads, [_row(row) for row in rows], "Each latency target and what was measured", "targets")
        if rows
        else None,
        el("p", {"class": "small muted"}, "The bar is the measurement, the line in it the target.")
        if any(measured(row) for row in rows)
        else None,
        el("p", {"class": "small muted"}, session) if session else None,
        [
            el("p", {"class": "small muted"}, str(part["says"]))
            for part in (verdict.get("front_end") or {}, identity)
            if part.get("says")
        ],
        el("p", None, "New issue types at Sentry since the deploy: ", badge(VERDICTS.get(word, "muted"), word))
        if word
        else None,
        el("dl", {"class": "links"}, new) if new else None,
        el("p", {"class": "bad"}, str(verdict["unrecorded"])) if verdict.get("unrecorded") else None,
    )


# -- changes


def _change(change: Facts) -> Markup:
    action = str(change.get("action") or "change")
    kinds = {"remove": "bad", "create": "plan"}
    detail = str(change.get("detail") or "")
    long = "\n" in detail.strip()
    return el(
        "li",
        None,
        el("span", {"class": f"badge {kinds.get(action, 'changed')}"}, action),
        f" {change.get('kind') or ''} ",
        el("code", None, change.get("object")) if change.get("object") else None,
        el("span", {"class": "muted"}, f" {detail}") if detail and not long else None,
        el("div", {"class": "small muted"}, task_of(change)) if change.get("task") else None,
        el("pre", None, detail.strip("\n")) if long else None,
    )


def by(rows: t.Iterable[Facts], key: str) -> dict[str, list[Facts]]:
    """Rows grouped by their value of `key`, in the order of the first occurrence."""
    found: dict[str, list[Facts]] = {}
    for row in rows:
        found.setdefault(str(row.get(key) or ""), []).append(row)
    return found


def _stage_changes(stage: str, changes: t.Sequence[Facts]) -> Markup:
    hosts = by(changes, "host")
    said = f" {count(len(changes), 'change')} on {count(len(hosts), 'host')}"
    return el(
        "details",
        {"class": "group", "open": "" if len(changes) <= MOST_OPEN else None},
        el("summary", None, el("h3", None, stage or "no stage"), el("span", {"class": "small muted"}, said)),
        [
            el("div", {"class": "host"}, el("h4", None, host), el("ul", None, [_change(row) for row in hosts[host]]))
            for host in sorted(hosts)
        ],
    )


def _no_change(report: Facts) -> str:
    if is_incomplete_plan(report):
        return f"{UNKNOWN[:1].upper()}{UNKNOWN[1:]}."
    if report.get("outcome") != "ok":
        return "Nothing, up to the failure."
    return "Nothing. Everything is as declared."


def _changes(report: Facts) -> Child:
    heading = "What would change" if report.get("check_mode") else "What changed"
    changes = [row for row in report.get("changes") or () if isinstance(row, dict)]
    if changes:
        note = el("p", None, "The plan failed, so this list is incomplete.") if is_incomplete_plan(report) else None
        return section(heading, note, [_stage_changes(*pair) for pair in by(changes, "stage").items()])
    hosts = report.get("hosts") or {}
    if not hosts:
        return None
    names = [str(host) for host in report.get("changed_hosts") or ()]
    if not names:
        return section(heading, el("p", None, _no_change(report)))
    chips = []
    for host in names:
        tasks = int(number((hosts.get(host) or {}).get("changed")))
        said = el("span", {"class": "muted"}, f" {count(tasks, 'task')}") if tasks else None
        chips.append(el("li", None, el("strong", None, host), said))
    return section(heading, el("ul", {"class": "chips"}, chips))


def _stand_ins(report: Facts) -> Child:
    return _sentences("Stand-ins", report.get("stand_ins"))


def _never_run(report: Facts) -> Child:
    return _sentences("Never run live", report.get("never_run"))


def _sentences(title: str, found: t.Any) -> Child:
    rows = [el("li", None, sentence) for sentence in found or ()]
    return section(title, el("ul", {"class": "plain"}, rows)) if rows else None


def _links(report: Facts) -> Child:
    urls = report.get("urls") or {}
    rows = [link(str(name), str(url)) for name, url in sorted(urls.items())]
    return section("Links", el("dl", {"class": "links"}, rows)) if rows else None


def _icon(kind: str) -> str:
    """The icon of the browser tab, embedded in the page, in the colour of the outcome."""
    colour = {"ok": "#17703f", "bad": "#b3261e", "plan": "#2456b8"}.get(kind, "#566171")
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="{colour}"/></svg>'
    )
    return f"data:image/svg+xml,{urllib.parse.quote(drawn)}"


def page(report: Facts) -> str:
    """The whole page. The same report always results in the same page."""
    known = {"playbook": "run", "environment": "", "outcome": "", "seconds": 0, "check_mode": False, **report}
    finished = str(report.get("finished") or "")
    # A plan begins with what it would change, a run with how it went.
    middle: tuple[t.Callable[[Facts], Child], ...] = (_changes, _migrations, time_line)
    if not known["check_mode"]:
        middle = (_verdict, latency, _migrations, time_line, _changes)
    parts = (_head, _errors, _facts, *middle, _stand_ins, _never_run, _links)
    foot = [f"{report.get('playbook') or 'run'}", f", ended {moment(finished)}" if finished else ""]
    written = el(
        "footer",
        None,
        "Written by nexod.infra.summary: ",
        foot,
        ". The JSON file next to it has the same content for programs.",
    )
    return document(headline(known), [part(report) for part in parts], written, icon=_icon(kind_of(report)))
