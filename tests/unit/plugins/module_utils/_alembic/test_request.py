from __future__ import annotations

import ast
import io
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import engine, request
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@pytest.mark.parametrize(
    "revision", ["base", "+1", "-1", "head-1", "ae10+2", "branch@base", "branch@+1", "a@b@head", "a:b"]
)
def test_revisions_that_move_are_refused(revision: str) -> None:
    with pytest.raises(InfraError, match="never downgrades"):
        request.check_revision(revision)


@pytest.mark.parametrize("revision", ["head", "heads", "0003_index_tasks_user", "ae1027a6acf", "billing@head"])
def test_revisions_that_stay_are_taken(revision: str) -> None:
    request.check_revision(revision)


def test_application_name_is_what_the_server_takes() -> None:
    assert request.application_name("release 1.1.0", "runner-1") == "alembic_upgrade release 1.1.0 on runner-1"
    assert len(request.application_name("ü'%" * 40, "h")) == 63


@pytest.mark.parametrize("name", ["audit", "ops.audit"])
def test_tables_for_the_audit(name: str) -> None:
    request.check_table(name)


@pytest.mark.parametrize("name", ["a b", "x; DROP TABLE y", "a.b.c", '"x"'])
def test_what_is_no_table_is_refused(name: str) -> None:
    with pytest.raises(InfraError, match="not a plain table name"):
        request.check_table(name)


def sources() -> list[Path]:
    return sorted(Path(engine.__file__).parent.glob("*.py"))


def test_the_whole_engine_is_packed() -> None:
    with zipfile.ZipFile(io.BytesIO(request.engine_archive())) as packed:
        assert sorted(packed.namelist()) == sorted(
            ["__main__.py", *(f"{request.PACKAGE}/{path.name}" for path in sources())]
        )
        for path in sources():
            assert packed.read(f"{request.PACKAGE}/{path.name}").decode() == path.read_text()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_the_engine_runs_on_python_3_9_by_itself(path: Path) -> None:
    """Nothing of the collection or of Ansible is imported, and nothing of the application's outside functions."""
    module = ast.parse(path.read_text(), feature_version=(3, 9))
    imported: list[str] = []
    for node in module.body:
        if isinstance(node, ast.Import):
            imported += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1
            imported += [] if node.level else [str(node.module)]
    assert not {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    everything = [str(node.module) for node in ast.walk(module) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in everything if name.startswith("ansible")]


def test_the_packed_engine_reports_what_is_missing(tmp_path: Path) -> None:
    """Run for real, by an interpreter without Alembic, with nothing of this checkout on its path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "app")], check=True)
    given = {**PARAMETERS, "python": str(tmp_path / "app/bin/python"), "revision": "head"}
    ended, events, _python = request.ask_engine("upgrade", given, check=True, folder=str(tmp_path))
    assert (ended.rc, [event["kind"] for event in events]) == (1, ["no_alembic"]), ended.output
    assert [path.name for path in tmp_path.iterdir()] == ["app"]


PARAMETERS: dict[str, t.Any] = {"url": "postgresql://owner:secret@db/app", "timeout": "60s"}


@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [
        pytest.param("upgrade", {"lock_timeout": "300ms"}, {"lock_timeout": 300, "linted": None}, id="milliseconds"),
        pytest.param("upgrade", {"runner_lock_wait": "1min"}, {"runner_lock_wait": 60.0}, id="seconds"),
        pytest.param("info", {}, {"lock_timeout": 200, "lock_retries": 0, "audit_table": None}, id="defaults"),
        pytest.param("upgrade", {"_internal": {"linted": ["1"]}}, {"linted": ["1"]}, id="from the action plugin"),
        pytest.param("upgrade", {"linted": ["1"]}, {"linted": None}, id="not from a playbook"),
    ],
)
def test_requests(command: str, given: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    made = request.request_of(command, {**PARAMETERS, "revision": "head", **given}, check=False, events="/e")
    assert {name: getattr(made, name) for name in expected} == expected


def test_a_host_without_room_for_the_engine_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match=r"(?s)Cannot start the migration engine in .*missing.*Check that .* exists"):
        request.ask_engine(
            "upgrade", {**PARAMETERS, "python": "python3", "revision": "head"}, check=False,
            folder=str(tmp_path / "missing"),
        )  # fmt: skip
