"""A Supabase project: what follows from each status, which way in, and what of it is asked of the API."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_project import (
    ACCEPTED_SECONDS,
    FAILED,
    NEXT_STEPS,
    PAUSED_HOST,
    READY,
    RESTORE,
    STATUSES,
    WAIT,
    Found,
    Project,
    Wanted,
    chosen_way,
    step_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.vendors import VENDORS
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly
from ansible_collections.nexod.infra.tests.fixtures.services import running, supabase

REF = supabase.REF
OWN = {"host": f"db.{REF}.supabase.co"}
POOLER = {"database_type": "PRIMARY", "db_host": "pooler.test", "db_port": 6543, "pool_mode": "transaction"}
POOLER |= {"db_user": f"postgres.{REF}"}
REPLICA = {**POOLER, "database_type": "READ_REPLICA", "db_host": "replica.test"}


@pytest.mark.parametrize(
    ("status", "seen", "sent", "waited", "step"),
    [
        ("ACTIVE_HEALTHY", [], False, 0, READY),
        ("ACTIVE_UNHEALTHY", [], False, 0, READY),
        ("INACTIVE", [], False, 0, RESTORE),
        ("INACTIVE", ["PAUSING"], False, 0, RESTORE),
        # Asked for, and not yet shown.
        ("INACTIVE", ["INACTIVE"], True, 5, WAIT),
        ("INACTIVE", ["INACTIVE"], True, ACCEPTED_SECONDS, "fell back"),
        ("INACTIVE", ["INACTIVE", "RESTORING"], True, 5, "fell back"),
        # The restore of a run that was killed, or of a person.
        ("INACTIVE", ["RESTORING"], False, 0, "fell back"),
        ("INACTIVE", ["COMING_UP"], False, 0, "fell back"),
        *((status, [], False, 0, WAIT) for status in ("PAUSING", "RESTORING", "COMING_UP", "RESIZING", "UPGRADING")),
        *((status, [], False, 0, WAIT) for status in ("RESTARTING", "UNKNOWN", "SOME_NEW_STATUS")),
        *((status, [], False, 0, FAILED) for status in ("GOING_DOWN", "REMOVED", "INIT_FAILED", "RESTORE_FAILED")),
        ("PAUSE_FAILED", [], False, 0, FAILED),
    ],
)
def test_what_follows_from_a_status(status: str, seen: list[str], sent: bool, waited: float, step: str) -> None:
    assert step_of(status, seen, sent=sent, waited=waited) == step


def test_every_status_of_the_api_has_a_step_and_each_failure_a_next_one() -> None:
    assert set(STATUSES) == set(supabase.STATUSES)
    assert {status for status, step in STATUSES.items() if step == FAILED} == set(NEXT_STEPS)


@pytest.mark.parametrize(
    ("way", "unreachable", "rows", "wanted"),
    [
        ("auto", "", [], ("direct", OWN["host"], 5432, "")),
        ("direct", "", [], ("direct", OWN["host"], 5432, "")),
        ("auto", "IPv6: no route", [POOLER], ("session_pooler", "pooler.test", 5432, f".{REF}")),
        ("session_pooler", "", [POOLER], ("session_pooler", "pooler.test", 5432, f".{REF}")),
        ("auto", "x", [REPLICA, POOLER], ("session_pooler", "pooler.test", 5432, f".{REF}")),
        # One that lists session mode says at which port.
        ("auto", "x", [{**POOLER, "pool_mode": "session", "db_port": 5433}], ("session_pooler", "pooler.test", 5433)),
        ("auto", "x", [{**POOLER, "pool_mode": "session"}], ("session_pooler", "pooler.test", 5432)),
        ("auto", "x", [{**POOLER, "db_user": "postgres"}], ("session_pooler", "pooler.test", 5432, f".{REF}")),
    ],
)
def test_the_way_in(way: str, unreachable: str, rows: list[dict[str, t.Any]], wanted: tuple[t.Any, ...]) -> None:
    found = chosen_way(way, OWN, REF, unreachable, lambda: rows)
    assert (found.name, found.host, found.port, found.user_suffix)[: len(wanted)] == wanted
    assert unreachable in found.reason or way != "auto"


@pytest.mark.parametrize(
    ("way", "rows", "says"),
    [
        ("direct", [POOLER], "IPv6: no route.\nUse a network with IPv6"),
        ("auto", [], "Supabase lists none"),
        ("auto", [REPLICA], "Supabase lists none"),
    ],
)
def test_no_way_in(way: str, rows: list[dict[str, t.Any]], says: str) -> None:
    with pytest.raises(InfraError, match=says):
        chosen_way(way, OWN, REF, "IPv6: no route", lambda: rows)


@pytest.fixture
def services() -> t.Iterator[running.Services]:
    with running.services() as found:
        yield found


@pytest.fixture
def service(services: running.Services) -> supabase.Supabase:
    return services.supabase


class Run:
    """One run of the module's logic against the stand-in."""

    def __init__(self, service: supabase.Supabase, *, check: bool = False, token: str = "", **wanted: t.Any) -> None:
        self.lines: list[str] = []
        self.clock = Instantly()
        client = Client(VENDORS["supabase"], token or supabase.TOKEN, url=service.url, check=check, clock=self.clock)
        self.client = client
        self.project = Project(
            client,
            Wanted(**{"ref": REF, "way": "session_pooler", "version": 15, **wanted}),
            self.lines.append,
            clock=self.clock,
            unreachable=lambda *_where: "",
        )

    def found(self) -> Found:
        return self.project.present()

    def refusal(self) -> str:
        with pytest.raises(InfraError) as raised:
            self.project.present()
        assert supabase.TOKEN not in repr(raised.value.report())
        return str(raised.value)

    @property
    def sent(self) -> list[str]:
        return [one.path.rpartition("/")[2] for one in self.client.requests if one.method != "GET"]


