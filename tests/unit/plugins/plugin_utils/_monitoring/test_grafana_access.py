# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in to Grafana, and how it sends e-mail: sections of grafana.ini, and contradictions."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana_access as access

CREDENTIALS = "/run/credentials/g.service"
SECRET = "canary-77ab01"
GITHUB = {"provider": "github", "client_id": "id", "client_secret": SECRET, "allowed_organizations": ["nexod", "ops"]}
GENERIC = {
    "provider": "generic_oauth",
    "client_id": "id",
    "client_secret": SECRET,
    "auth_url": "https://id/auth",
    "token_url": "https://id/token",
    "api_url": "https://id/userinfo",
}
MAIL = {"grafana_smtp_host": "mail.example.com", "grafana_smtp_from_address": "grafana@example.com"}


def given(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "grafana_external_url": "https://grafana.example.com",
        "grafana_ini": {},
        "grafana_login_form": True,
        "grafana_anonymous_access": False,
        "grafana_oauth": [],
        "grafana_smtp_host": "",
        "grafana_smtp_port": 587,
        "grafana_smtp_user": "",
        "grafana_smtp_password": False,
        "grafana_smtp_from_address": "",
        "grafana_smtp_from_name": "Grafana",
        "grafana_smtp_starttls": "mandatory",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "section", "settings"),
    [
        pytest.param({}, "auth.anonymous", {"enabled": False, "org_role": "Viewer"}, id="nobody without a login"),
        pytest.param({}, "auth.basic", {"enabled": True}, id="the role's own way in"),
        pytest.param({}, "auth", {"disable_login_form": False}, id="the login form"),
        pytest.param({"grafana_login_form": "false"}, "auth", {"disable_login_form": True}, id="a boolean as text"),
        pytest.param({}, "security", {"cookie_secure": True}, id="TLS in front"),
        pytest.param({"grafana_external_url": "http://h:3000"}, "security", None, id="no TLS"),
        pytest.param({"grafana_external_url": ""}, "security", None, id="no URL"),
        pytest.param({}, "smtp", None, id="no e-mail"),
        pytest.param(
            {"grafana_oauth": [GITHUB]},
            "auth.github",
            {
                "enabled": True,
                "client_id": "id",
                "client_secret": "$__file{/run/credentials/g.service/oauth-github}",
                "allowed_organizations": "nexod ops",
                "allow_sign_up": False,
                "auto_login": False,
                "role_attribute_strict": False,
            },
            id="GitHub",
        ),
        pytest.param(
            {"grafana_oauth": [{**GENERIC, "scopes": ["openid", "email"], "use_pkce": "true", "auto_login": True}]},
            "auth.generic_oauth",
            {
                "enabled": True,
                "client_id": "id",
                "client_secret": "$__file{/run/credentials/g.service/oauth-generic_oauth}",
                "auth_url": "https://id/auth",
                "token_url": "https://id/token",
                "api_url": "https://id/userinfo",
                "scopes": "openid email",
                "allow_sign_up": False,
                "auto_login": True,
                "role_attribute_strict": False,
                "use_pkce": True,
            },
            id="any other provider",
        ),
        pytest.param(
            MAIL,
            "smtp",
            {
                "enabled": True,
                "host": "mail.example.com:587",
                "from_address": "grafana@example.com",
                "from_name": "Grafana",
                "startTLS_policy": "MandatoryStartTLS",
            },
            id="e-mail",
        ),
        pytest.param(
            {**MAIL, "grafana_smtp_host": "2001:db8::25", "grafana_smtp_port": "465", "grafana_smtp_user": "g"},
            "smtp",
            {
                "enabled": True,
                "host": "[2001:db8::25]:465",
                "from_address": "grafana@example.com",
                "from_name": "Grafana",
                "startTLS_policy": "MandatoryStartTLS",
                "user": "g",
                "password": "$__file{/run/credentials/g.service/smtp-password}",
            },
            id="e-mail with a password",
        ),
    ],
)
def test_sections(changes: dict[str, t.Any], section: str, settings: dict[str, t.Any] | None) -> None:
    found = access.sections(given(**changes), CREDENTIALS)
    assert found.get(section) == settings
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="the least"),
        pytest.param({"grafana_oauth": [GITHUB, GENERIC], "grafana_login_form": False}, id="two providers, no form"),
        pytest.param({"grafana_oauth": [{**GITHUB, "allow_sign_up": True}]}, id="sign-up for members"),
        pytest.param(
            {
                "grafana_oauth": [
                    {**GENERIC, "allow_sign_up": True, "role_attribute_path": "r", "role_attribute_strict": True}
                ]
            },
            id="sign-up for those with a role",
        ),
        pytest.param({**MAIL, "grafana_smtp_user": "g", "grafana_smtp_password": True}, id="e-mail"),
        pytest.param({**MAIL, "grafana_smtp_starttls": "none"}, id="e-mail in plain text without a password"),
        pytest.param(
            {"grafana_ini": {"smtp": {"enabled": True}, "auth.azuread": {"enabled": True}}}, id="by grafana_ini"
        ),
        pytest.param(
            {"grafana_oauth": [GITHUB], "grafana_ini": {"auth.github": {"skip_org_role_sync": True}}},
            id="more settings",
        ),
    ],
)
def test_no_faults(changes: dict[str, t.Any]) -> None:
    assert access.faults(given(**changes)) == []


