# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of preflight on who may read and steer the monitoring."""

from __future__ import annotations

import base64
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Inputs
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.rules import (
    RULES,
    accounts_at_vendors,
    issuer_of_clerk,
    monitoring_access,
    secrets_are_one_line,
    sentry_project_is_declared,
    values_at_vendors,
    values_of_firewall,
)

WHOLE = {"ca": "-----BEGIN", "certificate": "-----BEGIN", "key": "-----BEGIN"}
GROUPS = {"api": ["api-1", "api-2"], "monitoring": ["monitoring-1"]}


#: What is checked before it is promoted.
DEPLOYMENT: dict[str, t.Any] = {
    "services_vercel_project": {"name": "app", "protection": "preview"},
    "services_vercel_commit": "1" * 40,
    "services_vercel_check_paths": ["/"],
}
VARIABLES = [{"key": name.upper(), "value_from": name} for name in "ab"] + [{"key": "C", "value": "c"}]


def inputs(**values: t.Any) -> Inputs:
    """Of one environment with the same values on all hosts."""
    hosts = [CONTROLLER, "api-1", "api-2", "monitoring-1"]
    return Inputs("lab", "hosts", {}, GROUPS, {}, {(host, name): one for host in hosts for name, one in values.items()})


def test_the_rules_run() -> None:
    assert {
        accounts_at_vendors,
        issuer_of_clerk,
        monitoring_access,
        sentry_project_is_declared,
        values_of_firewall,
    } <= set(RULES)


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({}, {}),
        ({"services_vercel_project": {}, "services_clerk_origins": [], "services_sentry_projects": []}, {}),
        (
            {"services_vercel_project": {"name": "app"}},
            {"services_vercel_token": "is empty, and services_vercel_project is declared"},
        ),
        ({"services_vercel_project": {"name": "app"}, "services_vercel_token": "canary"}, {}),
        (
            {"services_sentry_projects": [{"name": "api"}], "services_sentry_token": "canary"},
            dict.fromkeys(
                ("services_sentry_organization", "services_sentry_team"),
                "is empty, and services_sentry_projects is declared",
            ),
        ),
        (
            {"services_clerk_jwt_templates": [{"name": "api"}]},
            {"services_clerk_token": "is empty, and services_clerk_jwt_templates is declared"},
        ),
        ({"services_clerk_jwt_templates": [{"name": "api"}], "services_vendors": ["sentry", "vercel"]}, {}),
        ({"services_vercel_project": {"name": "app"}, "services_vendors": []}, {}),
    ],
)
def test_a_vendor_that_can_t_be_asked(given: dict[str, t.Any], lacks: dict[str, str]) -> None:
    assert {fault.subject: fault.cause for fault in accounts_at_vendors(inputs(**given))} == lacks


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({}, []),
        ({"services_sentry_slack": {}, "services_sentry_pagerduty": {"integration": "x", "target": "1"}}, []),
        ({"services_sentry_slack": {"integration": "x", "target": ""}}, ["services_sentry_slack.target"]),
        ({"services_sentry_slack": {"integration": "x", "target": ""}, "services_vendors": ["clerk"]}, []),
        ({"services_secrets": {"a": "", "b": "x"}, "services_vercel_variables": VARIABLES}, ["services_secrets.a"]),
        ({"services_secrets": {"c": ""}, "services_vercel_variables": VARIABLES}, []),
        ({"services_secrets": {"a": ""}, "services_vercel_variables": VARIABLES, "services_vendors": ["sentry"]}, []),
        ({**DEPLOYMENT, "services_vercel_targets": ["preview"]}, ["services_vercel_bypass"]),
        ({**DEPLOYMENT, "services_vercel_targets": ["preview"], "services_vendors": []}, []),
        ({**DEPLOYMENT, "services_vercel_targets": ["preview"], "services_vercel_bypass": "canary"}, []),
        ({**DEPLOYMENT, "services_vercel_targets": ["preview"], "services_vercel_commit": ""}, []),
        ({**DEPLOYMENT, "services_vercel_targets": ["preview"], "services_vercel_check_paths": []}, []),
        # Those of production are protected by other settings only.
        ({**DEPLOYMENT, "services_vercel_targets": ["production"]}, []),
        ({**DEPLOYMENT, "services_vercel_project": {"name": "app", "protection": "all"}}, ["services_vercel_bypass"]),
        ({"infra_clerk_issuer": "", "infra_clerk_webhook_secrets": []}, []),
        ({"infra_clerk_issuer": "https://c", "infra_clerk_webhook_secrets": []}, ["infra_clerk_webhook_secrets"]),
        ({"infra_clerk_issuer": "https://c", "infra_clerk_webhook_secrets": ["whsec_canary"]}, []),
    ],
)
def test_parts_of_declarations_that_are_empty(given: dict[str, t.Any], lacks: list[str]) -> None:
    found = values_at_vendors(inputs(**given))
    assert [fault.subject for fault in found] == lacks
    assert "canary" not in str(found)


