"""A stand-in for a Supabase project's database: a real PostgreSQL 15 laid out as theirs, and both modes of its pooler.

At Supabase the pooler is Supavisor, which serves session mode at port 5432 and transaction mode at port 6543 of one
host. Here each mode is a PgBouncer at a port of its own, with the same name of the user: postgres.<ref>.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.tests.fixtures.services.supabase import REF

from .conftest import ROOT, Postgres, program, running_pgbouncer, running_postgres

LAYOUT = ROOT / "tests/fixtures/services/supabase.sql"


@dataclasses.dataclass(frozen=True)
class SupabaseDatabase:
    """`direct` is db.<ref>.supabase.co; the ports are the pooler's."""

    direct: Postgres
    session: int
    transaction: int
    ref: str = REF

    @property
    def pooler_user(self) -> str:
        return f"postgres.{self.ref}"

    def connect(self, port: int = 0, user: str = "postgres", database: str = "postgres") -> t.Any:
        """As `user` to the database itself, or as the pooler's user to one of its ports."""
        server = self.direct if not port else dataclasses.replace(self.direct, port=port)
        return server.connect(database, self.pooler_user if port else user)

    def as_it_was(self) -> None:
        """Without what a test has made in public and private, and with Supabase's rights for the API's roles."""
        listed = (
            "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in self.rows(listed):
            self.rows(f"DROP TABLE IF EXISTS {table} CASCADE")
        self.rows("DROP SCHEMA IF EXISTS private, nexod_infra CASCADE")
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            self.rows(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {kind} TO anon, authenticated")

    def rows(self, sql: str, user: str = "postgres") -> list[tuple[t.Any, ...]]:
        with contextlib.closing(self.connect(user=user)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


def lay_out(server: Postgres) -> None:
    """Supabase's roles, schemas and privileges in the database postgres of an empty cluster of supabase_admin."""
    psql = [program("psql", "postgresql-client"), "-X", "-q", "--single-transaction", "-f", "-"]
    psql += ["-h", server.host, "-p", str(server.port), "-U", "supabase_admin", "-d", "postgres"]
    # As an option of the command, the password would be in the list of processes.
    script = f"\\set password `printenv PGPASSWORD`\n\\i {LAYOUT}\nDROP ROLE owner;\n"
    environment = {**os.environ, "PGPASSWORD": server.password}
    done = subprocess.run(psql, input=script, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr


@contextlib.contextmanager
def running_supabase(folder: Path) -> t.Iterator[SupabaseDatabase]:
    """`folder` is one of the account postgres."""
    with running_postgres(folder, version="15", superuser="supabase_admin") as server:
        lay_out(server)
        password = server.password.replace("'", "''")
        target = f"host={server.host} port={server.port} user=postgres password='{password}'"
        users = {f"postgres.{REF}": server.password}
        with (
            running_pgbouncer(folder, target, users, "session") as session,
            running_pgbouncer(folder, target, users, "transaction") as transaction,
        ):
            yield SupabaseDatabase(server, session, transaction)
