# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection that a revision finds with ``op.get_bind()`` while its SQL is rendered.

Alembic's own drops the parameters of a statement, so that ``LIMIT :batch`` becomes ``LIMIT NULL``, and returns None for
a result, so that a revision that reads rows ends with an AttributeError that says nothing.
"""

from __future__ import annotations

import contextlib
import typing as t

from .errors import message_of

SHOWN = 200  # characters of a statement
SHOWN_ROWS = 10  # of a statement with many rows of parameters


class DatabaseNeededError(AttributeError):
    """The revision does something that only a database can answer. An AttributeError, because ``hasattr`` may ask."""


class Rows:
    """The result of a statement that was not run: nothing can be read from it."""

    def __init__(self, statement: str) -> None:
        self._statement = statement

    def __getattr__(self, name: str) -> t.Any:
        if name == "close":
            return lambda: None
        raise DatabaseNeededError(f"it uses the result of a statement: {self._statement}")

    def __iter__(self) -> t.Iterator[t.Any]:
        raise DatabaseNeededError(f"it uses the result of a statement: {self._statement}")


class OfflineConnection:
    """Writes each statement, with its values, to where Alembic writes those of ``op``."""

    def __init__(self, context: t.Any) -> None:
        self._context = context
        self.dialect = context.dialect

    def execute(self, statement: t.Any, parameters: t.Any = None, **_options: t.Any) -> Rows:
        rows = parameters if isinstance(parameters, (list, tuple)) else [parameters]
        for row in rows[:SHOWN_ROWS]:
            self._context.impl._exec(bound(statement, row))
        if len(rows) > SHOWN_ROWS:
            self._context.impl.static_output(f"-- and {len(rows) - SHOWN_ROWS} more rows")
        return Rows(" ".join(str(statement).split())[:SHOWN])

    def exec_driver_sql(self, statement: str, _parameters: t.Any = None, **_options: t.Any) -> Rows:
        self._context.impl.static_output(statement.rstrip().rstrip(";") + ";\n")
        return Rows(" ".join(statement.split())[:SHOWN])

    def scalar(self, statement: t.Any, parameters: t.Any = None, **options: t.Any) -> t.Any:
        return self.execute(statement, parameters, **options).scalar()

    def scalars(self, statement: t.Any, parameters: t.Any = None, **options: t.Any) -> t.Any:
        return self.execute(statement, parameters, **options).scalars()

    def execution_options(self, **_options: t.Any) -> OfflineConnection:
        return self

    def in_transaction(self) -> bool:
        return True

    def begin(self) -> t.Any:
        return contextlib.nullcontext(self)

    begin_nested = begin

    def commit(self) -> None:
        pass

    def __getattr__(self, name: str) -> t.Any:
        raise DatabaseNeededError(f"it uses {name} of the connection, which only a database has")


def bound(statement: t.Any, row: t.Any) -> t.Any:
    """The statement with the values of `row` in it."""
    if not row or not isinstance(row, dict):
        return statement
    import sqlalchemy as sa  # noqa: PLC0415
    from sqlalchemy.sql import visitors  # noqa: PLC0415

    if hasattr(statement, "bindparams"):  # text()
        return statement.bindparams(**row)

    def value(name: str, kind: t.Any) -> t.Any:
        # Of sa.table("things", sa.column("id")) no type is known; then the value's own is taken.
        return sa.literal(row[name], None if isinstance(kind, sa.types.NullType) else kind)

    def replaced(element: t.Any, **_options: t.Any) -> t.Any:
        named = isinstance(element, sa.sql.elements.BindParameter) and element.key in row
        return value(element.key, element.type) if named else None

    columns: dict[str, t.Any] = {}
    if getattr(statement, "is_insert", False) or getattr(statement, "is_update", False):
        columns = {one.key: one.type for one in statement.table.columns if one.key in row}
    made = visitors.replacement_traverse(statement, {}, replaced)
    return made.values(**{name: value(name, kind) for name, kind in columns.items()}) if columns else made


def reason(error: BaseException) -> str:
    """Why a revision could not be rendered to its end."""
    if isinstance(error, DatabaseNeededError):
        return str(error)
    if type(error).__name__ == "NoInspectionAvailable":
        return "it inspects the schema, which needs the database"
    return message_of(error)
