from __future__ import annotations

import ast
import base64
import inspect
import io
import typing as t
import zipfile

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import faults as _alembic_faults
from ansible_collections.nexod.infra.plugins.module_utils._alembic import helper as _alembic_helper
from ansible_collections.nexod.infra.plugins.module_utils._alembic import request as _alembic
from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import history
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


def interpret(events: list[dict[str, t.Any]], rc: int = 0, *, check: bool = False) -> _alembic.Outcome:
    return _alembic.interpret(
        Result(rc, "", "last words"), events, check=check, database=DATABASE, python="/opt/api/bin/python", timeout=9
    )


@pytest.mark.parametrize(
    ("changed", "driver", "url"),
    [
        pytest.param(
            {}, "psycopg", "postgresql+psycopg://owner:p%40%3A%2F%25w@db:5432/app?sslmode=prefer", id="escaped"
        ),
        pytest.param(
            {"password": None}, "psycopg2", "postgresql+psycopg2://owner@db:5432/app?sslmode=prefer", id="peer"
        ),
        pytest.param(
            {"host": "::1", "password": "x"},
            "asyncpg",
            "postgresql+asyncpg://owner:x@[::1]:5432/app?ssl=prefer",
            id="v6",
        ),
    ],
)
def test_database_url(changed: dict[str, t.Any], driver: str, url: str) -> None:
    assert _alembic.database_url({**DATABASE, **changed}, driver) == url


@pytest.mark.parametrize("revision", ["base", "+1", "-1", "head-1", "ae10+2", "branch@head", "a:b"])
def test_revisions_that_move_are_refused(revision: str) -> None:
    with pytest.raises(InfraError, match="never downgrades"):
        _alembic.check_revision(revision)


@pytest.mark.parametrize("revision", ["head", "heads", "0003_index_tasks_user", "ae1027a6acf"])
def test_revisions_that_stay_are_taken(revision: str) -> None:
    _alembic.check_revision(revision)


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
    assert [one["revision"] for one in _alembic.applied([done("1"), done("2"), final(["1"], "2")])] == ["1"]


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
            "nothing of 2",
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
            r"(?s)revision 2 failed: no such \(SQLSTATE 42P01\), in: SELECT 1.*at 1, and a part of 2 is committed",
            id="revision",
        ),
    ],
)
def test_faults(events: list[dict[str, t.Any]], rc: int, words: str) -> None:
    with pytest.raises(InfraError, match=words):
        interpret(events, rc)


@pytest.mark.parametrize(
    ("events", "rc", "looked"),
    [
        pytest.param([], 127, False, id="release not installed yet"),
        pytest.param([fault("connect", detail="refused", listens=False)], 1, False, id="no database yet"),
        pytest.param([plan(["1"])], 0, True, id="both there"),
    ],
)
def test_check_mode_from_a_bare_host(events: list[dict[str, t.Any]], rc: int, looked: bool) -> None:
    result = interpret(events, rc, check=True)
    assert result.looked is looked
    assert bool(result.warnings) is not looked
    assert "schema of database" in _alembic.as_diff(result, DATABASE)["before_header"]


def test_check_mode_does_not_hide_a_wrong_password() -> None:
    with pytest.raises(InfraError, match="password"):
        interpret([fault("connect", detail="password authentication failed", listens=True)], 1, check=True)


def test_cut_off_last_line_is_left_out() -> None:
    assert _alembic.read_events('{"event": "plan"}\n{"event": "do') == [{"event": "plan"}]


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (252, "4 min 12 s"), (7500, "2 h 5 min")])
def test_lasted(seconds: int, text: str) -> None:
    assert _alembic_faults.lasted(seconds) == text


def test_application_name_is_what_the_server_takes() -> None:
    assert _alembic.application_name("release 1.1.0", "runner-1") == "alembic_upgrade release 1.1.0 on runner-1"
    assert len(_alembic.application_name("ü'%" * 40, "h")) == 63


@pytest.mark.parametrize(
    ("statement", "name", "table"),
    [
        ("CREATE INDEX CONCURRENTLY things_name ON things (name)", "things_name", "things"),
        ('create unique index concurrently if not exists "A b" ON ONLY public."T" (x)', '"A b"', 'public."T"'),
        ("CREATE INDEX things_name ON things (name)", None, None),
    ],
)
def test_concurrent_indexes_are_known(statement: str, name: str | None, table: str | None) -> None:
    found = _alembic_helper.CREATED_INDEX.match(statement)
    assert (found["name"], found["table"]) == (name, table) if found else name is None
    assert bool(_alembic_helper.CONCURRENTLY.match(statement)) == (name is not None)


