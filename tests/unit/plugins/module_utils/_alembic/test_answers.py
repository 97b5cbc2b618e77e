from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import answers
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result

DATABASE = {"host": "db", "port": 5432, "name": "app", "user": "owner", "password": "p@:/%w", "sslmode": "prefer"}


def step(revision: str, **more: t.Any) -> dict[str, t.Any]:
    return {"revision": revision, "doc": f"doc {revision}", **more}


def plan(heads: list[str], *pending: str) -> dict[str, t.Any]:
    after = list(pending[-1:]) or heads
    return {"event": "plan", "heads": heads, "after": after, "pending": [step(one) for one in pending]}


def final(heads: list[str], *pending: str) -> dict[str, t.Any]:
    return {**plan(heads, *pending), "event": "final"}


def done(revision: str) -> dict[str, t.Any]:
    return {"event": "done", **step(revision), "seconds": 0.5}


def fault(kind: str, **facts: t.Any) -> dict[str, t.Any]:
    return {"event": "fault", "kind": kind, **facts}


def interpret(events: list[dict[str, t.Any]], rc: int = 0, *, check: bool = False) -> answers.Outcome:
    return answers.interpret(
        Result(rc, "", "last words", missing=rc == 127),
        events,
        check=check,
        database=DATABASE,
        python="/opt/api/bin/python",
        timeout=9,
    )


@pytest.mark.parametrize(
    ("events", "check", "expected"),
    [
        pytest.param([plan(["2"]), final(["2"])], False, (("2",), ("2",), []), id="nothing to do"),
        pytest.param(
            [plan(["1"], "2", "3"), done("2"), done("3"), final(["3"])],
            False,
            (("1",), ("3",), ["2", "3"]),
            id="two run",
        ),
        pytest.param(
            [
                plan([], "1"),
                done("1"),
                {"event": "retry", "revision": "2", "sqlstate": "55P03"},
                done("2"),
                final(["2"]),
            ],
            False,
            ((), ("2",), ["1", "2"]),
            id="tried again",
        ),
        pytest.param([plan(["1"], "2", "3")], True, (("1",), ("3",), ["2", "3"]), id="planned"),
        pytest.param([plan(["1"])], True, (("1",), ("1",), []), id="nothing planned"),
    ],
)
def test_outcome(events: list[dict[str, t.Any]], check: bool, expected: tuple[t.Any, ...]) -> None:
    result = interpret(events, check=check)
    assert (result.before, result.after, [one["revision"] for one in result.migrations]) == expected


def test_rolled_back_with_a_later_one_is_not_applied() -> None:
    assert [one["revision"] for one in answers.applied([done("1"), done("2"), final(["1"], "2")])] == ["1"]


@pytest.mark.parametrize(
    ("events", "rc", "words"),
    [
        pytest.param([], 127, "Install the release first", id="no interpreter"),
        pytest.param([{"event": "start", "revision": "7"}], 124, "within 9 s, in revision 7", id="time limit"),
        pytest.param([plan([], "1")], -9, "rc -9: last words", id="killed"),
        pytest.param([fault("locked", holder={})], 1, "another runner held it", id="lock just gone"),
        pytest.param(
            [fault("locked", holder={"pid": 8, "program": "x", "host": "h", "seconds": 252})],
            1,
            r'held by pid 8 \("x", from h, connected for 4 min 12 s\)',
            id="lock held",
        ),
        pytest.param([fault("many_heads", heads=["a", "b"])], 1, "2 heads: a, b", id="heads"),
        pytest.param([fault("ahead", heads=["9"], known=["3"])], 1, "is at 9, .* newer release", id="ahead"),
        pytest.param(
            [plan(["1"], "2"), final(["1"], "2"), fault("not_recorded", pending=[step("2")])],
            1,
            "did not record 2",
            id="lost",
        ),
        pytest.param(
            [
                plan(["1"], "2"),
                final(["1"], "2"),
                fault(
                    "revision", revision="2", sqlstate="42P01", detail="no such", statement="SELECT\n 1", partial=True
                ),
            ],
            1,
            r"(?s)revision 2 failed: no such \(SQLSTATE 42P01\), in: SELECT 1.*at 1, and part of 2 is committed",
            id="revision",
        ),
    ],
)
def test_faults(events: list[dict[str, t.Any]], rc: int, words: str) -> None:
    with pytest.raises(InfraError, match=words):
        interpret(events, rc)


@pytest.mark.parametrize(
    ("events", "rc", "inspected"),
    [
        pytest.param([], 127, False, id="release not installed yet"),
        pytest.param([fault("connect", detail="refused", listens=False)], 1, False, id="no database yet"),
        pytest.param([plan(["1"])], 0, True, id="both there"),
    ],
)
def test_check_mode_from_a_bare_host(events: list[dict[str, t.Any]], rc: int, inspected: bool) -> None:
    result = interpret(events, rc, check=True)
    assert result.inspected is inspected
    assert bool(result.warnings) is not inspected
    assert "schema of database" in answers.as_diff(result, DATABASE)["before_header"]


def test_check_mode_does_not_hide_a_wrong_password() -> None:
    with pytest.raises(InfraError, match="password"):
        interpret([fault("connect", detail="password authentication failed", listens=True)], 1, check=True)


def test_cut_off_last_line_is_left_out() -> None:
    assert answers.read_events('{"event": "plan"}\n{"event": "do') == [{"event": "plan"}]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], ""),
        ([plan([], "1")], ""),
        (
            [{"event": "waiting", "holder": {"pid": 7, "program": "alembic_upgrade x"}}],
            "waiting for another runner, pid 7 (alembic_upgrade x)",
        ),
        ([{"event": "start", **step("1"), "number": 1, "of": 3}], "revision 1 of 3: 1 doc 1"),
        (
            [{"event": "start", **step("1"), "number": 1, "of": 3}, {"event": "retry", "revision": "1", "left": 4}],
            "revision 1 waits for a table lock, 4 retries left",
        ),
        ([{"event": "start", **step("1"), "number": 1, "of": 1}, done("1"), final(["1"])], "verifying"),
    ],
)
def test_progress(events: list[dict[str, t.Any]], said: str) -> None:
    assert answers.progress(events) == said
