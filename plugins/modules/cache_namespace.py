#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalidate a namespace of a cache by changing its version."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_namespace
short_description: Bump the version of a cache namespace, which invalidates the whole namespace
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - For an application with a version in its keys, such as C(query:7:dashboard). When the version changes, the
    application no longer uses the old keys, and they expire. That is one command, however many keys there are.
  - Without O(version), the current number is incremented on every run. With O(version), nothing is changed if it is set
    already.
extends_documentation_fragment: [nexod.infra.cache]
options:
  namespace:
    description: The key that contains the version. No other key is changed.
    type: str
    required: true
  version:
    description: The version to set, such as that of the release.
    type: str
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Invalidate all query results
  nexod.infra.cache_namespace:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
    namespace: query:version

- name: Give each release its own query results
  nexod.infra.cache_namespace:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
    namespace: query:version
    version: 1.1.0
"""

RETURN = r"""
before:
  description: The version before; null if there was none.
  returned: success
  type: str
  sample: "7"
after:
  description: The version after; in check mode, the expected one.
  returned: success
  type: str
  sample: "8"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import CONNECTION, CONNECTION_RULES, target_of
from ansible_collections.nexod.infra.plugins.module_utils._cache.globs import raw
from ansible_collections.nexod.infra.plugins.module_utils._cache.module import register_secrets, require_client
from ansible_collections.nexod.infra.plugins.module_utils._cache.namespace import ACTION, COMMANDS, bump
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import Cache, refusals_as_errors, rights_of
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge, translated

ARGUMENTS = {**CONNECTION, "namespace": {"type": "str", "required": True}, "version": {"type": "str"}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONNECTION_RULES)
    namespace = module.params["namespace"]
    require_client(module)
    with edge(module, ACTION, namespace):
        register_secrets(module)
        target = target_of(module.params)
        cache = Cache(target)
        with (
            translated(ACTION, target.name),
            refusals_as_errors(
                ACTION,
                target,
                lambda: rights_of(target, [raw(namespace, "namespace")], COMMANDS, clustered=cache.clustered),
            ),
        ):
            before, after = bump(cache, namespace, module.params["version"], check=module.check_mode)
    module.exit_json(
        changed=before != after,
        before=before,
        after=after,
        diff={
            "before_header": namespace,
            "after_header": namespace,
            "before": f"{before or ''}\n",
            "after": f"{after}\n",
        },
    )


if __name__ == "__main__":
    main()
