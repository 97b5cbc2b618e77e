# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the options of the role exporters. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.settings import Settings
from ansible_collections.nexod.infra.plugins.plugin_utils._service import web
from ansible_collections.nexod.infra.plugins.plugin_utils._service.addresses import address_fault, is_loopback
from ansible_collections.nexod.infra.plugins.plugin_utils._service.distribution import distribution_fault
from ansible_collections.nexod.infra.plugins.plugin_utils._service.flags import reserved

#: Flags that are not for any exporter's service, each with the reason.
FLAGS: t.Final[dict[str, str]] = {
    "help": "it is not for a service",
    "version": "it is not for a service",
    "web.config.file": "use exporters_tls_certificate and exporters_web_users",
}
#: Of the Redis exporter, which has no web configuration.
REDIS_FLAGS: t.Final[dict[str, str]] = {
    "basic-auth-hash-password": "use exporters_web_users",
    "basic-auth-password": "use exporters_web_users",
    "basic-auth-username": "use exporters_web_users",
    "tls-server-ca-cert-file": "use exporters_tls_client_ca",
    "tls-server-cert-file": "use exporters_tls_certificate",
    "tls-server-key-file": "use exporters_tls_key",
}


def faults(settings: Settings, found: t.Mapping[str, t.Any]) -> list[str]:
    """What contradicts itself in the options, or does not fit the host (`found`: software_info), each with its fix.

    `settings` has the exporters to run (`enabled`), their `flags`, and of each exporter there is (`exporters`) where it
    listens, whether it needs a password or a configuration, and the flags that the role sets itself. One that is
    `archive_only` has no package, and one that is `open` can't be protected.
    """
    known: t.Mapping[str, Settings] = settings["exporters"]
    problems = distribution_fault(found.get("distribution"))
    for option, names in (("exporters_enabled", settings["enabled"]), ("exporters_flags", settings["flags"])):
        problems += [f'{option} contains "{name}"; there are {", ".join(known)}' for name in names if name not in known]
    enabled = [name for name in dict.fromkeys(settings["enabled"]) if name in known]
    holders: dict[int, str] = {}
    for name in enabled:
        own, option = known[name], f"exporters_{name}_port"
        problems += address_fault(f"exporters_{name}_listen_address", own["listen_address"])
        # Of several processes, each has the port after that of the one before.
        for port in range(int(own["port"]), int(own["port"]) + int(own.get("processes", 1))):
            if port in holders:
                problems.append(f"{option} and {holders[port]} are both {port}; give each exporter its own port")
            holders.setdefault(port, option if port == int(own["port"]) else f"a further port of {option}")
        if own.get("needs_password") and not own["password"]:
            problems.append(f"exporters_{name}_password is empty; set it, or remove {name} from exporters_enabled")
        if own.get("needs_configuration") and not own["configuration"]:
            problems.append(f"exporters_{name}_configuration is empty; set it, or remove {name} from exporters_enabled")
        problems += _archive_faults(name, own, settings.get("versions") or {})
        problems += _key_faults(name, own)
        listening = f"use exporters_{name}_listen_address and {option}"
        owners = {
            **FLAGS,
            **(REDIS_FLAGS if name == "redis" else {}),
            "web.listen-address": listening,
            **(own.get("reserved") or {}),
        }
        problems += reserved(settings["flags"].get(name) or {}, owners, f"exporters_flags.{name}")
    # What is installed from an archive is not the distribution's.
    packaged = [name for name in enabled if name not in (settings.get("versions") or {})]
    if "pgbouncer" in packaged and (found.get("distribution") or {}).get("codename") == "bookworm":
        problems.append(
            "the pgbouncer exporter of Debian 12 (1.7) fails with that release's PgBouncer (KeyError: total_requests); "
            "use Debian 13 for this host, install it from an archive (exporters_archives), or remove pgbouncer from "
            "exporters_enabled"
        )
    return problems + _protection_faults(settings, packaged, (found.get("distribution") or {}).get("codename"))


def _archive_faults(name: str, own: Settings, versions: t.Mapping[str, t.Any]) -> list[str]:
    if not own.get("archive_only") or name in versions:
        return []
    return [
        f"there is no package of the {name} exporter, and exporters_archives.{name} has no version; set one that "
        f"versions.lock.yml pins, or remove {name} from exporters_enabled"
    ]


def _key_faults(name: str, own: Settings) -> list[str]:
    """Of an access key, which is of no use without its secret."""
    if bool(own.get("access_key_id")) == bool(own.get("secret_access_key")):
        return []
    return [
        f"exporters_{name}_access_key_id and exporters_{name}_secret_access_key need each other; set both, or neither"
    ]


def _protection_faults(settings: Settings, enabled: t.Sequence[str], codename: str | None) -> list[str]:
    """Of the options that protect all of them, and of an exporter that can't be protected so."""
    own: Settings = settings.get("web") or {}
    if not own:
        return []
    problems = web.faults("exporters", own)
    without = codename == "bookworm" and "redis" in enabled and own["web_users"] and not web.has(own, "tls_client_ca")
    if without and not is_loopback(settings["exporters"]["redis"]["listen_address"]):
        problems.append(
            "the Redis exporter of Debian 12 (1.45) has no users and passwords, as that of Debian 13 (1.69) has, so "
            "exporters_web_users would leave it open; set exporters_tls_client_ca, or set "
            "exporters_redis_listen_address to 127.0.0.1"
        )
    problems += [
        f"the {name} exporter has neither passwords nor certificates, and others reach its address; "
        f"set exporters_{name}_listen_address to 127.0.0.1"
        for name in settings["enabled"]
        if web.is_protected(own)
        and (settings["exporters"].get(name) or {}).get("open")
        and not is_loopback(settings["exporters"][name]["listen_address"])
    ]
    return problems
