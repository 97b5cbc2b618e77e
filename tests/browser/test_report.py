"""The page of a run in headless Chromium: it renders, fits a phone, says nothing on the console and asks nobody."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import shutil
import struct
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import page, title
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._cost import test_page as cost

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / ".cache" / "tests" / "screenshots"
REPORTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "tests/fixtures/reports").glob("*.json")}
NAMES = ["good", "failed", "plan", "empty"]
# Chromium's window is never narrower than 500, so a phone is a frame of its width.
NARROW, PHONE, WIDE = 360, 390, 1280
#: Pixels of the smallest text that is read without effort on a phone.
SMALLEST = 12
DARK = "--blink-settings=preferredColorScheme=0"

# The page itself stays as it is: the document around it measures it.
FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<style>body {{ margin: 0; }}
iframe {{ display: block; border: 0; width: {width}px; height: {height}px; }}</style></head>
<body><iframe srcdoc="{page}"></iframe><script type="application/json" id="facts">{{}}</script>
<script>
  addEventListener("load", () => {{
    const inner = document.querySelector("iframe").contentDocument, root = inner.documentElement;
    inner.querySelectorAll("details").forEach((details) => {{ details.open = {unfolded}; }});
    const wide = [...inner.querySelectorAll("h1, h2, h3, h4, p, pre, td > div, th, dd, li, .name, .end")].filter(
      (element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1
        && inner.defaultView.getComputedStyle(element).overflowX === "visible"
    );
    // What has a text of its own, and what of it a reader would have to scroll to.
    const said = [...inner.body.querySelectorAll("*")].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
    );
    const outside = said.filter((element) => element.getBoundingClientRect().right > root.clientWidth + 1
      && !element.closest("pre, thead"));
    document.querySelector("#facts").textContent = JSON.stringify({{
      smallest: Math.min(...said.map((element) => parseFloat(inner.defaultView.getComputedStyle(element).fontSize))),
      outside: outside.map((element) => element.outerHTML.slice(0, 200)),
      width: root.clientWidth, content: root.scrollWidth, height: root.scrollHeight,
      headline: inner.querySelector("h1").textContent,
      background: inner.defaultView.getComputedStyle(inner.body).backgroundColor,
      spilling: wide.map((element) => element.outerHTML.slice(0, 200)),
    }});
  }});
</script></body></html>
"""


@dataclasses.dataclass
class Seen:
    """What the browser made of a document."""

    dom: str
    console: list[str]
    requests: list[str]

    @property
    def facts(self) -> dict[str, t.Any]:
        found = re.search(r'id="facts">(.*?)</script>', self.dom, re.S)
        assert found, self.dom[:2000]
        return json.loads(found[1])


def requests(log: str) -> list[str]:
    """What a document asked the network for; of what the browser itself asks for, no document is the initiator."""
    lines = [line for line in log.splitlines() if re.search(r'"initiator":"(?!not an origin")', line)]
    return [url for line in lines for url in re.findall(r'"url":"((?:https?|wss?):[^"]*)"', line)]