@pytest.mark.parametrize(
    ("sql", "left_out"),
    [
        ("CREATE SCHEMA IF NOT EXISTS a", True),
        ("/* ours */ create schema a; -- and\nCREATE EXTENSION IF NOT EXISTS citext;", True),
        ("CREATE UNLOGGED TABLE t (id int GENERATED ALWAYS AS IDENTITY)", True),
        ("GRANT USAGE ON SCHEMA a TO app", True),
        ("COMMENT ON SCHEMA a IS 'as SELECT'", True),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO app", True),
        ('ALTER TABLE a.alembic_version ALTER COLUMN "version_num" TYPE varchar(128)', True),
        ("ALTER TABLE IF EXISTS ONLY alembic_version ALTER version_num SET DATA TYPE text", True),
        ("", False),
        ("-- nothing", False),
        ("SELECT 1", False),
        ("CREATE TABLE a.alembic_version AS SELECT * FROM alembic_version", False),
        ("CREATE TABLE a.alembic_version AS TABLE alembic_version", False),
        ("CREATE SCHEMA a CREATE TABLE alembic_version AS (SELECT 1)", False),
        ("CREATE SCHEMA a; DROP TABLE t", False),
        ("CREATE ROLE app", False),
        ("CREATE DATABASE other", False),
        ("DROP SCHEMA a", False),
        ("ALTER TABLE alembic_version RENAME TO old", False),
        ("ALTER TABLE t ALTER name TYPE text", False),
        ("INSERT INTO alembic_version VALUES ('1')", False),
        ("DO $$ BEGIN CREATE SCHEMA a; END $$", False),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", False),
    ],
)
def test_what_a_plan_leaves_out(sql: str, left_out: bool) -> None:
    assert _alembic_helper.prepares(sql) is left_out


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        pytest.param([10], [], False, id="direct"),
        pytest.param([77, 77, 77, 77, 77, 77, 77, 77, 77, 77, 77], [88] * 5, False, id="pooled by session"),
        pytest.param([77, 77], [77], True, id="both meet one process"),
        pytest.param([77, 77, 78], [79], True, id="one meets two processes"),
    ],
)
def test_pooling_is_told_apart(first: list[int], second: list[int], shared: bool) -> None:
    class Fake:
        def __init__(self, answers: list[int]) -> None:
            self.answers = list(answers)

        def value(self, _sql: str) -> int:
            return self.answers.pop(0)

        def startup_pid(self) -> int:
            return 10

        def do(self, _sql: str) -> None:
            pass

    assert _alembic_helper.pooled_by_transaction(t.cast("t.Any", Fake(first)), t.cast("t.Any", Fake(second))) is shared


def test_the_history_of_a_release_is_read_without_alembic() -> None:
    """In the order of an upgrade, a merge after both of its parents, files that are no revision left out."""
    sources = {
        "app/versions/c_merge.py": '"""Join.\n\nMore."""\nrevision: str = "c"\ndown_revision = ("a", "b")',
        "app/versions/a.py": 'revision = "a"\ndown_revision = "base1"\n',
        "app/versions/b.py": '"""B."""\nrevision = "b"\ndown_revision = "base1"\ndepends_on = ["a"]',
        "app/versions/base.py": '"""Begin."""\nrevision = "base1"\ndown_revision = None',
        "app/versions/__init__.py": "",
        "app/versions/broken.py": "revision = (",
        "app/env.py": 'revision = "not one"',
    }
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w") as tree:
        for name, text in sources.items():
            tree.writestr(name, text)
    rows = history(base64.b64encode(small.getvalue()).decode())
    assert [(row["revision"], row["doc"]) for row in rows] == [
        ("base1", "Begin."),
        ("a", ""),
        ("b", "B."),
        ("c", "Join."),
    ]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("200ms", 200),
        ("60s", 60_000),
        ("1.5 s", 1500),
        ("5min", 300_000),
        ("1h", 3_600_000),
        ("0", 0),
        (0, 0),
        ("0s", 0),
    ],
)
def test_durations(text: str | int, ms: int) -> None:
    assert _alembic.duration(text, "lock_timeout") == ms


