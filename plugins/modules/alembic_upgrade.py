#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrade a database's schema with Alembic."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_upgrade
short_description: Upgrade a PostgreSQL schema with Alembic
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs an application's pending Alembic revisions with the application's own interpreter and its unmodified C(env.py),
    synchronous or asynchronous.
  - First checks the SQL of the pending revisions (O(lint)), with squawk on the controller and the current sizes of the
    tables, and refuses to run what would block or break running code.
  - Runs are serialised by an advisory lock on a connection of its own. Each statement runs under a O(lock_timeout) and
    is retried if a table is busy. The result is verified on a new connection, whatever Alembic reported.
  - After a run that was killed, nothing has to be cleaned up and the next run continues from where the database is. An
    invalid index that a killed C(CREATE INDEX CONCURRENTLY) left is dropped and built again by its revision.
  - A long run prints every few seconds which revision is running, and for how long the run has taken.
  - Never downgrades. A database that is ahead of the release is refused, see O(ahead).
  - In check mode the pending revisions and their SQL are shown, read from a read-only connection. Nothing is written,
    not even Alembic's own table.
  - To render a revision, its C(upgrade()) is called once, with a connection that only records the statements. That is
    so in check mode, and before a run unless O(lint=off). Connections to PostgreSQL that C(upgrade()) opens itself with
    libpq (psycopg, psycopg2) or asyncpg are read-only meanwhile, unless a pooler is between, or the connection sets
    C(options) itself. Whatever else C(upgrade()) does, such as writing a file or sending a request, it does then too.
    A revision can find out with C(op.get_context().as_sql) that it is being rendered.
requirements:
  - squawk (C(pip install squawk-cli)) on the controller, unless O(lint=off)
extends_documentation_fragment:
  - nexod.infra.alembic
  - nexod.infra.alembic.limits
  - nexod.infra.alembic.audit
  - nexod.infra.durations
  - nexod.infra.internal
options:
  archive:
    description:
      - The release's archive on the controller, as for M(nexod.infra.release). Used in check mode only, to plan with
        the migrations of a release that is not installed on the host yet, in the environment of another release.
    type: path
  revision:
    description:
      - V(head), V(heads), V(LABEL@head) for one branch, or the identifier of a revision of the release. Relative ones
        are refused.
    type: str
    default: head
  ahead:
    description:
      - What to do if the database is at a revision that the release does not know, because a newer release has migrated
        it. V(refuse) fails; V(accept) runs nothing, leaves the schema as it is and warns.
      - Accept it for a release that runs on this schema already, such as after a rollback.
    type: str
    choices: [refuse, accept]
    default: refuse
    version_added: "1.1.0"
  transaction:
    description:
      - V(as_env) keeps the transactions of C(env.py).
      - V(per_revision) commits after each revision, whatever C(env.py) does, so that locks are not held until the end
        and a failure only reverts the revision that failed.
    type: str
    choices: [as_env, per_revision]
    default: as_env
  lint:
    description:
      - V(error) refuses to run what would block or break running code, V(warn) only warns, V(off) does not check.
      - A finding about a table that is empty, does not exist yet, or has fewer rows than O(small_table) is reported but
        does not stop the run.
      - Tables are looked up as C(env.py) and the revisions see them, with their C(search_path) and
        C(schema_translate_map). If C(env.py) runs the revisions for one schema after another, the largest table of a
        name counts. A table without statistics is estimated by its size.
    type: str
    choices: [error, warn, "off"]
    default: error
  small_table:
    description: Number of rows below which a lock or a scan is no outage.
    type: int
    default: 10000
  lint_unknown:
    description:
      - What to do if the lint can't judge a part of a revision. That is SQL that could not be rendered because the
        revision reads first, and statements such as C(DO), whose effect can't be seen.
      - V(warn) warns, V(error) refuses to run the revision unless the finding is waived.
    type: str
    choices: [error, warn]
    default: warn
  rehearsal_url:
    description:
      - URL of a database on a server where the account may create databases, in the form of O(url). If set, the pending
        revisions are first run on a throw-away database there, in check mode and before a run unless O(lint=off).
      - The throw-away database gets the schema of the real one with C(pg_dump) of the host, if it is not older than the
        server, and otherwise by running the revisions from the first. It has no rows, and is dropped at the end.
        Nothing else is written, in check mode neither.
      - It shows the SQL of revisions that read first, and what would fail, such as a missing right or table, or an
        identifier that is too long. What depends on rows does not show. If the account is another one than in O(url),
        rights do not show either.
      - Whatever a revision does beside SQL, such as writing a file, it also does in the rehearsal. The same applies to
        connections that it opens itself, but these are read-only.
    type: str
  exposed_schemas:
    description:
      - Schemas that a public API serves, such as V(public) of a project of Supabase. A table in one of them without row
        level security, and with rights of the API's roles, is an error, as is an extension outside of the schema
        C(extensions).
    type: list
    elements: str
    default: []
  ignored_schemas:
    description: Schemas that are somebody else's, and whose tables are no drift.
    type: list
    elements: str
    default: []
  room_mb:
    description: Mebibytes that the database may still grow by. Revisions whose rewrites and new indexes would take more
      are refused. At least 0.
    type: int
  lint_waivers:
    description: Findings that are accepted. A waiver that matches no finding is reported in RV(unused_waivers).
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
        description: Why it is harmless here.
        type: str
        required: true
  allow_contract:
    description:
      - Whether to run revisions that remove what older code reads. A revision declares this with a docstring that
        begins with C(Contract:), or with C(contract = True) at module level.
      - Not required on an empty database and for empty tables, where nothing can be read yet.
    type: bool
    default: false
  contract_not_before:
    description:
      - Unix time before which such revisions are refused even with O(allow_contract=true). For a while after a release,
        pages of the front end before it are still open in browsers.
      - V(0) is no such time. At least 0.
    type: int
    default: 0
    version_added: "1.1.0"
  rebuild_invalid_indexes:
    description: Whether to rebuild invalid indexes, with C(REINDEX INDEX CONCURRENTLY). They are reported in any case.
    type: bool
    default: false
  check_drift:
    description: Whether to compare the schema with the models that C(env.py) names (C(target_metadata)).
    type: bool
    default: false
  metrics_file:
    description:
      - File for the node exporter's textfile collector, written after each run except in check mode. If it can't be
        written, a warning is issued.
    type: path