def test_nothing_to_do_takes_three_requests(service: supabase.Supabase) -> None:
    run = Run(service)
    found = run.found()
    assert (found.changed, found.way, found.port, found.user_suffix) == (False, "session_pooler", 5432, f".{REF}")
    assert len(run.client.requests) == 3
    assert Run(service, way="auto").found().way == "direct"


def paused(service: supabase.Supabase, status: str = "INACTIVE", *coming: str) -> None:
    service.state["projects"][REF].update(status=status, coming=list(coming))


def test_a_paused_project_is_restored_with_its_progress_shown(service: supabase.Supabase) -> None:
    paused(service)
    run = Run(service)
    found = run.found()
    assert (found.changed, found.status_before, found.project["status"]) == (True, "INACTIVE", "ACTIVE_HEALTHY")
    assert run.sent == ["restore"]
    # The stand-in's status moves on with each look.
    words = ["INACTIVE", "minutes", "COMING_UP", "ACTIVE_HEALTHY"]
    assert [line.rpartition(" ")[2] for line in run.lines] == words


def test_check_mode_predicts_the_restore_and_sends_nothing(service: supabase.Supabase) -> None:
    paused(service)
    run = Run(service, check=True)
    found = run.found()
    assert (found.changed, found.host, run.sent) == (True, PAUSED_HOST, [])
    assert service.state["projects"][REF]["status"] == "INACTIVE"


@pytest.mark.parametrize(
    ("status", "coming", "sent"),
    [
        pytest.param("PAUSING", ["PAUSING", "INACTIVE"], ["restore"], id="pausing"),
        pytest.param("RESTORING", ["RESTORING", "COMING_UP", "ACTIVE_HEALTHY"], [], id="of a run that was killed"),
        pytest.param("UNKNOWN", ["ACTIVE_HEALTHY"], [], id="unknown"),
    ],
)
def test_what_is_under_way_is_waited_for(
    service: supabase.Supabase, status: str, coming: list[str], sent: list[str]
) -> None:
    paused(service, status, *coming)
    run = Run(service)
    assert run.found().project["status"] == "ACTIVE_HEALTHY"
    assert run.sent == sent


