# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of an environment on AWS, from the options of the role `provider_aws`.

Each part returns declarations as the module `aws_resources` takes them; a value `@KIND/NAME` refers to another one.
"""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import alarms
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.data import cache, database
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.delivery import delivery
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.hosts import hosts
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.network import network, security_groups
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import Options, Row
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.service import entry_point, service, storage, trusted


def declaration(options: Options) -> list[Row]:
    """All resources of an environment. `options`: those of the role `provider_aws`, without the prefix."""
    rows = [
        *network(options),
        *security_groups(options),
        *database(options),
        *cache(options),
        *entry_point(options),
        *service(options),
        *trusted(options),
        *storage(options),
        *delivery(options),
        *hosts(options),
        *alarms(options),
        *options["more_resources"],
    ]
    return [bounded(one, options["permissions_boundary"]) for one in rows]


def bounded(one: Row, boundary: str) -> Row:
    """Every role has the boundary, or whoever deploys would not be allowed to create it."""
    if one["kind"] != "iam_role" or not boundary:
        return one
    return {**one, "properties": {"permissions_boundary": boundary, **(one.get("properties") or {})}}