def publishable(host: str, end: str = "$") -> list[dict[str, str]]:
    value = "pk_live_" + base64.b64encode(f"{host}{end}".encode()).decode()
    return [{"key": "OTHER", "value": "x"}, {"key": "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "value": value}]


@pytest.mark.parametrize(
    ("issuer", "given", "cause"),
    [
        (None, {"services_clerk_origins": ["https://a"]}, ""),
        ("", {}, ""),
        ("", {"services_clerk_origins": ["https://a"]}, "is empty, and services_clerk_origins is declared"),
        ("", {"services_clerk_origins": ["https://a"], "services_vendors": ["sentry"]}, ""),
        ("", {"services_clerk_origins": ["https://a"], "services_clerk_url": "http://127.0.0.1:5560"}, ""),
        ("https://clerk.example.com", {}, ""),
        ("https://able-otter-1.clerk.accounts.dev", {}, ""),
        ("http://127.0.0.1:5560", {}, ""),
        ("https://clerk.example.com/", {}, "is 'https://clerk.example.com/', which is not https:// and a host alone"),
        ("https://clerk.example.com/v1", {}, "which is not https:// and a host alone"),
        ("clerk.example.com", {}, "which is not https:// and a host alone"),
        ("http://clerk.example.com", {}, "which is not https:// and a host alone"),
        ("http://127.0.0.1.example.com", {}, "which is not https:// and a host alone"),
        ("https://clerk.a", {"services_vercel_variables": publishable("clerk.a")}, ""),
        # A key that has been cut off is no key; what it would be of is unknown.
        ("https://clerk.a", {"services_vercel_variables": publishable("clerk.b", end="")}, ""),
        (
            "https://clerk.a",
            {"services_vercel_variables": publishable("clerk.b")},
            "is https://clerk.a, and the publishable key in NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY is of https://clerk.b",
        ),
        ("https://clerk.a", {"services_vercel_variables": publishable("clerk.b"), "services_vendors": ["vercel"]}, ""),
    ],
)
def test_an_issuer_that_is_missing_or_can_t_be_clerk_s(issuer: t.Any, given: dict[str, t.Any], cause: str) -> None:
    found = issuer_of_clerk(inputs(infra_clerk_issuer=issuer, **given))
    assert [fault.subject for fault in found] == ["infra_clerk_issuer"] * bool(cause)
    assert all(cause in fault.cause and "Frontend API URL" in fault.next_step for fault in found)


@pytest.mark.parametrize(
    ("project", "projects", "causes"),
    [
        ("", [], []),
        (None, [{"name": "api"}], []),
        ("api", [{"name": "web"}, {"name": "api"}], []),
        # Of the wrong type: that is reported by itself.
        ("api", None, []),
        ("api", [], ["is api, which is not in services_sentry_projects (empty)"]),
        ("apo", [{"name": "web"}, {"name": "api"}], ["is apo, which is not in services_sentry_projects (api, web)"]),
    ],
)
def test_a_project_of_sentry_that_is_not_declared(project: t.Any, projects: t.Any, causes: list[str]) -> None:
    found = sentry_project_is_declared(inputs(infra_sentry_project=project, services_sentry_projects=projects))
    assert [fault.cause for fault in found] == causes


@pytest.mark.parametrize(
    ("password", "faulty"),
    [
        ("", False),
        (None, False),
        ("eleven-byte", True),
        ("twelve-bytes", False),
        ("x" * 72, False),
        # The longest that bcrypt reads.
        ("x" * 73, True),
        ("é" * 37, True),
    ],
)
def test_a_password_that_the_services_refuse(password: str | None, faulty: bool) -> None:
    found = monitoring_access(inputs(infra_monitoring_password=password))
    assert [fault.subject for fault in found] == ["infra_monitoring_password"] * faulty
    assert not any(password and password in str(fault) for fault in found)


def test_a_password_with_a_line_break() -> None:
    found = secrets_are_one_line(inputs(infra_monitoring_password="long-enough-password\n"))
    assert [fault.subject for fault in found] == ["infra_monitoring_password"]


@pytest.mark.parametrize(
    ("tls", "lacks"),
    [
        ({}, ""),
        (None, ""),
        (WHOLE, ""),
        ({**WHOLE, "ca": ""}, "ca"),
        ({"ca": "-----BEGIN"}, "certificate, key"),
    ],
)
def test_certificates_are_given_whole_or_not_at_all(tls: t.Any, lacks: str) -> None:
    found = monitoring_access(inputs(infra_monitoring_tls=tls))
    assert [fault.cause for fault in found] == [f"lacks {lacks}"] * (3 if lacks else 0)


@pytest.mark.parametrize(
    ("state", "source", "faults"),
    [
        ("present", "192.0.2.5", 0),
        ("present", "monitoring-1.example.com", 3),
        # What is not used is not looked at.
        ("", "monitoring-1.example.com", 0),
        ("absent", "monitoring-1.example.com", 0),
    ],
)
def test_a_firewall_needs_addresses(state: str, source: str, faults: int) -> None:
    rules = [{"name": "exporters", "ports": [9100], "sources": [source]}]
    found = values_of_firewall(inputs(infra_monitoring_firewall=state, firewall_rules=rules))
    assert [source in fault.cause for fault in found] == [True] * faults
    assert all(fault.next_step.startswith("Give an address") for fault in found)
