# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on the discovery of tasks of Amazon ECS; silent where there is none."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, series

DISCOVERY = {"job": "d"}
LAST_SUCCESS = series("ecs_discovery_last_success_time_seconds", DISCOVERY)

ALERTS = (
    Alert(
        name="TasksNotDiscovered",
        # 0 where it has never succeeded: as long ago as can be.
        expression="time() - ecs_discovery_last_success_time_seconds > 300",
        component="monitoring",
        summary="The tasks of ECS have not been listed for 5 minutes",
        impact="New tasks are not scraped, so their errors and latencies are unknown.",
        look=("journalctl -u ecs-discovery -n 50",),
        fix=(
            "Grant the host ecs:ListTasks and ecs:DescribeTasks, or let it connect to the API of ECS; see the journal.",
        ),
        cases=(
            # The series is the time of the last success, here in each minute.
            Case("has never succeeded", {LAST_SUCCESS: "0x20"}, "15m", (DISCOVERY,)),
            Case("goes on", {LAST_SUCCESS: "0+60x20"}, "15m"),
            Case("has stopped", {LAST_SUCCESS: "0+60x5 300x20"}, "15m", (DISCOVERY,)),
        ),
    ),
)
