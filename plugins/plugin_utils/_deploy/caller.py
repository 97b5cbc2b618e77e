# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who started this run, and as which job, as far as the controller knows. For action plugins."""

from __future__ import annotations

import getpass
import os
import typing as t

Variables = t.Mapping[str, t.Any]


def login() -> str:
    """The account on the controller."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An execution environment may run with a user ID that has no name.
        return f"user {os.getuid()}"


def user(variables: Variables, environment: t.Mapping[str, str] | None = None) -> str:
    """The user of AWX or GitHub Actions, AWX's schedule if no user started the job, or the account."""
    environment = os.environ if environment is None else environment
    # AWX sets each of its variables under two names; tower is the old one.
    if name := variables.get("awx_user_name") or variables.get("tower_user_name"):
        return str(name)
    if name := variables.get("awx_schedule_name") or variables.get("tower_schedule_name"):
        return f"schedule {name}"
    return environment.get("GITHUB_ACTOR") or login()


def job(variables: Variables, environment: t.Mapping[str, str]) -> str:
    """The job of AWX or the run of GitHub Actions; empty on a terminal."""
    if number := variables.get("awx_job_id") or variables.get("tower_job_id"):
        return str(number)
    # AWX also sets it in the environment. Others use JOB_ID too, so INVENTORY_ID must be set as well.
    if environment.get("JOB_ID") and environment.get("INVENTORY_ID"):
        return environment["JOB_ID"]
    return environment.get("GITHUB_RUN_ID", "")


def awx_job(variables: Variables, environment: t.Mapping[str, str]) -> str:
    """The job of AWX with its address, for who waits for it to end; empty elsewhere."""
    if not (variables.get("awx_job_id") or variables.get("tower_job_id") or environment.get("INVENTORY_ID")):
        return ""
    number, url = job(variables, environment), environment.get("AWX_HOST", "").rstrip("/")
    # AWX's setting of its own address begins as this one, which leads nowhere.
    known = url and url not in {"https://towerhost", "https://platformhost"}
    return f"AWX job {number}" + (f" ({url}/#/jobs/playbook/{number})" if known else "") if number else ""


def with_audit(
    arguments: dict[str, t.Any], variables: Variables, environment: t.Mapping[str, str] | None = None
) -> dict[str, t.Any]:
    """The arguments of a module with an audit table; who and job are filled in if not given."""
    if not arguments.get("audit_table"):
        return arguments
    environment = os.environ if environment is None else environment
    known = {"audit_who": user(variables, environment), "audit_job": job(variables, environment) or None}
    return {**arguments, **{name: value for name, value in known.items() if not arguments.get(name)}}
