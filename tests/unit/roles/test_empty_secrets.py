# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook of one stage has no preflight before it: its roles refuse empty passwords, and name what to export."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import reached_from
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.own import empty_secrets
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import NEEDED_SECRETS
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, tasks_of

#: Options that are made of a secret and are not refused by their role, and why.
EXEMPT = {
    "ecs_service_environment": "written by provider_aws, which refuses it; a rollback needs none",
    "ecs_service_migration_environment": "written by provider_aws",
    "ecs_service_migration_secrets": "written by provider_aws",
    "ecs_service_secrets": "written by provider_aws",
}
EXPORTS = {
    "infra_cache_password": "NEXOD_CACHE_PASSWORD",
    "infra_database_app_password": "NEXOD_DATABASE_APP_PASSWORD",
    "infra_database_monitor_password": "NEXOD_DATABASE_MONITOR_PASSWORD",
    "infra_database_owner_password": "NEXOD_DATABASE_OWNER_PASSWORD",
}


def load(path: pathlib.Path) -> dict[str, t.Any]:
    return yaml.safe_load(path.read_text()) or {}


def wired() -> dict[str, t.Any]:
    """What the collection and the shared inventory set, unevaluated."""
    found: dict[str, t.Any] = {}
    for path in sorted((ROOT / "roles").glob("*/meta/environment.yml")):
        found.update(load(path).get("variables") or {})
    for path in sorted((ROOT / "inventories/shared").glob("*.yml")):
        found.update(load(path))
    return found


def options(role: str) -> set[str]:
    specs = load(ROOT / f"roles/{role}/meta/argument_specs.yml").get("argument_specs") or {}
    return {name for spec in specs.values() for name in spec.get("options") or {}}


def refused(role: str) -> set[str]:
    """The options that the role's tasks name to the lookup."""
    texts = [path.read_text() for path in (ROOT / f"roles/{role}/tasks").glob("*.yml")]
    parts = re.findall(r"(?:needs=|__provider_aws_needs: )(\[[^\]]*\])", " ".join(texts))
    return {name for part in parts for name in re.findall(r"\w+", part)}


def made_of_secrets(provider: str) -> dict[str, set[str]]:
    """By role, the options that are made of a secret that the provider needs."""
    raw, secrets = wired(), set(NEEDED_SECRETS[provider])
    found = {}
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        role = path.parts[-3]
        own = {name for name in options(role) & raw.keys() if (reached_from(name, raw) - {name}) & secrets}
        if own and role != "environment":
            found[role] = own
    return found


@pytest.mark.parametrize("provider", sorted(NEEDED_SECRETS))
def test_every_role_refuses_the_options_that_are_made_of_secrets(provider: str) -> None:
    left = {
        f"{role}: {name}"
        for role, names in made_of_secrets(provider).items()
        for name in names - refused(role) - EXEMPT.keys()
        # Of the exporters that are enabled.
        if role != "exporters"
    }
    assert left == set()


def test_what_is_exempt_is_made_of_secrets() -> None:
    assert EXEMPT.keys() <= {name for names in made_of_secrets("aws").values() for name in names}


def test_the_exporters_refuse_theirs() -> None:
    text = (ROOT / "roles/exporters/tasks/preflight.yml").read_text()
    assert "needs=exporters_enabled | map('regex_replace', '^(.*)$', 'exporters_\\\\1_password')" in text
    assert all(re.fullmatch(r"exporters_\w+_password", name) for name in made_of_secrets("aws")["exporters"])


@pytest.mark.parametrize(
    ("raw", "names", "faults"),
    [
        ({}, ["a"], 0),
        ({"infra_provider": "aws", "infra_cache_password": ""}, [], 0),
        ({"infra_provider": "aws", "infra_cache_password": "", "a": "x"}, ["a"], 0),
        (
            {"infra_provider": "aws", "infra_cache_password": "", "a": "{{ b }}", "b": ["{{ infra_cache_password }}"]},
            ["a"],
            1,
        ),
        ({"infra_provider": "aws", "infra_cache_password": "x", "a": "{{ infra_cache_password }}"}, ["a"], 0),
        ({"infra_provider": "aws", "infra_cache_password": ""}, ["infra_cache_password"], 1),
        # One that Ansible lets every host see, and one that this provider does without.
        (
            {
                "infra_provider": "aws",
                "infra_cache_password": "",
                "a": "{{ hostvars }}",
                "hostvars": "{{ infra_cache_password }}",
            },
            ["a"],
            0,
        ),
        ({"infra_provider": "supabase", "infra_cache_password": ""}, ["infra_cache_password"], 0),
        ({"infra_provider": "another", "infra_cache_password": ""}, ["infra_cache_password"], 0),
    ],
)
def test_an_empty_secret(raw: dict[str, t.Any], names: list[str], faults: int) -> None:
    found = empty_secrets(names, raw, raw.__getitem__)
    assert found == ["infra_cache_password is empty; set infra_cache_password"] * faults


def test_an_option_that_an_inventory_reads_from_elsewhere() -> None:
    raw: dict[str, t.Any] = {
        "infra_provider": "aws",
        "infra_cache_password": "x",
        "provider_aws_cache_password": "{{ lookup('ansible.builtin.env', 'MY_CACHE_TOKEN') }}",
    }
    values = {**raw, "provider_aws_cache_password": ""}
    own = ["provider_aws_cache_password"]
    assert empty_secrets(own, raw, values.__getitem__) == []
    (said,) = empty_secrets(own, raw, values.__getitem__, own)
    assert said == (
        "provider_aws_cache_password is empty; export MY_CACHE_TOKEN, or set provider_aws_cache_password in a vault"
    )
    # Reported once, by what it is made of.
    raw |= {"provider_aws_cache_password": "{{ infra_cache_password }}", "infra_cache_password": ""}
    assert empty_secrets(own, raw, {**raw, "provider_aws_cache_password": ""}.__getitem__, own) == [
        "infra_cache_password is empty; set infra_cache_password"
    ]


def test_the_variables_to_export_in_staging(tmp_path: pathlib.Path) -> None:
    """As Ansible evaluates the inventory, for every role: without any variable of the environment."""
    tasks = [
        {
            "name": role,
            "ansible.builtin.debug": {"msg": f"{{{{ query('nexod.infra.option_faults', needs={sorted(names)}) }}}}"},
        }
        for role, names in made_of_secrets("aws").items()
    ]
    path = tmp_path / "each.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = play("-i", "inventories/staging", path, **AS_JSON, AWS_EC2_METADATA_DISABLED="true", HOME=str(tmp_path))
    said = {one["task"]["name"]: one["hosts"]["localhost"]["msg"] for one in tasks_of(done)}
    wanted = {f"{name} is empty; export {variable}, or set {name} in a vault" for name, variable in EXPORTS.items()}
    assert {sentence for row in said.values() for sentence in row} == wanted
    assert all(said.values())
    assert said["caches"] == [one for one in sorted(wanted) if "infra_cache_password" in one]
