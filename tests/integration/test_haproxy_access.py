"""HAProxy with the configuration that its role writes: who gets its metrics, and what users and the API are told."""

from __future__ import annotations

import contextlib
import http.server
import subprocess
import threading
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, ask
from ansible_collections.nexod.infra.tests.playbook import ROOT, play

from .conftest import free_port, program

ROLE = ROOT / "roles/haproxy"
PASSWORD = "c4nary-of-the-statistics"


class Api(http.server.BaseHTTPRequestHandler):
    """Answers with the headers that it got."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/own":
            self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write("".join(f"{name}: {value}\n" for name, value in self.headers.items()).lower().encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def api() -> t.Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_port
        running.shutdown()


def render(folder: Path, api: int, **options: t.Any) -> dict[str, t.Any]:
    """Write the role's files as it would, and return how it asks for the metrics."""
    given = {
        "haproxy_servers": [{"name": "api-1", "host": "127.0.0.1", "port": api}],
        "haproxy_listen_addresses": ["127.0.0.1"],
        "haproxy_metrics_listen_addresses": ["127.0.0.1"],
        "haproxy_port": free_port(),
        "haproxy_metrics_port": free_port(),
        **options,
        "__haproxy_runtime": str(folder),
        "__haproxy_home": str(folder),
    }
    asked = '{{ {"url": __haproxy_metrics_url, "access": __haproxy_metrics_access} | to_json }}'
    write = {"content": "{{ item.content }}", "dest": f"{folder}/{{{{ item.path }}}}"}
    tasks = [
        {"ansible.builtin.template": {"src": str(ROLE / "templates/haproxy.cfg.j2"), "dest": f"{folder}/haproxy.cfg"}},
        {"ansible.builtin.copy": write, "loop": "{{ __haproxy_metrics_files }}", "no_log": True},
        {"ansible.builtin.copy": {"content": asked, "dest": f"{folder}/asked.json"}},
    ]
    files = [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")]
    book = folder / "book.yml"
    # The options outrank the defaults, as those of a user do.
    tasks = [{**task, "vars": given} for task in tasks]
    book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": tasks}]))
    done = play("-i", "localhost,", "-c", "local", book)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "servers.state").touch()
    return {**given, **yaml.safe_load((folder / "asked.json").read_text())}


@contextlib.contextmanager
def running(folder: Path, asked: dict[str, t.Any]) -> t.Iterator[None]:
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program("haproxy", "haproxy"), "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log
        )
    try:
        access = Access(**asked["access"], names=False)
        deadline = time.monotonic() + 30
        while ask(f"{asked['url']}/health", access=access).status != 200:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def get(url: str, **headers: str) -> tuple[int, t.Any, str]:
    """Status, headers and body, without following a redirect."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: t.Any) -> None:
            return None

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with opener.open(urllib.request.Request(url, headers=named), timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


@pytest.mark.parametrize("way", ["password", "TLS and password", "client certificate and password"])
def test_metrics_and_statistics_need_a_credential(way: str, tmp_path: Path, api: int) -> None:
    options: dict[str, t.Any] = {"haproxy_metrics_users": {"prometheus": PASSWORD, "ops": "another-long-password"}}
    if "TLS" in way or "client" in way:
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=edge"
        openssl = [program("openssl", "openssl"), *words.split(), "-keyout", "key", "-out", "crt"]
        subprocess.run(openssl, cwd=tmp_path, check=True, capture_output=True)
        certificate = (tmp_path / "crt").read_text()
        options["haproxy_metrics_tls_certificate"] = certificate + (tmp_path / "key").read_text()
        if "client" in way:
            options["haproxy_metrics_tls_client_ca"] = certificate
    asked = render(tmp_path, api, **options)
    access = Access(**asked["access"], names=False)
    stranger = Access(**{**asked["access"], "user": "", "password_file": ""}, names=False)
    wrong = Access(**{**asked["access"], "password_file": "", "password": "guessed-by-a-stranger"}, names=False)
    with running(tmp_path, asked):
        for path, told in (("/metrics", "haproxy_process_start_time_seconds"), ("/stats", "Statistics Report")):
            answer = ask(asked["url"] + path, access=access, accept="*/*")
            assert (answer.status, told in answer.body) == (200, True), answer
            assert [ask(asked["url"] + path, access=who).status for who in (stranger, wrong)] == [401, 401]
        assert ask(f"{asked['url']}/health", access=stranger).status == 200
        if "client" in way:
            assert ask(f"{asked['url']}/health", access=Access(ca_file=str(tmp_path / "crt"), names=False)).status == 0
    for name in ("haproxy.cfg", "metrics_users", "log"):
        assert PASSWORD not in (tmp_path / name).read_text()


def test_what_a_client_claims_about_itself_is_removed(tmp_path: Path, api: int) -> None:
    asked = render(tmp_path, api)
    claims = {
        "X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Port": "443", "Forwarded": "for=203.0.113.9",
    }  # fmt: skip
    with running(tmp_path, asked):
        _status, _headers, body = get(f"http://127.0.0.1:{asked['haproxy_port']}/", **claims)
    told = [line for line in body.splitlines() if line.startswith(("x-forwarded", "forwarded"))]
    assert sorted(told) == ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"]


def test_what_a_trusted_proxy_says_is_passed_on_and_never_redirected_in_a_circle(tmp_path: Path, api: int) -> None:
    redirected = {"haproxy_tls_redirect": True, "haproxy_trusted_proxies": ["127.0.0.0/8", "192.0.2.1"]}
    asked = render(tmp_path, api, **redirected)
    url = f"http://127.0.0.1:{asked['haproxy_port']}/"
    with running(tmp_path, asked):
        status, headers, body = get(url, X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.9")
        assert status == 200
        assert "x-forwarded-proto: https" in body
        assert "x-forwarded-for: 203.0.113.9" in body
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert get(url, X_Forwarded_Proto="http")[0] == 301
        assert get(url)[0] == 301


def test_security_headers_are_there_unless_the_application_has_its_own(tmp_path: Path, api: int) -> None:
    policy = "default-src 'self'; report-uri /a%20\"b\" $x #y"
    headers = {"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": policy}
    asked = render(tmp_path, api, haproxy_security_headers=headers)
    with running(tmp_path, asked):
        url = f"http://127.0.0.1:{asked['haproxy_port']}"
        _status, found, _body = get(f"{url}/")
        assert (found["X-Frame-Options"], found["Content-Security-Policy"]) == ("SAMEORIGIN", policy)
        assert "Strict-Transport-Security" not in found
        assert get(f"{url}/own")[1]["X-Frame-Options"] == "DENY"


class Slow(Api):
    """An instance whose database is slow: its health check takes 1.2 s, longer than the time between two checks."""

    checked = 0

    def do_GET(self) -> None:
        if self.path == "/ready":
            time.sleep(1.2)
            type(self).checked += 1
        super().do_GET()


def test_an_instance_with_a_slow_database_keeps_its_requests(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = render(tmp_path, server.server_port, haproxy_check_path="/ready")
        with running(tmp_path, asked):
            deadline = time.monotonic() + 60
            # More of them than it takes to be down, and each was waited for.
            while Slow.checked < asked.get("haproxy_check_fall", 2) + 2:
                assert get(f"http://127.0.0.1:{asked['haproxy_port']}/")[0] == 200
                assert time.monotonic() < deadline
                time.sleep(0.1)
        server.shutdown()