"""

EXAMPLES = r"""
- name: Upgrade the schema to the release
  nexod.infra.alembic_upgrade:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"

- name: Upgrade with an env.py that reads the environment, and migrations inside a package
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

- name: Remove what only the release before last has read
  nexod.infra.alembic_upgrade:
    chdir: /opt/api/current
    python: /opt/api/current/venv/bin/python
    url: "{{ migration_url }}"
    allow_contract: true
    audit_table: migration_audit

- name: Upgrade an application of Flask-Migrate
  nexod.infra.alembic_upgrade:
    chdir: /opt/shop/current
    python: /opt/shop/current/bin/python
    config: migrations/alembic.ini
    flask_app: shop:create_app()
    url: "{{ migration_url }}"
    url_env: DATABASE_URL
"""

RETURN = r"""
before:
  description: The database's heads before the run; empty if it was empty.
  returned: when the database could be reached
  type: list
  elements: str
  sample: ["0008"]
after:
  description: Its heads after the run, read on a new connection; in check mode, the expected ones.
  returned: when the database could be reached
  type: list
  elements: str
  sample: ["0010"]
revision_before:
  description: RV(before) as text, several heads joined by commas.
  returned: when the database could be reached
  type: str
  sample: "0008"
revision_after:
  description: RV(after) as text, several heads joined by commas.
  returned: when the database could be reached
  type: str
  sample: "0010"
migrations:
  description: The revisions that were applied, in order; in check mode the pending ones.
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
      description: How long it took, including its commit if it has its own. None in check mode.
      type: float
  sample: [{revision: "0009", doc: Add tasks.priority, seconds: 0.031}]
applied:
  description: The revisions that were applied, with their statements.
  returned: when the database could be reached
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
      description: How long it took, including its commit if it has its own.
      type: int
    statements:
      description: The first 200 statements, each with C(sql) (without its values), C(ms) and C(rows).
      type: list
      elements: dict
    statements_total:
      description: Number of all statements.
      type: int
pending:
  description: The revisions that would run, and whether each is a contract.
  returned: in check mode
  type: list
  elements: dict
sql:
  description: The SQL of each revision that runs or would run, by identifier.
  returned: in check mode, and unless O(lint=off)
  type: dict
not_rendered:
  description: Why the SQL of a revision is incomplete, by identifier.
  returned: as RV(sql)
  type: dict
lint:
  description: The lint's findings.
  returned: unless O(lint=off)
  type: list
  elements: dict
  contains:
    rule:
      description: The rule, by squawk's name if it is one of squawk's.
      type: str
    revision:
      description: Identifier of the revision.
      type: str
    statement:
      description: The statement.
      type: str
    level:
      description:
        - V(error) stops the run if O(lint=error), V(unknown) does if O(lint_unknown=error) too, V(info) does not.
      type: str
    reason:
      description: What PostgreSQL does that blocks or breaks others.
      type: str
    weighed:
      description: Why it is only V(info).
      type: str
    table:
      description: The table.
      type: str
    rows:
      description: The server's estimate of its number of rows.
      type: int
    next_step:
      description: What to write instead.
      type: str
    waived:
      description: The reason of the waiver that accepts it.
      type: str
