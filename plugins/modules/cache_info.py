#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report what is in a cache."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_info
short_description: Report the contents of a Redis or Valkey by prefix - keys, memory, lifetimes, the largest keys
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reads lifetime and memory of all keys, or of a sample, and sums them up by prefix. Changes nothing.
  - In a cluster, all primaries are read. A single replica is read as it is.
extends_documentation_fragment: [nexod.infra.cache]
options:
  prefixes:
    description: Prefixes to sum up by. Defaults to the part of each key up to its first colon.
    type: list
    elements: str
    default: []
  protect:
    description:
      - Keys that should expire, as in O(nexod.infra.cache_flush#module:protect). Those that never expire are counted,
        whatever O(prefixes) sums up.
    type: list
    elements: str
    default: ["session:"]
  sample:
    description:
      - About how many keys to inspect. The figures are then extrapolated to all keys.
      - V(0) inspects every key.
    type: int
    default: 10000
  largest:
    description: How many of the largest keys to name.
    type: int
    default: 10
notes:
  - The account needs C(+scan +pttl +memory|usage +info +dbsize +ping +hello), in a cluster also
    C(+cluster|slots +asking), on all keys. Without C(memory|usage), memory is reported as 0.
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Inspect the cache
  nexod.infra.cache_info:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
  register: cache

- name: Show the result
  ansible.builtin.debug:
    msg: "{{ cache.table.splitlines() }}"
"""

RETURN = r"""
keys:
  description: Number of keys.
  returned: success
  type: int
looked_at:
  description: Number of keys that were inspected.
  returned: success
  type: int
sampled:
  description: Whether only a sample was inspected; the figures by prefix are then estimates.
  returned: success
  type: bool
prefixes:
  description:
    - For each prefix C(keys), C(bytes), C(without_lifetime), and in C(lifetime_s) the least, mean and most seconds to
      live.
  returned: success
  type: dict
  sample:
    "api:": {keys: 120, bytes: 24000, without_lifetime: 0, lifetime_s: {least: 3, mean: 140, most: 300}}
protected_without_lifetime:
  description: Number of keys under O(protect) that never expire, which is a fault of the application.
  returned: success
  type: int
largest:
  description: The largest inspected keys, with C(name) and C(bytes).
  returned: success
  type: list
  elements: dict
table:
  description: The result as a text table.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import CONNECTION, CONNECTION_RULES, target_of
from ansible_collections.nexod.infra.plugins.module_utils._cache.info import ACTION, COMMANDS, inspect
from ansible_collections.nexod.infra.plugins.module_utils._cache.module import register_secrets, require_client
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import Cache, refusals_as_errors, rights_of
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge, translated
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

ARGUMENTS = {
    **CONNECTION,
    "prefixes": {"type": "list", "elements": "str", "default": []},
    "protect": {"type": "list", "elements": "str", "default": ["session:"]},
    "sample": {"type": "int", "default": 10000},
    "largest": {"type": "int", "default": 10},
}
RANGES = {"sample": (0, None), "largest": (0, 10_000)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONNECTION_RULES)
    given = module.params
    require_client(module)
    with edge(module, ACTION, "the host"):
        register_secrets(module)
        check_ranges(given, RANGES)
        target = target_of(given)
        cache = Cache(target)
        with (
            translated(ACTION, target.name),
            refusals_as_errors(ACTION, target, lambda: rights_of(target, [b"*"], COMMANDS, clustered=cache.clustered)),
        ):
            found = inspect(
                cache, given["prefixes"], given["protect"], sample=given["sample"], largest=given["largest"]
            )
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
