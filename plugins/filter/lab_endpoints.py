# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the endpoints of the lab from its inventory."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

DOCUMENTATION = r"""
name: lab_endpoints
short_description: Compute the endpoints of the lab from its inventory
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Gives the structure that C(docs/architecture.md) describes for C(infra_endpoints),
    out of the inventory's groups and addresses alone.
  - It touches no host. A role of the collection checks the result against its type.
options:
  _input:
    description: The groups of the inventory, as the variable C(groups) holds them.
    type: dict
    required: true
  hostvars:
    description: The variables of all hosts, as the variable C(hostvars) holds them.
    type: dict
    required: true
  database:
    description: What is the same for all PostgreSQL servers, C(name), C(port) and C(sslmode).
    type: dict
    required: true
  pooler_port:
    description: TCP port of PgBouncer.
    type: int
    required: true
  cache:
    description: What the inventory's groups don't tell of Redis, C(port) and C(db).
    type: dict
    required: true
  api_port:
    description: TCP port of each API instance.
    type: int
    required: true
  object_store:
    description: The object store as it is, C(bucket), C(endpoint_url) and C(region).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Compute the endpoints
  ansible.builtin.set_fact:
    __provider_endpoints: "{{ groups | nexod.infra.lab_endpoints(hostvars, database=lab_database, pooler_port=6432,
      cache=lab_cache, api_port=8000, object_store=lab_store) }}"
"""

RETURN = r"""
_value:
  description: The endpoints.
  type: dict
"""

Groups = Mapping[str, Sequence[str]]


def lab_endpoints(
    groups: Groups,
    hostvars: Mapping[str, Mapping[str, t.Any]],
    *,
    database: Mapping[str, t.Any],
    pooler_port: int,
    cache: Mapping[str, t.Any],
    api_port: int,
    object_store: Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """The endpoints contract's structure; groups that the lab can't do without must have a host."""

    def address(host: str) -> str:
        return str(hostvars[host].get("ansible_host", host))

    def one(group: str) -> str:
        hosts = groups.get(group) or ()
        if not hosts:
            error = InfraError(
                "compute",
                "the lab's endpoints",
                f'group "{group}" has no host',
                "Give it one in the inventory's hosts.yml.",
            )
            raise AnsibleFilterError(str(error))
        return address(hosts[0])

    port, name = int(database["port"]), database["name"]
    edge = f"http://{one('edge')}"
    pooler = {"host": one("pooler"), "port": int(pooler_port), "name": name} if groups.get("pooler") else None
    return {
        "database": {"host": one("database_primary"), "port": port, "name": name, "sslmode": database["sslmode"]},
        "replicas": [{"host": address(host), "port": port} for host in groups.get("database_replica") or ()],
        "pooler": pooler,
        "cache": {"host": one("cache"), "port": int(cache["port"]), "tls": False, "db": int(cache["db"])},
        "api": {
            "url": edge,
            "instances": [
                {"name": host, "host": address(host), "port": int(api_port)} for host in groups.get("api") or ()
            ],
        },
        "cdn": {"url": edge},
        "object_store": dict(object_store),
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Filter names to functions."""
        return {"lab_endpoints": lab_endpoints}
