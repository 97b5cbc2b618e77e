# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of what only the vendors know: the problems in an answer of service_resources or supabase_project.

Both were asked in check mode.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import Fault

#: Values of an account that a vendor may not know: what the problem's object and cause contain then, and the variable.
VARIABLES: t.Final = (
    (re.compile(r'the organization "|/api/0/organizations/.* HTTP 403'), "services_sentry_organization"),
    (re.compile(r'the team "'), "services_sentry_team"),
    (re.compile(r"sentry_integration/slack "), "services_sentry_slack.integration"),
    (re.compile(r"sentry_integration/pagerduty "), "services_sentry_pagerduty.integration"),
    (re.compile(r" of Vercel .*under scope"), "services_vercel_team"),
    (re.compile(r"^the issuer of Clerk's tokens "), "infra_clerk_issuer"),
)


def next_step_of(error: t.Mapping[str, t.Any]) -> str:
    """With the variable of the inventory, which the module does not know."""
    said = f"{error['object']} {error['cause']}"
    name = next((variable for pattern, variable in VARIABLES if pattern.search(said)), "")
    return f"{error['next_step']} The variable is {name}." if name else str(error["next_step"])


def judge_services(found: t.Mapping[str, t.Any]) -> list[Fault]:
    """Each refusal as a problem: of a resource, of an account, or of the declarations as a whole."""
    errors = found.get("problems") or ([found["error"]] if found.get("error") else [])
    return [
        Fault(str(one["object"]), f"can't be used: {str(one['cause']).rstrip('.')}", next_step_of(one))
        for one in errors
    ]
