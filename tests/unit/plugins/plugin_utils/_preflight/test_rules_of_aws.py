# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of preflight on what is declared for AWS: hosts of EC2 and the inventory, and subscriptions to alarms."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import CONTROLLER, Inputs
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.rules import (
    RULES,
    hosts_of_ec2,
    values_of_subscriptions,
)

POOLER = {"name": "pooler-1", "groups": ["pooler"], "type": "t3.small"}
RUNNER = {"name": "runner-1", "groups": ["migration_runner"], "type": "t3.small"}
#: The inventory after the plugin amazon.aws.aws_ec2 has found both.
FOUND: dict[str, list[str]] = {
    "aws_ec2": ["pooler-1", "runner-1"],
    "pooler": ["pooler-1"],
    "migration_runner": ["runner-1"],
}


def inputs(values: dict[str, t.Any], groups: dict[str, list[str]] | None = None, provider: str = "aws") -> Inputs:
    return Inputs("staging", provider, {}, groups or {}, {}, {(CONTROLLER, name): one for name, one in values.items()})


def test_the_rules_run() -> None:
    assert {hosts_of_ec2, values_of_subscriptions} <= set(RULES)


@pytest.mark.parametrize(
    ("declared", "groups", "gateways", "faults"),
    [
        pytest.param([POOLER, RUNNER], FOUND, 1, [], id="found"),
        pytest.param([POOLER, RUNNER], {**FOUND, "aws_ec2": [], "pooler": []}, 1, [], id="not created yet"),
        pytest.param([], {"pooler": ["theirs"]}, 0, [], id="none declared"),
        pytest.param(None, {"pooler": ["theirs"]}, 0, [], id="not known"),
        pytest.param("@hosts", {}, 0, [], id="no list, which the specification reports"),
        pytest.param(
            [POOLER], {}, 1, [("hosts of EC2", "could not be read by the inventory", ())], id="the plugin has failed"
        ),
        pytest.param(
            [POOLER, RUNNER],
            {**FOUND, "pooler": ["by-hand", "pooler-1", "older"]},
            1,
            [("group pooler", "has hosts that provider_aws_hosts does not declare", ("by-hand", "older"))],
            id="hosts that are not declared",
        ),
        pytest.param(
            [{**POOLER, "groups": ["pooler", "monitoring"]}],
            {"aws_ec2": [], "pooler": ["a"], "monitoring": ["b"]},
            1,
            [("group monitoring", "has hosts", ("b",)), ("group pooler", "has hosts", ("a",))],
            id="each group",
        ),
        pytest.param([POOLER], {**FOUND, "grafana": ["theirs"]}, 1, [], id="another group is nobody's business"),
        pytest.param([{**POOLER, "groups": None}], FOUND, 1, [], id="a host without groups"),
        pytest.param(
            [POOLER], FOUND, 0, [("provider_aws_nat_gateways", "is 0, but the declared hosts", ())], id="no gateway"
        ),
        pytest.param(
            [POOLER],
            FOUND,
            "0",
            [("provider_aws_nat_gateways", "is 0", ())],
            id="no gateway, as the command line has it",
        ),
        pytest.param([POOLER], FOUND, "none", [], id="no number, which the specification reports"),
        pytest.param(
            [POOLER],
            {"pooler": ["by-hand"]},
            0,
            [
                ("hosts of EC2", "could not be", ()),
                ("group pooler", "has", ("by-hand",)),
                ("provider_aws_nat", "is 0", ()),
            ],
            id="all at once",
        ),
    ],
)
def test_hosts_of_ec2(
    declared: t.Any, groups: dict[str, list[str]], gateways: t.Any, faults: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    values = {"infra_declared_hosts": declared, "provider_aws_nat_gateways": gateways}
    found = hosts_of_ec2(inputs(values, groups))
    assert len(found) == len(faults)
    for one, (subject, cause, hosts) in zip(found, faults, strict=True):
        assert (one.subject.startswith(subject), one.cause.startswith(cause), one.hosts) == (True, True, hosts), one
        assert one.next_step
    assert hosts_of_ec2(inputs(values, groups, provider="lab")) == []


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        pytest.param([], [], id="none"),
        pytest.param([{"protocol": "email", "endpoint": "ops@example.com"}], [], id="an address"),
        pytest.param([{"protocol": "https", "endpoint": "https://x.example/canary"}], [], id="a URL"),
        pytest.param(
            [{"protocol": "email", "endpoint": "ops@x"}, {"protocol": "https", "endpoint": "http://x/canary"}],
            ["[1].endpoint must be a URL that begins with https://"],
            id="not TLS",
        ),
        pytest.param(
            [{"protocol": "sqs", "endpoint": "canary"}], ["[0].endpoint must be the ARN of a queue"], id="no ARN"
        ),
        pytest.param([{"protocol": "https", "endpoint": ""}], [], id="empty, which the specification reports"),
        pytest.param([{"protocol": "slack", "endpoint": "x"}], [], id="a choice, which the specification reports"),
        pytest.param("canary", [], id="no list, which the specification reports"),
    ],
)
def test_subscriptions(rows: t.Any, faults: list[str]) -> None:
    found = values_of_subscriptions(inputs({"provider_aws_alarm_subscriptions": rows}))
    texts = [f"{one.subject} {one.cause}" for one in found]
    assert len(texts) == len(faults)
    for text, expected in zip(texts, faults, strict=True):
        assert text.startswith(f"provider_aws_alarm_subscriptions{expected}")
        assert "canary" not in text
    assert values_of_subscriptions(inputs({"provider_aws_alarm_subscriptions": rows}, provider="lab")) == []
