"""Every module that writes files on a disk that does not let it: an action, an object, a cause, a next step."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import io
import json
import os
import pathlib
import platform
import pwd
import subprocess
import sys
import tarfile
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import Lock
from ansible_collections.nexod.infra.plugins.module_utils._files import live_service
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet, pack
from ansible_collections.nexod.infra.plugins.modules import api_probe

Run = t.Callable[..., dict[str, t.Any]]
NOBODY = 65534


class Case(t.NamedTuple):
    """What a module is asked for below `root`; `first`: what an earlier run did while the disk was well."""

    options: t.Callable[[pathlib.Path], dict[str, t.Any]]
    first: t.Callable[[pathlib.Path], None] = lambda _root: None
    #: Where a folder in place of a file, or a file in place of a folder, is in the way.
    folder: str = ""
    file: str = ""


def rendered(content: str) -> str:
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    return pack([Entry("f", content.encode(), "0644", owner, group, "reload", None, False)])


def live_set(root: pathlib.Path) -> None:
    files = FileSet("a", str(root))
    for content in ("1", "2"):
        files.apply([Entry("f", content.encode(), "0644", "root", "root", "reload", None, False)], [])
        if content == "1":
            files.mark_live()


def archive(root: pathlib.Path) -> dict[str, t.Any]:
    """An archive that was sent already; what it holds does not matter, as nothing comes so far as to install it."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wheel = b"x" * 4096
    description = json.dumps(
        {
            "schema": 1,
            "name": "api",
            "version": "1.0.0",
            "machine": platform.machine(),
            "pythons": {python: ["wheels/a.whl"]},
            "imports": [],
            "files": {"wheels/a.whl": hashlib.sha256(wheel).hexdigest()},
        }
    )
    path = root.parent / "api.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in {"release.json": description.encode(), "wheels/a.whl": wheel}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sent = {"description": description, "digest": digest, "received": str(path)}
    return {
        "name": "api",
        "version": "1.0.0",
        "root": str(root),
        "python": sys.executable,
        "archive": str(path),
        "_internal": sent,
    }


def built(root: pathlib.Path) -> None:
    (root / "api" / "1.0.0").mkdir(parents=True)


