# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules alembic_* have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - Alembic 1.13 or newer (tested with 1.13 to 1.20), SQLAlchemy 1.4 or newer and a PostgreSQL driver (psycopg, psycopg2
    or asyncpg) in the environment of O(python), which is Python 3.9 or newer
  - PostgreSQL 12 or newer
options:
  chdir:
    description: Folder to run C(env.py) in. Defaults to the folder of O(config).
    type: path
  python:
    description: Path of the interpreter in the application's virtual environment.
    type: path
    required: true
  config:
    description:
      - The application's C(alembic.ini), as a path (relative to O(chdir)), or as V(package:alembic.ini) inside a
        package that O(python) can import.
      - With Alembic 1.16 or newer it may be C(pyproject.toml). One beside C(alembic.ini) is read as well, and one alone
        is found by itself.
    type: str
    default: alembic.ini
  name:
    description: Section of O(config), like Alembic's option C(-n).
    type: str
    default: alembic
  x_args:
    description: Arguments that C(env.py) reads with C(context.get_x_argument()), like Alembic's option C(-x).
    type: dict
    default: {}
  url:
    description:
      - The database's URL as SQLAlchemy reads it, with special characters written as V(%XX). It is secret and passed to
        the application in the environment only.
      - Host, port, user and database may stand in its query instead, such as V(?host=/run/postgresql) for a socket or
        V(?host=HOST1:5432&host=HOST2:5432) for several hosts, but not in two places. A URL that can be read in
        two ways, as with a raw V(@) in the password, is refused.
      - Use the database's direct address. For a transaction-mode pooler, see O(via_pooler).
    type: str
    required: true
  url_option:
    description: Option in the section that C(env.py) reads the URL from.
    type: str
    default: sqlalchemy.url
  url_env:
    description: Environment variable that C(env.py) reads the URL from. It is set in addition to O(url_option).
    type: str
  flask_app:
    description:
      - The application of Flask in whose context C(env.py) runs, as E(FLASK_APP) names it for C(flask db upgrade), such
        as V(shop:create_app()). For Flask-Migrate.
      - O(config) is then C(migrations/alembic.ini), and O(chdir) defaults to the folder above that of O(config). The
        application must read its URL from O(url_env).
    type: str
    version_added: "1.1.0"
  pass_connection:
    description: Whether to open the connection and pass it to C(env.py) in C(config.attributes["connection"]).
    type: bool
    default: false
    version_added: "1.1.0"
  environment:
    description: Further environment variables for C(env.py). Their values are hidden in all output.
    type: dict
    default: {}
  user:
    description:
      - Account of the host that the application's code runs as. Defaults to the account that runs the module.
      - In check mode, an account that does not exist yet is ignored.
    type: str
  label:
    description: Shown in C(pg_stat_activity) to identify this run to other runners, for example the release's version.
    type: str
    default: ""
  via_pooler:
    description:
      - Whether to run through a transaction-mode pooler. The lock between runners is then held in an open transaction
        of its own, and the limits are set again in each transaction.
      - asyncpg must be 0.31 or newer. Prepared statements are then disabled, overriding C(env.py).
      - If V(false), a transaction-mode pooler is detected and the run is refused.
    type: bool
    default: false
  timeout:
    description: How long the whole run may take, as a duration.
    type: str
    default: 1h
notes:
  - Planning reads from a read-only connection. Statements that C(env.py) runs before its migrations and that only
    create, grant or comment (C(CREATE SCHEMA IF NOT EXISTS), C(CREATE EXTENSION), C(GRANT), a wider C(version_num)) are
    skipped there, and reported as a warning in check mode. They run together with the revisions, and not at all if none
    is pending. An C(env.py) that writes anything else first can't be planned and is refused in check mode.
  - The engine uses a few functions of Alembic's that Alembic does not document. They are looked for before anything
    runs, and a release of Alembic that lacks one is refused with its version.
"""

    LIMITS = r"""
options:
  lock_timeout:
    description:
      - How long a statement waits for a lock on a table, as a duration. All other queries on the table queue behind it
        for that long, so keep it short. V(0) is no limit. For C(CONCURRENTLY) statements, see
        O(concurrent_lock_timeout).
      - An C(env.py) or a revision that sets another one is overridden before the next revision, with a warning.
      - A number without a unit is seconds, not milliseconds as in PostgreSQL's own setting of this name.
    type: str
    default: 200ms
  concurrent_lock_timeout:
    description:
      - How long a C(CONCURRENTLY) statement waits for one other transaction, as a duration, such as for an idle session
        that can still see the old state. Nobody queues behind it meanwhile. V(0) is no limit.
      - After that the run fails and names the session. Such a statement is not retried, because it would begin anew.
    type: str
    default: 5min
    version_added: "1.1.0"
  statement_timeout:
    description:
      - How long one statement may take, as a duration. V(0) is no limit. It does not apply to C(CONCURRENTLY)
        statements.
    type: str
    default: "0"
  runner_lock_wait:
    description: How long to wait for another runner on the same database, as a duration.
    type: str
    default: 60s
  lock_retries:
    description: How often to retry, about 0.5 seconds apart, if a table stayed locked and nothing was committed.
    type: int
    default: 60
"""

    AUDIT = r"""
options:
  audit_table:
    description:
      - Table that gets one row for each revision that ran, as V(TABLE) or V(SCHEMA.TABLE). It is created if it is
        missing. If it can't be written, no revision is run.
      - Its columns are C(at), C(who), C(job), C(release) (O(label)), C(direction), C(revision), C(ms), C(outcome).
    type: str
  audit_who:
    description:
      - Who runs this, for O(audit_table).
      - Defaults to the user that AWX names (its schedule, if no user started the job) or GitHub Actions
        (E(GITHUB_ACTOR)), otherwise to the login name on the controller.
    type: str
  audit_job:
    description:
      - Which job this is, for O(audit_table).
      - Defaults to AWX's job, or to the run of GitHub Actions (E(GITHUB_RUN_ID)).
    type: str
"""
