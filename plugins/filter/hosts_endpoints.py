# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute the endpoints of an environment whose servers are hosts of its inventory."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

DOCUMENTATION = r"""
name: hosts_endpoints
short_description: Compute the endpoints of an environment whose servers are hosts of its inventory
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the structure of C(infra_endpoints), see C(docs/architecture.md), from the groups and addresses of the
    inventory and the declared endpoints.
  - It connects to no host. The role P(nexod.infra.environment#role) checks the result against its type.
  - Without an entry point (group C(edge)) the API's address is that of its first instance, and there is no CDN.
options:
  _input:
    description: The variable C(groups).
    type: dict
    required: true
  hostvars:
    description: The variable C(hostvars).
    type: dict
    required: true
  database:
    description: C(name), C(port) and C(sslmode) of all PostgreSQL servers.
    type: dict
    required: true
  pooler_port:
    description: TCP port of PgBouncer.
    type: int
    required: true
  cache:
    description: C(port) and C(db) of Redis.
    type: dict
    required: true
  api_port:
    description: TCP port of each API instance.
    type: int
    required: true
  edge_port:
    description: TCP port of the entry point.
    type: int
    default: 80
  object_store:
    description: C(bucket), C(endpoint_url) and C(region) of the object store; null if there is none.
    type: dict
  declared:
    description:
      - Endpoints that replace those that follow from the groups, such as a database that is managed elsewhere.
      - A partly declared entry keeps its other values.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Compute the endpoints
  ansible.builtin.set_fact:
    __provider_endpoints: "{{ groups | nexod.infra.hosts_endpoints(hostvars, database=database, pooler_port=6432,
      cache=cache, api_port=8000, declared=infra_endpoints_declared) }}"
"""

RETURN = r"""
_value:
  description: The endpoints.
  type: dict
"""

Groups = Mapping[str, Sequence[str]]


def hosts_endpoints(
    groups: Groups,
    hostvars: Mapping[str, Mapping[str, t.Any]],
    *,
    database: Mapping[str, t.Any],
    pooler_port: int,
    cache: Mapping[str, t.Any],
    api_port: int,
    edge_port: int = 80,
    object_store: Mapping[str, t.Any] | None = None,
    declared: Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """The endpoints; null for what follows neither from a group nor from `declared`."""

    def addresses(group: str) -> list[str]:
        return [str(hostvars[host].get("ansible_host") or host) for host in groups.get(group) or ()]

    def first(group: str, port: object, **more: object) -> dict[str, object] | None:
        return next(({"host": address, "port": int(str(port)), **more} for address in addresses(group)), None)

    port, name = int(database["port"]), database["name"]
    instances = [
        {"name": host, "host": address, "port": int(api_port)}
        for host, address in zip(groups.get("api") or (), addresses("api"), strict=True)
    ]
    edges = [_url(address, int(edge_port)) for address in addresses("edge")]
    api_url = next(iter([*edges, *(_url(str(row["host"]), int(api_port)) for row in instances)]), None)
    computed: dict[str, t.Any] = {
        "database": first("database_primary", port, name=name, sslmode=database["sslmode"]),
        "replicas": [{"host": address, "port": port} for address in addresses("database_replica")],
        "pooler": first("pooler", pooler_port, name=name),
        "cache": first("cache", cache["port"], tls=False, db=int(cache["db"])),
        "api": {"url": api_url, "instances": instances} if api_url else None,
        "cdn": {"url": edges[0]} if edges else None,
        "object_store": dict(object_store) if object_store else None,
    }
    return computed | {
        # A partly declared entry, such as only the API's URL, keeps its other values.
        key: {**(computed.get(key) or {}), **value} if isinstance(value, Mapping) else value
        for key, value in (declared or {}).items()
    }


def _url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Filter names to functions."""
        return {"hosts_endpoints": hosts_endpoints}