HOLDER = {"run": "there/1/2", "machine": "there", "pid": 1, "user": "ann", "host": "laptop"}
FILL = "x" * 200_000
CASES = {
    "file_set": Case(
        lambda root: {"name": "a", "root": str(root), "_internal": {"rendered": rendered(FILL)}},
        folder="a/.lock",
        file="a",
    ),
    "file_set, absent": Case(lambda root: {"name": "a", "root": str(root), "state": "absent"}, live_set),
    "live_service": Case(
        lambda root: {"name": "a", "files": {"name": "a", "root": str(root), "action": "restart"}},
        live_set,
        folder="a/.lock",
    ),
    "release": Case(archive, folder="api/.lock", file="api"),
    "release, absent": Case(lambda root: {"name": "api", "root": str(root), "state": "absent"}, built),
    "deploy_lock": Case(
        lambda root: {
            "environment": "lab",
            "folder": str(root / "locks"),
            "_internal": {"holder": HOLDER},
            "what": FILL,
        },
        folder="locks/lab.lock.json",
        file="locks",
    ),
    "api_probe": Case(
        lambda root: {
            "urls": ["http://a"],
            "session_url": "http://a/sessions",
            "session_file": str(root / "kept" / "session"),
        },
        folder="kept/session",
        file="kept",
    ),
}


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that runs, and an API that answers, at length."""
    status = live_service.Status(known=True, active=True, enabled=True, stale=False)
    monkeypatch.setattr(live_service, "status_of", lambda _unit: status)
    monkeypatch.setattr(live_service, "perform", lambda *_: Result(0, "", ""))
    monkeypatch.setattr(live_service, "last_log_lines", lambda *_: "")
    answer = Answer(200, json.dumps({"id": FILL, "seconds": 60}))
    monkeypatch.setattr(
        "ansible_collections.nexod.infra.plugins.module_utils._backend.probe.ask", lambda *_, **__: answer
    )
    monkeypatch.setattr(api_probe, "probe", lambda given: probe_with(given, answer))


def probe_with(given: dict[str, t.Any], answer: Answer) -> dict[str, t.Any]:
    from ansible_collections.nexod.infra.plugins.module_utils._backend import probe  # noqa: PLC0415

    path = pathlib.Path(given["session_file"])
    probe.canary(given["session_url"], path, probe.SignIn({}), None, lambda *_, **__: answer)
    return {"session": "new"}


@contextlib.contextmanager
def mounted(folder: pathlib.Path, options: str) -> t.Iterator[pathlib.Path]:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no right to mount a small disk here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: pathlib.Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@contextlib.contextmanager
def as_nobody() -> t.Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can act as another account")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def fill(root: pathlib.Path) -> None:
    """Leave no block and no inode."""
    with contextlib.suppress(OSError), open(root / "filler", "wb") as filler:
        filler.write(b"x" * 1_000_000)
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (root / f"filler-{number}").touch()


def assert_says(result: dict[str, t.Any], *words: str) -> None:
    assert result.get("failed"), result
    error = result["error"]
    assert all(error[part] for part in ("action", "object", "cause", "next_step")), error
    assert "Traceback" not in json.dumps(result)
    assert any(word in result["msg"] for word in words), result["msg"]


@pytest.mark.parametrize("name", CASES)
def test_a_read_only_disk(run_module: Run, tmp_path: pathlib.Path, name: str) -> None:
    case = CASES[name]
    with mounted(tmp_path / "disk", "size=1m") as root:
        case.first(root)
        remount(root, "ro")
        result = run_module(name.partition(",")[0], case.options(root))
    assert_says(result, "Read-only file system")
    assert "read-only" in result["error"]["next_step"]


@pytest.mark.parametrize("name", [name for name in CASES if "absent" not in name])
def test_a_full_disk(run_module: Run, tmp_path: pathlib.Path, name: str) -> None:
    case = CASES[name]
    with mounted(tmp_path / "disk", "size=64k,nr_inodes=50") as root:
        case.first(root)
        fill(root)
        result = run_module(name.partition(",")[0], case.options(root))
        left = sorted(str(path) for path in root.rglob("*") if "staging" in path.name or path.name.startswith("tmp"))
    assert_says(result, "No space left on device")
    assert "df -h" in result["error"]["next_step"] or "disk" in result["error"]["next_step"]
    assert left == []


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].folder])
def test_a_folder_in_place_of_a_file(run_module: Run, tmp_path: pathlib.Path, name: str) -> None:
    case = CASES[name]
    root = tmp_path / "disk"
    root.mkdir()
    case.first(root)
    place = root / case.folder
    place.unlink(missing_ok=True)
    (place / "x").mkdir(parents=True)
    result = run_module(name.partition(",")[0], case.options(root))
    assert_says(result, "Is a directory")
    assert str(place) in result["msg"]


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].file])
def test_a_file_in_place_of_a_folder(run_module: Run, tmp_path: pathlib.Path, name: str) -> None:
    case = CASES[name]
    root = tmp_path / "disk"
    root.mkdir()
    (root / case.file).write_text("in the way")
    result = run_module(name.partition(",")[0], case.options(root))
    assert_says(result, "Not a directory", "File exists")
    assert str(root / case.file) in result["msg"]


@pytest.mark.parametrize("name", CASES)
def test_a_missing_right(run_module: Run, tmp_path: pathlib.Path, name: str) -> None:
    case = CASES[name]
    for parent in (tmp_path, *list(tmp_path.parents)[:2]):
        parent.chmod(0o755)
    root = tmp_path / "disk"
    root.mkdir()
    case.first(root)
    options = case.options(root)
    with as_nobody():
        result = run_module(name.partition(",")[0], options)
    assert_says(result, "Permission denied")
    assert "become: true" in result["error"]["next_step"]


def test_a_lock_that_can_t_be_read_is_no_free_one(run_module: Run, tmp_path: pathlib.Path) -> None:
    Lock("lab", str(tmp_path)).path.mkdir()
    options = {"environment": "lab", "folder": str(tmp_path), "_internal": {"holder": HOLDER}}
    assert_says(run_module("deploy_lock", options, check_mode=True), "Is a directory")
