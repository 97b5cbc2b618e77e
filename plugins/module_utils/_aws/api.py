# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to AWS: clients, every call recorded, no changing call in check mode, errors as action and next step."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
import traceback
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.credentials import aws_fault
from ansible_collections.nexod.infra.plugins.module_utils._aws.errors import (
    ATTEMPTS,
    cause_of,
    meaning_of,
    refused_by,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

try:
    import boto3
    from botocore import xform_name
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
except ImportError:
    MISSING: str | None = traceback.format_exc()
else:
    MISSING = None

#: Operations that change nothing, by how AWS names them.
READS = re.compile(r"(Describe|List|Get|Head|BatchGet|Lookup)[A-Z]")
#: Where the IAM action is not named after the service and the operation.
IAM_SERVICES = {"elbv2": "elasticloadbalancing"}
IAM_ACTIONS = {
    "cloudfront:CreateDistributionWithTags": "cloudfront:CreateDistribution",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
#: What AWS wants besides, because a call also tags, hands over a role, keeps a snapshot, or makes a service's role.
#: From "Dependent actions" in the Service Authorization Reference, and from the services' own pages on permissions.
SERVICE_ROLE = "iam:CreateServiceLinkedRole"
CACHE_NETWORK = (
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
ALSO = {
    "application-autoscaling:DeleteScalingPolicy": ("cloudwatch:DeleteAlarms",),
    "application-autoscaling:DeregisterScalableTarget": ("cloudwatch:DeleteAlarms",),
    "application-autoscaling:PutScalingPolicy": (
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricAlarm",
        "ecs:DescribeServices",
        "ecs:UpdateService",
    ),
    "application-autoscaling:RegisterScalableTarget": (
        "application-autoscaling:TagResource",
        "ecs:DescribeServices",
        "ecs:UpdateService",
        SERVICE_ROLE,
    ),
    "cloudfront:CreateDistribution": ("cloudfront:TagResource",),
    "ec2:AssociateIamInstanceProfile": ("iam:PassRole",),
    "ec2:CreateVpcEndpoint": (
        "ec2:CreateTags",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
    ),
    "ec2:ImportKeyPair": ("ec2:CreateTags",),
    "ec2:ReplaceIamInstanceProfileAssociation": ("iam:PassRole",),
    "ec2:RunInstances": ("ec2:CreateTags", "iam:PassRole"),
    "ecr:CreateRepository": ("ecr:TagResource",),
    "ecs:CreateCluster": ("ecs:TagResource", SERVICE_ROLE),
    "ecs:CreateService": ("ecs:TagResource", SERVICE_ROLE),
    "ecs:RegisterTaskDefinition": ("ecs:TagResource", "iam:PassRole"),
    "ecs:RunTask": ("ecs:TagResource", "iam:PassRole"),
    "elasticache:CreateCacheSubnetGroup": ("elasticache:AddTagsToResource",),
    "elasticache:CreateReplicationGroup": ("elasticache:AddTagsToResource", SERVICE_ROLE, *CACHE_NETWORK),
    "elasticache:DecreaseReplicaCount": CACHE_NETWORK,
    "elasticache:DeleteCacheSubnetGroup": CACHE_NETWORK,
    "elasticache:DeleteReplicationGroup": ("elasticache:CreateSnapshot", *CACHE_NETWORK),
    "elasticache:IncreaseReplicaCount": CACHE_NETWORK,
    "elasticache:ModifyReplicationGroup": CACHE_NETWORK,
    "elasticloadbalancing:CreateListener": ("elasticloadbalancing:AddTags",),
    "elasticloadbalancing:CreateLoadBalancer": (
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeAddresses",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "elasticloadbalancing:AddTags",
        SERVICE_ROLE,
    ),
    "elasticloadbalancing:CreateTargetGroup": (
        "ec2:DescribeInternetGateways",
        "ec2:DescribeVpcs",
        "elasticloadbalancing:AddTags",
        SERVICE_ROLE,
    ),
    "elasticloadbalancing:SetSubnets": ("ec2:DescribeSubnets",),
    "iam:AddRoleToInstanceProfile": ("iam:PassRole",),
    "iam:CreateInstanceProfile": ("iam:TagInstanceProfile",),
    "iam:CreateRole": ("iam:TagRole",),
    "logs:CreateLogGroup": ("logs:TagResource",),
    "rds:CreateDBInstance": (
        "kms:DescribeKey",
        "rds:AddTagsToResource",
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
        SERVICE_ROLE,
    ),
    "rds:CreateDBInstanceReadReplica": ("rds:AddTagsToResource",),
    "rds:CreateDBParameterGroup": ("rds:AddTagsToResource",),
    "rds:CreateDBSnapshot": ("rds:AddTagsToResource",),
    "rds:CreateDBSubnetGroup": ("rds:AddTagsToResource",),
    "rds:DeleteDBInstance": ("rds:AddTagsToResource", "rds:CreateDBSnapshot"),
    "s3:CreateBucket": ("s3:PutBucketOwnershipControls", "s3:TagResource"),
    "secretsmanager:CreateSecret": ("secretsmanager:TagResource",),
    "sns:CreateTopic": ("sns:TagResource",),
    # The user guide's policies for users of Session Manager.
    "ssm:StartSession": ("ssmmessages:OpenDataChannel",),
    **{
        f"ec2:{operation}": ("ec2:CreateTags",)
        for operation in (
            "AllocateAddress",
            "CreateInternetGateway",
            "CreateNatGateway",
            "CreateRouteTable",
            "CreateSecurityGroup",
            "CreateSubnet",
            "CreateVpc",
        )
    },
    "cloudwatch:PutMetricAlarm": ("cloudwatch:TagResource",),
}


@dataclasses.dataclass(frozen=True)
class Call:
    """One request: `operation` as AWS names it, such as CreateDBInstance."""

    service: str
    operation: str

    @property
    def changes(self) -> bool:
        return not READS.match(self.operation)

    @property
    def right(self) -> str:
        """The action that a policy must allow for this call."""
        named = f"{IAM_SERVICES.get(self.service, self.service)}:{self.operation}"
        return IAM_ACTIONS.get(named, named)

    @property
    def rights(self) -> tuple[str, ...]:
        """All actions that a policy must allow for this call."""
        return (self.right, *ALSO.get(self.right, ()))


def rights_of(calls: t.Iterable[Call]) -> list[str]:
    """All actions that a policy must allow for these calls."""
    return sorted({right for call in calls for right in call.rights})


class Api:
    """AWS in one region. `check`: refuse every call that would change something, whoever asks for it."""

    def __init__(
        self,
        region: str,
        *,
        check: bool = False,
        profile: str | None = None,
        endpoint_url: str | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.region, self.check, self.attempts = region, check, attempts
        self.calls: list[Call] = []
        self._endpoint, self._lock = endpoint_url, threading.Lock()
        self._clients: dict[str, t.Any] = {}
        self._account = ""
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except (BotoCoreError, ValueError) as error:
            raise aws_fault("use AWS in", region, error, region) from error

    def refresh(self) -> None:
        """Nothing to do: AWS is asked each time."""

    def client(self, service: str) -> t.Any:
        """A client, made once: making one takes longer than most calls, and it may be used by several threads."""
        with self._lock:
            if service not in self._clients:
                retries = {"mode": "adaptive", "total_max_attempts": self.attempts}
                config = Config(retries=retries, connect_timeout=10, read_timeout=60)
                try:
                    self._clients[service] = self._session.client(service, endpoint_url=self._endpoint, config=config)
                except (BotoCoreError, ValueError) as error:
                    raise aws_fault("use AWS in", self.region, error, self.region) from error
            return self._clients[service]

    @property
    def account(self) -> str:
        """The number of the account that the credentials are of; asked once."""
        if not self._account:
            self._account = str(self.call("sts", "GetCallerIdentity")["Account"])
        return self._account

    def require_account(self, number: str) -> None:
        """Refuse credentials of another account than that."""
        if self.account != number:
            raise InfraError(
                "use AWS",
                f"account {number}",
                f"the credentials are of the account {self.account}",
                "Set AWS_PROFILE, or the keys, for the account of this environment. Nothing else was called.",
            )

    def call(self, service: str, operation: str, missing: t.Sequence[str] = (), /, **arguments: t.Any) -> t.Any:
        """The answer of `operation`, in AWS' own spelling; None for an error code of `missing`.

        A list that comes in pages is returned whole.
        """
        call = Call(service, operation)
        if self.check and call.changes:
            raise InfraError(
                "call", call.right, "this is check mode, which changes nothing", "Report this: it is a mistake of ours."
            )
        with self._lock:
            self.calls.append(call)
        client, method = self.client(service), xform_name(operation)
        try:
            if client.can_paginate(method):
                return client.get_paginator(method).paginate(**arguments).build_full_result()
            return getattr(client, method)(**arguments)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in missing:
                return None
            raise refused(call, error, self.region) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise aws_fault("call", call.right, error, self.region) from error


def refused(call: Call, error: t.Any, region: str = "") -> InfraError:
    """An error that AWS has answered, with what it means and what to do about it."""
    asked = {"right": call.right, "service": call.service, "operation": call.operation, "region": region}
    answer = refused_by(error, time.time(), **asked)
    meaning = meaning_of(answer)
    return InfraError(
        "call",
        call.right,
        cause_of(answer),
        meaning.advice(answer),
        code=answer.code,
        meaning=meaning.name,
        everywhere=meaning.everywhere,
    )
