#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Invalidate paths and tags of a CloudFront distribution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudfront_invalidation
short_description: Invalidate paths and tags of a CloudFront distribution, once per release
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Sends each path once, without those covered by a wildcard, in as few requests as CloudFront's limits allow (3,000
    paths and 15 wildcards in progress), and waits while there are too many.
  - A second run for the same O(release) or O(rollout) finds the existing invalidations among the 20 latest and sends
    nothing. If another release was invalidated in between, as after a rollback, everything is sent again.
  - The caller reference is derived from the paths, the release and the latest invalidation, so that none is used twice.
  - Sends nothing in check mode.
requirements:
  - boto3 on the host that runs the module
extends_documentation_fragment: [nexod.infra.aws_account]
options:
  distribution_id:
    description: The distribution's identifier.
    type: str
    required: true
  paths:
    description:
      - Paths to invalidate, beginning with a slash; the last character may be an asterisk. O(paths) or O(tags) is
        required.
      - Characters that must be encoded, such as V(~), a space or V(ü), are; a V(%) that is followed by two hexadecimal
        digits is taken as encoded already.
    type: list
    elements: str
    default: []
  tags:
    description: Cache tags to invalidate. Not case-sensitive, without wildcards, up to 256 visible ASCII characters.
    type: list
    elements: str
    default: []
  release:
    description: The release. The same paths are sent again for another release, and for this one after another one.
    type: str
    required: true
  rollout:
    description:
      - Which rollout of the release this is, such as the number of the deploy. What was sent for the same rollout is
        not sent again, even if other releases or applications were invalidated since.
    type: str
    default: ""
  collapse_above:
    description:
      - A folder with more paths than this is invalidated as a whole with one wildcard, which costs as much as one path.
        The rest of the folder is then fetched again as well. Never applied to the root.
      - V(0) disables it.
    type: int
    default: 100
  wait:
    description: Whether to wait until the invalidation is completed.
    type: bool
    default: true
  wait_seconds:
    description:
      - Maximum number of seconds for the whole task - for an API that does not answer, for CloudFront's limits and for
        completion. At least five seconds are allowed for the requests.
    type: int
    default: 900
  region:
    description: AWS region; CloudFront has only one.
    type: str
seealso:
  - module: nexod.infra.cache_flush
"""

EXAMPLES = r"""
- name: Invalidate the pages of the old release
  nexod.infra.cloudfront_invalidation:
    distribution_id: E2ABCDEFGHIJKL
    paths: [/index.html, /api/dashboard, "/static/*"]
    tags: [prices]
    release: 1.1.0
"""

RETURN = r"""
invalidations:
  description: Each request - C(reference), C(items), C(id), C(status), and C(created), false if it existed before.
  returned: success
  type: list
  elements: dict
items:
  description: The invalidated paths and tags, after collapsing.
  returned: success
  type: list
  elements: str
  sample: [/index.html, "/static/*", "#prices"]
cost:
  description:
    - Cost of this run's requests - billable C(paths), C(usd_at_most), and C(usd_at_least), which assumes that none of
      the month's 1,000 free paths was used.
  returned: success
  type: dict
  sample: {paths: 3, usd_at_most: 0.015, usd_at_least: 0.0}
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.cloudfront import (
    MISSING,
    Rollout,
    cost,
    invalidate,
    opened,
    plan_batches,
    plan_items,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

ARGUMENTS = {
    "distribution_id": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "default": []},
    "tags": {"type": "list", "elements": "str", "default": []},
    "release": {"type": "str", "required": True},
    "rollout": {"type": "str", "default": ""},
    "collapse_above": {"type": "int", "default": 100},
    "wait": {"type": "bool", "default": True},
    "wait_seconds": {"type": "int", "default": 900},
    "profile": {"type": "str"},
    "region": {"type": "str"},
    "endpoint_url": {"type": "str"},
}


RANGES = {"collapse_above": (0, None), "wait_seconds": (0, None)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    distribution = given["distribution_id"]
    with edge(module, "invalidate", f'"{distribution}"'):
        check_ranges(given, RANGES)
        items = plan_items(given["paths"], given["tags"], given["collapse_above"])
        if not items:
            raise InfraError("invalidate", f'"{distribution}"', "neither paths nor tags are given", "Set one of them.")
        rollout = Rollout(distribution, given["release"], given["rollout"])
        connection = {name: given[name] for name in ("profile", "region", "endpoint_url")}
        with opened(distribution, given["wait_seconds"], **connection) as client:
            rows = invalidate(
                client,
                rollout,
                plan_batches(items),
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
