# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on the schema, from what the role migration_runner writes; silent where no host runs migrations."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, series

LABELS = {"database": "app", "instance": "runner-1"}
# At 10m the clock shows 600.
WELL = {"last_run_success": "1", "check_success": "1", "check_due_timestamp_seconds": "900"}


def cases(metric: str, broken: str) -> tuple[Case, ...]:
    """The metric when all is well, and when it is not."""
    name = series(f"nexod_alembic_{metric}", LABELS)
    return (
        Case("well", {name: f"{WELL.get(metric, '0')}x15"}, "10m"),
        Case(metric, {name: f"{broken}x15"}, "10m", (LABELS,), value=broken),
    )


ALERTS = (
    Alert(
        name="MigrationFailed",
        expression="nexod_alembic_last_run_success == 0",
        component="migrations",
        summary="The last migration of database {{ $labels.database }} failed",
        impact="The schema is at an older revision than the release expects, or between two.",
        look=("On {{ $labels.instance }}: migrate status",),
        fix=("On {{ $labels.instance }}: migrate up, which continues where it stopped",),
        cases=cases("last_run_success", "0"),
    ),
    Alert(
        name="MigrationCheckFailed",
        expression="nexod_alembic_check_success == 0",
        component="migrations",
        summary="The daily check could not read database {{ $labels.database }}",
        impact="Drift and invalid indexes are not noticed.",
        look=("On {{ $labels.instance }}: migrate check",),
        fix=("What the check reports as its cause, such as a password or an address.",),
        cases=cases("check_success", "0"),
    ),
    Alert(
        name="MigrationCheckOverdue",
        expression="time() > nexod_alembic_check_due_timestamp_seconds",
        component="migrations",
        summary="The daily check of database {{ $labels.database }} is overdue",
        impact="Drift and invalid indexes are not noticed.",
        look=("On {{ $labels.instance }}: systemctl list-timers '*-migrate-check.timer'",),
        fix=("On {{ $labels.instance }}: systemctl start the timer, then migrate check",),
        cases=cases("check_due_timestamp_seconds", "60"),
    ),
    Alert(
        name="InvalidIndex",
        expression="nexod_alembic_check_invalid_indexes > 0",
        component="migrations",
        summary="{{ $value }} indexes of database {{ $labels.database }} are invalid",
        impact="Every write maintains them, no query uses them.",
        look=("On {{ $labels.instance }}: migrate check",),
        fix=("REINDEX INDEX CONCURRENTLY name; or DROP INDEX CONCURRENTLY name;",),
        cases=cases("check_invalid_indexes", "2"),
    ),
    Alert(
        name="SchemaDrift",
        expression="nexod_alembic_check_drift_differences > 0",
        component="migrations",
        summary="Database {{ $labels.database }} differs from its models",
        impact="It was changed by hand, or a revision is missing: the next migration may fail.",
        look=("On {{ $labels.instance }}: migrate check",),
        fix=("Write a revision for the difference, or revert the change in the database.",),
        cases=cases("check_drift_differences", "1"),
    ),
)
