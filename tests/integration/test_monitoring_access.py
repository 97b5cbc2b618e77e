"""Nobody reads or steers the monitoring without a credential: the real programs with the files that the roles write."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.verdict import Prometheus
from ansible_collections.nexod.infra.plugins.modules import alert_silence
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.scrape import scrape_config
from ansible_collections.nexod.infra.plugins.plugin_utils._service import web
from ansible_collections.nexod.infra.tests.fixtures.monitoring_programs import RELEASES, programs
from ansible_collections.nexod.infra.tests.playbook import ROOT

from .conftest import RedisServer, folder_of_postgres, free_port, program, until

PASSWORD, NEXT = "c4nary-of-the-monitoring", "c4nary-after-its-rotation"
NOTHING: dict[str, t.Any] = {f"{part}{end}": "" for part in web.PARTS for end in ("", "_file")}


@dataclasses.dataclass(frozen=True)
class Pair:
    """A CA, and a certificate of it with its key, as text."""

    ca: str
    certificate: str
    key: str


def certificates(folder: Path) -> Pair:
    """Made by openssl, for the loopback address, for servers and clients."""
    openssl = program("openssl", "openssl")
    folder.mkdir()

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    run(*new, "-subj", "/CN=monitoring", "-keyout", "ca.key", "-out", "ca.crt")
    own = ("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key")
    run(*new, "-subj", "/CN=monitoring-1", *own, *signed, "-keyout", "own.key", "-out", "own.crt")
    return Pair(*((folder / name).read_text() for name in ("ca.crt", "own.crt", "own.key")))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return certificates(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return certificates(tmp_path_factory.mktemp("tls") / "theirs")


def settings(pair: Pair | None, *, clients: bool = False, password: str = PASSWORD) -> dict[str, t.Any]:
    """The options of a role."""
    found = {**NOTHING, "web_users": {"ops": password} if password else {}}
    if pair:
        found.update(tls_certificate=pair.certificate, tls_key=pair.key, tls_client_ca=pair.ca if clients else "")
    return found


def write(folder: Path, given: dict[str, t.Any], name: str = "exporters") -> None:
    """The files of the options, as credentials of systemd would be."""
    folder.mkdir(exist_ok=True)
    contents, _places = web.credentials(given, f"{name} on test", str(folder))
    for row in web.password_file(given, web.PASSWORD):
        contents[row["path"]] = row["content"]
    for path, content in contents.items():
        (folder / path).write_text(content)


@pytest.fixture(scope="module")
def pooler() -> t.Iterator[int]:
    """A PgBouncer, without which its exporter ends."""
    port = free_port()
    with folder_of_postgres() as folder:
        (folder / "ini").write_text(
            f"[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\nadmin_users = monitor\nignore_startup_parameters = extra_float_digits\n"
        )
        user = ["-u", "postgres"] if os.geteuid() == 0 else []
        argv = [program("pgbouncer", "pgbouncer"), *user, str(folder / "ini")]
        with (folder / "log").open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
            yield port
            process.kill()


def command(name: str, release: str, port: int, folder: Path, pooler: int = 0) -> list[str]:
    """How a program is started, without its protection."""
    path = programs(release) / (name if name == "prometheus" else f"prometheus-{name}")
    listening = f"--web.listen-address=127.0.0.1:{port}"
    config = folder / f"{name}.yml"
    if name == "prometheus":
        config.write_text("scrape_configs: []\n")
        return [str(path), f"--config.file={config}", f"--storage.tsdb.path={folder}/data", listening]
    if name == "alertmanager":
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        return [
            *(str(path), f"--config.file={config}", f"--storage.path={folder}/data"),
            *("--cluster.listen-address=", listening),
        ]
    if name == "blackbox-exporter":
        config.write_text("modules: {tcp: {prober: tcp}}\n")
        return [str(path), f"--config.file={config}", listening]
    if name == "pgbouncer-exporter":
        database = f"--pgBouncer.connectionString=postgres://monitor@127.0.0.1:{pooler}/pgbouncer?sslmode=disable"
        # It ends until PgBouncer answers, as in its unit.
        return ["/bin/sh", "-c", 'until "$0" "$@"; do sleep 0.2; done', str(path), listening, database]
    return [str(path), listening.replace("--", "-") if name == "redis-exporter" else listening]


def until_ready(url: str, access: Access) -> None:
    """Wait until a Prometheus that answers has also read its data: until then it refuses queries."""
    deadline = time.monotonic() + 60
    while ask(f"{url}/-/ready", access=access).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def running(argv: t.Sequence[str], folder: Path, url: str, access: Access, **environment: str) -> t.Iterator[None]:
    log = folder / "log"
    beside = Path(argv[0]).parent.parent / "share/prometheus/alertmanager"
    templates = beside if beside.is_dir() else folder
    with log.open("w") as output:
        process = subprocess.Popen(
            argv,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
            cwd=templates,
        )
    try:
        deadline = time.monotonic() + 60
        while ask(url, access=access).status == 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, (ask(url, access=access), log.read_text())
            time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(30)


def asked(url: str, folder: Path, given: dict[str, t.Any], **change: t.Any) -> Answer:
    access = Access(**{**web.access(given, str(folder)), "names": False, **change})
    return ask(url, access=access)


ALL = [
    (release, name)
    for release, packages in RELEASES.items()
    for name in ("prometheus", *(package.removeprefix("prometheus-") for package in packages))
    if name not in ("promtool",)
]


@pytest.mark.parametrize("way", ["password over HTTP", "password over TLS", "client certificate and password"])
@pytest.mark.parametrize(("release", "name"), dict.fromkeys(ALL))
def test_without_a_credential_there_is_no_answer(
    release: str, name: str, way: str, tmp_path: Path, pair: Pair, strangers: Pair, pooler: int
) -> None:
    given = settings(None if way.endswith("HTTP") else pair, clients=way.startswith("client"))
    home = tmp_path / "home"
    write(home, given)
    write(tmp_path / "strangers", settings(strangers, clients=True))
    port = free_port()
    url = f"{web.scheme(given)}://127.0.0.1:{port}/metrics"
    redis = name == "redis-exporter"
    protection = [word.replace("${CREDENTIALS_DIRECTORY}", str(home)) for word in web.arguments(given, flags=redis)]
    environment = {
        "DATA_SOURCE_NAME": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_EXPORTER_BASIC_AUTH_USERNAME": "ops",
        "REDIS_EXPORTER_BASIC_AUTH_PASSWORD": PASSWORD,
    }
    # The one of Debian 12 has no passwords: preflight refuses them without a client CA.
    passwords = not (redis and release == "bookworm")
    access = Access(**web.access(given, str(home)), names=False)
    with running([*command(name, release, port, tmp_path, pooler), *protection], tmp_path, url, access, **environment):
        assert asked(url, home, given).status == 200
        nobody = asked(url, home, given, user="", password_file="")
        wrong = asked(url, home, given, password_file="", password="guessed-by-a-stranger")
        assert [nobody.status, wrong.status] == ([401, 401] if passwords else [200, 200])
        if pair and given["tls_certificate"]:
            assert ask(url.replace("https:", "http:")).status in (0, 400)
            assert ask(url, access=Access(ca_file=str(tmp_path / "strangers/server.crt"), names=False)).status == 0
        if given["tls_client_ca"]:
            assert asked(url, home, given, certificate_file="", key_file="").status == 0
            theirs = {
                f"{part}_file": str(tmp_path / f"strangers/server.{end}")
                for part, end in (("certificate", "crt"), ("key", "key"))
            }
            assert asked(url, home, given, **theirs).status == 0
    assert PASSWORD not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
@pytest.mark.parametrize("release", RELEASES)
def test_a_password_and_a_certificate_are_rotated_without_a_restart(
    release: str, name: str, tmp_path: Path, pair: Pair, strangers: Pair
) -> None:
    home, given = tmp_path / "home", settings(pair)
    write(home, given)
    port = free_port()
    url = f"https://127.0.0.1:{port}/-/ready"
    argv = [*command(name, release, port, tmp_path), f"--web.config.file={home}/{web.CONFIGURATION}"]
    with running(argv, tmp_path, url, Access(**web.access(given, str(home)), names=False)):
        old = Access(user="ops", password=PASSWORD, ca_file=str(tmp_path / "old.crt"), names=False)
        (tmp_path / "old.crt").write_text(pair.certificate)
        deadline = time.monotonic() + 60
        while ask(url, access=old).status != 200:
            assert time.monotonic() < deadline, ask(url, access=old)
            time.sleep(0.05)
        after = settings(strangers, password=NEXT)
        write(home, after)
        assert asked(url, home, after).status == 200
        assert asked(url, home, after, password_file="", password=PASSWORD).status == 401
        assert "certificate" in ask(url, access=old).reason.lower()
    assert NEXT not in (tmp_path / "log").read_text()


def test_a_silence_and_a_probe_need_the_password(tmp_path: Path) -> None:
    given, port = settings(None), free_port()
    write(tmp_path / "home", given)
    silence = {
        "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}], "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2126-01-01T00:00:00Z", "createdBy": "a stranger", "comment": "nothing to see",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}/api/v2/silences"
    argv = [
        *command("alertmanager", "trixie", port, tmp_path),
        f"--web.config.file={tmp_path}/home/{web.CONFIGURATION}",
    ]
    access = Access(user="ops", password=PASSWORD)
    with running(argv, tmp_path, url, access):
        assert ask(url, document=silence).status == 401
        assert ask(url, access=access).document == []
        assert ask(url, document=silence, access=access).status == 200
        assert len(ask(url, access=access).document) == 1
    blackbox = free_port()
    url = f"http://127.0.0.1:{blackbox}/probe?module=tcp&target=127.0.0.1:22"
    argv = [
        *command("blackbox-exporter", "trixie", blackbox, tmp_path),
        f"--web.config.file={tmp_path}/home/{web.CONFIGURATION}",
    ]
    with running(argv, tmp_path, url, access):
        assert ask(url).status == 401
        assert "probe_success" in ask(url, access=access, accept="*/*").body


@pytest.mark.parametrize("way", ["password over HTTP", "client certificate and password"])
@pytest.mark.parametrize("release", RELEASES)
def test_amtool_asks_with_the_file_that_the_role_writes(release: str, way: str, tmp_path: Path, pair: Pair) -> None:
    home, port = tmp_path / "home", free_port()
    given = settings(None if way.endswith("HTTP") else pair, clients=way.startswith("client"))
    write(home, given)
    [client] = [
        row
        for row in web.files(given, "alertmanager on test", "prometheus", str(home))
        if row["path"] == "web/client.yml"
    ]
    (home / web.CLIENT).write_text(client["content"])
    url = f"{web.scheme(given)}://127.0.0.1:{port}"
    argv = [*command("alertmanager", release, port, tmp_path), f"--web.config.file={home}/{web.CONFIGURATION}"]
    amtool = [programs(release) / "amtool", f"--alertmanager.url={url}"]
    add = ["silence", "add", "alertname=DatabaseDown", "--duration=2h", "--comment=x", "--author=x"]
    access = Access(**web.access(given, str(home)), names=False)
    with running(argv, tmp_path, f"{url}/-/ready", access):
        stranger = subprocess.run([*amtool, *add], capture_output=True, text=True, check=False)
        assert stranger.returncode != 0
        asked_for = [*amtool, f"--http.config.file={home}/{web.CLIENT}", *add]
        done = subprocess.run(asked_for, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(asked(f"{url}/api/v2/silences", home, given).document) == 1


def test_the_verdict_asks_a_protected_prometheus(tmp_path: Path, pair: Pair) -> None:
    home, given, port = tmp_path / "home", settings(pair, clients=True), free_port()
    write(home, given)
    (tmp_path / "ca.crt").write_text(pair.ca)
    url = f"https://127.0.0.1:{port}"
    argv = [*command("prometheus", "trixie", port, tmp_path), f"--web.config.file={home}/{web.CONFIGURATION}"]
    # By the CA, and then the name counts.
    files = {**web.access(given, str(home)), "ca_file": str(tmp_path / "ca.crt")}
    with running(argv, tmp_path, f"{url}/-/ready", Access(**files)):
        until_ready(url, Access(**files))
        [(labels, value)] = Prometheus(url, access=Access(**files)).query("vector(7)")
        assert (labels, value) == ({}, 7.0)
        with pytest.raises(InfraError, match="asks for another user or password"):
            Prometheus(url, access=Access(**{**files, "password_file": "", "password": "guessed"})).query("vector(7)")
        with pytest.raises(InfraError, match="certificate"):
            Prometheus(url).query("vector(7)")
        named = url.replace("127.0.0.1", "localhost")
        with pytest.raises(InfraError, match="ostname mismatch"):
            Prometheus(named, access=Access(**files)).query("vector(7)")


@pytest.mark.parametrize("release", RELEASES)
def test_promtool_and_the_roles_own_check_find_what_does_not_belong_together(
    release: str, tmp_path: Path, pair: Pair, strangers: Pair
) -> None:
    promtool = programs(release) / "promtool"
    good, bad = settings(pair, clients=True), {**settings(pair), "tls_key": strangers.key}
    for given, well in ((good, True), (bad, False)):
        write(tmp_path, given)
        [check] = web.checks(given, str(tmp_path))
        for argv in ([promtool, "check", "web-config", tmp_path / web.CONFIGURATION], check):
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert (done.returncode == 0) is well, done.stdout + done.stderr
    assert "Give a pair in PEM" in done.stderr
    assert "Traceback" not in done.stderr


def test_prometheus_scrapes_an_exporter_that_asks_for_a_certificate(tmp_path: Path, pair: Pair) -> None:
    """The one of Debian 12 has no passwords. Its job is as roles/prometheus/meta/environment.yml writes it."""
    home, given, port = tmp_path / "home", settings(pair, clients=True, password=""), free_port()
    write(home, given)
    protection = [word.replace("${CREDENTIALS_DIRECTORY}", str(home)) for word in web.arguments(given, flags=True)]
    exporter = [*command("redis-exporter", "bookworm", port, tmp_path), *protection]
    folder = tmp_path / "prometheus"
    (folder / "credentials").mkdir(parents=True)
    for name, content in (("ca", pair.ca), ("certificate", pair.certificate), ("key", pair.key)):
        (folder / "credentials" / f"monitoring-{name}").write_text(content)
    own = free_port()
    argv = command("prometheus", "trixie", own, folder)
    wiring = yaml.safe_load((ROOT / "roles/prometheus/meta/environment.yml").read_text(encoding="utf-8"))["variables"]
    written = Environment().from_string(wiring["__prometheus_environment_tls"]).render(infra_monitoring_tls=True)
    job = {"name": "redis", "targets": [{"address": f"127.0.0.1:{port}"}], "interval_seconds": 1, "timeout_seconds": 1}
    jobs = [scrape_config({**job, **yaml.safe_load(written)}), scrape_config({**job, "name": "plain"})]
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
    access = Access(**web.access(given, str(home)), names=False)
    with (
        running(exporter, tmp_path, f"https://127.0.0.1:{port}/metrics", access),
        running(argv, folder, f"http://127.0.0.1:{own}/-/ready", Access()),
    ):
        until_ready(f"http://127.0.0.1:{own}", Access())
        deadline, seen = time.monotonic() + 60, []
        while len(seen) < 2:
            assert time.monotonic() < deadline
            seen = Prometheus(f"http://127.0.0.1:{own}").query("up")
            time.sleep(0.1)
        assert {labels["job"]: value for labels, value in seen} == {"redis": 1.0, "plain": 0.0}


@contextlib.contextmanager
def receiver() -> t.Iterator[tuple[str, list[str]]]:
    """The URL of a webhook, and the names of the alerts that it was sent."""
    received: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.extend(f"{row['labels']['alertname']} {row['status']}" for row in body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: t.Any) -> None:
            """Nothing is printed."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()


