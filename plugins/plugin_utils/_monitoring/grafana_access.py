# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may log in to Grafana, and how it sends e-mail: typed options as sections of grafana.ini, and their faults.

Secrets are not passed here: grafana.ini refers to files that only the service can read.
"""

from __future__ import annotations

import typing as t
import urllib.parse

Options = t.Mapping[str, t.Any]
Sections = dict[str, dict[str, t.Any]]

#: How a connection to the mail server is encrypted, by Grafana's names. Grafana's own default sends in plain text to a
#: server, or to whoever poses as one, that does not offer STARTTLS.
STARTTLS = {"mandatory": "MandatoryStartTLS", "opportunistic": "OpportunisticStartTLS", "none": "NoStartTLS"}
#: With this port the connection is encrypted from its beginning.
SMTPS = 465
#: Options of a provider that limit who may log in.
LIMITS = ("allowed_domains", "allowed_organizations", "allowed_groups", "team_ids")
#: Options that a provider's section does not have, or that Grafana would ignore in it.
UNKNOWN = {
    "google": ("allowed_organizations", "team_ids"),
    "github": ("allowed_groups",),
    "generic_oauth": (),
}
LISTS = ("scopes", *LIMITS)
COPIED = ("name", "client_id", "auth_url", "token_url", "api_url", "role_attribute_path")
SWITCHES = ("allow_sign_up", "auto_login", "role_attribute_strict")


def sections(given: Options, credentials: str) -> Sections:
    """The sections of grafana.ini; `credentials` is the folder of the files with the secrets."""
    found: Sections = {
        "auth": {"disable_login_form": not _bool(given["grafana_login_form"])},
        # The role itself logs in to the API with a password.
        "auth.basic": {"enabled": True},
        "auth.anonymous": {"enabled": _bool(given["grafana_anonymous_access"]), "org_role": "Viewer"},
    }
    if urllib.parse.urlsplit(str(given["grafana_external_url"])).scheme == "https":
        found["security"] = {"cookie_secure": True}
    for row in given["grafana_oauth"]:
        found[f"auth.{row['provider']}"] = _provider(row, credentials)
    if given["grafana_smtp_host"]:
        found["smtp"] = _smtp(given, credentials)
    return found


def _provider(row: Options, credentials: str) -> dict[str, t.Any]:
    settings: dict[str, t.Any] = {"enabled": True}
    settings |= {key: row[key] for key in COPIED if row.get(key)}
    settings["client_secret"] = f"$__file{{{credentials}/{secret_name(row['provider'])}}}"
    # Grafana reads words that are separated by spaces in all versions.
    settings |= {key: " ".join(str(item) for item in row[key]) for key in LISTS if row.get(key)}
    settings |= {key: _bool(row.get(key)) for key in SWITCHES}
    if row.get("use_pkce") is not None:
        settings["use_pkce"] = _bool(row["use_pkce"])
    return settings


def secret_name(provider: str) -> str:
    """The file with the secret of a provider."""
    return f"oauth-{provider}"


def _smtp(given: Options, credentials: str) -> dict[str, t.Any]:
    host = str(given["grafana_smtp_host"])
    settings = {
        "enabled": True,
        "host": f"{f'[{host}]' if ':' in host else host}:{given['grafana_smtp_port']}",
        "from_address": given["grafana_smtp_from_address"],
        "from_name": given["grafana_smtp_from_name"],
        "startTLS_policy": STARTTLS[given["grafana_smtp_starttls"]],
    }
    if given["grafana_smtp_user"]:
        settings |= {"user": given["grafana_smtp_user"], "password": f"$__file{{{credentials}/smtp-password}}"}
    return settings


def faults(given: Options) -> list[str]:
    """What contradicts itself. Of a password and a client's secret only whether it is given is passed."""
    return [*_login_faults(given), *_oauth_faults(given), *_smtp_faults(given), *_ini_faults(given)]


def _login_faults(given: Options) -> list[str]:
    found = []
    if not _bool(given["grafana_login_form"]) and not given["grafana_oauth"]:
        found.append("grafana_login_form=false leaves no way to log in: give grafana_oauth")
    security = given["grafana_ini"].get("security")
    cookie_secure = security.get("cookie_secure") if isinstance(security, t.Mapping) else None
    if _bool(cookie_secure) and str(given["grafana_external_url"]).startswith("http://"):
        found.append(
            "grafana_ini: security.cookie_secure contradicts grafana_external_url: browsers would not send the cookie "
            "to http://, and no login would last"
        )
    return found


