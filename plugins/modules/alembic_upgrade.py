#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a database's schema to a revision with Alembic."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_upgrade
short_description: Bring a PostgreSQL schema to a revision with Alembic
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs the pending Alembic revisions of an application with the application's own interpreter and its unmodified
    C(env.py), synchronous or asynchronous.
  - One runner at a time on a database, by an advisory lock on a connection of its own; each revision under a
    C(lock_timeout), tried again when a table is busy; and the result is verified on a fresh connection, whatever
    Alembic said.
  - A run that was killed leaves nothing to clear away, the next one goes on where the database is. An invalid index
    that a killed C(CREATE INDEX CONCURRENTLY) left is dropped and built anew.
  - Never downgrades. A database that is ahead of the release is refused.
  - In check mode the pending revisions are listed on a read-only connection; not even Alembic's own table is made.
requirements:
  - Alembic 1.8 or newer, SQLAlchemy 1.4 or newer and a PostgreSQL driver in the environment of O(python)
  - PostgreSQL 12 or newer, on a direct connection
options:
  python:
    description: Path of the interpreter in the application's virtual environment.
    type: path
    required: true
  config:
    description:
      - The application's C(alembic.ini), as a path, or as V(package:alembic.ini) inside a package of O(python).
    type: str
    required: true
  archive:
    description:
      - The release's archive on the controller, as for M(nexod.infra.release). Used in check mode only, to plan with
        the migrations of a release that is not on the host yet, in the environment of another one that is.
    type: path
  tree:
    description: The migrations of O(archive), given by the action plugin. Not for playbooks.
    type: str
  chdir:
    description: Folder to run in. Default is the one that holds O(config).
    type: path
  database:
    description: Where the schema is. The database's own address, not that of a pooler in transaction mode.
    type: dict
    required: true
    suboptions:
      host:
        description: Address of the primary.
        type: str
        required: true
      port:
        description: Its TCP port.
        type: int
        default: 5432
      name:
        description: Name of the database.
        type: str
        required: true
      user:
        description: Account that owns the schema.
        type: str
        required: true
      password:
        description: Its password. It goes to the application in the environment only.
        type: str
      sslmode:
        description: How much TLS to ask for, in libpq's words.
        type: str
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
        default: prefer
  driver:
    description: SQLAlchemy's name of the driver that the application brings.
    type: str
    choices: [psycopg, psycopg2, asyncpg]
    default: psycopg
  url_variable:
    description: Environment variable that C(env.py) takes the database's URL from.
    type: str
    default: DATABASE_URL
  revision:
    description: V(head), V(heads), or the identifier of a revision of the release. Relative ones are refused.
    type: str
    default: head
  label:
    description: Said to other runners that wait, in C(pg_stat_activity), for example the release's version.
    type: str
    default: ""
  lock_wait:
    description: Seconds to wait for another runner to end.
    type: int
    default: 60
  lock_timeout:
    description:
      - Milliseconds that a statement waits for a table. All other readers of the table queue behind it for so long,
        so keep it short. V(0) is no limit. Does not apply to C(CONCURRENTLY) statements, which stand in nobody's way.
    type: int
    default: 200
  lock_retries:
    description: How often to try again, about 0.5 seconds apart, when a table stayed busy and nothing was committed.
    type: int
    default: 60
  statement_timeout:
    description: Milliseconds that one statement may take; V(0) is no limit. Not applied to C(CONCURRENTLY) statements.
    type: int
    default: 0
  timeout:
    description: Seconds that the whole run may take.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Bring the schema to the release
  nexod.infra.alembic_upgrade:
    python: /opt/api/1.1.0/bin/python
    config: nexod_api:alembic.ini
    archive: dist/api-1.1.0.tar
    database:
      host: 10.213.77.11
      name: app
      user: app_owner
      password: "{{ infra_database_owner_password }}"
    label: release 1.1.0
"""

RETURN = r"""
revision_before:
  description: Where the database was; several heads joined by commas, empty where it had none.
  returned: when the database could be asked
  type: str
  sample: "0008"
revision_after:
  description: Where the database is, read on a fresh connection; in check mode where it would be.
  returned: when the database could be asked
  type: str
  sample: "0010"
migrations:
  description: The revisions that were recorded, in order; in check mode those that are pending.
  returned: always
  type: list
  elements: dict
  contains:
    revision:
      description: Its identifier.
      type: str
    doc:
      description: First line of its description.
      type: str
    seconds:
      description: How long it took, with its commit where it has one of its own. None in check mode.
      type: float
  sample: [{revision: "0009", doc: Add tasks.priority, seconds: 0.031}]
failed_revision:
  description: The revision that failed.
  returned: when a revision failed
  type: str
sqlstate:
  description: PostgreSQL's code of the failure.
  returned: when a statement failed
  type: str
statement:
  description: The statement that failed, without its values.
  returned: when a statement failed
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic import as_diff, upgrade
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError

DATABASE = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "name": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "sslmode": {
        "type": "str",
        "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        "default": "prefer",
    },
}
ARGUMENTS = {
    "python": {"type": "path", "required": True},
    "config": {"type": "str", "required": True},
    "archive": {"type": "path"},
    "tree": {"type": "str"},
    "chdir": {"type": "path"},
    "database": {"type": "dict", "required": True, "options": DATABASE},
    "driver": {"type": "str", "choices": ["psycopg", "psycopg2", "asyncpg"], "default": "psycopg"},
    "url_variable": {"type": "str", "default": "DATABASE_URL"},
    "revision": {"type": "str", "default": "head"},
    "label": {"type": "str", "default": ""},
    "lock_wait": {"type": "int", "default": 60},
    "lock_timeout": {"type": "int", "default": 200},
    "lock_retries": {"type": "int", "default": 60},
    "statement_timeout": {"type": "int", "default": 0},
    "timeout": {"type": "int", "default": 3600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = upgrade(module.params, check=module.check_mode)
    except InfraError as error:
        module.fail_json(**error.report())
    for warning in result.warnings:
        module.warn(warning)
    seen = {"revision_before": ", ".join(result.before), "revision_after": ", ".join(result.after)}
    module.exit_json(
        # What cannot be seen yet (check mode before the release is there) is not said to be done.
        changed=bool(result.migrations) or not result.looked,
        migrations=list(result.migrations),
        diff=as_diff(result, module.params["database"]),
        **(seen if result.looked else {}),
    )


if __name__ == "__main__":
    main()
