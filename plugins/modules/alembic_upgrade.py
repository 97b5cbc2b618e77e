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
  - Looks at the SQL of the pending revisions first (O(lint)), with squawk on the controller and the live sizes of the
    tables, and runs nothing that would block or break what runs beside it.
  - One runner at a time on a database, by an advisory lock on a connection of its own; each statement under a
    O(lock_timeout), tried again when a table is busy; and the result is verified on a fresh connection, whatever
    Alembic said.
  - A run that was killed leaves nothing to clear away, the next one goes on where the database is. An invalid index
    that a killed C(CREATE INDEX CONCURRENTLY) left is dropped and built anew by the revision that makes it.
  - A run that lasts says every few seconds which revision it is at, and for how long it has run.
  - Never downgrades. A database that is ahead of the release is refused.
  - In check mode the pending revisions and their SQL are shown from a read-only connection; not even Alembic's own
    table is made. To render a revision its C(upgrade()) is called with a connection that only writes down.
requirements:
  - Alembic 1.13 or newer, SQLAlchemy 1.4 or newer and a PostgreSQL driver (psycopg, psycopg2 or asyncpg) in the
    environment of O(python), which is Python 3.9 or newer
  - PostgreSQL 12 or newer
  - squawk (C(pip install squawk-cli)) on the controller where O(lint) is not V(off)
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.alembic.limits
  - nexod.infra.alembic.audit
options:
  archive:
    description:
      - The release's archive on the controller, as for M(nexod.infra.release). Used in check mode only, to plan with
        the migrations of a release that is not on the host yet, in the environment of another one that is.
    type: path
  tree:
    description: The migrations of O(archive), given by the action plugin. Not for playbooks.
    type: str
  linted:
    description: The revisions that the action plugin has looked at. Not for playbooks.
    type: list
    elements: str
  progress_file:
    description: Where the action plugin reads how far the run is. Not for playbooks.
    type: path
  revision:
    description: V(head), V(heads), or the identifier of a revision of the release. Relative ones are refused.
    type: str
    default: head
  transaction:
    description:
      - V(as_env) leaves it to C(env.py) what is one transaction.
      - V(per_revision) commits after each revision, whatever C(env.py) says, so that no lock is held to the end and a
        failure undoes only the revision that failed.
    type: str
    choices: [as_env, per_revision]
    default: as_env
  lint:
    description:
      - V(error) refuses to run what would block or break what runs beside it, V(warn) only says so, V(off) does not
        look.
      - A finding about a table that is empty, is not there yet, or has fewer rows than O(small_table) is told, and
        stops nothing.
    type: str
    choices: [error, warn, "off"]
    default: error
  small_table:
    description: Number of rows below which a lock or a scan is no outage.
    type: int
    default: 10000
  lint_waivers:
    description: Findings that are accepted. One that meets no finding is named in RV(unused_waivers).
    type: list
    elements: dict
    default: []
    suboptions:
      rule:
        description: The rule, by squawk's name.
        type: str
        required: true
      revision:
        description: Identifier of the revision.
        type: str
        required: true
      reason:
        description: Why it does no harm here.
        type: str
        required: true
  allow_contract:
    description:
      - Whether to run revisions that take away what older code reads. A revision says so of itself by a docstring that
        begins with C(Contract:), or by C(contract = True) on module level.
      - Not asked for where nothing is there yet that anyone reads, which is so on an empty database and for empty
        tables.
    type: bool
    default: false
  rebuild_invalid_indexes:
    description: Whether to rebuild invalid indexes, with C(REINDEX INDEX CONCURRENTLY). They are always named.
    type: bool
    default: false
  check_drift:
    description: Whether to compare the schema with the models that C(env.py) names (C(target_metadata)).
    type: bool
    default: false
  metrics_file:
    description: File for the node exporter's text files collector, written after each run that was no check.
    type: path
"""

EXAMPLES = r"""
- name: Bring the schema to the release
  nexod.infra.alembic_upgrade:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"

- name: Bring it there where env.py reads the environment and its tree lies in a package
  nexod.infra.alembic_upgrade:
    python: /opt/api/1.1.0/bin/python
    config: nexod_api:alembic.ini
    archive: dist/api-1.1.0.tar
    url: "{{ migration_url }}"
    url_env: DATABASE_URL
    transaction: per_revision
    label: api 1.1.0
    lint_waivers:
      - rule: adding-foreign-key-constraint
        revision: "0013"
        reason: The table is written by one nightly job that does not run now.

- name: Take away what the release before last has read
  nexod.infra.alembic_upgrade:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    allow_contract: true
    audit_table: migration_audit
"""

RETURN = r"""
before:
  description: The heads that the database was at; none where it was empty.
  returned: when the database could be asked
  type: list
  elements: str
  sample: ["0008"]
