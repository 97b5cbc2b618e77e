"""The rules and their tests under each Prometheus of Debian, and who is told what by the real Alertmanager."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import silence
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import alertmanager, inhibition, rule_file
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Links
from ansible_collections.nexod.infra.tests.fixtures.debian_packages import unpacked

from .conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
# The release of Debian: what its Prometheus is called, and the packages that it is in.
RELEASES = {"bookworm": ("2.42", ("prometheus",)), "trixie": ("2.53", ("promtool",)), "forky": ("3.5", ("promtool",))}
LINKS = Links("https://example.com/runbooks", "https://grafana.example.com", "inventories/production")


def tables() -> rule_file.Tables:
    """What an environment that sets nothing gets."""
    shared = yaml.safe_load((ROOT / "roles/environment/meta/environment.yml").read_text(encoding="utf-8"))["variables"]
    own = yaml.safe_load((ROOT / "roles/prometheus/meta/environment.yml").read_text(encoding="utf-8"))["variables"]
    return dataclasses.replace(rule_file.default_tables(shared, own), links=LINKS)


TABLES = tables()
ALERTS = [alert for alerts in rule_file.chosen(TABLES).values() for alert in alerts]


def program(release: str, name: str, *packages: str) -> Path:
    """A program of a release of Debian; the test is skipped where its mirror can't be reached."""
    try:
        folder = unpacked(f"monitoring/{release}-{name}", release, packages)
    except AssertionError as error:
        pytest.skip(f"The packages of Debian {release} can't be downloaded: {str(error)[:200]}")
    return folder / "usr/bin" / name


