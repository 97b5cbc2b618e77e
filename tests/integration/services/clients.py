"""The vendors' own clients, which judge the stand-ins: each of a pinned version, in a folder of .cache."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ..conftest import ROOT, made_environment

PYTHON = ("clerk-backend-api==7.0.0", "sentry-cli==3.8.2", "svix==2.9.1")
#: Apart, as it pins what others do not: AWX's own client, of the version that the stand-in is written for.
AWXKIT = ("awxkit==24.6.1",)
#: By folder. They are installed apart, as the `supabase` command is a hundred times as large as the other.
NPM = {"vercel": ("@vercel/sdk@1.28.35",), "supabase": ("supabase@3.1.0",)}


def python_clients(clients: tuple[str, ...] = PYTHON) -> Path:
    """The environment of clients that PyPI has."""
    name = "-".join(each.replace("==", "-") for each in clients)
    try:
        return made_environment(f"services/{name}", sys.executable, *clients)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot install {' and '.join(clients)}: {error}")


def npm_client(name: str) -> Path:
    """The folder node_modules with the client of that name; made once."""
    if shutil.which("npm") is None:
        pytest.skip(f"npm is not here: it is needed to install {NPM[name][0]}")
    folder = ROOT / ".cache" / "services" / NPM[name][0].replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            argv = [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                str(folder),
                *NPM[name],
            ]
            done = subprocess.run(argv, text=True, capture_output=True, check=False)
            if done.returncode:
                pytest.skip(f"cannot install {NPM[name][0]}: {done.stderr[-300:]}")
            (folder / "complete").touch()
    return folder / "node_modules"


def called(
    argv: t.Sequence[str | Path], home: Path, script: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A client in an environment of its own: no setting of the developer's reaches it, and it asks only loopback."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [str(part) for part in argv],
        env={**kept, "HOME": str(home), "DO_NOT_TRACK": "1", "NO_COLOR": "1", **environment},
        cwd=home,
        input=script,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def answer(done: subprocess.CompletedProcess[str]) -> t.Any:
    """The JSON that a client printed; its rejection of the stand-in fails the test with its own words."""
    assert done.returncode == 0, f"{done.args[:4]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return json.loads(done.stdout)


@dataclasses.dataclass
class Library:
    """A vendor's library in a process of its own, which takes one call a line."""

    process: subprocess.Popen[str]
    url: str
    token: str
    #: What every call has, unless it is given as None.
    common: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def tried(self, operation: str, **arguments: t.Any) -> t.Any:
        """The outcome of a call, whatever it is: `value`, or `error`, `status`, `body` and `message`."""
        assert self.process.stdin
        assert self.process.stdout
        sent = {name: value for name, value in {**self.common, **arguments}.items() if value is not None}
        self.process.stdin.write(json.dumps([self.url, self.token, operation, sent]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, operation: str, **arguments: t.Any) -> t.Any:
        """The value of a call. That the library rejects the answer fails the test with its own words."""
        outcome = self.tried(operation, **arguments)
        assert "error" not in outcome, f"the library rejected {operation}: {outcome}"
        return outcome["value"]


@contextlib.contextmanager
def loaded(*argv: str | Path) -> t.Iterator[subprocess.Popen[str]]:
    """The process of a library, which takes seconds to load: one for all tests of a file."""
    pipes: dict[str, t.Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [str(part) for part in argv]
    with subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, **pipes) as found:
        try:
            yield found
        finally:
            found.kill()
