"""Whatever the other side sends, a request ends in an answer or a reason."""

from __future__ import annotations

import http.server
import pathlib
import threading
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, ask
from ansible_collections.nexod.infra.tests.fixtures import hostile_answers


@pytest.mark.parametrize("name", [*hostile_answers.ANSWERS])
def test_half_an_answer_is_none(name: str) -> None:
    with hostile_answers.server(name) as url:
        answer = ask(url, timeout=2)
    assert answer.status == 0
    assert answer.reason


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x/", "http://", "http://[::1", "http://x:port/", "http://x y/", "http://\x00/", "http://ü.invalid/ü"],
)
def test_what_is_no_url_is_a_reason(url: str) -> None:
    assert ask(url, timeout=2).reason


class Handler(http.server.BaseHTTPRequestHandler):
    """A server as it should be, and one that takes its time."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/")
            self.end_headers()
            return
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        for byte in b'{"a":1'[:5] + b"2" if self.path == "/slow" else b'"wohl"':
            self.wfile.write(bytes([byte]))
            time.sleep(0.2 if self.path == "/slow" else 0)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> t.Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_answers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (ask(url).status, ask(url).document) == (200, "wohl")
    assert (ask(f"{url}/busy").status, ask(f"{url}/busy").body) == (503, '"wohl"')
    assert ask(f"{url}/moved").status == 200
    assert ask(url, document={"b": 2}).document == {"b": 2}


def test_a_redirect_that_is_not_followed_is_the_answer(url: str) -> None:
    answer = ask(f"{url}/moved", redirects=False)
    assert (answer.status, answer.headers["location"]) == (302, "/")
    followed = ask(f"{url}/moved")
    assert followed.status == 200
    assert 0 < followed.seconds < 10


def test_an_answer_that_only_trickles_is_given_up(url: str) -> None:
    begun = time.monotonic()
    answer = ask(f"{url}/slow", timeout=0.5)
    assert (answer.status, "not complete in time" in answer.reason) == (0, True)
    assert time.monotonic() - begun < 1.2


class Guarded(http.server.BaseHTTPRequestHandler):
    """Says who asks, and sends some of them elsewhere."""

    elsewhere = ""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", f"{self.elsewhere}/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write((self.headers["Authorization"] or "nobody").encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_password_is_read_from_its_file_and_follows_no_redirect(tmp_path: pathlib.Path) -> None:
    (tmp_path / "password").write_text("horse\n")
    access = Access(user="ops", password_file=str(tmp_path / "password"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_port}"
        Guarded.elsewhere = url.replace("127.0.0.1", "localhost")
        assert ask(url, access=access).body == "Basic b3BzOmhvcnNl"
        assert ask(f"{url}/moved", access=access).body == "nobody"
        assert ask(url).body == "nobody"
        running.shutdown()


@pytest.mark.parametrize("name", ["password_file", "ca_file", "certificate_file"])
def test_a_missing_file_is_a_reason(name: str, tmp_path: pathlib.Path) -> None:
    access = Access(**{"user": "ops", name: str(tmp_path / "missing")})
    assert "No such file" in ask("https://127.0.0.1:1/", access=access).reason
    assert "horse" not in repr(Access(user="ops", password="horse"))