@pytest.mark.parametrize("release", RELEASES)
def test_the_rules_pass_their_tests(release: str, tmp_path: Path) -> None:
    version, packages = RELEASES[release]
    promtool = program(release, "promtool", *packages)
    for folder in ("rules", "tests"):
        (tmp_path / folder).mkdir()
    for group in rule_file.chosen(TABLES):
        rules = rule_file.rule_document(TABLES, group)
        tests = rule_file.test_document(TABLES, f"../rules/{group}.yml", group)
        (tmp_path / f"rules/{group}.yml").write_text(yaml.safe_dump(rules), encoding="utf-8")
        (tmp_path / f"tests/{group}.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    shown = subprocess.run([promtool, "--version"], text=True, capture_output=True, check=True)
    assert f"version {version}" in shown.stdout + shown.stderr
    for command, folder in (("check", "rules"), ("test", "tests")):
        argv = [promtool, command, "rules", *sorted((tmp_path / folder).glob("*.yml"))]
        done = subprocess.run(argv, text=True, capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="defaults"),
        pytest.param(
            {
                "slack_webhook_url": "https://example.com/slack",
                "pagerduty_routing_key": "key",
                "dead_mans_url": "https://example.com/ping",
            },
            id="every receiver",
        ),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_routes_lead_where_they_should(release: str, change: dict[str, str], tmp_path: Path) -> None:
    amtool = program(release, "amtool", "prometheus-alertmanager")
    config = tmp_path / "alertmanager.yml"
    config.write_text(yaml.safe_dump(alertmanager.configuration(settings(**change))), encoding="utf-8")
    done = subprocess.run([amtool, "check-config", config], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # As the role does it.
    argv = [amtool, "config", "routes", "test", f"--config.file={config}"]
    for severity, receiver, right in (
        ("page", "on-call", True),
        ("warning", "team", True),
        ("none", "watchdog", True),
        ("mute", "nobody", True),
        ("page", "team", False),
    ):
        asked = [*argv, f"--verify.receivers={receiver}", f"severity={severity}"]
        done = subprocess.run(asked, text=True, capture_output=True, check=False)
        assert (done.returncode == 0) is right, done.stdout + done.stderr


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v2"

    def ask(self, path: str, body: t.Any = None) -> t.Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def states(self, alerts: t.Sequence[dict[str, str]]) -> dict[str, tuple[str, list[str]]]:
        """Whether each of these alerts is active or suppressed, and its receivers; nothing else fires meanwhile."""
        # The causes first: what is mute is decided when a message is due, which is later than an alert's arrival.
        for alert in alerts:
            self.ask("/alerts", [{"labels": alert}])
            until = time.monotonic() + 20
            while True:
                found = [row for row in self.ask("/alerts") if row["labels"] in alerts]
                if any(row["labels"] == alert and row["status"]["state"] != "unprocessed" for row in found):
                    break
                assert time.monotonic() < until, f"Alertmanager has not processed {alert}: {found}"
                time.sleep(0.02)
        ended = "2000-01-01T00:00:00Z"
        answer = {
            row["labels"]["alertname"]: (row["status"]["state"], [one["name"] for one in row["receivers"]])
            for row in found
        }
        self.ask("/alerts", [{"labels": labels, "startsAt": ended, "endsAt": ended} for labels in alerts])
        return answer


def settings(**change: t.Any) -> dict[str, t.Any]:
    own = yaml.safe_load((ROOT / "roles/alertmanager/defaults/main.yml").read_text(encoding="utf-8"))
    plain = {name.removeprefix("alertmanager_"): value for name, value in own.items()}
    return {**plain, "config_file": "", "data_dir": "", **change}


@pytest.fixture(scope="module", params=["bookworm", "trixie", "forky"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Alertmanager]:
    """Each of Debian's versions. They read a template below /usr/share, so each runs with its own there."""
    binary = program(request.param, "prometheus-alertmanager", "prometheus-alertmanager")
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_port()
    config = folder / "alertmanager.yml"
    # Nobody is told: only what Alertmanager would do is of interest.
    config.write_text(yaml.safe_dump(alertmanager.configuration(settings(group_wait_seconds=0))), encoding="utf-8")
    inside = 'mount --bind "$0" /usr/share && exec "$@"'
    argv = ["unshare", "--mount", "--map-root-user", "sh", "-c", inside, str(binary.parents[1] / "share"), str(binary)]
    argv += [f"--config.file={config}", f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*argv, "--cluster.listen-address="], stdout=log, stderr=log, env=dict(os.environ))
        server, until = Alertmanager(port), time.monotonic() + 30
        try:
            while True:
                try:
                    server.ask("/status")
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < until, (folder / "log").read_text()
                    time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=20)


def test_alertmanager_shows_what_alerts_read(running: Alertmanager) -> None:
    with urllib.request.urlopen(running.url.replace("/api/v2", "/metrics"), timeout=10) as answer:
        found = rule_file.words(answer.read().decode())
    read = {word for alert in ALERTS for word in rule_file.words(alert.expression) if word.startswith("alertmanager_")}
    assert read
    assert read - found == set()


def labels_of(alert: Alert, instance: str) -> dict[str, str]:
    """The alert as Prometheus sends it, with the labels that its own tests say its series have."""
    series = next((dict(labels) for case in alert.cases for labels in case.fires), {})
    if "instance" in series:
        series["instance"] = instance
    return {"alertname": alert.name, **series, **alert.all_labels()}


def test_each_alert_alone_reaches_its_receiver(running: Alertmanager) -> None:
    receivers = {"page": ["on-call"], "warning": ["team"], "none": ["watchdog"], "mute": ["nobody"]}
    for alert in ALERTS:
        labels = labels_of(alert, f"alone-{alert.name}")
        found = running.states([labels])
        assert found == {alert.name: ("active", receivers[alert.severity])}, alert.name


def test_what_follows_from_a_cause_is_muted(running: Alertmanager) -> None:
    """Every cause with every alert of what depends on it, and of another component."""
    wrong = []
    for cause in (alert for alert in ALERTS if alert.outage and alert.severity == "page"):
        after = inhibition.followers(cause.component)
        others = [alert for alert in ALERTS if alert.name != cause.name and not alert.name.endswith("BucketMissing")]
        sent = [labels_of(cause, "cause")]
        # On hosts of their own: only an alert about a host mutes by the host.
        sent += [labels_of(alert, f"on-{alert.name}") for alert in others if alert.component in after]
        found = running.states(sent)
        assert found.pop(cause.name)[0] == "active"
        wrong += [(cause.name, name) for name, (state, _receivers) in found.items() if state != "suppressed"]
    assert wrong == []


def test_a_host_mutes_all_that_is_on_it_and_nothing_else(running: Alertmanager) -> None:
    host = next(alert for alert in ALERTS if alert.name == "HostDown")
    bound = [alert for alert in ALERTS if any("instance" in labels for case in alert.cases for labels in case.fires)]
    others = [alert for alert in bound if alert.name != host.name]
    found = running.states([labels_of(host, "h1"), *(labels_of(alert, "h1") for alert in others)])
    assert {name for name, (state, _receivers) in found.items() if state == "active"} == {host.name}
    alone = [alert for alert in others if alert.component not in inhibition.CAUSES]
    for alert in alone:
        found = running.states([labels_of(host, "h2"), labels_of(alert, f"elsewhere-{alert.name}")])
        assert found[alert.name][0] == "active", alert.name


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(
            {"HostDown": "db-1", "DatabaseDown": "db-1", "TargetDown": "db-1", "NoServerLeft": "edge-1"}
            | {"ProbeFailed": "https://e/ready", "PoolerDown": "pooler-1", "ApiErrorsAbove100": ""},
            id="a database with its host",
        ),
        pytest.param({"HostDown": "db-2", "ReplicaDown": "db-2", "ReplicaDisconnected": "db-1"}, id="a replica"),
        pytest.param({"ApiDown": "", "NoServerLeft": "edge-1", "EdgeErrorsAbove100": ""}, id="the API"),
        pytest.param({"ApiErrorsAbove100": "", "ApiErrorsAbove10": "", "ApiErrorsAbove5Percent": ""}, id="errors"),
        pytest.param({"ApiErrorsAbove5Percent": "", "EdgeErrorsAbove100": "", "ApiLatencyP95High": ""}, id="a part"),
    ],
)
def test_one_cause_is_one_message(running: Alertmanager, places: dict[str, str]) -> None:
    """What is muted still mutes: a dead host takes the database with it, and errors on other hosts follow from that."""
    chosen = {alert.name: alert for alert in ALERTS if alert.name in places}
    assert set(chosen) == set(places)
    found = running.states([labels_of(chosen[name], place) for name, place in places.items()])
    assert [name for name, (state, _receivers) in found.items() if state == "active"] == [next(iter(places))]


