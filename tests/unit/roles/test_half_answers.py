"""Proofs that are scripts of roles: whatever the other side answers, they end with a sentence, never a traceback."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.tests.fixtures import hostile_answers

ROLES = pathlib.Path(__file__).parents[3] / "roles"


@pytest.mark.parametrize("name", [*hostile_answers.ANSWERS])
@pytest.mark.parametrize("script", ["grafana/files/prove.py", "exporters/files/prove_pgbouncer.py"])
def test_a_sentence_and_no_traceback(tmp_path: pathlib.Path, script: str, name: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin-password").write_text("p")
    with hostile_answers.server(name) as url, socket.create_server(("127.0.0.1", 0)) as pgbouncer:
        port = str(pgbouncer.getsockname()[1])
        arguments = (
            [url, "admin", str(tmp_path), "no-such-package"] if "grafana" in script else [url, "127.0.0.1", port]
        )
        done = subprocess.run(
            [sys.executable, str(ROLES / script), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert url.rstrip("/") in done.stderr
    assert "Traceback" not in done.stderr
