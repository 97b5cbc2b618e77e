# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules ``alembic_*`` do around their one operation."""

from __future__ import annotations

import tempfile
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import Outcome, as_diff, with_sql
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import SHORTEST_SECRET, read_url, secrets_of
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import as_infra_error
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


def register_secrets(module: t.Any) -> None:
    """Hide every form of the password in the module's output, but not the short values of `environment`.

    All of `environment` is no_log, so that it stays out of the journal; but hiding "1" or "prod" wherever they occur
    would hide half of the result.
    """
    short = {str(value) for value in (module.params["environment"] or {}).values() if len(str(value)) < SHORTEST_SECRET}
    module.no_log_values -= short
    for url in filter(None, (module.params["url"], module.params.get("rehearsal_url"))):
        module.no_log_values |= {text for text in secrets_of(url) if len(text) >= SHORTEST_SECRET}


def run_module(module: t.Any, operation: t.Callable[..., Outcome]) -> None:
    """Run `operation` and exit with its result."""
    try:
        register_secrets(module)
        result = operation(module.params, check=module.check_mode)
    except (InfraError, OSError) as error:
        fail(module, error)
        return
    for warning in result.warnings:
        module.warn(warning)
    heads = {"revision_before": ", ".join(result.before), "revision_after": ", ".join(result.after)}
    database = read_url(module.params["url"])
    module.exit_json(
        changed=result.changed,
        migrations=list(result.migrations),
        diff=with_sql(as_diff(result, database), result.facts),
        **({**heads, **result.facts} if result.inspected else {}),
    )


def fail(module: t.Any, error: InfraError | OSError) -> None:
    """Exit with the fault, and with what the run reported before it."""
    if isinstance(error, OSError):
        # Of a scratch file, as of the helper or its answers: the database's own faults are none of these.
        error = as_infra_error(error, "run Alembic for", "the database", tempfile.gettempdir())
    report = error.report()
    for warning in t.cast("list[str]", report.pop("warnings", None) or []):
        module.warn(warning)
    module.fail_json(**report)