@pytest.mark.parametrize(
    ("cause", "place", "job", "muted"),
    [
        pytest.param("DatabaseDown", "db-1", "postgres", True, id="a server that hangs, with its exporter"),
        pytest.param("DatabaseDown", "db-2", "postgres", False, id="the exporter of another server"),
        pytest.param("DatabaseDown", "db-1", "node", False, id="another exporter"),
        pytest.param("ReplicaDown", "db-1", "postgres", True, id="a replica that hangs"),
        pytest.param("CacheDown", "db-1", "redis", True, id="a cache that hangs"),
        pytest.param("ServerDown", "edge-1", "api", True, id="an instance"),
        pytest.param("ServerDown", "edge-1", "node", False, id="an exporter beside an instance"),
    ],
)
def test_a_target_that_hangs_with_its_server_is_no_message(
    running: Alertmanager, cause: str, place: str, job: str, muted: bool
) -> None:
    chosen = {alert.name: alert for alert in ALERTS if alert.name in (cause, "TargetDown")}
    target = {**labels_of(chosen["TargetDown"], "db-1"), "job": job}
    found = running.states([labels_of(chosen[cause], place), target])
    assert found[cause][0] == "active"
    assert (found["TargetDown"][0] == "suppressed") is muted


def test_what_an_outage_leaves_behind_stays_muted_after_it(running: Alertmanager) -> None:
    """The errors are counted over minutes, and so fire longer than what caused them."""
    chosen = {alert.name: alert for alert in ALERTS if alert.name in ("RecentOutage", "ApiErrorsAbove100", "CacheDown")}
    after = {**labels_of(chosen["RecentOutage"], "pooler-1"), "component": "pooler"}
    found = running.states([after, labels_of(chosen["ApiErrorsAbove100"], ""), labels_of(chosen["CacheDown"], "c-1")])
    assert {name: state for name, (state, _receivers) in found.items()} == {
        "RecentOutage": "active",
        "ApiErrorsAbove100": "suppressed",
        "CacheDown": "active",
    }


@pytest.mark.parametrize(
    ("cause", "after", "muted"),
    [
        pytest.param(
            "ServerDown", {"alertname": "TargetDown", "job": "api", "instance": "api-1"}, True, id="an instance"
        ),
        pytest.param("ServerDown", {"alertname": "TargetDown", "job": "redis", "instance": "c-1"}, False, id="another"),
        pytest.param("TargetDown", {"alertname": "ProbeFailed", "instance": "https://e/"}, False, id="a page"),
        pytest.param("ReplicaDown", {"alertname": "ReplicaDisconnected", "instance": "db-1"}, True, id="a replica"),
    ],
)
def test_what_ends_after_its_cause_stays_muted(
    running: Alertmanager, cause: str, after: dict[str, str], muted: bool
) -> None:
    """Each target is scraped at a time of its own, so that either of two alerts may end first."""
    chosen = {alert.name: alert for alert in ALERTS}
    recent = {**labels_of(chosen["RecentCause"], "recent"), "cause": cause}
    name = after["alertname"]
    found = running.states([recent, {**labels_of(chosen[name], ""), **after}])
    assert found["RecentCause"][0] == "active"
    assert (found[name][0] == "suppressed") is muted


def test_what_a_deploy_changes_is_silent_meanwhile(running: Alertmanager) -> None:
    """Made, made to last longer, ended; each a second time without a change, and in check mode with none."""
    client = silence.Alertmanager(running.url.removesuffix("/api/v2"))

    def wanted(seconds: float) -> silence.Silence:
        now = time.time()
        matchers = {"instance": ["replaced-1", "replaced-2"], "job": ["api"]}
        return silence.Silence(matchers, "nexod.infra", "It is replaced.", now, now + seconds)

    def state(instance: str) -> str:
        return running.states([{"alertname": "Replaced", "instance": instance, "job": "api"}])["Replaced"][0]

    assert client.keep(wanted(60), check=True) == (True, "")
    assert client.active(wanted(60)) == []
    changed, _first = client.keep(wanted(60))
    assert (changed, client.keep(wanted(30))[0]) == (True, False)
    assert [state("replaced-1"), state("replaced-2"), state("replaced-10")] == ["suppressed", "suppressed", "active"]
    assert client.keep(wanted(600), check=True)[0] is True
    assert client.keep(wanted(600))[0] is True
    assert len(client.active(wanted(0))) == 1
    assert client.end(wanted(0), check=True) is True
    assert len(client.active(wanted(0))) == 1
    assert (client.end(wanted(0)), client.end(wanted(0))) == (True, False)
    assert state("replaced-1") == "active"
