"""A host that vanishes without closing its connections, as one that lost its power or a database that failed over."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.nexod.infra.tests.lab.chaos import cut_off, until
from ansible_collections.nexod.infra.tests.lab.support import ROOT, get, on

pytestmark = pytest.mark.long

#: The inventory's pgbouncer_vanished_seconds is the role's own, 30; some more for a busy machine.
AWAITED = 90
QUERY = """
import sys, psycopg
password = sys.stdin.readline().strip()
where = {"host": "127.0.0.1", "port": 6432, "dbname": "app", "user": "monitor", "password": password}
with psycopg.connect(**where) as connection:
    connection.execute("SET LOCAL statement_timeout = 0")
    print("begun", flush=True)
    try:
        connection.execute("SELECT pg_sleep(900)")
    except psycopg.Error as error:
        print("ended:", error, flush=True)
"""


def test_a_query_whose_server_vanishes_ends(serving) -> None:
    """By the defaults of the system, it would hold its client and a connection of the pool for two hours."""
    argv = ["podman", "exec", "-i", "nexod-lab-pooler-1", "sh", "-c"]
    argv += ['exec "$(ls /opt/api/*/bin/python | head -n 1)" -c "$0"', QUERY]
    password = (ROOT / ".lab/secrets/database-monitor").read_text(encoding="utf-8").split()[0]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{password}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "begun\n"
            with cut_off("db-1")():
                said, _nothing = process.communicate(timeout=AWAITED)
            assert said.startswith("ended: ")
        finally:
            process.kill()
            on("pooler-1", "pkill -f pg_slee[p] || true")
    until("the API is ready", lambda: get("/ready")["status"] == "ready")
