# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the table of nftables by which ports are reached from named addresses only."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import firewall

DOCUMENTATION = r"""
name: firewall_ruleset
short_description: Write rules of nftables by which ports are reached from named addresses only
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes the table C(inet nexod) of nftables, which replaces itself in one step and leaves all other tables alone.
  - Whoever is not named is refused, not ignored, so that the client reports it at once. The host itself reaches each
    port.
options:
  _input:
    description:
      - The rules. Each has a C(name), C(ports) (TCP) and C(sources), addresses or networks of both IP versions.
      - A port that several rules name is open to the sources of all of them. Ports that no rule names are left alone.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the rules
  ansible.builtin.copy:
    dest: /etc/nftables.d/nexod.nft
    mode: "0644"
    content: "{{ (rules | nexod.infra.firewall_ruleset).text }}"
  vars:
    rules: [{name: exporters, ports: [9100], sources: [10.0.0.5]}]
"""

RETURN = r"""
_value:
  description:
    - C(text), what C(nft -f) reads, C(chain), the name of an empty chain of the table that tells these rules from all
      others, and C(faults), what is wrong with the rules. Without faults, the text is valid.
  type: dict
"""


def firewall_ruleset(value: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The text, or what is wrong."""
    if found := firewall.faults(value):
        return {"text": "", "chain": "", "faults": found}
    return {"text": firewall.ruleset(value), "chain": firewall.chain(value), "faults": []}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"firewall_ruleset": firewall_ruleset}
