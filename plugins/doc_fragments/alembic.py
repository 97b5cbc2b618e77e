# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules alembic_* ask for in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  chdir:
    description: Folder to run in, as C(env.py) is meant to be. Default is the one that holds O(config).
    type: path
  python:
    description: Path of the interpreter in the application's virtual environment.
    type: path
    required: true
  config:
    description:
      - The application's C(alembic.ini), as a path (relative to O(chdir)), or as V(package:alembic.ini) inside a
        package of O(python).
    type: str
    default: alembic.ini
  name:
    description: Section of O(config), as of Alembic's option C(-n).
    type: str
    default: alembic
  x_args:
    description: What C(env.py) reads with C(context.get_x_argument()), as of Alembic's option C(-x).
    type: dict
    default: {}
  url:
    description:
      - The database's URL as SQLAlchemy reads it, with special characters as V(%XX). Secret, it goes to the application
        in the environment only.
      - The address of the database itself. Behind a pooler that shares sessions by transaction see O(via_pooler).
    type: str
    required: true
  url_option:
    description: Option of the section that C(env.py) reads the URL from.
    type: str
    default: sqlalchemy.url
  url_env:
    description: Environment variable that C(env.py) reads the URL from. It is set beside O(url_option).
    type: str
  environment:
    description: Further variables that C(env.py) wants. None of them is shown.
    type: dict
    default: {}
  user:
    description:
      - Account of the host that the application's code runs as; the one that runs the module where not given.
      - In check mode one that is not there yet is passed over.
    type: str
  label:
    description: Said to other runners that wait, in C(pg_stat_activity), for example the release's version.
    type: str
    default: ""
  via_pooler:
    description:
      - Whether to run through a pooler that shares sessions by transaction. The lock between runners is then held in an
        open transaction of its own, and each transaction gets its limits anew.
      - With asyncpg from 0.31 on. It prepares nothing then, whatever C(env.py) says of that.
      - Without it such a pooler is recognised and refused.
    type: bool
    default: false
  timeout:
    description: How long the whole run may take, as V(1h).
    type: str
    default: 1h
notes:
  - Whatever is only shown is read from a read-only connection. What an C(env.py) runs before its migrations and only
    makes, grants or comments (C(CREATE SCHEMA IF NOT EXISTS), C(CREATE EXTENSION), C(GRANT), a wider C(version_num)) is
    left out there and named in a warning in check mode; it runs together with the revisions, and not at all where none
    is pending. An C(env.py) that writes anything else first cannot be planned and is refused in check mode.
"""

    LIMITS = r"""
options:
  lock_timeout:
    description:
      - How long a statement waits for a table, as V(200ms). All other readers of the table queue behind it for so long,
        so keep it short. V(0) is no limit. Does not apply to C(CONCURRENTLY) statements, which stand in nobody's way.
    type: str
    default: 200ms
  statement_timeout:
    description: How long one statement may take; V(0) is no limit. Not applied to C(CONCURRENTLY) statements.
    type: str
    default: "0"
  runner_lock_wait:
    description: How long to wait for another runner to end.
    type: str
    default: 60s
  lock_retries:
    description: How often to try again, about 0.5 seconds apart, when a table stayed busy and nothing was committed.
    type: int
    default: 60
"""

    AUDIT = r"""
options:
  audit_table:
    description:
      - Table that gets one row for each revision that ran; made where it is missing. V(TABLE) or V(SCHEMA.TABLE).
      - Its columns are C(at), C(who), C(job), C(release) (O(label)), C(direction), C(revision), C(ms), C(outcome).
    type: str
  audit_who:
    description:
      - Who runs this, for O(audit_table).
      - Default is whom AWX names (its schedule, where nobody began the job) or GitHub Actions (E(GITHUB_ACTOR)), else
        the login name on the controller.
    type: str
  audit_job:
    description:
      - Which job this is, for O(audit_table).
      - Default is AWX's job, or the run of GitHub Actions (E(GITHUB_RUN_ID)).
    type: str
"""
