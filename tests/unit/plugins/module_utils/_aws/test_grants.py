"""The policies of whoever deploys: every call is covered, nothing else is granted, and IAM would match the statements.

The calls are those in the source, as moto can't do some of them, and those of runs on moto and on stand-ins. What IAM
matches is judged by AWS' Service Authorization Reference, of which tests/fixtures/iam_reference.json is an excerpt. No
policy has been tried with IAM itself.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.grants import (
    APART,
    BOUNDED,
    GRANTS,
    OPTIONAL,
    OURS,
    PARTS,
    Grant,
    grants_of,
    policy,
)
from ansible_collections.nexod.infra.tests.fixtures.aws_calls import declared_calls

ROOT = Path(__file__).resolve().parents[5]
FOLDER = ROOT / "roles/provider_aws/templates/policies"
REFERENCE = json.loads((ROOT / "tests/fixtures/iam_reference.json").read_text(encoding="utf-8"))
ADD = "grant it in plugins/module_utils/_aws/grants.py, then run `make readmes`"
EXCERPT = "run tools/iam_reference.py (its docstring says how)"
#: As long as names get: the prefix is part of names of load balancers, which have at most 32 characters.
FILLED = {
    "{{ provider_aws_account }}": "123456789012",
    "{{ provider_aws_region }}": "ap-southeast-2",
    "{{ provider_aws_prefix }}": "nexod-a-very-long-environment",
    "{{ provider_aws_environment }}": "a-very-long-environment",
    "{{ __provider_aws_boundary_operator }}": "StringLikeIfExists",
    "{{ __provider_aws_boundary }}": "arn:aws:iam::123456789012:policy/boundaries/of-what-is-deployed-by-machines",
}
#: Dependent actions of the reference that our calls don't need.
NOT_NEEDED = {
    "cloudfront:CreateConnectionGroup": "only for distributions with tenants",
    "iam:PassRole": "RDS: only for enhanced monitoring; SNS: only for the log of deliveries",
    "kms:CreateGrant": "only with a key of the customer",
    "kms:Decrypt": "only with a key of the customer",
    "kms:GenerateDataKey": "only with a key of the customer",
    "rds:CreateTenantDatabase": "only for Oracle",
    "rds:DeleteTenantDatabase": "only for Oracle",
    "route53:AssociateVPCWithHostedZone": "only for interface endpoints",
    "s3:DeleteObject": "only for the export of a snapshot",
    "s3:GetBucketAcl": "only for the export of a snapshot",
    "s3:GetObject": "only for the import of a snapshot",
    "s3:PutObject": "only for the export of a snapshot",
    "secretsmanager:RotateSecret": "the password of the database is not rotated by us",
    "ssm:GetParameters": "the image is found by GetParameter before",
}
NOT_NEEDED_BY = {
    "ec2:AuthorizeSecurityGroupIngress": "rules get no tags",
    "rds:ModifyDBInstance": "it neither tags nor changes how the password is kept",
}
#: Resource types that the reference requires, and our calls don't have.
NOT_USED = {
    ("rds:CreateDBInstanceReadReplica", "cluster"): "the source is an instance",
    ("ecs:ListTasks", "container-instance"): "tasks on Fargate have none; the cluster is a condition then",
    ("elasticloadbalancing:DeleteListener", "listener/gwy"): "listeners of application load balancers only",
    ("elasticloadbalancing:DeleteListener", "listener/net"): "listeners of application load balancers only",
    ("elasticloadbalancing:ModifyListener", "listener/gwy"): "listeners of application load balancers only",
    ("elasticloadbalancing:ModifyListener", "listener/net"): "listeners of application load balancers only",
}
#: What AWS accepts for these only, although the reference names a resource type.
#: What AWS limits by these, although the reference names no resource type of the action.
NAMED_NEVERTHELESS = {
    "ssmmessages:OpenDataChannel": "ssm:session",  # the user guide's policies for users of Session Manager
}
ANY = {
    "cloudwatch:DescribeAlarms": "with a narrower scope it shows no composite alarms (API reference)",
    "ecs:ListTasks": "without a container instance it is *, limited by ecs:cluster (developer guide, examples)",
}


def filled(text: str) -> str:
    for name, value in FILLED.items():
        text = text.replace(name, value)
    return text


def types_of(action: str) -> dict[str, list[str]]:
    assert action in REFERENCE["actions"], f"tests/fixtures/iam_reference.json lacks {action}: {EXCERPT}"
    return t.cast("dict[str, list[str]]", REFERENCE["actions"][action]["types"])


def kinds_of(action: str) -> dict[str, list[str]]:
    """The types of resources that a statement of this action can name, with their conditions."""
    return types_of(action) | ({NAMED_NEVERTHELESS[action]: []} if action in NAMED_NEVERTHELESS else {})


def covers(resource: str, action: str, kind: str) -> bool:
    """Whether a resource of a statement can be of that type: the parts of both ARNs fit, a variable fits anything."""
    name = kind if ":" in kind else f"{action.partition(':')[0]}:{kind}"
    template = REFERENCE["resources"].get(name)
    if resource == "*" or template is None:
        return resource == "*"
    ours, theirs = filled(resource).split(":", 5), re.sub(r"\$\{[^}]+\}", "*", template).split(":", 5)
    return all(
        one == other or "*" in (one, other) or (position == 5 and overlaps(one, other))
        for position, (one, other) in enumerate(zip(ours, theirs, strict=True))
    )


@functools.cache
def overlaps(ours: str, theirs: str) -> bool:
    """Whether some text fits both patterns; `*` stands for anything, a slash as well."""
    if not ours or not theirs:
        return not (ours + theirs).strip("*")
    for one, other in ((ours, theirs), (theirs, ours)):
        if one[0] == "*":
            return overlaps(one[1:], other) or overlaps(one, other[1:])
    return ours[0] == theirs[0] and overlaps(ours[1:], theirs[1:])


def keys(grant: Grant) -> set[str]:
    found = {key for one in grant.conditions.values() for key in one}
    return {re.sub(r"(aws:(?:Request|Resource)Tag/).*", r"\1${TagKey}", key) for key in found}


#: Keys that AWS sends with every request.
GLOBAL = {"aws:RequestedRegion", "aws:ViaAWSService"}


def test_every_call_is_granted_and_nothing_else() -> None:
    granted = {action for one in GRANTS for action in one.actions}
    needed: dict[str, list[str]] = {}
    for call, places in declared_calls().items():
        for right in call.rights:
            needed.setdefault(right, []).extend(f"{call.service} {call.operation} in {place}" for place in places)
    lacking = [
        f"{right} is not granted: {ADD}; needed by {needed[right][0]}" for right in sorted(needed.keys() - granted)
    ]
    surplus = [
        f"{right} is granted, and no call needs it: remove it there" for right in sorted(granted - needed.keys())
    ]
    assert lacking + surplus == []


def test_a_plan_needs_the_policies_for_reading_only() -> None:
    reads = {right for call in declared_calls() if not call.changes for right in call.rights}
    granted = {action for one in GRANTS if one.part.startswith("read") for action in one.actions}
    apart = {action for one in GRANTS if one.part in APART for action in one.actions}
    # Images are looked for when a host is created.
    assert reads - granted - apart == {"ssm:GetParameter"}
    assert granted - reads == set()


@pytest.mark.parametrize("part", PARTS)
def test_the_shipped_policies_are_valid_and_fit_into_iam(part: str) -> None:
    text = (FOLDER / f"{part}.json").read_text(encoding="utf-8")
    assert json.loads(text) == policy(part), "out of date: run `make readmes`"
    found = json.loads(filled(text))
    assert "{{" not in json.dumps(found)
    assert found["Version"] == "2012-10-17"
    for row in found["Statement"]:
        assert row.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert re.fullmatch(r"[A-Za-z0-9]+", row["Sid"])
        assert row["Effect"] == "Allow"
        assert not [one for one in row["Action"] if "*" in one]
    # The size of a managed policy, without white space between the parts.
    assert len(json.dumps(found, separators=(",", ":"))) <= 6144


def test_a_role_can_have_all_of_them() -> None:
    assert len(set(PARTS) - set(APART)) <= 10
    assert {one.part for one in GRANTS} == set(PARTS)
    assert {path.stem for path in FOLDER.glob("*")} == set(PARTS)
    sids = [one.sid for one in GRANTS]
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize("action", sorted({action for one in GRANTS for action in one.actions}))
def test_iam_matches_the_statements_of_an_action(action: str) -> None:
    """Each type of resource that the action needs is named by a statement whose conditions IAM can evaluate."""
    types, grants = kinds_of(action), grants_of(action)
    required = [one for one in REFERENCE["actions"][action]["required"] if (action, one) not in NOT_USED]
    for kind in required:
        fitting = [one for one in grants if any(covers(resource, action, kind) for resource in one.resources)]
        assert fitting, f"no statement of {action} names a {kind}"
        usable = [one for one in fitting if keys(one) <= GLOBAL | {*types[kind], *types.get("", ())}]
        assert usable, f"{action} on {kind} does not know the condition {[sorted(keys(one)) for one in fitting]}"
    for one in grants:
        named = [kind for kind in types if kind and any(covers(resource, action, kind) for resource in one.resources)]
        assert named or one.resources == ("*",), f"{one.sid}: {action} has no resource {one.resources}"
        known = {key for kind in [*named, ""] for key in types.get(kind, ())}
        assert keys(one) <= GLOBAL | known, f"{one.sid}: {action} does not know {sorted(keys(one) - known)}"


@pytest.mark.parametrize("grant", [one for one in GRANTS if "*" in one.resources], ids=lambda one: one.sid)
def test_all_resources_stand_only_where_aws_accepts_nothing_else(grant: Grant) -> None:
    narrower = [one for one in grant.actions if REFERENCE["actions"][one]["required"] and one not in ANY]
    assert narrower == []


@pytest.mark.parametrize("grant", GRANTS, ids=lambda one: one.sid)
def test_each_resource_of_a_statement_is_of_some_action(grant: Grant) -> None:
    for resource in grant.resources:
        assert resource == "*" or any(
            covers(resource, action, kind) for action in grant.actions for kind in kinds_of(action) if kind
        ), resource


def test_what_calls_need_besides_is_granted_or_known_not_to_be_needed() -> None:
    assert [
        f"{call.right} needs {needed} as well: name it in ALSO of plugins/module_utils/_aws/api.py"
        for call in declared_calls()
        for needed in REFERENCE["actions"].get(call.right, {}).get("depends", ())
        if call.right not in NOT_NEEDED_BY and needed not in call.rights and needed not in NOT_NEEDED
    ] == []


def starting() -> dict[str, Grant]:
    return {resource: one for one in grants_of("ssm:StartSession") for resource in one.resources}


def test_hosts_are_reached_with_a_document_that_is_granted_and_with_no_other() -> None:
    """Also with the default document, unless each statement has the condition (user guide, session documents)."""
    for one in starting().values():
        assert one.conditions["BoolIfExists"] == {"ssm:SessionDocumentAccessCheck": "true"}
    (instances,) = [one for resource, one in starting().items() if ":instance/" in resource]
    assert instances.conditions["StringEquals"] == OURS["StringEquals"]
    documents = {resource.rpartition("/")[2] for resource in starting() if ":document/" in resource}
    assert documents == {"AWS-StartSSHSession", "SSM-SessionManagerRunShell"}


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_document_of_the_inventory_is_granted_without_the_optional_policy(environment: str) -> None:
    text = (ROOT / "inventories" / environment / "hosts.yml").read_text(encoding="utf-8")
    (document,) = re.findall(r"--document-name (\S+)", text)
    (part,) = [one.part for resource, one in starting().items() if resource.endswith(f"::document/{document}")]
    assert part not in OPTIONAL


def test_the_document_of_the_connection_aws_ssm_is_granted_by_its_policy_only() -> None:
    shell = [one.part for resource, one in starting().items() if resource.endswith("/SSM-SessionManagerRunShell")]
    assert tuple(shell) == OPTIONAL


def test_what_is_needed_without_the_optional_policies() -> None:
    """They add resources, and no action that something else needs."""
    granted = {action for one in GRANTS if one.part not in OPTIONAL for action in one.actions}
    assert {action for one in GRANTS for action in one.actions} - granted == set()


def test_roles_are_passed_to_known_services_and_given_known_policies_only() -> None:
    (passing,) = grants_of("iam:PassRole")
    assert passing.conditions["StringEquals"]["iam:PassedToService"] == ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]
    assert [one.rpartition("/")[2] for one in passing.resources] == ["{{ provider_aws_prefix }}-*"]
    for action in ("iam:AttachRolePolicy", "iam:CreateServiceLinkedRole"):
        (one,) = grants_of(action)
        assert one.conditions


@pytest.mark.parametrize(
    "action", ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"]
)
def test_what_gives_a_role_rights_needs_the_boundary(action: str) -> None:
    """And nothing takes it away: otherwise whoever deploys could give a role more than they have."""
    (one,) = grants_of(action)
    assert one.conditions.items() >= BOUNDED.items()
    assert grants_of("iam:DeleteRolePermissionsBoundary") == []
