# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows in the options of provider_aws: the code reads what the specification declares, and has its defaults.

A key that only the code knows is refused by preflight as unknown; one that only the specification knows has no effect.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._aws.kinds.delivery import error_page
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import DECLARED
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import by_name
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.endpoints import endpoints
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import by_key, options

ROLES = pathlib.Path(__file__).resolve().parents[5] / "roles"
Spec = dict[str, t.Any]


def specs_of(role: str) -> Spec:
    found = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    return dict(found["argument_specs"]["main"]["options"])


#: Options that are rows, by their names without the prefix, each with the specification of a row.
ROWS: dict[str, Spec] = {
    name.removeprefix("provider_aws_"): spec.get("options") or {}
    for name, spec in specs_of("provider_aws").items()
    if spec.get("options") or spec.get("elements") == "dict"
}
#: Of rows that are specified elsewhere.
ROWS["latency_targets"] = specs_of("environment")["infra_latency_targets"]["options"]
ROWS["error_alerts"] = specs_of("environment")["infra_error_alerts"]["options"]
ROWS["more_resources"] = DECLARED["resources"]["options"]
#: A row with every key.
FULL: dict[str, Spec] = {
    "hosts": {
        "name": "runner-1",
        "groups": ["migration_runner"],
        "type": "t3.small",
        "root_gb": 30,
        "image": "ami-1",
        "zone": "us-east-1b",
        "public": True,
    },
    "cdn_error_pages": {"code": 403, "page": "/404.html", "answer": 404, "seconds": 60},
    "alarm_subscriptions": {"protocol": "email", "endpoint": "ops@example.com", "severity": "warning"},
    "latency_targets": {"metric": "api", "quantile": 0.95, "target_seconds": 0.3, "alert_seconds": 0.5},
    "error_alerts": {"metric": "api", "count": 10, "ratio": 0.05, "severity": "page"},
    "more_resources": {"kind": "iam_role", "name": "more", "properties": {"service": "ec2.amazonaws.com"}},
}
#: Read by others than what is run here, or by nobody here.
ELSEWHERE = {
    "latency_targets": {"target_seconds"},  # the verdict
    "error_alerts": {"ratio"},  # Prometheus' rules
    # Passed on as they are: kinds/delivery.py reads them, see below.
    "cdn_error_pages": set(ROWS["cdn_error_pages"]),
    "more_resources": {"name"},
}


class Recorded(dict[str, t.Any]):
    """A row that knows which of its keys were asked for, and answers as if it lacked what it lacks."""

    def __init__(self, row: Spec) -> None:
        super().__init__(row)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> t.Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: t.Any = None) -> t.Any:
        self.read.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)


def read_from(option: str, row: Spec) -> set[str]:
    recorded = Recorded(row)
    given = options(**{"cdn": True, "permissions_boundary": "arn:aws:iam::1:policy/x", option: [recorded]})
    declaration(given)
    endpoints({}, given)
    by_name(given)
    return recorded.read


def test_each_option_with_rows_is_looked_at() -> None:
    assert set(FULL) == set(ROWS)


@pytest.mark.parametrize("option", ROWS)
def test_a_full_row_has_every_key(option: str) -> None:
    assert set(FULL[option]) == set(ROWS[option])


@pytest.mark.parametrize("option", ROWS)
def test_the_code_reads_what_is_specified(option: str) -> None:
    read, specified = read_from(option, FULL[option]), set(ROWS[option])
    assert sorted(read - specified) == [], "the specification lacks these, so preflight refuses them"
    assert sorted(specified - read - ELSEWHERE.get(option, set())) == [], "these have no effect"


def test_error_pages_are_read_as_specified() -> None:
    specified = ROWS["cdn_error_pages"]
    required = {name for name, spec in specified.items() if spec.get("required")}
    defaults = {name: spec["default"] for name, spec in specified.items() if "default" in spec}
    assert required == {"code", "page"}
    assert error_page({}) == defaults


@pytest.mark.parametrize("option", [name for name in ROWS if name not in ("more_resources", "cdn_error_pages")])
def test_what_a_row_lacks_is_as_the_specification_says(option: str) -> None:
    """Ansible validates rows and fills nothing in."""
    least = {name: FULL[option][name] for name, spec in ROWS[option].items() if spec.get("required")}
    defaults = {name: spec["default"] for name, spec in ROWS[option].items() if "default" in spec}
    assert declaration(options(**{option: [least]})) == declaration(options(**{option: [{**defaults, **least}]}))


@pytest.mark.parametrize(
    ("given", "image", "machine"),
    [
        pytest.param({}, "resolve:ssm:/aws/service/debian/release/12/latest/amd64", "amd64", id="the default"),
        pytest.param({"image": "ami-0123"}, "ami-0123", "amd64", id="its own"),
        pytest.param({"type": "t4g.small", "image": "ami-0123"}, "ami-0123", "arm64", id="its own, for Graviton"),
        pytest.param({"type": "m7gd.large", "image": "ami-0123"}, "ami-0123", "arm64", id="with disks"),
        pytest.param({"type": "g4dn.xlarge", "image": "ami-0123"}, "ami-0123", "amd64", id="a GPU is no Graviton"),
    ],
)
def test_the_image_of_a_host_and_its_agent(given: Spec, image: str, machine: str) -> None:
    host = {"name": "runner-1", "groups": ["migration_runner"], "type": "t3.small", **given}
    made = by_key(declaration(options(hosts=[host])))["ec2_instance/runner-1"]
    assert made["image"] == image
    assert f"/debian_{machine}/amazon-ssm-agent.deb" in made["user_data"]
