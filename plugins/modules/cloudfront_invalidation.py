#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalidate paths and tags of a CloudFront distribution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudfront_invalidation
short_description: Invalidate paths and tags of a CloudFront distribution, once for a release
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Sends each path once, without those that a wildcard covers, in as few calls as CloudFront's limits allow (3,000
    paths and 15 wildcards under way), and waits where too many are.
  - The caller reference is derived from the paths and O(release), so that a second run finds the first one's
    invalidation and sends nothing. Looked at are the 20 latest; an older one CloudFront itself knows by the reference.
  - In check mode nothing is sent.
requirements:
  - boto3 on the host that runs the module
options:
  distribution_id:
    description: The distribution's identifier.
    type: str
    required: true
  paths:
    description: Paths to invalidate, from the slash on; an asterisk may stand at the end.
    type: list
    elements: str
    default: []
  tags:
    description: Cache tags to invalidate. Case does not matter, and there are no wildcards.
    type: list
    elements: str
    default: []
  release:
    description: The release for which it is done. The same paths for another release are sent again.
    type: str
    required: true
  collapse_above:
    description:
      - A folder of which more paths than this are given is invalidated whole, as one wildcard, which costs as much as
        one path. The rest of the folder is then fetched anew as well. Never the root.
      - V(0) never does it.
    type: int
    default: 100
  wait:
    description: Whether to wait until it is completed.
    type: bool
    default: true
  wait_seconds:
    description: Seconds to wait at most, for room and for completion.
    type: int
    default: 900
  profile:
    description: Profile of the AWS configuration; else the credentials are looked for where boto3 does.
    type: str
  region:
    description: AWS region; CloudFront has but one.
    type: str
  endpoint_url:
    description: Another address than Amazon's.
    type: str
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Forget the pages of the old release
  nexod.infra.cloudfront_invalidation:
    distribution_id: E2ABCDEFGHIJKL
    paths: [/index.html, /api/dashboard, "/static/*"]
    tags: [prices]
    release: 1.1.0
"""

RETURN = r"""
invalidations:
  description: Each call - C(reference), C(items), C(id), C(status), and C(created), false where it went out before.
  returned: success
  type: list
  elements: dict
items:
  description: What is invalidated, after collapsing.
  returned: success
  type: list
  elements: str
  sample: [/index.html, "/static/*", "#prices"]
cost:
  description:
    - What the calls of this run cost - C(paths) that count, C(usd_at_most) and C(usd_at_least), which supposes that
      none of the month's 1,000 free paths was used.
  returned: success
  type: dict
  sample: {paths: 3, usd_at_most: 0.015, usd_at_least: 0.0}
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.cloudfront import (
    MISSING,
    cost,
    invalidate,
    opened,
    plan_batches,
    plan_items,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge

ARGUMENTS = {
    "distribution_id": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "default": []},
    "tags": {"type": "list", "elements": "str", "default": []},
    "release": {"type": "str", "required": True},
    "collapse_above": {"type": "int", "default": 100},
    "wait": {"type": "bool", "default": True},
    "wait_seconds": {"type": "int", "default": 900},
    "profile": {"type": "str"},
    "region": {"type": "str"},
    "endpoint_url": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    distribution = given["distribution_id"]
    with edge(module, "invalidate", f'"{distribution}"'):
        items = plan_items(given["paths"], given["tags"], given["collapse_above"])
        batches = plan_batches(distribution, given["release"], items)
        with opened(distribution, **{name: given[name] for name in ("profile", "region", "endpoint_url")}) as client:
            rows = invalidate(
                client,
                distribution,
                batches,
                wait=given["wait"],
                seconds=given["wait_seconds"],
                check=module.check_mode,
            )
    sent = [item for row in rows if row["created"] for item in row["items"]]
    module.exit_json(
        changed=bool(sent),
        invalidations=rows,
        items=items,
        cost=cost(len(sent)),
        diff={
            "before_header": distribution,
            "after_header": distribution,
            "before": "".join(f"{item}\n" for item in sent),
            "after": "",
        },
    )


if __name__ == "__main__":
    main()
