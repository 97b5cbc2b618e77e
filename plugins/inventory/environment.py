# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an inventory an environment of this collection."""

from __future__ import annotations

DOCUMENTATION = r"""
name: environment
short_description: Make an inventory an environment of this collection
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Adds the groups that the stages of C(nexod.infra.deploy) run on, so that a group without hosts need not be listed.
  - Sets, on the group V(all), the variables by which the roles of the collection work together, such as the scrape
    jobs of Prometheus, the exporters of each host, the pools of PgBouncer and the latency table. They follow from the
    groups, the endpoints and the variables of the role P(nexod.infra.environment#role).
  - They have the lowest precedence that an inventory has. Whatever C(group_vars), C(host_vars), another inventory
    source or the command line sets replaces them.
  - It adds no host.
notes:
  - C(ansible-inventory -i INVENTORY --graph --vars) lists the variables with their templates.
options:
  plugin:
    description: Must be V(nexod.infra.environment).
    type: str
    required: true
    choices: [nexod.infra.environment]
"""

EXAMPLES = r"""
# inventory/nexod.yml, beside inventory/hosts.yml
plugin: nexod.infra.environment
"""


import typing as t

from ansible.plugins.inventory import BaseInventoryPlugin

from ansible_collections.nexod.infra.plugins.plugin_utils._environment.roles import inventory_groups, wiring


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Groups and variables; hosts come from the other sources of the inventory."""

    NAME = "nexod.infra.environment"

    def verify_file(self, path: str) -> bool:
        """Whether `path` may be a source of this plugin; the plugin auto has read its key `plugin` by then."""
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Add groups and variables to `inventory`, leaving what is there."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        for group, children in inventory_groups().items():
            inventory.add_group(group)
            for child in children:
                inventory.add_group(child)
                inventory.add_child(group, child)
        # A source that was read before, such as `all: vars:` in hosts.yml, keeps what it has set.
        present = inventory.groups["all"].get_vars()
        for name, value in wiring(lambda file: loader.load_from_file(file, trusted_as_template=True)).items():
            if name not in present:
                inventory.set_variable("all", name, value)