def test_a_restore_that_falls_back(service: supabase.Supabase) -> None:
    paused(service)
    service.restore_path = supabase.FALLEN_BACK
    said = Run(service).refusal()
    assert "its restore has ended with the project paused again" in said
    assert f"https://supabase.com/dashboard/project/{REF}" in said


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("active projects", "Pause another free project of the organization"),
        ("restore window", "The time in which it can be restored is over: download its backup"),
    ],
)
def test_a_restore_that_is_refused(service: supabase.Supabase, lacks: str, says: str) -> None:
    paused(service)
    service.lacks.add(lacks)
    assert says in Run(service).refusal()


@pytest.mark.parametrize("status", sorted(NEXT_STEPS))
def test_a_project_that_has_failed(service: supabase.Supabase, status: str) -> None:
    paused(service, status)
    said = Run(service).refusal()
    assert f"its status is {status}" in said
    assert "{" not in said


def test_what_is_refused_before_anything_is_sent(service: supabase.Supabase) -> None:
    assert "a ref is 20 lower-case letters" in Run(service, ref="facts-dev").refusal()
    assert service.calls() == []
    paused(service)
    assert "or let this run do so (restore)" in Run(service, restore=False).refusal()
    service.state["projects"][REF]["database"]["postgres_engine"] = "17"
    run = Run(service)
    assert "it runs PostgreSQL 17, and 15 is declared" in run.refusal()
    assert run.sent == []


def test_a_restore_that_brings_another_version(service: supabase.Supabase) -> None:
    paused(service)
    run = Run(service)
    restore = run.project.restore

    def upgraded() -> None:
        restore()
        service.state["projects"][REF]["database"]["postgres_engine"] = "17"

    run.project.restore = upgraded  # type: ignore[method-assign]
    assert "it runs PostgreSQL 17" in run.refusal()


def test_projects_that_the_token_does_not_see(service: supabase.Supabase) -> None:
    said = Run(service, ref="x" * 20).refusal()
    assert "there is no such project" in said
    assert f"{REF} (facts-dev, ACTIVE_HEALTHY)" in said
    said = Run(service, token=supabase.TOKEN_OF_ANOTHER).refusal()
    assert "it is of another organization" in said
    assert f"{supabase.REF_OF_ANOTHER} (of-another, ACTIVE_HEALTHY)" in said
    assert "Check SUPABASE_ACCESS_TOKEN: it is missing, wrong, or has expired" in Run(service, token="sbp_no").refusal()


def test_services_that_are_not_healthy(service: supabase.Supabase) -> None:
    service.state["health"][REF] = {"auth": "no connection"}
    run = Run(service, wait_seconds=30)
    said = run.refusal()
    assert "not healthy: auth (no connection) after 30 s" in said
    assert run.lines[-1].endswith("waiting for auth (no connection)")
    assert run.clock.now <= 30
    assert Run(service, services=("db", "rest")).found().changed is False


@pytest.mark.parametrize("status", [429, 503])
def test_faults_that_pass_are_waited_for(service: supabase.Supabase, status: int) -> None:
    service.order("get_project", status=status, times=2, after=3)
    run = Run(service)
    assert run.found().changed is False
    assert len(run.client.requests) == 5


def test_a_run_that_ends_during_the_restore_is_continued(service: supabase.Supabase) -> None:
    paused(service)
    service.order("restore_project", lost=True)
    assert "Whether it was done is unknown; the next run finds out." in Run(service).refusal()
    run = Run(service)
    assert run.found().project["status"] == "ACTIVE_HEALTHY"
    assert run.sent == []
