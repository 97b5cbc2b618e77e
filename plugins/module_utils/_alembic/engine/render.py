# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of a revision that has not run yet."""

from __future__ import annotations

import io
import re
import typing as t

from .environment import Environment
from .offline import OfflineConnection, reason


def rendered(environment: Environment, context: t.Any, step: t.Any) -> dict[str, t.Any]:
    """`sql`, and in `not_rendered` why it is incomplete: a revision that reads data can't run offline.

    Each revision is rendered by itself, so that the others are still shown.
    """
    import alembic.op  # noqa: PLC0415
    from alembic.operations import Operations  # noqa: PLC0415

    why = None
    offline, buffer = offline_for(environment, context)
    outer = getattr(alembic.op, "_proxy", None)
    Operations(offline)._install_proxy()
    environment.rendering = offline
    try:
        step.migration_fn(**environment.arguments)
    except (Exception, SystemExit) as error:
        why = reason(error)
        environment.offline = None  # it may have been left in the middle of an autocommit block
    finally:
        environment.rendering = None
        if outer is not None:
            outer._install_proxy()
    text = f"BEGIN;\n\n{buffer.getvalue()}COMMIT;\n"
    return {"sql": re.sub(r"BEGIN;\s*COMMIT;\s*", "", text), "not_rendered": why}


def offline_for(environment: Environment, context: t.Any) -> tuple[t.Any, io.StringIO]:
    """A context that writes SQL to the buffer, which is emptied. Making one costs more than rendering a revision."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    if environment.offline is not None and environment.offline[0] is context:
        _context, offline, buffer = environment.offline
        buffer.seek(0)
        buffer.truncate()
        return offline, buffer
    buffer = io.StringIO()
    offline = MigrationContext.configure(
        # Not the driver's dialect, which would double each `%`.
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        environment_context=context.environment_context,
        opts={**context.opts, "as_sql": True, "output_buffer": buffer, "literal_binds": True},
    )
    offline.dialect.server_version_info = getattr(context.dialect, "server_version_info", None)
    offline.connection = offline.impl.connection = OfflineConnection(offline)
    environment.offline = (context, offline, buffer)
    return offline, buffer