@pytest.fixture
def browse(tmp_path: Path) -> t.Callable[..., Seen]:
    program = shutil.which("chromium")
    if not program:
        pytest.fail("The page of a run is checked in Chromium, which is missing here: apt-get install chromium")

    def run(text: str, *more: str) -> Seen:
        document, log = tmp_path / "page.html", tmp_path / "net.json"
        document.write_text(text, encoding="utf-8")
        log.unlink(missing_ok=True)
        done = subprocess.run(
            [
                *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--hide-scrollbars", "--disable-background-networking"),
                *(f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr"),
                *(more or ("--dump-dom",)),
                document.as_uri(),
            ],
            env={**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return Seen(done.stdout, console, requests(log.read_text(encoding="utf-8", errors="replace")))

    return run


def framed(text: str, width: int, height: int = 800, *, unfolded: bool = False) -> str:
    return FRAME.format(
        page=html.escape(text), width=width, height=height, unfolded="true" if unfolded else "details.open"
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_renders_and_asks_nobody(browse: t.Callable[..., Seen], name: str) -> None:
    seen = browse(page(REPORTS[name]))
    assert f"<h1>{title(REPORTS[name])}</h1>" in seen.dom
    assert (seen.console, seen.requests) == ([], [])


@pytest.mark.parametrize("width", [NARROW, PHONE, WIDE])
@pytest.mark.parametrize("name", NAMES)
def test_it_fits(browse: t.Callable[..., Seen], name: str, width: int) -> None:
    """Also with every fold open, which is when the widest tables show."""
    facts = browse(framed(page(REPORTS[name]), width, unfolded=True), "--window-size=1300,900", "--dump-dom").facts
    assert facts["headline"] == title(REPORTS[name])
    assert (facts["width"], facts["content"]) == (width, width)
    assert (facts["spilling"], facts["outside"]) == ([], [])
    assert facts["smallest"] >= SMALLEST


# A bill, and a budget that is exceeded.
CHARGED = {"part": "Amazon Relational Database Service", "actual_usd": 12345.67, "result": "above"}
BILL = {
    "from": "2026-10-01",
    "to": "2026-11-01",
    "total_usd": 12345.67,
    "parts": [
        {**CHARGED, "estimated": {"min": 351.5, "max": 443.5}},
        {**CHARGED, "part": "Tax", "estimated": None, "result": "not estimated"},
    ],
}


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_page_of_costs_fits(browse: t.Callable[..., Seen], width: int) -> None:
    text = cost.page(cost.facts(environment="production", budget_usd=500, over_budget=True, actual=BILL))
    seen = browse(framed(text, width, unfolded=True), "--window-size=1300,900", "--dump-dom")
    facts = seen.facts
    assert facts["headline"].startswith("production: about ")
    assert (facts["width"], facts["content"]) == (width, width)
    assert (facts["spilling"], facts["outside"], seen.console, seen.requests) == ([], [], [], [])
    assert facts["smallest"] >= SMALLEST


def test_words_without_an_end_fit_too(browse: t.Callable[..., Seen]) -> None:
    word = "w" * 400
    failure = {**REPORTS["failed"]["failures"][0], "message": word, "task": word, "host": word, "path": word}
    report = {
        **REPORTS["good"],
        "environment": word,
        "failures": [failure],
        "urls": {word: f"http://{word}"},
        "stand_ins": [word],
        "version": {"before": word, "after": f"{word}2"},
    }
    facts = browse(framed(page(report), PHONE)).facts
    assert (facts["width"], facts["content"], facts["spilling"]) == (PHONE, PHONE, [])


def spoilt(body: str) -> str:
    """The good page with `body` in it, and without the policy that would keep it from doing harm."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page(REPORTS["good"]))
    return text.replace("<main>", f"<main>{body}")


def test_the_checks_see_what_they_look_for(browse: t.Callable[..., Seen]) -> None:
    """A page that is too wide, one that fails on the console, and one that asks the network are all told."""
    wide = browse(framed(spoilt('<div style="width:450px">x</div>'), PHONE)).facts
    assert wide["content"] > wide["width"] == PHONE
    spilling = browse(framed(spoilt('<p style="width:9em;white-space:nowrap">wider than it may be</p>'), PHONE)).facts
    assert len(spilling["spilling"]) == 1
    assert "wrong here" in str(browse(spoilt("<script>console.error('wrong here')</script>")).console)
    address = "http://127.0.0.1:9/pixel.png"
    assert address in browse(spoilt(f'<img alt="" src="{address}">')).requests


def test_the_policy_stops_what_would_get_past_the_escaping(browse: t.Callable[..., Seen]) -> None:
    body = '<img alt="" src="http://127.0.0.1:9/pixel.png"><script>document.title = "taken"</script>'
    seen = browse(page(REPORTS["good"]).replace("<main>", f"<main>{body}"))
    assert seen.requests == []
    assert "<title>taken" not in seen.dom


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, WIDE])
@pytest.mark.parametrize("name", NAMES)
def test_screenshots_are_kept(browse: t.Callable[..., Seen], name: str, width: int, scheme: str) -> None:
    """The whole page as it opens, for people to look at; what is decided is that it has its colours and its size."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    kept = SCREENSHOTS / f"{name}-{width}-{scheme}.png"
    kept.unlink(missing_ok=True)
    colours = [DARK] if scheme == "dark" else []
    text = page(REPORTS[name])
    facts = browse(framed(text, width), *colours, "--window-size=1300,900", "--dump-dom").facts
    assert facts["background"] == ("rgb(14, 18, 24)" if scheme == "dark" else "rgb(244, 245, 247)")
    height = facts["height"]
    browse(framed(text, width, height), *colours, f"--window-size={width},{height}", f"--screenshot={kept}")
    assert struct.unpack(">II", kept.read_bytes()[16:24]) == (width, height)
