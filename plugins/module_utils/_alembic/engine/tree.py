# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of a tree's revisions without any database, for a lint in CI.

env.py is not run: many connect whatever they are asked for.
"""

from __future__ import annotations

import typing as t

from .environment import Environment
from .errors import message_of
from .protocol import Fault
from .render import rendered
from .revisions import described


def steps(environment: Environment) -> list[t.Any]:
    """Alembic's steps from the revisions in `since`, or from nothing, to the target."""
    environment.check_target()
    script, request = environment.script, environment.request
    for revision in request.since:
        try:
            script.get_revision(revision)
        except Exception as error:
            raise Fault("unknown_revision", revision=revision, heads=sorted(script.get_heads())) from error
    try:
        return list(script._upgrade_revs(request.revision, tuple(request.since)))
    except Exception as error:
        raise Fault("config", path=environment.config.config_file_name, detail=message_of(error)) from error


def rendered_tree(environment: Environment) -> list[dict[str, t.Any]]:
    """Each revision with its SQL, and with the file that it is in."""
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    todo = steps(environment)
    with EnvironmentContext(environment.config, environment.script, as_sql=True) as outer:
        context = MigrationContext.configure(
            dialect_name="postgresql", environment_context=outer, opts={"as_sql": True, "target_metadata": None}
        )
        # Set on the object, where `from alembic import context` of a revision finds it.
        outer.get_context = lambda: environment.rendering or context
        return [
            {**described(step), "path": str(step.revision.path), **rendered(environment, context, step)}
            for step in todo
        ]
