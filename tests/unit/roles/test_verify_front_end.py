# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which front end the stage verify checks: what this deploy publishes, wherever that is."""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

VALUES = {
    "infra_environment": "shop",
    "infra_provider": "hosts",
    "infra_domain": "shop.example.com",
    "backend_version": "1.0.0",
    "infra_endpoints": {"cdn": {"url": "http://192.0.2.21"}, "api": {"url": "http://192.0.2.21"}},
    "haproxy_security_headers": {"X-Frame-Options": "DENY"},
}
VERCEL = {
    "services_vercel_project": {"name": "app"},
    "services_vercel_domains": [{"name": "shop.example.com"}],
    "services_vercel_commit": "1" * 40,
    "services_vercel_bypass": "bypass",
    "services_vercel_check_headers": {"X-B": ""},
}
NAMES = ("url", "headers", "request_headers | length", "proxies")
SHOWN = "{{ [" + ", ".join(f"verify_front_end_{name}" for name in NAMES) + "] }}"
NOTHING: list[t.Any] = ["", {"X-Frame-Options": ""}, 0, False]
ON_VERCEL: list[t.Any] = ["https://shop.example.com", {"X-B": ""}, 1, True]
CASES: dict[str, tuple[dict[str, t.Any], list[t.Any]]] = {
    "the API alone": ({}, NOTHING),
    "what Vercel has built": (VERCEL, ON_VERCEL),
    # Another commit of the branch may be there by now.
    "a preview": ({**VERCEL, "services_vercel_targets": ["preview"]}, NOTHING),
    "no commit": ({**VERCEL, "services_vercel_commit": ""}, NOTHING),
    "a vendor that is not used": ({**VERCEL, "services_vendors": ["sentry"]}, NOTHING),
    "files of the edge": (
        {**VERCEL, "__verify_front_end_host": {"frontend_source": "/x", "haproxy_security_headers": {"X-C": "y"}}},
        ["http://192.0.2.21", {"X-C": ""}, 0, False],
    ),
}


def test_what_is_checked(tmp_path: pathlib.Path) -> None:
    inventory = tmp_path / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text("all: {children: {edge: {hosts: {edge-1: {ansible_host: 192.0.2.21}}}}}\n")
    (inventory / "nexod.yml").write_text("plugin: nexod.infra.environment\n")
    (inventory / "group_vars/all.yml").write_text(json.dumps(VALUES))
    tasks = [
        {"name": name, "ansible.builtin.debug": {"msg": SHOWN}, "vars": given}
        for name, (given, _wanted) in CASES.items()
    ]
    path = tmp_path / "each.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = play("-i", inventory, path, **AS_JSON)
    shown = {one["task"]["name"]: one["hosts"]["localhost"]["msg"] for one in tasks_of(done)}
    assert shown == {name: wanted for name, (_given, wanted) in CASES.items()}
