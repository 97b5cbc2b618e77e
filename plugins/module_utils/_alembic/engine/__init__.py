# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Alembic inside the application's own interpreter, for the modules ``alembic_*``.

env.py is Alembic's interface (it may be asynchronous, print, or configure logging), so it must run where the
application runs. The module packs this folder into a zip file and starts that with the application's interpreter. So
nothing here may import Ansible or the rest of the collection, or need more than Python 3.9, and Alembic and SQLAlchemy
are imported inside functions only: Ansible's interpreter, which has neither, imports these files in order to pack them.

========== =============================================================
main       reads the request, runs the command, reports a fault
commands   upgrade, downgrade, stamp, info, from the plan to the verification
offline    what a revision connects to while its SQL is rendered
plan       which revisions are pending (with render, revisions, tables, drift)
runner     runs them, with retries
statements what is sent meanwhile; settings: limits and read-only mode
session    the engine's own connections (with blockers)
lock       one runner at a time; audit: who ran what; indexes: invalid ones
backfill   changes of many rows, for revisions (nexod_backfill)
environment env.py; configuration: what it is configured with; address: where a URL connects to
protocol   the request, the events, the fault
========== =============================================================
"""
