"""What counts as a front end that serves."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._backend.pages import (
    files_of,
    latency_rows,
    probe,
    quantile_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer

URL = "https://app-1.example.com"
HTML, SCRIPT, STYLE = ({"content-type": kind} for kind in ("text/html; charset=utf-8", "text/javascript", "text/css"))
PAGE = """<!doctype html><html><head>
<link rel="stylesheet" href="/site.css"><link rel="preload" as="script" href="chunk.js"><link rel="icon" href="/i.ico">
<link rel="preconnect" href="/not-a-file"><link rel="icon" href="data:,x"><img src="http://[">
<script src="/site.js#x"></script><script src="https://cdn.example.net/a.js">
</script></head><body><img src="/logo.png"><a href="/other">other</a></body></html>"""
SECRET = {"x-bypass": "secret of the test"}
GIVEN: dict[str, t.Any] = {
    "url": URL,
    "paths": ["/"],
    "files": True,
    "headers": {},
    "texts": [],
    "request_headers": SECRET,
    "protected": False,
    "latency_targets": [],
    "if_missed": "warn",
    "wait_seconds": 0,
    "proxies": False,
    "next_step": "Fix it.",
}
ORDER: dict[str, Answer] = {
    f"{URL}/": Answer(200, PAGE, headers={**HTML, "strict-transport-security": "max-age=63072000"}, seconds=0.1),
    f"{URL}/site.css": Answer(200, "a {}", headers=STYLE),
    f"{URL}/chunk.js": Answer(200, 'let api = "https://api.example.com"', headers=SCRIPT),
    f"{URL}/site.js": Answer(200, "", headers=SCRIPT),
    f"{URL}/i.ico": Answer(200, "", headers={"content-type": "image/x-icon"}),
    f"{URL}/logo.png": Answer(200, ""),
}


class Host:
    """Answers by URL; `asked` has each request, and whether it had the secret."""

    def __init__(self, answers: t.Mapping[str, Answer], *, protected: bool = True) -> None:
        self.answers, self.protected, self.asked = answers, protected, list[tuple[str, bool]]()

    def __call__(self, url: str, *, headers: t.Mapping[str, str], redirects: bool, **_: t.Any) -> Answer:
        assert not redirects
        self.asked.append((url, dict(headers) == SECRET))
        if self.protected and dict(headers) != SECRET:
            return Answer(401, "sign in", headers=HTML)
        return self.answers.get(url, Answer(404, "", headers=HTML))


def test_what_a_page_loads_from_its_own_origin() -> None:
    assert files_of(f"{URL}/", PAGE) == {
        f"{URL}/site.css": "style",
        f"{URL}/chunk.js": "script",
        f"{URL}/site.js": "script",
        f"{URL}/i.ico": "",
        f"{URL}/logo.png": "",
    }


def test_one_that_is_in_order() -> None:
    host = Host(ORDER)
    texts = [{"name": "API", "text": "https://api.example.com"}]
    headers = {"Strict-Transport-Security": "max-age=[1-9]", "Content-Type": ""}
    targets = [
        {"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2},
        {"metric": "lcp", "quantile": 0.75, "target_seconds": 0},
    ]
    found = probe({**GIVEN, "texts": texts, "headers": headers, "protected": True, "latency_targets": targets}, host)
    assert (found["files"], found["verdict"], found["slow"]) == (5, "met", [])
    assert found["says"].endswith("ttfb p75 within 0.2 s: met (0.1 s over 5 probes)")
    # The page and what it loads, once without the secret, and five times for the latency; nobody else is asked.
    assert len(host.asked) == 6 + 1 + 5
    assert {url for url, _headers in host.asked} == set(ORDER)


@pytest.mark.parametrize(
    ("answers", "given", "says"),
    [
        ({"/": Answer(0, "", "timed out")}, {}, "/ does not answer: timed out"),
        ({"/": Answer(500, "", headers=HTML)}, {}, "/ answers HTTP 500"),
        (
            {"/": Answer(307, "", headers={"location": "https://vercel.com/sso"})},
            {},
            "/ leads to https://vercel.com/sso (HTTP 307)",
        ),
        ({"/": Answer(200, "{}", headers={"content-type": "application/json"})}, {}, "/ is not a page"),
        ({"/": Answer(200, " ", headers=HTML)}, {}, "/ is empty"),
        ({"/site.js": Answer(404, "", headers=HTML)}, {}, f"{URL}/site.js answers HTTP 404, and a page loads it"),
        # A host that answers every path with its page.
        (
            {"/site.js": Answer(200, PAGE, headers=HTML)},
            {},
            f"a page loads {URL}/site.js as script, and its Content-Type is text/html",
        ),
        ({}, {"paths": ["/", "terms"]}, "/terms answers HTTP 404"),
        ({}, {"headers": {"X-Frame-Options": ""}}, "lacks the header X-Frame-Options"),
        (
            {},
            {"headers": {"Strict-Transport-Security": "preload"}},
            "has the header Strict-Transport-Security: max-age=63072000, which does not match preload",
        ),
        (
            {},
            {"texts": [{"name": "commit", "text": "4f2d3c0a"}]},
            "neither the pages nor the 5 files that they load contain the commit 4f2d3c0a",
        ),
        ({}, {"texts": [{"name": "commit", "text": ""}]}, "the text to look for is empty: commit"),
        ({}, {"headers": {"Via": "("}}, "the expression for the header Via is not valid"),
        ({}, {"paths": []}, "no page is named"),
        ({}, {"url": ""}, "not an http or https URL"),
        (
            {"/": Answer(200, PAGE, headers=HTML, seconds=0.3)},
            {"latency_targets": [{"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2}], "if_missed": "fail"},
            "ttfb p75 within 0.2 s: missed (0.3 s over 5 probes)",
        ),
    ],
)
def test_what_is_wrong_with_it(answers: dict[str, Answer], given: dict[str, t.Any], says: str) -> None:
    host = Host({**ORDER, **{f"{URL}{path}": answer for path, answer in answers.items()}})
    asked = {} if given.get("url") == "" else {"asked": host}
    with pytest.raises(InfraError) as refused:
        probe({**GIVEN, **given}, **asked)
    assert says in refused.value.cause


def test_one_that_is_protected_and_one_that_should_be() -> None:
    for request_headers, protected, says in (
        ({}, True, "answers HTTP 401"),
        (SECRET, False, "is declared to be protected, and anybody can open it"),
    ):
        with pytest.raises(InfraError) as refused:
            given = {**GIVEN, "protected": True, "request_headers": request_headers}
            probe(given, Host(ORDER, protected=protected))
        assert says in refused.value.cause
        assert "secret of the test" not in str(refused.value)


def test_the_first_byte_is_judged_like_a_probe() -> None:
    assert (quantile_of([], 0.75), quantile_of([1, 4, 2, 3], 0.75), quantile_of([2], 0.75)) == (None, 3, 2)
    (row,) = latency_rows([{"metric": "ttfb", "quantile": 0.75, "target_seconds": 0.2}], [0.1, 0.1])
    assert row["says"] == "ttfb p75 within 0.2 s: not enough data (2 of 5 probes)"