@pytest.mark.parametrize("text", ["200", "", "1 week", "-5s", "soon"])
def test_durations_without_a_unit_are_refused(text: str) -> None:
    with pytest.raises(InfraError, match="lock_timeout"):
        _alembic.duration(text, "lock_timeout")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql+psycopg://owner:p%40%2Fw@db:6000/app?sslmode=prefer", ("db", 6000, "app")),
        ("postgresql://owner:sl/ash@db/app", ("db", 5432, "app")),
        ("postgresql+asyncpg://owner@[::1]:5433/a%20b", ("::1", 5433, "a b")),
        ("postgresql:///app?host=/run/postgresql", ("/run/postgresql", 5432, "app")),
        ("postgres://owner@db", ("db", 5432, "owner")),
    ],
)
def test_urls_are_read_as_sqlalchemy_does(url: str, place: tuple[str, int, str]) -> None:
    found = _alembic.read_url(url)
    assert (found["host"], found["port"], found["name"]) == place


@pytest.mark.parametrize("url", ["s3cret", "mysql://owner:s3cret@db/app", "postgresql:/owner:s3cret@db"])
def test_what_is_no_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InfraError) as caught:
        _alembic.read_url(url)
    assert "s3cret" not in str(caught.value.report())


def test_every_form_of_the_password_is_blanked_and_names_stay() -> None:
    url = "postgresql://owner:p%40ss@db/app"
    secrets = _alembic.secrets_of(url)
    told = {"detail": f"at {url}: p@ss, p%40ss, p%%40ss", "revision": "p@ss", "statements": [{"sql": "x p@ss"}]}
    assert _alembic.redacted(told, secrets) == {
        "detail": "at ********: ********, ********, ********",
        "revision": "p@ss",
        "statements": [{"sql": "x ********"}],
    }


def test_the_helper_runs_on_python_3_9() -> None:
    ast.parse(inspect.getsource(_alembic_helper), feature_version=(3, 9))


def test_metrics_are_what_the_node_exporter_reads() -> None:
    text = _alembic.metrics('a"b', 10.0, 12.5, {"migrations": [1, 2], "retries": 3, "invalid_indexes": ["x"]}, ok=True)
    assert 'nexod_alembic_last_run_success{database="a\\"b"} 1\n' in text
    assert "# TYPE nexod_alembic_last_run_revisions gauge\n" in text
    assert 'nexod_alembic_last_run_duration_seconds{database="a\\"b"} 2.5\n' in text


def test_short_words_of_the_environment_are_not_blanked() -> None:
    class Module:
        params = {"environment": {"STAGE": "prod", "N": 1, "KEY": "a-long-secret"}, "url": "postgresql://o:pw@h/app"}
        no_log_values = {"prod", "1", "a-long-secret", "postgresql://o:pw@h/app"}

    module = Module()
    _alembic.hide(module)
    assert module.no_log_values == {"a-long-secret", "postgresql://o:pw@h/app"}


@pytest.mark.parametrize("name", ["audit", "ops.audit"])
def test_tables_for_the_audit(name: str) -> None:
    _alembic.check_table(name)


@pytest.mark.parametrize("name", ["a b", "x; DROP TABLE y", "a.b.c", '"x"'])
def test_what_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(InfraError, match="no plain name"):
        _alembic.check_table(name)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], ""),
        ([plan([], "1")], ""),
        (
            [{"event": "waiting", "holder": {"pid": 7, "program": "alembic_upgrade x"}}],
            "waits for another runner, pid 7 (alembic_upgrade x)",
        ),
        ([{"event": "start", **step("1"), "number": 1, "of": 3}], "revision 1 of 3: 1 doc 1"),
        (
            [{"event": "start", **step("1"), "number": 1, "of": 3}, {"event": "retry", "revision": "1", "left": 4}],
            "revision 1 waits for its table, 4 tries are left",
        ),
        ([{"event": "start", **step("1"), "number": 1, "of": 1}, done("1"), final(["1"])], "verifies"),
    ],
)
def test_progress(events: list[dict[str, t.Any]], said: str) -> None:
    assert _alembic.progress(events) == said
