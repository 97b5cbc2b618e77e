# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies of the roles that an environment declares, for tasks and hosts: valid, and limited to what they use."""

from __future__ import annotations

import re
import typing as t

import botocore.session
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.grants import ATTACHED, PASSED_TO
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import REFERENCE as REFERENCES
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.test_grants import (
    EXCERPT,
    REFERENCE,
    covers,
    types_of,
)
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import options

HERE = "us-east-1:123456789012"
#: What a reference to a resource becomes.
ARNS = {
    "secret": f"arn:aws:secretsmanager:{HERE}:secret:{{}}-a1B2c3",
    "ecr_repository": f"arn:aws:ecr:{HERE}:repository/{{}}",
    "s3_bucket": "arn:aws:s3:::{}",
    "log_group": f"arn:aws:logs:{HERE}:log-group:{{}}",
    "ecs_cluster": f"arn:aws:ecs:{HERE}:cluster/{{}}",
}
#: Services that botocore knows by another name.
IN_BOTOCORE = {"tag": "resourcegroupstaggingapi"}
#: Services of IAM that are no services of botocore.
NOT_IN_BOTOCORE = {"ssmmessages", "ec2messages"}


def listed(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def roles() -> dict[str, dict[str, t.Any]]:
    watched = [{"name": "monitoring-1", "groups": ["monitoring"], "type": "t3.small"}]
    rows = declaration(options(account="123456789012", hosts=watched))
    return {one["name"]: one["properties"] for one in rows if one["kind"] == "iam_role"}


def statements() -> list[tuple[str, dict[str, t.Any]]]:
    return [
        (name, statement)
        for name, given in roles().items()
        for document in (given.get("policies") or {}).values()
        for statement in document["Statement"]
    ]


def resolved(resource: str) -> str:
    found = REFERENCES.fullmatch(resource)
    if not found:
        return resource
    kind, _slash, name = found["key"].partition("/")
    assert found["output"] == "arn", f"{resource} is no ARN"
    return ARNS[kind].format(name)


def test_there_is_something_to_look_at() -> None:
    assert {"nexod-staging-api-execution", "nexod-staging-api", "nexod-staging-monitoring"} <= roles().keys()
    assert len(statements()) >= 5


@pytest.mark.parametrize(
    ("role", "statement"), [pytest.param(*one, id=f"{one[0]}-{number}") for number, one in enumerate(statements())]
)
def test_a_statement_is_valid_and_as_narrow_as_aws_allows(role: str, statement: dict[str, t.Any]) -> None:
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] in ("Allow", "Deny")
    resources = [resolved(one) for one in listed(statement["Resource"])]
    for action in listed(statement["Action"]):
        assert "*" not in action, f"{role}: {action}"
        assert action in REFERENCE["actions"], f"{action}: no such action, or {EXCERPT}"
        required = REFERENCE["actions"][action]["required"]
        if "*" in resources:
            limited = "ecs:cluster" in str(statement.get("Condition"))
            assert limited or not required, f"{role}: {action} can be limited to {required}"
        else:
            kinds = [kind for kind in types_of(action) if kind]
            assert all(any(covers(one, action, kind) for kind in kinds) for one in resources), (action, resources)
    for one in resources:
        region_and_account = one.split(":")[3:5]
        assert "*" not in region_and_account, f"{role}: {one} is of any region or account"


@pytest.mark.parametrize("action", sorted({one for _role, row in statements() for one in listed(row["Action"])}))
def test_an_action_is_an_operation_of_its_service(action: str) -> None:
    service, _colon, operation = action.partition(":")
    if service in NOT_IN_BOTOCORE:
        pytest.skip("no service of botocore: the Service Authorization Reference has it")
    model = botocore.session.get_session().get_service_model(IN_BOTOCORE.get(service, service))
    assert operation in model.operation_names


def test_roles_can_be_created_and_passed_with_the_deployers_policies() -> None:
    for name, given in roles().items():
        assert name.startswith("nexod-staging-")
        assert given["service"] in PASSED_TO, f"name {given['service']} in PASSED_TO of grants.py"
        for arn in given.get("managed_policies") or ():
            assert arn in ATTACHED, f"name {arn} in ATTACHED of grants.py"
        for policy in given.get("policies") or ():
            assert re.fullmatch(r"[\w+=,.@-]{1,128}", policy)