rehearsal:
  description: What running the pending revisions on a throw-away database has shown.
  returned: if O(rehearsal_url) is set and revisions are pending, in check mode, and unless O(lint=off)
  type: dict
  contains:
    schema:
      description: V(copied) from the database, or V(replayed) from the first revision.
      type: str
    ran:
      description: The revisions that ran.
      type: list
      elements: str
    shown:
      description: Those whose SQL is taken from there, because it could not be rendered.
      type: list
      elements: str
    failed:
      description: The revision that failed, with C(sqlstate), C(detail) and C(statement).
      type: dict
    note:
      description: Why there was no rehearsal.
      type: str
unused_waivers:
  description: Entries of O(lint_waivers) that matched no finding.
  returned: unless O(lint=off)
  type: list
  elements: dict
contract:
  description:
    - Pending revisions that remove what older code reads, and that O(allow_contract) is needed for.
  returned: when the database could be reached
  type: list
  elements: str
ahead:
  description: Heads of the database that the release does not know, if O(ahead=accept).
  returned: when the database could be reached
  type: list
  elements: str
retries:
  description: How often a revision was retried.
  returned: when the database could be reached
  type: int
retried:
  description: Each try that failed.
  returned: when the database could be reached
  type: list
  elements: dict
  contains:
    revision:
      description: The revision.
      type: str
    sqlstate:
      description: PostgreSQL's error code.
      type: str
    blockers:
      description: The sessions that held the lock.
      type: list
      elements: dict
lock_wait_seconds:
  description: How long the run waited for another runner.
  returned: when the database could be reached
  type: float
settings:
  description: The settings of the migrating connection, as the server reports them.
  returned: when the database could be reached
  type: dict
  sample: {lock_timeout: "200", statement_timeout: "0", client_connection_check_interval: "1000"}
invalid_indexes:
  description: Indexes that no query uses because building them was interrupted.
  returned: when the database could be reached
  type: list
  elements: str
indexes_rebuilt:
  description: Indexes that were rebuilt, or dropped for a revision to build again.
  returned: when the database could be reached
  type: list
  elements: str
drift:
  description: Differences between the schema and the models; None if C(env.py) names no models.
  returned: if O(check_drift=true)
  type: list
  elements: str
failure:
  description:
    - C(revision), C(statement), C(sqlstate), C(blockers) (with C(pid), C(query), ...), and in C(next) what to do.
  returned: when a revision failed
  type: dict
failed_revision:
  description: The revision that failed.
  returned: when a revision failed
  type: str
sqlstate:
  description: PostgreSQL's error code.
  returned: when a statement failed
  type: str
statement:
  description: The statement that failed, without its values.
  returned: when a statement failed
  type: str
blockers:
  description: The sessions that held the lock that the statement waited for, from C(pg_blocking_pids).
  returned: when a revision failed
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._alembic.module import run_module
from ansible_collections.nexod.infra.plugins.module_utils._alembic.operations import upgrade
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ARGUMENTS as SHARED
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import AUDIT, INTERNAL, LIMITS

WAIVER = {name: {"type": "str", "required": True} for name in ("rule", "revision", "reason")}
ARGUMENTS = {
    **SHARED,
    **LIMITS,
    **AUDIT,
    **INTERNAL,
    "archive": {"type": "path"},
    "revision": {"type": "str", "default": "head"},
    "ahead": {"type": "str", "choices": ["refuse", "accept"], "default": "refuse"},
    "transaction": {"type": "str", "choices": ["as_env", "per_revision"], "default": "as_env"},
    "lint": {"type": "str", "choices": ["error", "warn", "off"], "default": "error"},
    "small_table": {"type": "int", "default": 10000},
    "lint_unknown": {"type": "str", "choices": ["error", "warn"], "default": "warn"},
    "rehearsal_url": {"type": "str", "no_log": True},
    "exposed_schemas": {"type": "list", "elements": "str", "default": []},
    "ignored_schemas": {"type": "list", "elements": "str", "default": []},
    "room_mb": {"type": "int"},
    "lint_waivers": {"type": "list", "elements": "dict", "options": WAIVER, "default": []},
    "allow_contract": {"type": "bool", "default": False},
    "contract_not_before": {"type": "int", "default": 0},
    "rebuild_invalid_indexes": {"type": "bool", "default": False},
    "check_drift": {"type": "bool", "default": False},
    "metrics_file": {"type": "path"},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), upgrade)


if __name__ == "__main__":
    main()
