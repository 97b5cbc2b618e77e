# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches which port. That nft and the kernel take it is tested by molecule's scenario firewall."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.filter.firewall_ruleset import firewall_ruleset
from ansible_collections.nexod.infra.plugins.plugin_utils._service import firewall


def rule(*sources: str, name: str = "exporters", ports: t.Sequence[t.Any] = (9100,)) -> dict[str, t.Any]:
    return {"name": name, "ports": list(ports), "sources": list(sources)}


REFUSED = "reject with icmpx type admin-prohibited"


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        pytest.param(
            [rule("10.0.0.5")],
            [
                'tcp dport { 9100 } ip saddr { 10.0.0.5/32 } accept comment "exporters"',
                f"tcp dport {{ 9100 }} {REFUSED}",
            ],
            id="one",
        ),
        pytest.param(
            [rule("10.0.0.5", "2001:db8::5", "10.1.2.3/16", ports=["9187", 9100, 9100])],
            [
                'tcp dport { 9100, 9187 } ip saddr { 10.0.0.5/32, 10.1.0.0/16 } accept comment "exporters"',
                'tcp dport { 9100, 9187 } ip6 saddr { 2001:db8::5/128 } accept comment "exporters"',
                f"tcp dport {{ 9100, 9187 }} {REFUSED}",
            ],
            id="both versions, a host's address with its network, ports as text and twice",
        ),
        pytest.param(
            [rule("10.0.0.5", name="a"), rule("10.0.0.6", name="b", ports=[9100, 9090])],
            [
                'tcp dport { 9100 } ip saddr { 10.0.0.5/32 } accept comment "a"',
                'tcp dport { 9090, 9100 } ip saddr { 10.0.0.6/32 } accept comment "b"',
                f"tcp dport {{ 9090, 9100 }} {REFUSED}",
            ],
            id="a port of two rules is open to both before others are refused",
        ),
        pytest.param([rule()], [f"tcp dport {{ 9100 }} {REFUSED}"], id="nobody but the host itself"),
    ],
)
def test_rules(rules: list[dict[str, t.Any]], lines: list[str]) -> None:
    assert firewall.faults(rules) == []
    assert firewall.body(rules) == ['iif "lo" accept', *lines]


def test_the_table_replaces_itself_and_its_chain_says_which_rules_it_has() -> None:
    one, other = firewall_ruleset([rule("10.0.0.5")]), firewall_ruleset([rule("10.0.0.6")])
    assert one["text"].splitlines()[:3] == ["table inet nexod", "delete table inet nexod", "table inet nexod {"]
    assert f"chain {one['chain']} {{" in one["text"]
    assert one["chain"] != other["chain"]
    assert one == firewall_ruleset([rule("10.0.0.5")])


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ([], "firewall_rules is empty; name the ports"),
        ([rule("prometheus.example.com")], 'sources contains "prometheus.example.com"; give an address or a network'),
        ([rule("10.0.0.300")], 'sources contains "10.0.0.300"'),
        ([rule(ports=[0])], "ports contains 0; a port is from 1 to 65535"),
        ([rule(ports=[])], "ports is empty; name at least one port"),
        ([rule(name='a" accept; #')], 'name is "a" accept; #"; use letters'),
        ([rule(name="")], 'name is ""'),
    ],
)
def test_faults(rules: list[dict[str, t.Any]], fault: str) -> None:
    found = firewall_ruleset(rules)
    assert fault in " ".join(found["faults"])
    assert found["text"] == ""
