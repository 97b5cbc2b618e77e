"""The whole way on the lab, in this order: from nothing, again, upgraded, rolled back, destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, ask
from ansible_collections.nexod.infra.tests.lab.support import (
    ALERTMANAGER,
    EDGE,
    HOSTS,
    LATEST,
    MONITORING,
    PROMETHEUS,
    ROOT,
    UNHURRIED,
    ask_monitoring,
    difference,
    exporters_password,
    get,
    has_data,
    interrupted,
    on,
    panels,
    remember_undisturbed,
    secrets,
    snapshot,
)
from ansible_collections.nexod.infra.tests.load.driver import Load
from ansible_collections.nexod.infra.tests.load.figures import faults, table

STAGES = [
    *(
        "preflight",
        "lock",
        "infrastructure",
        "services",
        "monitoring",
        "pooler",
        "migrate",
        "backend",
        "caches",
        "frontend",
    ),
    "verify",
]
# What the plans said, kept for the deploys that follow them.
PLANNED: dict[str, list[str]] = {}
# Panels of the dashboards that show nothing in a healthy lab, each with the reason.
MAY_BE_EMPTY = {
    "Errors by endpoint": "there are none",
    "Web vitals (p75)": "no browser opens the lab's front end",
    "lcp p75": "no browser opens the lab's front end",
    "Disk space": "the hosts are containers, whose root (an overlay) the node exporter leaves out",
    "Pressure": "not every kernel that the lab's containers run on measures it",
}
APPROVED = ROOT / ".cache" / "approved-plan.json"


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    """What users bring, held from the upgrade to the end of the roll-back (docs/zero-downtime.md)."""
    # Each instance is drained for as long as the slow calls take, four times. `make bench-deploy` has calls of 30 s.
    with Load(EDGE, ROOT / ".report" / "load.json", rate=50, sessions=500, slow_seconds=10) as held:
        held.until_ready()
        yield held


def changed(counts: dict[str, int]) -> dict[str, int]:
    return {host: number for host, number in counts.items() if number}


def test_plan_from_bare_names_every_host_and_writes_nothing(lab) -> None:
    assert lab("make", "lab_up", report="lab_up").rc == 0
    before = snapshot()
    done = lab("make", "plan")
    assert done.rc == 0, done.said[-5000:]
    assert set(done.counts("failed").values()) == {0}
    assert set(changed(done.counts("changed"))) >= HOSTS
    assert difference(before, snapshot()) == []
    PLANNED["1.0.0"] = done.changes()
    assert "+ create  package   " in done.said

    assert [secret for secret in secrets() if secret in done.said] == []


def test_deploy_from_nothing(lab) -> None:
    done = lab("make", "deploy")
    assert done.rc == 0, done.said[-5000:]
    assert set(done.counts("ok")) >= HOSTS
    assert set(done.counts("failed").values()) == {0}
    assert [stage["name"] for stage in done.report["stages"]] == STAGES
    assert done.report["outcome"] == "ok"
    assert done.report["environment"] == "lab"
    assert done.report["version"]["after"] == "1.0.0"
    assert done.report["revision"]["after"]
    assert done.report["urls"]
    # Nobody can know in advance how quick this machine is today; that a verdict was given, and was not bad, one can.
    assert done.report["verdict"]["verdict"] in {"met", "not enough data"}
    assert done.report["verdict"]["faults"] == []
    assert get("/health")["version"] == "1.0.0"
    assert get("/ready")["status"] == "ready"
    # What the plan said of the bare hosts is what happened, thing by thing.
    assert done.changes() == PLANNED["1.0.0"]
    assert [secret for secret in secrets() if secret in done.said] == []


def test_the_stand_ins_of_the_vendors_have_what_is_declared(lab) -> None:
    clerk, sentry, vercel = (f"http://127.0.0.1:{port}/_stand_in" for port in (5560, 5561, 5562))
    assert [ask(f"{each}/broken").document for each in (clerk, sentry, vercel)] == [[], [], []]
    # Side by side: either may have been the first.
    assert {row["slug"] for row in ask(f"{sentry}/state").document["projects"].values()} == {"api", "web"}
    assert [row["name"] for row in ask(f"{vercel}/state").document["projects"].values()] == ["app"]
    assert [row["name"] for row in ask(f"{clerk}/state").document["jwt_templates"].values()] == ["api"]


def test_nobody_reads_or_steers_the_monitoring_without_its_password(lab) -> None:
    """Every service that Prometheus scrapes, apart from the API and Grafana, which docs/monitoring_access.md names."""
    found = ask_monitoring("/api/v1/targets?state=active")["data"]["activeTargets"]
    urls = {row["scrapeUrl"]: row["labels"]["job"] for row in found}
    # It listens on the loopback address of its host, and probes are made by way of it.
    inside = {url for url in urls if "://127.0.0.1:" in url}
    assert {urls[url] for url in inside} == {"blackbox", "api_ready", "frontend"}
    asked = {url: job for url, job in urls.items() if url not in inside and job not in ("api", "grafana")}
    exporters = {url for url, job in asked.items() if job not in ("prometheus", "alertmanager")}
    # A node exporter on each host, three of PostgreSQL, one each of PgBouncer and HAProxy; of Redis also its keys.
    assert len(exporters) == len(HOSTS) + 7
    assert len(asked) == len(exporters) + 2

    anybody = Access(ca_file=MONITORING.ca_file)
    assert {url: answer for url in asked if (answer := ask(url, access=anybody).status) != 401} == {}
    plain = {url.replace("https:", "http:") for url in asked}
    assert {url: answer for url in plain if (answer := ask(url).status) not in (0, 400)} == {}
    assert ask("http://10.213.77.41:9115/probe?target=10.213.77.1:22&module=http_2xx").status == 0
    assert ask(f"{ALERTMANAGER}/api/v2/silences", document={}, access=anybody).status == 401
    assert ask(f"{PROMETHEUS}/-/reload", method="POST", access=anybody).status == 401

    # What every host can read as root opens its exporters, but neither Prometheus nor Alertmanager.
    derived = exporters_password(Path(MONITORING.password_file).read_text(encoding="utf-8").strip())
    prometheus = Access(user="prometheus", password=derived, ca_file=MONITORING.ca_file)
    opened = {url for url in asked if ask(url, access=prometheus).status == 200}
    assert opened == exporters
    assert {url for url in asked if ask(url, access=MONITORING).status == 200} == set(asked) - exporters


def test_deploy_again_changes_nothing(lab) -> None:
    done = lab("make", "deploy")
    assert done.rc == 0, done.said[-5000:]
    assert set(done.counts("changed")) >= HOSTS
    assert changed(done.counts("changed")) == {}
    assert done.report["changed_hosts"] == []
    assert done.report["version"]["before"] == done.report["version"]["after"] == "1.0.0"
    assert done.report["verdict"]["session"] == "kept"


def test_plan_says_the_upgrade_and_does_not_do_it(lab) -> None:
    before = snapshot()
    done = lab("make", "plan", "VERSION=1.1.0")
    assert done.rc == 0, done.said[-5000:]
    assert done.report["check_mode"] is True
    assert "api-1" in changed(done.counts("changed"))
    assert get("/health")["version"] == "1.0.0"
    assert difference(before, snapshot()) == []
    PLANNED["1.1.0"] = done.changes()
    APPROVED.write_text((LATEST / "deploy-plan.json").read_text())
    assert [secret for secret in secrets() if secret in done.said] == []


def test_another_deploy_than_the_approved_one_is_refused(lab) -> None:
    before = snapshot()
    # One stage: whether all stages agree with the plan is tested by the upgrade, which is as approved.
    done = lab("make", "deploy", f"ARGS=--tags migrate -e plan_approved={APPROVED}")
    assert done.rc != 0
    assert "this deploy would do something else. Nothing was changed" in done.said
    assert "- migrate, pooler-1: create release /opt/api/1.1.0" in done.said
    assert difference(before, snapshot()) == []


def test_upgrade(lab, load: Load, tmp_path: Path) -> None:
    count = tmp_path / "tasks"
    load.mark("upgrade")
    done = lab(
        *("make", "deploy", "VERSION=1.1.0", f"ARGS=-e plan_approved={APPROVED} {UNHURRIED}"),
        **{"INTERRUPT_COUNT": str(count), **interrupted("never", "true")},
    )
    assert done.rc == 0, done.said[-5000:]
    assert done.report["version"] == {"before": "1.0.0", "after": "1.1.0"}
    assert done.changes() == PLANNED["1.1.0"]
    assert done.report["revision"]["before"] != done.report["revision"]["after"]
    assert done.report["migrations"]
    assert done.report["cache"]["deleted"] is not None
    assert done.report["verdict"]["session"] == "kept"
    assert get("/health")["version"] == "1.1.0"
    remember_undisturbed(count)


def test_no_panel_is_empty_under_load(lab, load: Load) -> None:
    """What Grafana was given, asked of the lab's own Prometheus while users are served by the new version."""
    load.mark("dashboards")
    asked = panels(on("grafana-1", "cat /etc/nexod/grafana/current/dashboards/infrastructure/*.json"))
    assert len({board for board, _title, _expressions in asked}) == 6
    empty = {
        f"{board}: {title}"
        for board, title, expressions in asked
        if title not in MAY_BE_EMPTY and not any(has_data(expression) for expression in expressions)
    }
    assert empty == set()


def test_roll_back_returns_the_version_and_leaves_the_schema(lab, load: Load) -> None:
    load.mark("roll-back")
    done = lab("make", "roll-back", report="roll_back")
    assert done.rc == 0, done.said[-5000:]
    assert get("/health")["version"] == "1.0.0"
    assert get("/ready")["status"] == "ready"


def test_no_user_noticed_the_upgrade_or_the_roll_back(lab, load: Load) -> None:
    found = load.end()
    print(table(found))
    assert faults(found) == []
    assert found["sessions"]["created"] == 500
    assert set(found["slow_calls"]["versions"]) == {"1.0.0", "1.1.0"}
