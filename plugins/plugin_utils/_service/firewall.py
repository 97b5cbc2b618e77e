# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of nftables by which ports are reached from named addresses only. Pure functions."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t

Rule = t.Mapping[str, t.Any]
TABLE: t.Final = "nexod"
#: Before the filters of others, which still decide on what is accepted here.
PRIORITY: t.Final = -10
LARGEST_PORT: t.Final = 65535
#: What a comment of nftables may contain without quoting.
_NAME: t.Final = re.compile(r"[A-Za-z0-9 _.:-]{1,100}")


def faults(rules: t.Sequence[Rule]) -> list[str]:
    """What is wrong with the rules, each with its fix."""
    if not rules:
        return ["firewall_rules is empty; name the ports and who may reach them, or set firewall_state to absent"]
    found = []
    for number, rule in enumerate(rules):
        option = f"firewall_rules[{number}]"
        if not _NAME.fullmatch(str(rule["name"])):
            found.append(f'{option}.name is "{rule["name"]}"; use letters, digits, spaces and "_.:-", at most 100')
        if not rule["ports"]:
            found.append(f"{option}.ports is empty; name at least one port")
        found += [
            f"{option}.ports contains {port}; a port is from 1 to {LARGEST_PORT}"
            for port in rule["ports"]
            if not 1 <= int(port) <= LARGEST_PORT
        ]
        found += [
            f'{option}.sources contains "{source}"; give an address or a network, not a name, which could be another '
            "address tomorrow"
            for source in rule["sources"]
            if _network(source) is None
        ]
    return found


def _network(source: t.Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(str(source), strict=False)
    except ValueError:
        return None


def _set(values: t.Iterable[t.Any]) -> str:
    return "{ " + ", ".join(str(value) for value in values) + " }"


def body(rules: t.Sequence[Rule]) -> list[str]:
    """The rules of the chain: who is accepted, and then that all others are refused.

    A port that several rules name is open to the sources of all of them. The host itself reaches each port.
    """
    lines = ['iif "lo" accept']
    for rule in rules:
        ports = _set(sorted({int(port) for port in rule["ports"]}))
        networks = [network for network in map(_network, rule["sources"]) if network is not None]
        for version, family in ((4, "ip"), (6, "ip6")):
            if sources := sorted(str(network) for network in networks if network.version == version):
                lines.append(f'tcp dport {ports} {family} saddr {_set(sources)} accept comment "{rule["name"]}"')
    refused = _set(sorted({int(port) for rule in rules for port in rule["ports"]}))
    # Not dropped: whoever looks for the fault sees at once that it is a rule, and not a host that is down.
    return [*lines, f"tcp dport {refused} reject with icmpx type admin-prohibited"]


def chain(rules: t.Sequence[Rule]) -> str:
    """The name of an empty chain that says which rules are loaded, for the proof."""
    return "rules_" + hashlib.sha256("\n".join(body(rules)).encode()).hexdigest()[:16]


def ruleset(rules: t.Sequence[Rule]) -> str:
    """What nft reads. It replaces the table in one step, so that there is no moment without rules or with both."""
    lines = [
        # So that there is one to delete.
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        f"    chain {chain(rules)} {{",
        "    }",
        "    chain input {",
        f"        type filter hook input priority {PRIORITY}; policy accept;",
        *(f"        {line}" for line in body(rules)),
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"
