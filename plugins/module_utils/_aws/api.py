# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to AWS: clients, every call recorded, no changing call in check mode, errors as action and next step."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import traceback
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.credentials import aws_fault
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

try:
    import boto3
    from botocore import xform_name
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    MISSING: str | None = traceback.format_exc()
else:
    MISSING = None

#: Operations that change nothing, by how AWS names them.
READS = re.compile(r"(Describe|List|Get|Head|BatchGet|Lookup)[A-Z]")
#: Error codes by what they mean; AWS has several for each, by the age of the service.
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "AuthFailure")
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
UNKNOWN_KEY = (
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
SLOW_DOWN = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown")
LIMIT = re.compile(r"Quota|LimitExceeded|Limit$|TooMany")
#: Where the IAM action is not named after the service and the operation.
IAM_SERVICES = {"elbv2": "elasticloadbalancing", "logs": "logs", "application-autoscaling": "application-autoscaling"}
IAM_ACTIONS = {
    "cloudfront:CreateDistributionWithTags": "cloudfront:CreateDistribution",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
#: What AWS wants besides, because a call also tags, hands over a role, keeps a snapshot, or makes a service's role.
SERVICE_ROLE = "iam:CreateServiceLinkedRole"
ALSO = {
    "application-autoscaling:RegisterScalableTarget": ("application-autoscaling:TagResource", SERVICE_ROLE),
    "cloudfront:CreateDistribution": ("cloudfront:TagResource",),
    "ec2:AssociateIamInstanceProfile": ("iam:PassRole",),
    "ec2:ImportKeyPair": ("ec2:CreateTags",),
    "ec2:ReplaceIamInstanceProfileAssociation": ("iam:PassRole",),
    "ec2:RunInstances": ("ec2:CreateTags", "iam:PassRole"),
    "ecr:CreateRepository": ("ecr:TagResource",),
    "ecs:CreateCluster": ("ecs:TagResource", SERVICE_ROLE),
    "elasticache:CreateCacheSubnetGroup": ("elasticache:AddTagsToResource",),
    "elasticache:CreateReplicationGroup": ("elasticache:AddTagsToResource", SERVICE_ROLE),
    "elasticache:DeleteReplicationGroup": ("elasticache:CreateSnapshot",),
    "iam:AddRoleToInstanceProfile": ("iam:PassRole",),
    "iam:CreateInstanceProfile": ("iam:TagInstanceProfile",),
    "iam:CreateRole": ("iam:TagRole",),
    "logs:CreateLogGroup": ("logs:TagResource",),
    "rds:CreateDBInstance": ("rds:AddTagsToResource", "secretsmanager:CreateSecret", "secretsmanager:TagResource"),
    "rds:CreateDBInstanceReadReplica": ("rds:AddTagsToResource",),
    "rds:CreateDBParameterGroup": ("rds:AddTagsToResource",),
    "rds:CreateDBSubnetGroup": ("rds:AddTagsToResource",),
    "rds:DeleteDBInstance": ("rds:CreateDBSnapshot",),
    "s3:CreateBucket": ("s3:TagResource",),
    "secretsmanager:CreateSecret": ("secretsmanager:TagResource",),
    "sns:CreateTopic": ("sns:TagResource",),
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
            "CreateVpcEndpoint",
        )
    },
    **{
        f"elasticloadbalancing:Create{thing}": ("elasticloadbalancing:AddTags",)
        for thing in ("LoadBalancer", "TargetGroup", "Listener")
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


class Api:
    """AWS in one region. `check`: refuse every call that would change something, whoever asks for it."""

    def __init__(
        self, region: str, *, check: bool = False, profile: str | None = None, endpoint_url: str | None = None
    ) -> None:
        self.region, self.check = region, check
        self.calls: list[Call] = []
        self._endpoint, self._lock = endpoint_url, threading.Lock()
        self._clients: dict[str, t.Any] = {}
        self._account = ""
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except (BotoCoreError, ValueError) as error:
            raise aws_fault("use AWS in", region, error) from error

    def client(self, service: str) -> t.Any:
        """A client, made once: making one takes longer than most calls, and it may be used by several threads."""
        with self._lock:
            if service not in self._clients:
                config = Config(
                    retries={"mode": "adaptive", "total_max_attempts": 8}, connect_timeout=10, read_timeout=60
                )
                try:
                    self._clients[service] = self._session.client(service, endpoint_url=self._endpoint, config=config)
                except (BotoCoreError, ValueError) as error:
                    raise aws_fault("use AWS in", self.region, error) from error
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
            raise refused(call, error) from error
        except BotoCoreError as error:
            raise aws_fault("call", call.right, error) from error


def refused(call: Call, error: t.Any) -> InfraError:
    """An error that AWS has answered, with what to do about it."""
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", "")).strip()
    return InfraError("call", call.right, f"{code}: {message}" if message else code, next_step(call, code), code=code)


def next_step(call: Call, code: str) -> str:
    if code in DENIED:
        statement = json.dumps({"Effect": "Allow", "Action": call.right, "Resource": "*"})
        return f"Let the account that runs this do so, for example by the policy statement {statement}."
    if code in EXPIRED:
        return "Sign in again (aws sso login, or new credentials), then run again; what was done stays done."
    if code in UNKNOWN_KEY:
        return "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE: AWS does not know these credentials."
    if code in SLOW_DOWN:
        return "AWS limits the rate of requests, and 8 attempts were not enough. Run again; what was done stays done."
    if LIMIT.search(code):
        return "Ask for a higher quota (Service Quotas in the console), or remove what is not needed, then run again."
    return "Correct the declaration by what AWS says, then run again; what was done stays done."