after:
  description: The heads that it is at, read on a fresh connection; in check mode where it would be.
  returned: when the database could be asked
  type: list
  elements: str
  sample: ["0010"]
revision_before:
  description: As RV(before), several heads joined by commas.
  returned: when the database could be asked
  type: str
  sample: "0008"
revision_after:
  description: As RV(after), several heads joined by commas.
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
applied:
  description: The revisions that were recorded, with what they did.
  returned: when the database could be asked
  type: list
  elements: dict
  contains:
    revision:
      description: Its identifier.
      type: str
    doc:
      description: First line of its description.
      type: str
    ms:
      description: How long it took, with its commit where it has one of its own.
      type: int
    statements:
      description: The first 200 statements, each with C(sql) (without its values), C(ms) and C(rows).
      type: list
      elements: dict
    statements_total:
      description: How many there were.
      type: int
pending:
  description: The revisions that would run, and whether each is a contract.
  returned: in check mode
  type: list
  elements: dict
sql:
  description: The SQL of each revision that runs or would run, by its identifier.
  returned: in check mode and where O(lint) is not V(off)
  type: dict
not_rendered:
  description: Why the SQL of a revision can't be shown in full, by its identifier.
  returned: as RV(sql)
  type: dict
lint:
  description: What the lint found.
  returned: where O(lint) is not V(off)
  type: list
  elements: dict
  contains:
    rule:
      description: The rule, by squawk's name where it is squawk's.
      type: str
    revision:
      description: Identifier of the revision.
      type: str
    statement:
      description: The statement.
      type: str
    level:
      description: V(error) stops the run where O(lint=error), V(info) does not.
      type: str
    reason:
      description: What PostgreSQL does that blocks or breaks others.
      type: str
    weighed:
      description: Why it is only V(info), where it is.
      type: str
    table:
      description: The table.
      type: str
    rows:
      description: How many rows it has now, by the server's own estimate.
      type: int
    next_step:
      description: What to write instead.
      type: str
    waived:
      description: The reason of the waiver that accepts it.
      type: str
unused_waivers:
  description: Those of O(lint_waivers) that met no finding.
  returned: where O(lint) is not V(off)
  type: list
  elements: dict
retries:
  description: How often a revision was tried again.
  returned: when the database could be asked
  type: int
retried:
  description: Each try that failed, with RV(retried[].blockers).
  returned: when the database could be asked
  type: list
  elements: dict
  contains:
    revision:
      description: The revision.
      type: str
    sqlstate:
      description: PostgreSQL's code.
      type: str
    blockers:
      description: Who held the lock.
      type: list
      elements: dict
lock_wait_seconds:
  description: How long it waited for another runner.
  returned: when the database could be asked
  type: float
settings:
  description: What the server says is set on the connection that migrates.
  returned: when the database could be asked
  type: dict
  sample: {lock_timeout: "200", statement_timeout: "0", client_connection_check_interval: "1000"}
invalid_indexes:
  description: Indexes that no query uses, because building them was interrupted.
  returned: when the database could be asked
  type: list
  elements: str
indexes_rebuilt:
  description: Those that were dropped for a revision to make anew, or rebuilt.
  returned: when the database could be asked
  type: list
  elements: str
drift:
  description: What separates the schema from the models; None where C(env.py) names no models.
  returned: where O(check_drift=true)
  type: list
  elements: str
failure:
  description: C(revision), C(statement), C(sqlstate), C(blockers) (their C(pid), C(query), ...) and what to do C(next).
  returned: when a revision failed
  type: dict
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
blockers:
  description: Who held the lock that the statement waited for, by C(pg_blocking_pids).
  returned: when a revision failed
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import AUDIT, LIMITS, upgrade, wire

WAIVER = {name: {"type": "str", "required": True} for name in ("rule", "revision", "reason")}
ARGUMENTS = {
    **SHARED,
    **LIMITS,
    **AUDIT,
    "archive": {"type": "path"},
    "tree": {"type": "str"},
    "linted": {"type": "list", "elements": "str"},
    "progress_file": {"type": "path"},
    "revision": {"type": "str", "default": "head"},
    "transaction": {"type": "str", "choices": ["as_env", "per_revision"], "default": "as_env"},
    "lint": {"type": "str", "choices": ["error", "warn", "off"], "default": "error"},
    "small_table": {"type": "int", "default": 10000},
    "lint_waivers": {"type": "list", "elements": "dict", "options": WAIVER, "default": []},
    "allow_contract": {"type": "bool", "default": False},
    "rebuild_invalid_indexes": {"type": "bool", "default": False},
    "check_drift": {"type": "bool", "default": False},
    "metrics_file": {"type": "path"},
}


def main() -> None:
    wire(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), upgrade)


if __name__ == "__main__":
    main()