def github(**changes: t.Any) -> dict[str, t.Any]:
    return {"grafana_oauth": [{**GITHUB, **changes}]}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"grafana_login_form": False}, "leaves no way to log in", id="no form and no provider"),
        pytest.param(github(provider="gitlab"), "must be one of generic_oauth", id="another provider"),
        pytest.param(github(client_secret=""), "github has no client_secret", id="no secret"),
        pytest.param({"grafana_oauth": [GITHUB, GITHUB]}, "github occurs more than once", id="twice"),
        pytest.param({**github(), "grafana_external_url": ""}, "needs grafana_external_url", id="no way home"),
        pytest.param({"grafana_oauth": [{**GENERIC, "api_url": ""}]}, "generic_oauth has no api_url", id="no URL"),
        pytest.param(github(auth_url="http://gh"), "auth_url must be an https URL", id="plain HTTP"),
        pytest.param(github(allowed_groups=["g"]), "does not know allowed_groups", id="ignored by the provider"),
        pytest.param(
            {"grafana_oauth": [{**GITHUB, "provider": "google"}]},
            "google does not know allowed_organizations",
            id="a limit that Google does not have",
        ),
        pytest.param(
            github(allow_sign_up=True, allowed_organizations=[]), "lets everybody with an account", id="open to all"
        ),
        pytest.param(
            github(allow_sign_up=True, allowed_organizations=[], role_attribute_path="r"),
            "lets everybody with an account",
            id="a role without strictness lets in as well",
        ),
        pytest.param(github(role_attribute_strict=True), "needs role_attribute_path", id="strict without a path"),
        pytest.param(
            {"grafana_oauth": [{**GITHUB, "auto_login": True}, {**GENERIC, "auto_login": "yes"}]},
            "only one provider can have auto_login",
            id="two that skip the login page",
        ),
        pytest.param({"grafana_smtp_user": "g"}, "grafana_smtp_user needs grafana_smtp_host", id="no mail server"),
        pytest.param({"grafana_smtp_host": "m"}, "give grafana_smtp_from_address", id="no sender"),
        pytest.param({**MAIL, "grafana_smtp_user": "g"}, "or neither", id="no password"),
        pytest.param(
            {**MAIL, "grafana_smtp_user": "g", "grafana_smtp_password": True, "grafana_smtp_starttls": "none"},
            "in plain text",
            id="a password in plain text",
        ),
        pytest.param(
            {**MAIL, "grafana_ini": {"smtp": {"host": "o"}}}, "smtp.host is set by grafana_smtp_host", id="smtp"
        ),
        pytest.param(
            {**github(), "grafana_ini": {"auth.github": {"client_id": "o"}}},
            "auth.github.client_id is set by grafana_oauth",
            id="a provider twice",
        ),
        pytest.param(
            {"grafana_ini": {"auth.anonymous": {"enabled": True}}},
            "auth.anonymous.enabled is set by grafana_anonymous_access",
            id="anonymous",
        ),
        pytest.param({"grafana_ini": {"auth.basic": {"enabled": False}}}, "auth.basic.enabled is fixed", id="basic"),
        pytest.param(
            {"grafana_external_url": "http://h", "grafana_ini": {"security": {"cookie_secure": "true"}}},
            "no login would last",
            id="a secure cookie over plain HTTP",
        ),
    ],
)
def test_faults(changes: dict[str, t.Any], fault: str) -> None:
    found = access.faults(given(**changes))
    assert any(fault in text for text in found), found
    assert SECRET not in str(found)
