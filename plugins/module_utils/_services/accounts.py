# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts at the vendors, as modules take them."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import Declared
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client, Services
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import Resource
from ansible_collections.nexod.infra.plugins.module_utils._services.vendors import VENDORS

TOKEN = {"token": {"type": "str", "required": True, "no_log": True}, "url": {"type": "str"}}
ACCOUNTS: dict[str, t.Any] = {
    "awx": {
        "type": "dict",
        "options": {**TOKEN, "url": {"type": "str", "required": True}, "organization": {"type": "str"}},
    },
    "clerk": {"type": "dict", "options": {**TOKEN, "issuer": {"type": "str"}}},
    "sentry": {"type": "dict", "options": {**TOKEN, "organization": {"type": "str", "required": True}}},
    "vercel": {"type": "dict", "options": {**TOKEN, "team": {"type": "str"}}},
}


def client_of(name: str, account: t.Mapping[str, t.Any], *, check: bool) -> Client:
    """The client of one account, given as in `ACCOUNTS`."""
    vendor = VENDORS[name]
    if not str(account["token"]).strip():
        next_step = f"Export {vendor.token_variable}. A new token: {vendor.token_page}."
        raise InfraError("use", vendor.name, f"{vendor.token_variable} is empty", next_step)
    if "organization" in account and not str(account["organization"]).strip():
        raise InfraError("use", vendor.name, "the organization is empty", "Set it to the organization's slug.")
    query = {"teamId": account["team"]} if account.get("team") else {}
    scope = {"organization": account["organization"]} if account.get("organization") else {}
    return Client(vendor, account["token"], url=account.get("url"), query=query, scope=scope, check=check)


def refuse_empty_tokens(given: t.Mapping[str, t.Any], rows: t.Iterable[t.Mapping[str, t.Any]]) -> None:
    """Raise InfraError if a vendor of the declarations has no token, of which secrets may be made."""
    for name in sorted({str(row["kind"]).partition("_")[0] for row in rows} & ACCOUNTS.keys()):
        if given.get(name):
            client_of(name, given[name], check=True)


def services_of(given: t.Mapping[str, t.Any], rows: t.Iterable[Declared], *, check: bool) -> Services:
    """The clients that the declarations need. Raises InfraError if an account is missing."""
    needed = sorted({one.kind.service for one in rows if isinstance(one.kind, Resource)})
    if missing := [VENDORS[name].name for name in needed if not given.get(name)]:
        raise InfraError(
            "use",
            " and ".join(missing),
            "resources there are declared, and the account is not",
            f"Set the option {', '.join(name for name in needed if not given.get(name))}.",
        )
    return Services({name: client_of(name, given[name], check=check) for name in needed}, check=check)
