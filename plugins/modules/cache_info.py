#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what is in a cache."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_info
short_description: Say what is in a Redis or Valkey by prefix - keys, memory, lifetimes, the largest keys
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Looks at keys, or at a sample of them, for their lifetime and memory, and adds them up by prefix. Changes nothing.
  - In a cluster all primaries are asked.
extends_documentation_fragment: [nexod.infra.cache]
options:
  prefixes:
    description: Prefixes to add up by. Where none is given, what stands before a key's first colon.
    type: list
    elements: str
    default: []
  protect:
    description: Prefixes whose keys should end by themselves; how many do not is counted.
    type: list
    elements: str
    default: ["session:"]
  sample:
    description:
      - About how many keys to look at; the figures are then what the whole is likely to have.
      - V(0) looks at every key.
    type: int
    default: 10000
  largest:
    description: How many of the largest keys to name.
    type: int
    default: 10
notes:
  - The account needs C(+scan +pttl +memory|usage +info +dbsize +ping +hello), in a cluster C(+cluster|slots), on all
    keys. Without C(memory|usage) memory is told as 0.
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Look into the cache
  nexod.infra.cache_info:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
  register: cache

- name: Show it
  ansible.builtin.debug:
    msg: "{{ cache.table.splitlines() }}"
"""

RETURN = r"""
keys:
  description: Keys there are.
  returned: success
  type: int
looked_at:
  description: Keys that were looked at.
  returned: success
  type: int
sampled:
  description: Whether they were fewer than all; the figures by prefix are then estimates.
  returned: success
  type: bool
prefixes:
  description: For each prefix C(keys), C(bytes), C(without_lifetime), and in C(lifetime_s) the least, mean and most.
  returned: success
  type: dict
  sample:
    "api:": {keys: 120, bytes: 24000, without_lifetime: 0, lifetime_s: {least: 3, mean: 140, most: 300}}
protected_without_lifetime:
  description: Keys under O(protect) that stay for ever; a fault of the application's.
  returned: success
  type: int
largest:
  description: The largest keys that were looked at, as C(name) and C(bytes).
  returned: success
  type: list
  elements: dict
table:
  description: The same as text, for a person.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._cache.info import ACTION, COMMANDS, look_into
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import (
    CONNECTION,
    CONNECTION_RULES,
    MISSING,
    MISSING_NAME,
    Cache,
    refusals_as_errors,
    rights_of,
    target_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ARGUMENTS = {
    **CONNECTION,
    "prefixes": {"type": "list", "elements": "str", "default": []},
    "protect": {"type": "list", "elements": "str", "default": ["session:"]},
    "sample": {"type": "int", "default": 10000},
    "largest": {"type": "int", "default": 10},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONNECTION_RULES)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib(MISSING_NAME), exception=MISSING)
    try:
        target = target_of(given)
        if target.password:
            module.no_log_values.add(target.password)  # it may have stood in the URL
        cache = Cache(target)
        with refusals_as_errors(ACTION, target, lambda: rights_of(target, [b"*"], COMMANDS, clustered=cache.clustered)):
            found = look_into(
                cache, given["prefixes"], given["protect"], sample=given["sample"], largest=given["largest"]
            )
    except InfraError as error:
        module.fail_json(**error.report())
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
