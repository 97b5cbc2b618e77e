"""Headless Chromium whose tabs a test opens, acts in and closes, over its DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
import websocket

SECONDS = 20


def program() -> str:
    found = shutil.which("chromium")
    if not found:
        pytest.fail("Pages are checked in Chromium, which is missing here: apt-get install chromium", pytrace=False)
    return found


class Tab:
    """A page and its JavaScript, which stay until the tab is closed or navigates."""

    def __init__(self, browser: Browser, url: str, cached: bool = True) -> None:
        self.browser = browser
        self.target = browser.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = browser.ask("Target.attachToTarget", {"targetId": self.target, "flatten": True})
        self.session = attached["sessionId"]
        #: Errors on the console and exceptions that no code has caught.
        self.errors: list[str] = []
        #: URLs that were asked for.
        self.requests: list[str] = []
        browser.tabs[self.session] = self
        for domain in ("Page", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Network.setCacheDisabled", {"cacheDisabled": not cached})
        self.ask("Page.navigate", {"url": url})

    def ask(self, method: str, parameters: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
        return self.browser.ask(method, parameters, self.session)

    def note(self, method: str, facts: t.Mapping[str, t.Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(facts["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and facts["type"] == "error":
            self.errors.append(json.dumps(facts["args"]))

    def run(self, script: str) -> t.Any:
        """The value of an expression, or what the promise that it is resolves to."""
        wanted = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self.ask("Runtime.evaluate", wanted)
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, script: str, expected: t.Any = True, seconds: float = SECONDS) -> None:
        """Wait until an expression has a value. While a page is loading, it may fail."""
        end = time.monotonic() + seconds
        found: t.Any = None
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):
                found = self.run(script)
                if found == expected:
                    return
            time.sleep(0.05)
        seen = self.run("document.body?.innerText")
        pytest.fail(f"{script} is {found!r} after {seconds:g} s, not {expected!r}; {seen!r}; {self.errors}")

    def submit(self, form: str, text: str) -> None:
        """Enter the text into the form's field as a person does, and submit it."""
        self.until(f"document.querySelector({json.dumps(form)}) !== null")
        self.run(f"document.querySelector({json.dumps(f'{form} input')}).value = {json.dumps(text)}")
        self.run(f"document.querySelector({json.dumps(form)}).requestSubmit()")

    def click(self, selector: str) -> None:
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def close(self) -> None:
        self.browser.ask("Target.closeTarget", {"targetId": self.target})


class Browser:
    def __init__(self, address: str) -> None:
        self.socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)
        self.last = 0
        self.tabs: dict[str, Tab] = {}

    def ask(self, method: str, parameters: t.Mapping[str, t.Any] | None = None, session: str = "") -> dict[str, t.Any]:
        """Send a command and return its result; events that arrive before it are noted by their tabs."""
        self.last += 1
        named = {"sessionId": session} if session else {}
        self.socket.send(json.dumps({"id": self.last, "method": method, "params": parameters or {}, **named}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.last:
                assert "error" not in message, (method, message["error"])
                return t.cast("dict[str, t.Any]", message["result"])
            tab = self.tabs.get(message.get("sessionId", ""))
            if tab and "method" in message:
                tab.note(message["method"], message["params"])


@contextlib.contextmanager
def running(folder: Path) -> t.Iterator[Browser]:
    """A browser whose profile is in `folder`: its tabs share cookies and storage."""
    profile = folder / "profile"
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--disable-background-networking", "--remote-debugging-port=0"),
                f"--user-data-dir={profile}",
            ],
            env={**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
            stdout=log,
            stderr=log,
        )
    try:
        chosen = profile / "DevToolsActivePort"
        end = time.monotonic() + SECONDS
        # Two lines, which are not written at once.
        while not chosen.exists() or len(chosen.read_text(encoding="ascii").split()) < 2:
            assert process.poll() is None, (folder / "chromium.log").read_text(errors="replace")
            assert time.monotonic() < end, f"Chromium has not started after {SECONDS} s"
            time.sleep(0.05)
        port, path = chosen.read_text(encoding="ascii").split()
        browser = Browser(f"ws://127.0.0.1:{port}{path}")
        yield browser
        browser.socket.close()
    finally:
        process.terminate()
        process.wait(SECONDS)
