"""Proofs that are scripts of roles: whatever the other side answers, they end with a sentence, never a traceback."""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import sys

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import shared_verifier
from ansible_collections.nexod.infra.tests.fixtures import hostile_answers

OLD, NEW = 'o"ld', 'n"ew'
ROLES = pathlib.Path(__file__).parents[3] / "roles"


@pytest.mark.parametrize("name", [*hostile_answers.ANSWERS])
@pytest.mark.parametrize("script", ["grafana/files/prove.py", "exporters/files/prove_pgbouncer.py"])
def test_a_sentence_and_no_traceback(tmp_path: pathlib.Path, script: str, name: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin-password").write_text("p")
    with hostile_answers.server(name) as url, socket.create_server(("127.0.0.1", 0)) as pgbouncer:
        port = str(pgbouncer.getsockname()[1])
        settings = {"url": url, "user": "admin", "refused": str(tmp_path / "refused"), "account": None}
        (tmp_path / "settle.json").write_text(json.dumps(settings))
        arguments = [str(tmp_path), "no-such-package"] if "grafana" in script else [url, "127.0.0.1", port]
        done = subprocess.run(
            [sys.executable, str(ROLES / script), *arguments], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert url.rstrip("/") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("userlist", "passes"),
    [
        pytest.param('"monitor" "o""ld"\n"app" "x"\n', True, id="the pooler gets the new password afterwards"),
        pytest.param('"app" "x"\n', True, id="the pooler gets the account afterwards"),
        pytest.param('"app" "x"\n"monitor" "n""ew"\n', False, id="it has it"),
        pytest.param(f'"monitor" "{shared_verifier("monitor", OLD)}"\n', True, id="a verifier of the former password"),
        pytest.param(f'"monitor" "{shared_verifier("monitor", NEW)}"\n', False, id="its verifier"),
        pytest.param(None, False, id="no list here"),
    ],
)
def test_the_exporter_of_pgbouncer_may_be_ahead_of_it(
    tmp_path: pathlib.Path, userlist: str | None, passes: bool
) -> None:
    """Monitoring is deployed before the pooler: with a new password of the monitoring account, the deploy failed."""
    (tmp_path / "password").write_text(NEW)
    if userlist is not None:
        (tmp_path / "userlist").write_text(userlist)
    account = ["monitor", str(tmp_path / "password"), str(tmp_path / "userlist")]
    with socket.create_server(("127.0.0.1", 0)) as pgbouncer, socket.create_server(("127.0.0.1", 0)) as gone:
        port, url = str(pgbouncer.getsockname()[1]), f"http://127.0.0.1:{gone.getsockname()[1]}/metrics"
        gone.close()
        script = str(ROLES / "exporters/files/prove_pgbouncer.py")
        argv = [sys.executable, script, url, "127.0.0.1", port, *account]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) is passes, done.stderr
