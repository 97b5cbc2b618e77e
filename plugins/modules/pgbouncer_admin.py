#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pause, resume and otherwise control the databases of a PgBouncer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbouncer_admin
short_description: Pause, resume, disable or reconnect the databases of PgBouncer on all its processes
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Controls one database, or all, on every process of the PgBouncer on a host.
  - While a database is paused, clients wait and do not fail, and no connection to PostgreSQL is open.
  - A pause always ends. Before it begins, a timer of systemd is started on the host, which resumes the databases after
    O(seconds), even if the controller, the connection to the host or the module dies.
  - A database is paused on all processes or on none. If one of them cannot pause it, all are resumed.
  - In check mode, PgBouncer is asked, and nothing is changed.
options:
  state:
    description:
      - V(paused) waits until the running transactions have ended, for at most O(wait_seconds), and closes the
        connections to PostgreSQL. New queries wait. In session mode, it waits until clients disconnect.
      - V(resumed) lets clients go on and removes the timer.
      - V(disabled) refuses new clients, V(enabled) accepts them again. Connected clients are not affected.
      - Either this or O(command) is required.
    type: str
    choices: [paused, resumed, disabled, enabled]
  command:
    description:
      - V(reload) reads the configuration again. It applies to all databases.
      - V(reconnect) replaces the connections to PostgreSQL, each when its transaction has ended. After a migration,
        statements that clients have prepared before it are prepared again.
      - V(wait_close) waits until all connections that V(reconnect) replaces are closed, for at most O(wait_seconds).
      - V(kill) disconnects all clients and closes the connections to PostgreSQL at once. Clients can connect again
        immediately, unless the database was paused before.
    type: str
    choices: [reload, reconnect, wait_close, kill]
  database:
    description:
      - Name of a database in PgBouncer. By default all databases that PgBouncer shows.
      - A database of the wildcard C(*) can only be paused or disabled while every process has clients of it, because
        PgBouncer keeps no state for it otherwise. Declare the databases that are to be paused.
    type: str
  seconds:
    description:
      - Seconds after which the host resumes the databases by itself, counted from the start of the task.
        From 1 to 3600. Required for O(state=paused), where it must be greater than O(wait_seconds).
      - There is one timer for a PgBouncer. The task that ran last sets it for all databases that tasks have paused.
    type: int
  wait_seconds:
    description:
      - Seconds to wait for running transactions with O(state=paused), or for connections with O(command=wait_close).
        After that, the databases are resumed and the task fails with the clients that hold connections.
        From 1 to 3600.
    type: int
    default: 10
extends_documentation_fragment: [nexod.infra.pgbouncer]
notes:
  - PgBouncer disconnects clients that wait longer than its C(query_wait_timeout), during a pause too. The module warns
    if O(seconds) is greater.
  - O(state=resumed) without O(database) also ends a C(PAUSE) of all databases that was entered by hand. PgBouncer
    before 1.19 does not show such a pause, so check mode cannot predict this.
seealso:
  - module: nexod.infra.pgbouncer_info
"""

EXAMPLES = r"""
- name: Pause the application's database for at most 30 seconds
  nexod.infra.pgbouncer_admin:
    state: paused
    database: app
    seconds: 30
    wait_seconds: 5

- name: Resume it
  nexod.infra.pgbouncer_admin:
    state: resumed
    database: app

- name: Replace the connections to PostgreSQL after a change of the schema
  nexod.infra.pgbouncer_admin:
    command: reconnect
"""

RETURN = r"""
processes:
  description: What each process shows afterwards; in check mode, what it shows now.
  returned: success
  type: list
  elements: dict
  contains:
    socket:
      description: Path of its Unix socket.
      type: str
    version:
      description: Version of PgBouncer.
      type: str
    databases:
      description: For each database, whether it is C(paused) and C(disabled).
      type: dict
  sample:
    - socket: /run/pgbouncer/1/.s.PGSQL.6432
      version: 1.24.1
      databases: {app: {disabled: false, paused: true}}
commands:
  description: Commands that were sent to PgBouncer, or would be sent.
  returned: success
  type: list
  elements: str
  sample: ['/run/pgbouncer/1/.s.PGSQL.6432: PAUSE "app"']
ended_early:
  description:
    - For O(state=resumed), the databases that a task had paused and that were no longer paused, because the timer had
      resumed them or PgBouncer was restarted.
  returned: success
  type: list
  elements: str
clients:
  description: Clients that hold connections.
  returned: if they did not release them within O(wait_seconds)
  type: list
  elements: str
  sample: ["app@10.0.0.5:41234 in app (api, process 4711 of PostgreSQL)"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.admin import Asked, Pooler, apply
from ansible_collections.nexod.infra.plugins.module_utils._pgbouncer.plan import diff_of

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "state": {"type": "str", "choices": ["paused", "resumed", "disabled", "enabled"]},
    "command": {"type": "str", "choices": ["reload", "reconnect", "wait_close", "kill"]},
    "database": {"type": "str"},
    "seconds": {"type": "int"},
    "wait_seconds": {"type": "int", "default": 10},
    "socket_dir": {"type": "path", "default": "/run/pgbouncer"},
    "port": {"type": "int", "default": 6432},
}
RULES: dict[str, t.Any] = {
    "required_one_of": [("state", "command")],
    "mutually_exclusive": [("state", "command")],
    "required_if": [("state", "paused", ("seconds",))],
}
RANGES = {"seconds": (1, 3600), "wait_seconds": (1, 3600), "port": (1, 65535)}


def asked_for(given: dict[str, t.Any]) -> Asked:
    """What the options ask for. Raises InfraError for what makes no sense."""
    check_ranges(given, RANGES)
    asked = Asked(
        given["state"] or given["command"], given["database"] or None, given["seconds"] or 0, given["wait_seconds"]
    )
    if asked.what == "paused" and asked.wait_seconds >= asked.seconds:
        cause = f"wait_seconds is {asked.wait_seconds}, and the pause ends after {asked.seconds} seconds"
        raise InfraError(asked.action, asked.object, cause, "Set `wait_seconds` to less than `seconds`.")
    if asked.what == "reload" and asked.database:
        cause = "PgBouncer reloads its whole configuration"
        raise InfraError(asked.action, asked.object, cause, "Omit `database`.")
    return asked


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    given = module.params
    with edge(module, "control PgBouncer at", given["socket_dir"]):
        asked = asked_for(given)
        outcome, processes = apply(Pooler(given["socket_dir"], given["port"]), asked, check=module.check_mode)
        if outcome.ended_early:
            module.warn(f"The pause had ended before this task: {', '.join(outcome.ended_early)} was already resumed.")
        for text in outcome.warnings:
            module.warn(text)
        module.exit_json(
            changed=outcome.changed,
            processes=[one.report() for one in processes],
            commands=[f"{step.socket}: {command}" for step in outcome.steps for command in step.commands],
            ended_early=outcome.ended_early,
            diff=diff_of(asked.what, outcome.steps) if outcome.changed else {},
        )


if __name__ == "__main__":
    main()
