#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalidate a namespace of a cache by its version."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_namespace
short_description: Bump the version of a cache's namespace, which invalidates all of it at once
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - An application that puts a version into its keys, such as C(query:7:dashboard), forgets all of them when the version
    changes. That is one command, however many keys there are; they run out by their lifetimes.
  - Without O(version) the number that is there is raised by one, on every run. With it, nothing happens where it is
    there already.
extends_documentation_fragment: [nexod.infra.cache]
options:
  namespace:
    description: The key that holds the version. Nothing else is touched.
    type: str
    required: true
  version:
    description: The version to set, such as the release's.
    type: str
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Forget all query results
  nexod.infra.cache_namespace:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
    namespace: query:version

- name: Let each release have its own
  nexod.infra.cache_namespace:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
    namespace: query:version
    version: 1.1.0
"""

RETURN = r"""
before:
  description: The version that was there; null where there was none.
  returned: success
  type: str
  sample: "7"
after:
  description: The version that is there now, or in check mode would be.
  returned: success
  type: str
  sample: "8"
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._cache.namespace import ACTION, COMMANDS, bump
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

ARGUMENTS = {**CONNECTION, "namespace": {"type": "str", "required": True}, "version": {"type": "str"}}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONNECTION_RULES)
    namespace = module.params["namespace"]
    if MISSING:
        module.fail_json(msg=missing_required_lib(MISSING_NAME), exception=MISSING)
    try:
        target = target_of(module.params)
        if target.password:
            module.no_log_values.add(target.password)  # it may have stood in the URL
        cache = Cache(target)
        with refusals_as_errors(
            ACTION, target, lambda: rights_of(target, [namespace.encode()], COMMANDS, clustered=cache.clustered)
        ):
            before, after = bump(cache, namespace, module.params["version"], check=module.check_mode)
    except InfraError as error:
        module.fail_json(**error.report())
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
