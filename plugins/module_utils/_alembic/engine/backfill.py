# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of many rows for a revision: in batches, each in a transaction of its own, resumed where they were stopped.

::

    from nexod_backfill import in_batches

    def upgrade():
        in_batches(
            op, "users", "UPDATE users SET full_name = name WHERE id > :after AND id <= :until AND full_name IS NULL"
        )

The engine provides the module under that name. For ``alembic upgrade`` by hand, copy this file to ``nexod_backfill.py``
beside the application; it needs nothing but SQLAlchemy.
"""

from __future__ import annotations

import json
import random
import sys
import time
import typing as t

PROGRESS = "nexod_backfill"  # table with one row for each backfill that has not ended
RETRIED = ("55P03", "40P01")  # lock_not_available, deadlock_detected
LAG = "SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float FROM pg_stat_replication"


def report(done: int, of: int, table: str) -> None:
    """Replaced by the engine, which shows it with the run's progress."""
    sys.stderr.write(f"{table}: {done} of about {of} rows\n")


def in_batches(
    op: t.Any,
    table: str,
    statement: str,
    *,
    key: str = "id",
    batch: int = 1000,
    max_lag: float = 10.0,
    retries: int = 60,
    name: str = "",
) -> None:
    """Run `statement` for `batch` rows of `table` after the other, in the order of `key`.

    `statement` must be limited to the rows with `key` ``> :after`` and ``<= :until``. `key` is unique and not null, a
    number or text. Between batches the replicas may catch up to `max_lag` seconds (as far as the user can see them:
    pg_monitor). `name` tells two backfills of one table apart.
    """
    import sqlalchemy as sa  # noqa: PLC0415

    if ":after" not in statement or ":until" not in statement:
        raise ValueError(f"a backfill of {table} must be limited by :after and :until")
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(f"-- for each {batch} rows of {table}, in a transaction of its own:\n{statement};\n")
        return
    with context.autocommit_block():
        connection = op.get_bind()
        fill = _Backfill(sa, connection, table, key, name or f"{table} {statement}"[:500])
        rows = fill.expected()
        while fill.step(statement, batch, retries):
            report(fill.done, max(rows, fill.done), table)
            _wait_for_replicas(sa, connection, max_lag)
        fill.end()


class _Backfill:
    def __init__(self, sa: t.Any, connection: t.Any, table: str, key: str, name: str) -> None:
        self.sa, self.connection, self.table, self.key, self.name = sa, connection, table, key, name
        self.run(
            f"CREATE TABLE IF NOT EXISTS {PROGRESS} (name text PRIMARY KEY, last jsonb NOT NULL, done bigint NOT NULL)"
        )
        found = self.run(f"SELECT last::text, done FROM {PROGRESS} WHERE name = :name", name=name).fetchall()  # noqa: S608
        self.last = json.loads(found[0][0]) if found else None
        self.done = int(found[0][1]) if found else 0

    def run(self, sql: str, **values: t.Any) -> t.Any:
        return self.connection.execute(self.sa.text(sql), values)

    def expected(self) -> int:
        """The server's estimate."""
        found = self.run(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(:name)", name=self.table
        )
        return int((found.fetchall() or [[0]])[0][0])

    def step(self, statement: str, batch: int, retries: int) -> bool:
        """One batch; whether there was one."""
        after = self.last if self.last is not None else self._before_first()
        where = f"WHERE {self.key} > :after" if after is not None else ""
        values = {"after": after} if after is not None else {}
        until = self.run(
            f"SELECT max({self.key}), count(*) FROM (SELECT {self.key} FROM {self.table} {where} "  # noqa: S608
            f"ORDER BY {self.key} LIMIT {int(batch)}) AS part",
            **values,
        ).fetchall()[0]
        if not until[1]:
            return False
        for left in range(retries, -1, -1):
            try:
                self._transaction(statement, after, until[0], self.done + int(until[1]))
                break
            except Exception as error:
                self.run("ROLLBACK")
                original = getattr(error, "orig", None)
                state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
                if state not in RETRIED or not left:
                    raise
                time.sleep(random.uniform(0.3, 0.7))
        self.last, self.done = until[0], self.done + int(until[1])
        return True

    def _before_first(self) -> t.Any:
        """A value below all keys, so that the first batch has an `:after` as well; None if the table is empty."""
        first = self.run(f"SELECT min({self.key}) FROM {self.table}").fetchall()[0][0]  # noqa: S608
        return first if first is None else "" if isinstance(first, str) else first - 1

    def _transaction(self, statement: str, after: t.Any, until: t.Any, done: int) -> None:
        """The batch and how far it came are committed together: a killed run repeats none and leaves none out."""
        self.run("BEGIN")
        self.run(statement, after=after, until=until)
        self.run(
            f"INSERT INTO {PROGRESS} VALUES (:name, CAST(:last AS jsonb), :done) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET last = excluded.last, done = excluded.done",
            name=self.name,
            last=json.dumps(until),
            done=done,
        )
        self.run("COMMIT")

    def end(self) -> None:
        self.run(f"DELETE FROM {PROGRESS} WHERE name = :name", name=self.name)  # noqa: S608
        if not self.run(f"SELECT 1 FROM {PROGRESS} LIMIT 1").fetchall():  # noqa: S608
            self.run(f"DROP TABLE {PROGRESS}")


def _wait_for_replicas(sa: t.Any, connection: t.Any, max_lag: float) -> None:
    while float(connection.execute(sa.text(LAG)).fetchall()[0][0]) > max_lag:
        time.sleep(1)