def install(home: Path, link: str, given: dict[str, t.Any], url: str) -> None:
    """A set of files of Alertmanager, as the role writes it, that `link` names from now on."""
    made = home / "generations" / str(len(list(home.glob("generations/*"))))
    (made / "web").mkdir(parents=True)
    for row in web.files(given, "alertmanager on test", "prometheus", f"{home}/current/web"):
        (made / row["path"]).write_text(row["content"])
    (made / "address").write_text(f"{url}\n")
    point(home, link, made)


def point(home: Path, link: str, made: Path) -> None:
    (home / "new").symlink_to(made)
    (home / "new").rename(home / link)


def test_a_change_of_passwords_and_certificates_notifies_nobody(tmp_path: Path, pair: Pair) -> None:
    """From none to both: an exporter first, then Alertmanager, then Prometheus. What fails later is still sent."""
    plain, given = settings(None, password=""), settings(pair)
    folders = {name: tmp_path / name for name in ("prometheus", "alertmanager", "blackbox-exporter")}
    ports = {name: free_port() for name in folders}
    for folder in folders.values():
        folder.mkdir()
    write(tmp_path / "secrets", given)
    argv = {name: command(name, "trixie", ports[name], folder) for name, folder in folders.items()}
    argv["prometheus"].append("--web.enable-lifecycle")
    protected = [f"--web.config.file={tmp_path}/secrets/{web.CONFIGURATION}"]
    secrets = str(tmp_path / "secrets")
    access = {"plain": Access(), "protected": Access(**web.access(given, secrets), names=False)}
    home = tmp_path / "set"
    address = f"127.0.0.1:{ports['alertmanager']}"
    install(home, "current", plain, f"http://{address}")
    point(home, "live", (home / "current").resolve())

    def start(name: str, kind: str) -> contextlib.AbstractContextManager[None]:
        url = f"{'http' if kind == 'plain' else 'https'}://127.0.0.1:{ports[name]}/metrics"
        words = [*argv[name], *(protected if kind == "protected" else [])]
        return running(words, folders[name], url, access[kind])

    def scraping(own: dict[str, t.Any]) -> str:
        targets = [{"targets": [f"127.0.0.1:{ports['blackbox-exporter']}"], "labels": {"instance": "db-1"}}]
        return yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "alerting": {"alertmanagers": [{**own, "static_configs": [{"targets": [address]}]}]},
                "scrape_configs": [{**own, "job_name": "node", "static_configs": targets}],
            }
        )

    def silenced(state: str, **more: t.Any) -> dict[str, t.Any]:
        asked_for = {
            **{name: option.get("default", "") for name, option in alert_silence.ARGUMENTS.items()},
            "installed": str(home),
            "matchers": {"instance": "db-1", "alertname": ["HostDown", "TargetDown"]},
            "state": state,
            **more,
        }
        return alert_silence.attempt(asked_for, alert_silence.declared(asked_for, time.time()), check=False)

    def alerts(kind: str) -> list[str]:
        scheme = "http" if kind == "plain" else "https"
        answer = ask(f"{scheme}://{address}/api/v2/alerts", access=access[kind]).document
        return [row["status"]["state"] for row in answer] if isinstance(answer, list) else []

    def silences(kind: str) -> list[str]:
        scheme = "http" if kind == "plain" else "https"
        answer = ask(f"{scheme}://{address}/api/v2/silences", access=access[kind]).document
        return [row["status"]["state"] for row in answer if row["status"]["state"] != "expired"]

    rule = {"alert": "HostDown", "expr": "up == 0", "for": "1s"}
    (folders["prometheus"] / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": [rule]}]}))
    (folders["prometheus"] / "prometheus.yml").write_text(scraping({}))
    with receiver() as (webhook, received), contextlib.ExitStack() as stack:
        route = {"receiver": "team", "group_wait": "0s", "group_interval": "1s"}
        hook = {"name": "team", "webhook_configs": [{"url": webhook}]}
        (folders["alertmanager"] / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": [hook]}))
        exporter = contextlib.ExitStack()
        exporter.enter_context(start("blackbox-exporter", "plain"))
        with start("alertmanager", "plain"):
            stack.enter_context(start("prometheus", "plain"))
            assert silenced("present")["asked"] is True
            exporter.close()
            exporter.enter_context(start("blackbox-exporter", "protected"))
            until(lambda: alerts("plain") == ["suppressed"])
            # The files of Alertmanager are written, and it runs with the ones before.
            install(home, "current", given, f"https://{address}")
            assert silenced("present", seconds=1200) == {**silenced("present", seconds=900), "changed": True}
        with start("alertmanager", "protected"):
            point(home, "live", (home / "current").resolve())
            assert (silenced("present")["asked"], silenced("present")["changed"]) == (True, False)
            tls = {"ca_file": f"{secrets}/server.crt", "server_name": "127.0.0.1"}
            basic = {"username": "ops", "password_file": f"{secrets}/{web.PASSWORD}"}
            own = {"scheme": "https", "tls_config": tls, "basic_auth": basic}
            (folders["prometheus"] / "prometheus.yml").write_text(scraping(own))
            assert ask(f"http://127.0.0.1:{ports['prometheus']}/-/reload", method="POST").status == 200
            assert silenced("absent", after_seconds=6)["changed"] is True
            until(lambda: not alerts("protected"))
            assert silences("protected") == ["active"]
            until(lambda: silences("protected") == [])
            assert received == []
            # Heard again.
            exporter.close()
            until(lambda: received == ["HostDown firing"])


def test_keys_are_counted_in_a_job_of_their_own(tmp_path: Path, cache: RedisServer) -> None:
    """By the exporter of each release, which does not count at its other scrapes."""
    server = f"redis://127.0.0.1:{cache.port}"
    (tmp_path / "passwords.json").write_text(json.dumps({server: cache.password}))
    cache.client.mset({f"session:{number}": "" for number in range(3)} | {"cache:1": ""})
    ports = {release: free_port() for release in RELEASES}
    targets = [
        {"address": f"127.0.0.1:{port}", "labels": {"instance": release}, "server": server}
        for release, port in ports.items()
    ]
    often = {"interval_seconds": 1, "timeout_seconds": 1, "targets": targets}
    counted = {"name": "redis_keys", "keys": {"job": "redis", "patterns": ["db0=session:*"]}}
    own, folder = free_port(), tmp_path / "prometheus"
    folder.mkdir()
    argv = command("prometheus", "trixie", own, folder)
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape_config({**often, **counted})]}))
    with contextlib.ExitStack() as stack:
        for release, port in ports.items():
            (tmp_path / release).mkdir()
            flags = [f"-redis.addr={server}", f"-redis.password-file={tmp_path}/passwords.json"]
            exporter = [*command("redis-exporter", release, port, tmp_path / release), *flags]
            stack.enter_context(running(exporter, tmp_path / release, f"http://127.0.0.1:{port}/", Access()))
            page = ask(f"http://127.0.0.1:{port}/metrics", accept="*/*").body
            assert "redis_up 1" in page
            assert "redis_keys_count" not in page
        stack.enter_context(running(argv, folder, f"http://127.0.0.1:{own}/-/ready", Access()))
        until_ready(f"http://127.0.0.1:{own}", Access())
        prometheus = Prometheus(f"http://127.0.0.1:{own}")
        until(lambda: len(prometheus.query("redis_keys_count")) == len(RELEASES))
        seen = {labels["instance"]: value for labels, value in prometheus.query('redis_keys_count{job="redis"}')}
        assert seen == dict.fromkeys(RELEASES, 3.0)
        # Nothing else of the server, and no `up` of the instance itself.
        assert prometheus.query("redis_up") == []
        found = {(labels["job"], labels["instance"]): value for labels, value in prometheus.query("up")}
        assert found == {("redis_keys", f"{release}/keys"): 1.0 for release in RELEASES}
