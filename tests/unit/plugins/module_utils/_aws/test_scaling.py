"""Scaling of services on a stand-in: moto gives targets no tags and makes none without a service."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import bring, changed, must_change, must_live, needed
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import Scaling

ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
REQUESTS = {"load_balancer": f"{ELB}:loadbalancer/app/api/50dc", "target_group": f"{ELB}:targetgroup/api/6d0e"}
POLICY = {"target": "@scaling_target/api", "metric": "ECSServiceAverageCPUUtilization", "value": 60}
BY_REQUESTS = {"metric": "ALBRequestCountPerTarget", "requests_to": REQUESTS}
ROWS: list[aws_resources.Row] = [
    ("scaling_target", "api", {"cluster": "staging", "service": "api", "min": 2, "max": 10}),
    ("scaling_policy", "cpu", POLICY),
    ("scaling_policy", "requests", {**POLICY, **BY_REQUESTS, "value": 1000}),
]


@pytest.fixture(autouse=True)
def scaling(monkeypatch: pytest.MonkeyPatch) -> Scaling:
    made = Scaling()
    monkeypatch.setattr(aws_resources, "CLIENTS", {"application-autoscaling": made})
    return made


def test_from_nothing_and_away() -> None:
    must_live(ROWS, ())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("scaling_target/api", {"min": 3}, id="target min"),
        pytest.param("scaling_target/api", {"max": 20}, id="target max"),
        pytest.param("scaling_policy/cpu", {"value": 70.5}, id="policy value"),
        pytest.param("scaling_policy/cpu", {"metric": "ECSServiceAverageMemoryUtilization"}, id="policy metric"),
        pytest.param("scaling_policy/cpu", BY_REQUESTS, id="policy requests_to"),
        pytest.param("scaling_policy/cpu", {"scale_out_seconds": 30}, id="policy scale_out_seconds"),
        pytest.param("scaling_policy/cpu", {"scale_in_seconds": 600}, id="policy scale_in_seconds"),
    ],
)
def test_each_property_is_changed_and_changed_back(key: str, value: dict[str, t.Any]) -> None:
    must_change(ROWS, key, value)


def test_requests_are_named_as_aws_names_them(scaling: Scaling) -> None:
    bring(*ROWS)
    tracking = scaling.policies["service/staging/api", "requests"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["PredefinedMetricSpecification"]["ResourceLabel"] == "app/api/50dc/targetgroup/api/6d0e"


def test_the_target_and_the_policies_of_somebody_else_are_left_alone(scaling: Scaling) -> None:
    rows = needed(ROWS, "scaling_policy/cpu")
    bring(*rows)
    for tags in scaling.tags.values():
        tags["nexod:environment"] = "production"
    done, api = bring(*changed(rows, "scaling_target/api", max=1, min=1))
    assert "belongs to the environment production" in str(done.faults[0][1])
    # The declaration of a policy alone is refused too.
    named = changed(rows, "scaling_policy/cpu", target="service/staging/api", value=1)
    done, api = bring(*needed(named, "scaling_policy/cpu"))
    assert "belongs to the environment production" in str(done.faults[0][1])
    assert [call for call in api.calls if call.changes] == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("scaling_target/api", {"min": 11}, "min is 11 and max is 10"),
        ("scaling_policy/requests", {"requests_to": {}}, "requests_to must have load_balancer and target_group"),
        ("scaling_policy/cpu", {"requests_to": REQUESTS}, "only with it"),
    ],
)
def test_what_is_wrong_together(key: str, value: dict[str, t.Any], words: str) -> None:
    rows = [{"kind": kind, "name": name, "properties": given} for kind, name, given in changed(ROWS, key, **value)]
    with pytest.raises(InfraError, match=words):
        declared(rows, KINDS)
