"""A tab that was open before a deploy asks for JavaScript of its own release, from nginx as the role configures it.

The front ends of before and now are built ones, and the module file_set publishes them. The API is a stand-in in front
of nginx, which knows one user.
"""

from __future__ import annotations

import contextlib
import grp
import http.client
import json
import os
import pwd
import subprocess
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet, Keep
from ansible_collections.nexod.infra.tests import chromium, edge, front_end
from ansible_collections.nexod.infra.tests.fixtures.debian_packages import unpacked

ROLE = edge.ROOT / "roles" / "frontend"
USER = {"id": 7, "email": "ada@example.com", "name": "Ada", "full_name": "Ada", "user_type": "member"}
#: What the stand-in for the API answers, by the first part of the path.
ANSWERS = {
    "sessions": {"id": "s-1", "user_id": 7},
    "users": USER,
    "tasks": [{"id": 1, "user_id": 7, "title": "one", "done": False}],
    "web-vitals": {},
}


class Handler(BaseHTTPRequestHandler):
    """The entry point: the API, and nginx for everything else."""

    protocol_version = "HTTP/1.1"
    web: int

    def respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        part = self.path.strip("/").partition("/")[0].partition("?")[0]
        if part in ANSWERS:
            self.answer(200, json.dumps(ANSWERS[part]).encode(), {"Content-Type": "application/json"})
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.web, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", self.path)
            got = connection.getresponse()
            kept = ("Content-Type", "Cache-Control")
            self.answer(got.status, got.read(), {name: got.headers[name] for name in kept if name in got.headers})

    def answer(self, status: int, body: bytes, headers: t.Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = respond  # noqa: N815 - the names are those of http.server

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


class Site:
    """The role's set of files, and nginx on it."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir()
        self.port = port
        self.files = FileSet("frontend", str(folder))
        defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
        (self.immutable,) = defaults["frontend_immutable"]
        self.keep = Keep((f"public/{self.immutable}",), defaults["frontend_keep_days"])
        given = {
            **defaults,
            "frontend_port": port,
            "__frontend_immutable": [self.immutable.replace("*", ".*")],
            "__frontend_kept": self.kept,
        }
        template = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined).from_string(
            (ROLE / "templates/nginx.conf.j2").read_text()
        )
        root = unpacked("nginx", "bookworm", ("nginx", "nginx-common"))
        # The unit gives nginx a /tmp of its own.
        text = template.render(given).replace("_path /tmp/", f"_path {folder}/tmp-")
        self.configuration = text.replace("/etc/nginx/", f"{root}/etc/nginx/")
        self.program = root / "usr/sbin/nginx"

    @property
    def kept(self) -> Path:
        return self.files.home / "kept" / "public"

    def deploy(self, built: Path) -> None:
        rows = {f"public/{path.relative_to(built)}": path.read_bytes() for path in built.rglob("*") if path.is_file()}
        rows["nginx.conf"] = self.configuration.encode()
        owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        wanted = [
            Entry(path, content, "0644", owner, group, "none", None, False) for path, content in sorted(rows.items())
        ]
        check = [str(self.program), "-t", "-q", "-p", "{staged}/", "-c", "{staged}/nginx.conf", "-g", "pid /dev/null;"]
        self.files.apply(wanted, [check], {}, self.keep)
        self.files.mark_live()

    def start(self) -> subprocess.Popen[bytes]:
        current = self.files.home / "current"
        # Relative to the link, as in the unit: a swap needs no reload. The folders of pytest are for its own user.
        # Not /dev/null: nginx removes its pid file when it ends.
        given = f"daemon off; pid {self.files.home}/nginx.pid; user {pwd.getpwuid(os.getuid()).pw_name};"
        argv = [self.program, "-p", f"{current}/", "-c", current / "nginx.conf", "-g", given]
        return subprocess.Popen(argv, stderr=subprocess.DEVNULL)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "etc", edge.app.free_port())


@pytest.fixture
def url(site: Site) -> t.Iterator[str]:
    """The front end of before, at its address."""
    site.deploy(front_end.build(front_end.source_before()))
    with contextlib.ExitStack() as stack:
        nginx = site.start()
        stack.callback(nginx.wait, 10)
        stack.callback(nginx.terminate)
        edge.app.wait_for_port(site.port, nginx)
        entry = ThreadingHTTPServer(("127.0.0.1", 0), type("Wired", (Handler,), {"web": site.port}))
        stack.callback(entry.server_close)
        threading.Thread(target=entry.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        stack.callback(entry.shutdown)
        yield f"http://127.0.0.1:{entry.server_port}"


def scripts(tab: chromium.Tab) -> list[str]:
    return [asked for asked in tab.requests if asked.endswith(".js")]


def sees_tasks(tab: chromium.Tab) -> None:
    tab.until("document.querySelector('#tasks li')?.textContent.trim()", "one")
    tab.until("document.querySelector('#name')?.textContent", "Ada")


def test_a_tab_of_before_loads_what_is_kept_and_reloads_where_it_is_gone(site: Site, url: str, tmp_path: Path) -> None:
    with chromium.running(tmp_path) as browser:
        # Three tabs that have not signed in yet, without what only the signed-in page needs.
        tabs = [chromium.Tab(browser, url, cached=False) for _tab in range(3)]
        for tab in tabs:
            tab.until("document.querySelector('#sign-in') !== null")
        first, second, third = tabs
        before = set(scripts(first))

        site.deploy(front_end.build(front_end.source()))
        first.submit("#sign-in", "ada@example.com")
        sees_tasks(first)
        # Of its own release, which only the kept files have; others are the same in both. It goes on as it was.
        current = site.files.home / "current" / "public"
        asked = {one.removeprefix(f"{url}/") for one in set(scripts(first)) - before}
        (name,) = [one for one in asked if not (current / one).exists()]
        lazy = f"{url}/{name}"
        assert (site.kept / name).is_file()
        assert first.run(f"fetch('{lazy}').then((got) => got.headers.get('cache-control'))") == (
            "public, max-age=31536000, immutable"
        )
        assert (first.errors, first.requests.count(f"{url}/")) == ([], 1)

        # The days are over. The tab has no other way than the new page, which knows who has signed in.
        (site.kept / name).unlink()
        first.run("localStorage.clear()")
        second.submit("#sign-in", "ada@example.com")
        sees_tasks(second)
        assert lazy in second.requests
        assert second.requests.count(f"{url}/") == 2
        assert second.run("document.querySelector('#outdated') === null")
        assert second.run("JSON.parse(localStorage.getItem('app-storage')).version") == 2

        # If it has reloaded itself a moment ago, it says that it is too old.
        first.run("localStorage.clear()")
        third.run("sessionStorage.setItem('app-reloaded', String(Date.now()))")
        third.submit("#sign-in", "ada@example.com")
        third.until("document.querySelector('#outdated')?.textContent.includes('older than the files on the server')")
        third.click("#outdated button")
        sees_tasks(third)