def _oauth_faults(given: Options) -> list[str]:
    rows = given["grafana_oauth"]
    found = [fault for row in rows for fault in _provider_faults(row)]
    providers = [str(row.get("provider")) for row in rows]
    found += [
        f"grafana_oauth: {name} occurs more than once"
        for name in sorted({n for n in providers if providers.count(n) > 1})
    ]
    if rows and not given["grafana_external_url"]:
        found.append("grafana_oauth needs grafana_external_url: providers return users to that address")
    if sum(_bool(row.get("auto_login")) for row in rows) > 1:
        found.append("grafana_oauth: only one provider can have auto_login")
    return found


def _provider_faults(row: Options) -> list[str]:
    provider = str(row.get("provider"))
    name = f"grafana_oauth: {provider}"
    if provider not in UNKNOWN:
        return [f"{name} must be one of {', '.join(sorted(UNKNOWN))}"]
    found = [f"{name} has no {key}" for key in ("client_id", "client_secret") if not row.get(key)]
    urls = ("auth_url", "token_url", "api_url")
    if provider == "generic_oauth":
        found += [f"{name} has no {key}" for key in urls if not row.get(key)]
    found += [
        f"{name}: {key} must be an https URL, as a secret is sent to it or a user logs in there"
        for key in urls
        if row.get(key) and not str(row[key]).startswith("https://")
    ]
    found += [f"{name} does not know {key}" for key in UNKNOWN[provider] if row.get(key)]
    limited = any(row.get(key) for key in LIMITS) or (
        _bool(row.get("role_attribute_strict")) and row.get("role_attribute_path")
    )
    if _bool(row.get("allow_sign_up")) and not limited:
        limits = [key for key in LIMITS if key not in UNKNOWN[provider]]
        found.append(
            f"{name}: allow_sign_up lets everybody with an account there in: give one of {', '.join(limits)}, or "
            "role_attribute_path with role_attribute_strict"
        )
    if _bool(row.get("role_attribute_strict")) and not row.get("role_attribute_path"):
        found.append(f"{name}: role_attribute_strict needs role_attribute_path, or it refuses everybody")
    return found


def _smtp_faults(given: Options) -> list[str]:
    others = ("grafana_smtp_user", "grafana_smtp_password", "grafana_smtp_from_address")
    if not given["grafana_smtp_host"]:
        return [f"{name} needs grafana_smtp_host" for name in others if given[name]]
    found = []
    if "@" not in str(given["grafana_smtp_from_address"]):
        found.append("give grafana_smtp_from_address, the address that e-mail is sent from")
    if bool(given["grafana_smtp_user"]) != bool(given["grafana_smtp_password"]):
        found.append("give grafana_smtp_user and grafana_smtp_password, or neither")
    plain = given["grafana_smtp_starttls"] == "none" and str(given["grafana_smtp_port"]) != str(SMTPS)
    if plain and given["grafana_smtp_user"]:
        found.append("grafana_smtp_starttls=none would send grafana_smtp_password in plain text")
    return found


def _ini_faults(given: Options) -> list[str]:
    """Settings that both an option and grafana_ini decide about."""
    found = []
    owners = {"auth": "grafana_login_form", "auth.anonymous": "grafana_anonymous_access", "smtp": "grafana_smtp_host"}
    owners |= {f"auth.{name}": "grafana_oauth" for name in UNKNOWN}
    fixed = {"auth": ("disable_login_form",), "auth.anonymous": ("enabled",)}
    in_use = {f"auth.{row.get('provider')}" for row in given["grafana_oauth"]}
    in_use |= {"smtp"} if given["grafana_smtp_host"] else set()
    for section, settings in given["grafana_ini"].items():
        if not isinstance(settings, t.Mapping):
            continue
        known = _known(section)
        keys = [key for key in settings if key in fixed.get(section, ()) or (section in in_use and key in known)]
        found += [f"grafana_ini: {section}.{key} is set by {owners[section]}" for key in keys]
        if section == "auth.basic" and "enabled" in settings:
            found.append(
                "grafana_ini: auth.basic.enabled is fixed, as the role logs in to Grafana's API with a password"
            )
    return found


def _known(section: str) -> tuple[str, ...]:
    if section == "smtp":
        return ("enabled", "host", "user", "password", "from_address", "from_name", "startTLS_policy")
    return ("enabled", "client_secret", "use_pkce", *COPIED, *LISTS, *SWITCHES)


def _bool(value: t.Any) -> bool:
    """As surveys and INI inventories give booleans, too."""
    return str(value).lower() in {"true", "yes", "on", "1"}
