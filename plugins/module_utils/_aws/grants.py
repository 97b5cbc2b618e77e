# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights of whoever runs a deploy: the statements of the policies in roles/provider_aws/templates/policies.

`make readmes` writes those files from here; a test compares them with every call that the collection makes, and
with AWS' Service Authorization Reference. A resource is limited by its name where its ARN contains one, and by its tag
otherwise; `*` stands where AWS accepts nothing else.
"""

from __future__ import annotations

import dataclasses
import typing as t

Conditions = t.Mapping[str, t.Mapping[str, t.Any]]
#: Variables of the role provider_aws, filled in by playbooks/aws_policies.yml.
ACCOUNT, REGION = "{{ provider_aws_account }}", "{{ provider_aws_region }}"
PREFIX, ENVIRONMENT = "{{ provider_aws_prefix }}", "{{ provider_aws_environment }}"
TAG = "nexod:environment"
#: What exists already and is ours; what is being created as ours; what is tagged again stays ours.
OURS: Conditions = {"StringEquals": {f"aws:ResourceTag/{TAG}": ENVIRONMENT}}
MADE_OURS: Conditions = {"StringEquals": {f"aws:RequestTag/{TAG}": ENVIRONMENT}}
STAYS_OURS: Conditions = {**OURS, "StringEqualsIfExists": {f"aws:RequestTag/{TAG}": ENVIRONMENT}}
IN_REGION: Conditions = {"StringEquals": {"aws:RequestedRegion": REGION}}
#: What a service does with the caller's rights, and only that.
BY_SERVICE: Conditions = {"Bool": {"aws:ViaAWSService": "true"}}
CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{PREFIX}"
IN_CLUSTER: Conditions = {"ArnEquals": {"ecs:cluster": CLUSTER}}
#: The services that roles are handed to, and that AWS makes a role for when they are first used.
PASSED_TO = ("ec2.amazonaws.com", "ecs-tasks.amazonaws.com")
SERVICE_ROLES = (
    "ecs.amazonaws.com",
    "ecs.application-autoscaling.amazonaws.com",
    "elasticache.amazonaws.com",
    "elasticloadbalancing.amazonaws.com",
    "rds.amazonaws.com",
)
#: Only roles with the permissions boundary, where there is one; and otherwise any.
BOUNDED: Conditions = {
    "{{ __provider_aws_boundary_operator }}": {"iam:PermissionsBoundary": "{{ __provider_aws_boundary }}"}
}
#: The policies of AWS that a role may be given.
ATTACHED = ("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",)
PARTS = (
    *("read", "read_service", "sessions", "network", "data", "service", "storage", "delivery", "hosts", "aws_ssm"),
    "cost",
)
#: Only needed where the inventory says so.
OPTIONAL = ("aws_ssm",)
#: For whoever looks prices and bills up, which neither a deploy nor a plan does.
APART = ("cost",)


@dataclasses.dataclass(frozen=True)
class Grant:
    """A statement. `part` is its file: a deploy needs all but `aws_ssm`, for the connection of that name, and `cost`.

    A plan needs those that begin with `read`, and `sessions`, by which hosts are reached.
    """

    part: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    conditions: Conditions = dataclasses.field(default_factory=dict)

    @property
    def statement(self) -> dict[str, t.Any]:
        condition = {"Condition": {name: dict(one) for name, one in self.conditions.items()}} if self.conditions else {}
        return {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": sorted(self.actions),
            "Resource": list(self.resources) if len(self.resources) > 1 else self.resources[0],
            **condition,
        }


def of(service: str, *operations: str) -> tuple[str, ...]:
    return tuple(f"{service}:{one}" for one in operations)


def arns(service: str, *resources: str, region: str = REGION, account: str = ACCOUNT) -> tuple[str, ...]:
    return tuple(f"arn:aws:{service}:{region}:{account}:{one}" for one in resources)


def named(kind: str) -> tuple[str, str]:
    """What is called as the environment, or begins so; not what another environment with a longer name has."""
    return f"{kind}{PREFIX}", f"{kind}{PREFIX}-*"


def ec2(*kinds: str) -> tuple[str, ...]:
    return arns("ec2", *(f"{one}/*" for one in kinds))


NETWORK = (
    "elastic-ip",
    "internet-gateway",
    "natgateway",
    "route-table",
    "security-group",
    "subnet",
    "vpc",
    "vpc-endpoint",
)
NETWORK_MADE = of(
    "ec2",
    "AllocateAddress",
    "CreateInternetGateway",
    "CreateNatGateway",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "CreateSubnet",
    "CreateVpc",
    "CreateVpcEndpoint",
)
DATABASES = arns("rds", *named("db:"), f"pg:{PREFIX}-*", f"subgrp:{PREFIX}")
CACHES = arns("elasticache", f"replicationgroup:{PREFIX}", f"subnetgroup:{PREFIX}")
SECRETS = arns("secretsmanager", f"secret:{PREFIX}-*")
ROLES, PROFILES = (arns("iam", f"{kind}/{PREFIX}-*", region="") for kind in ("role", "instance-profile"))
#: The one that workflows of GitHub are trusted by, which the environments of an account share.
PROVIDERS = arns("iam", "oidc-provider/token.actions.githubusercontent.com", region="")
BUCKETS = (f"arn:aws:s3:::{PREFIX}-*",)
#: Static files, and not what users have uploaded. The record of what is published lies beside them.
STATIC, STATIC_RECORD = (f"arn:aws:s3:::{PREFIX}-static/*",), (f"arn:aws:s3:::{PREFIX}-static/.nexod/*",)
REPOSITORIES = arns("ecr", f"repository/{PREFIX}-*")
LOG_GROUPS = arns("logs", f"log-group:/{PREFIX}/*")
ALARMS = arns("cloudwatch", f"alarm:{PREFIX}-*")
TOPICS = arns("sns", f"{PREFIX}-*")
TARGETS = arns("application-autoscaling", "scalable-target/*")
BALANCERS = arns("elasticloadbalancing", f"loadbalancer/app/{PREFIX}/*")
LISTENERS = arns("elasticloadbalancing", f"listener/app/{PREFIX}/*/*")
TARGET_GROUPS = arns("elasticloadbalancing", f"targetgroup/{PREFIX}-*/*")
CLUSTERS, SERVICES = (CLUSTER,), arns("ecs", f"service/{PREFIX}/*")
TASKS, DEFINITIONS = arns("ecs", f"task/{PREFIX}/*"), arns("ecs", f"task-definition/{PREFIX}-*:*")
DISTRIBUTIONS = arns("cloudfront", "distribution/*", region="")
POLICIES = arns("cloudfront", "cache-policy/*", "origin-access-control/*", "response-headers-policy/*", region="")

#: The connection itself asks for the region of the bucket, which ReadBuckets allows.
SESSION_FILES = (f"arn:aws:s3:::{PREFIX}-sessions/*",)
#: Sessions are named after who has started them: after a user, or after a role and the name of its session.
OWN_SESSIONS = arns("ssm", "session/${aws:username}-*", "session/${aws:userid}-*")
#: Without this condition, whoever may reach an instance may open a shell on it, whatever documents they may use.
ONLY_WITH_DOCUMENT: Conditions = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}

READ = (
    Grant(
        "read",
        "ReadInRegion",
        (
            *of("application-autoscaling", "DescribeScalableTargets", "DescribeScalingPolicies"),
            *of("cloudwatch", "DescribeAlarms"),
            *of(
                "ec2",
                "DescribeAddresses",
                "DescribeAvailabilityZones",
                "DescribeIamInstanceProfileAssociations",
                "DescribeImages",
                "DescribeInstances",
                "DescribeInternetGateways",
                "DescribeKeyPairs",
                "DescribeNatGateways",
                "DescribeRouteTables",
                "DescribeSecurityGroups",
                "DescribeSubnets",
                "DescribeVolumes",
                "DescribeVpcEndpoints",
                "DescribeVpcs",
            ),
            *of("ecs", "DescribeTaskDefinition", "ListTaskDefinitions"),
            *of(
                "elasticloadbalancing",
                "DescribeListeners",
                "DescribeLoadBalancerAttributes",
                "DescribeLoadBalancers",
                "DescribeTags",
                "DescribeTargetGroupAttributes",
                "DescribeTargetGroups",
            ),
            *of("logs", "DescribeLogGroups"),
            *of("rds", "DescribeDBEngineVersions"),
            *of("ssm", "DescribeParameters"),
        ),
        conditions=IN_REGION,
    ),
    Grant(
        "read",
        "ReadGlobal",
        (
            *of("sts", "GetCallerIdentity"),
            # Asked where every account can: a region that is not enabled knows no credentials.
            *of("ec2", "DescribeRegions"),
            *of(
                "cloudfront",
                "ListCachePolicies",
                "ListDistributions",
                "ListOriginAccessControls",
                "ListResponseHeadersPolicies",
            ),
        ),
    ),
    Grant("read", "ReadVpc", of("ec2", "DescribeVpcAttribute"), ec2("vpc"), OURS),
    Grant(
        "read",
        "ReadDatabases",
        of(
            "rds",
            "DescribeDBInstances",
            "DescribeDBParameterGroups",
            "DescribeDBParameters",
            "DescribeDBSubnetGroups",
            "ListTagsForResource",
        ),
        DATABASES,
    ),
    Grant(
        "read",
        "ReadSnapshots",
        of("rds", "DescribeDBSnapshots", "ListTagsForResource"),
        (*arns("rds", *named("db:")), *arns("rds", f"snapshot:{PREFIX}-*")),
    ),
    Grant(
        "read",
        "ReadCaches",
        of(
            "elasticache",
            "DescribeCacheClusters",
            "DescribeCacheSubnetGroups",
            "DescribeReplicationGroups",
            "ListTagsForResource",
        ),
        (*CACHES, *arns("elasticache", f"cluster:{PREFIX}-*")),
    ),
    Grant("read_service", "ReadClusters", of("ecs", "DescribeClusters"), CLUSTERS),
    Grant(
        "read_service",
        "ReadServices",
        of("ecs", "DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments"),
        (*SERVICES, *arns("ecs", f"service-deployment/{PREFIX}/*")),
    ),
    Grant("read_service", "ReadTasks", of("ecs", "DescribeTasks"), TASKS),
    Grant("read_service", "ListTasks", of("ecs", "ListTasks"), conditions=IN_CLUSTER),
    Grant("read_service", "ReadDefinitionTags", of("ecs", "ListTagsForResource"), DEFINITIONS),
    Grant(
        "read_service",
        "ReadImages",
        of("ecr", "DescribeImages", "DescribeRepositories", "ListTagsForResource"),
        REPOSITORIES,
    ),
    Grant(
        "read_service",
        "ReadRoles",
        of("iam", "GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"),
        ROLES,
    ),
    Grant("read_service", "ReadInstanceProfiles", of("iam", "GetInstanceProfile"), PROFILES),
    Grant("read_service", "ReadIdentityProvider", of("iam", "GetOpenIDConnectProvider"), PROVIDERS),
    Grant("read_service", "ReadSecrets", of("secretsmanager", "DescribeSecret", "GetSecretValue"), SECRETS),
    Grant(
        "read_service",
        "ReadBuckets",
        of(
            "s3",
            "GetBucketPolicy",
            "GetBucketPublicAccessBlock",
            "GetBucketTagging",
            "GetBucketVersioning",
            "GetLifecycleConfiguration",
            "ListBucket",
        ),
        BUCKETS,
    ),
    Grant("read_service", "ReadRecordOfStaticFiles", of("s3", "GetObject"), STATIC_RECORD),
    Grant("read_service", "ReadLogs", of("logs", "GetLogEvents"), arns("logs", f"log-group:/{PREFIX}/*:log-stream:*")),
    Grant("read_service", "ReadLogGroupTags", of("logs", "ListTagsForResource"), LOG_GROUPS),
    Grant("read_service", "ReadAlarmTags", of("cloudwatch", "ListTagsForResource"), ALARMS),
    Grant(
        "read_service",
        "ReadTopics",
        of("sns", "GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource"),
        TOPICS,
    ),
    Grant("read_service", "ReadScalingTags", of("application-autoscaling", "ListTagsForResource"), TARGETS),
    Grant(
        "read_service",
        "ReadDistributions",
        of(
            "cloudfront",
            "GetDistribution",
            "GetDistributionConfig",
            "GetInvalidation",
            "ListInvalidations",
            "ListTagsForResource",
        ),
        DISTRIBUTIONS,
    ),
    Grant(
        "read_service",
        "ReadCloudFrontPolicies",
        of("cloudfront", "GetCachePolicy", "GetOriginAccessControl", "GetResponseHeadersPolicy"),
        POLICIES,
    ),
)
IN_NETWORK = (
    Grant("network", "CreateNetwork", NETWORK_MADE, ec2(*NETWORK), MADE_OURS),
    Grant(
        "network",
        "CreateInNetwork",
        of("ec2", "CreateNatGateway", "CreateRouteTable", "CreateSecurityGroup", "CreateSubnet", "CreateVpcEndpoint"),
        ec2("elastic-ip", "route-table", "subnet", "vpc"),
        OURS,
    ),
    Grant(
        "network",
        "ChangeNetwork",
        of(
            "ec2",
            "AssociateRouteTable",
            "AttachInternetGateway",
            "AuthorizeSecurityGroupIngress",
            "CreateRoute",
            "DeleteInternetGateway",
            "DeleteNatGateway",
            "DeleteRoute",
            "DeleteRouteTable",
            "DeleteSecurityGroup",
            "DeleteSubnet",
            "DeleteVpc",
            "DeleteVpcEndpoints",
            "DetachInternetGateway",
            "DisassociateRouteTable",
            "ModifySubnetAttribute",
            "ModifyVpcAttribute",
            "ModifyVpcEndpoint",
            "ReleaseAddress",
            "ReplaceRoute",
            "RevokeSecurityGroupIngress",
        ),
        ec2(*NETWORK),
        OURS,
    ),
    Grant(
        "network",
        "TagNewNetwork",
        of("ec2", "CreateTags"),
        ec2(*NETWORK),
        {
            "StringEquals": {
                **MADE_OURS["StringEquals"],
                "ec2:CreateAction": [one.partition(":")[2] for one in NETWORK_MADE],
            }
        },
    ),
    Grant("network", "TagNetwork", of("ec2", "CreateTags"), ec2(*NETWORK), STAYS_OURS),
)
DATA = (
    Grant(
        "data",
        "ManageDatabases",
        of(
            "rds",
            "AddTagsToResource",
            "CreateDBInstance",
            "CreateDBInstanceReadReplica",
            "CreateDBParameterGroup",
            "CreateDBSubnetGroup",
            "DeleteDBInstance",
            "DeleteDBParameterGroup",
            "DeleteDBSubnetGroup",
            "ModifyDBInstance",
            "ModifyDBParameterGroup",
            "ModifyDBSubnetGroup",
            "ResetDBParameterGroup",
        ),
        DATABASES,
    ),
    Grant(
        "data",
        "UseDefaultOptions",
        of("rds", "CreateDBInstance", "CreateDBInstanceReadReplica", "ModifyDBInstance"),
        arns("rds", "og:default:*", "pg:default.*"),
    ),
    Grant(
        "data",
        "KeepSnapshots",
        of("rds", "AddTagsToResource", "CreateDBSnapshot", "RemoveTagsFromResource"),
        (*arns("rds", *named("db:")), *arns("rds", f"snapshot:{PREFIX}-*")),
    ),
    Grant(
        "data",
        "KeepPasswordOfDatabase",
        of("secretsmanager", "CreateSecret", "TagResource"),
        arns("secretsmanager", "secret:rds!db-*"),
    ),
    Grant("data", "EncryptPasswordOfDatabase", of("kms", "DescribeKey"), arns("kms", "key/*")),
    Grant(
        "data",
        "ManageCaches",
        of(
            "elasticache",
            "AddTagsToResource",
            "CreateCacheSubnetGroup",
            "CreateReplicationGroup",
            "CreateSnapshot",
            "DecreaseReplicaCount",
            "DeleteCacheSubnetGroup",
            "DeleteReplicationGroup",
            "IncreaseReplicaCount",
            "ModifyCacheSubnetGroup",
            "ModifyReplicationGroup",
        ),
        (
            *CACHES,
            *arns("elasticache", f"cluster:{PREFIX}-*", f"snapshot:{PREFIX}-*", "parametergroup:default.*"),
        ),
    ),
    Grant(
        "data",
        "ConnectCaches",
        of("ec2", "CreateNetworkInterface", "DeleteNetworkInterface"),
        ec2("network-interface", "security-group", "subnet"),
        BY_SERVICE,
    ),
    Grant("data", "FindNetworkOfCaches", of("ec2", "DescribeNetworkInterfaces"), conditions=BY_SERVICE),
)
SERVICE = (
    Grant(
        "service",
        "ManageLoadBalancers",
        of(
            "elasticloadbalancing",
            "AddTags",
            "CreateListener",
            "CreateLoadBalancer",
            "DeleteListener",
            "DeleteLoadBalancer",
            "ModifyListener",
            "ModifyLoadBalancerAttributes",
            "SetSecurityGroups",
            "SetSubnets",
        ),
        (*BALANCERS, *LISTENERS),
    ),
    Grant(
        "service",
        "ManageTargetGroups",
        of(
            "elasticloadbalancing",
            "AddTags",
            "CreateTargetGroup",
            "DeleteTargetGroup",
            "ModifyTargetGroup",
            "ModifyTargetGroupAttributes",
        ),
        TARGET_GROUPS,
    ),
    # Not given another certificate: whoever could do that could sign tokens for every role that trusts it.
    Grant(
        "service",
        "AddIdentityProvider",
        of("iam", "AddClientIDToOpenIDConnectProvider", "CreateOpenIDConnectProvider"),
        PROVIDERS,
    ),
    Grant("service", "CheckAddressesOfLoadBalancers", of("ec2", "DescribeAccountAttributes"), conditions=IN_REGION),
    Grant(
        "service",
        "ManageCluster",
        of("ecs", "CreateCluster", "DeleteCluster", "PutClusterCapacityProviders", "UpdateCluster"),
        CLUSTERS,
    ),
    Grant("service", "ManageServices", of("ecs", "CreateService", "DeleteService", "UpdateService"), SERVICES),
    Grant("service", "RegisterDefinitions", of("ecs", "RegisterTaskDefinition"), DEFINITIONS),
    Grant("service", "DeregisterDefinitions", of("ecs", "DeregisterTaskDefinition"), conditions=IN_REGION),
    Grant("service", "RunTasks", of("ecs", "RunTask"), DEFINITIONS, IN_CLUSTER),
    Grant("service", "StopTasks", of("ecs", "StopTask"), TASKS),
    Grant("service", "TagCluster", of("ecs", "TagResource"), (*CLUSTERS, *SERVICES, *TASKS, *DEFINITIONS)),
    Grant(
        "service",
        "ManageScaling",
        of(
            "application-autoscaling",
            "DeleteScalingPolicy",
            "DeregisterScalableTarget",
            "PutScalingPolicy",
            "RegisterScalableTarget",
            "TagResource",
        ),
        TARGETS,
    ),
    Grant(
        "service",
        "ManageAlarmsOfScaling",
        of("cloudwatch", "DeleteAlarms", "PutMetricAlarm"),
        arns("cloudwatch", f"alarm:TargetTracking-service/{PREFIX}/*"),
    ),
    Grant(
        "service",
        "ManageRoles",
        of("iam", "DeleteRole", "DeleteRolePolicy", "TagRole", "UpdateAssumeRolePolicy"),
        ROLES,
    ),
    # Not iam:DeleteRolePermissionsBoundary, by which whoever deploys could give more than they have.
    Grant(
        "service",
        "GiveRolesRights",
        of("iam", "CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy"),
        ROLES,
        BOUNDED,
    ),
    Grant(
        "service",
        "AttachPolicies",
        of("iam", "AttachRolePolicy", "DetachRolePolicy"),
        ROLES,
        {"ArnEquals": {"iam:PolicyARN": list(ATTACHED)}, **BOUNDED},
    ),
    Grant(
        "service",
        "PassRoles",
        of("iam", "PassRole"),
        ROLES,
        {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}},
    ),
    Grant(
        "service",
        "CreateServiceLinkedRoles",
        of("iam", "CreateServiceLinkedRole"),
        arns("iam", "role/aws-service-role/*", region=""),
        {"StringEquals": {"iam:AWSServiceName": list(SERVICE_ROLES)}},
    ),
    Grant(
        "service",
        "ManageSecrets",
        of(
            "secretsmanager",
            "CreateSecret",
            "DeleteSecret",
            "PutSecretValue",
            "RestoreSecret",
            "TagResource",
            "UpdateSecret",
        ),
        SECRETS,
    ),
)
STORAGE = (
    Grant(
        "storage",
        "ManageBuckets",
        of(
            "s3",
            "CreateBucket",
            "DeleteBucket",
            "DeleteBucketPolicy",
            "PutBucketOwnershipControls",
            "PutBucketPolicy",
            "PutBucketPublicAccessBlock",
            "PutBucketTagging",
            "PutBucketVersioning",
            "PutLifecycleConfiguration",
            "TagResource",
        ),
        BUCKETS,
    ),
    Grant("storage", "PublishStaticFiles", of("s3", "DeleteObject", "PutObject"), STATIC),
    Grant(
        "storage",
        "ManageRepositories",
        of(
            "ecr",
            "CreateRepository",
            "DeleteRepository",
            "PutImageScanningConfiguration",
            "PutImageTagMutability",
            "TagResource",
        ),
        REPOSITORIES,
    ),
    Grant(
        "storage",
        "ManageLogGroups",
        of("logs", "CreateLogGroup", "DeleteLogGroup", "DeleteRetentionPolicy", "PutRetentionPolicy", "TagResource"),
        LOG_GROUPS,
    ),
    Grant("storage", "ManageAlarms", of("cloudwatch", "DeleteAlarms", "PutMetricAlarm", "TagResource"), ALARMS),
    Grant(
        "storage",
        "ManageTopics",
        of("sns", "CreateTopic", "DeleteTopic", "SetTopicAttributes", "Subscribe", "TagResource"),
        TOPICS,
    ),
    # A subscription is no resource of IAM.
    Grant("storage", "EndSubscriptions", of("sns", "Unsubscribe"), conditions=IN_REGION),
)
DELIVERY = (
    Grant("delivery", "CreateDistributions", of("cloudfront", "CreateDistribution"), conditions=MADE_OURS),
    Grant("delivery", "TagDistributions", of("cloudfront", "TagResource"), DISTRIBUTIONS, MADE_OURS),
    Grant(
        "delivery",
        "ManageDistributions",
        of("cloudfront", "CreateInvalidation", "DeleteDistribution", "UpdateDistribution"),
        DISTRIBUTIONS,
    ),
    Grant(
        "delivery",
        "CreateCloudFrontPolicies",
        of("cloudfront", "CreateCachePolicy", "CreateOriginAccessControl", "CreateResponseHeadersPolicy"),
    ),
    Grant(
        "delivery",
        "ManageCloudFrontPolicies",
        of(
            "cloudfront",
            "DeleteCachePolicy",
            "DeleteOriginAccessControl",
            "DeleteResponseHeadersPolicy",
            "UpdateCachePolicy",
            "UpdateOriginAccessControl",
            "UpdateResponseHeadersPolicy",
        ),
        POLICIES,
    ),
)
HOSTS = (
    Grant("hosts", "CreateHosts", of("ec2", "RunInstances"), ec2("instance", "network-interface", "volume"), MADE_OURS),
    Grant(
        "hosts", "CreateHostsInNetwork", of("ec2", "RunInstances"), ec2("key-pair", "security-group", "subnet"), OURS
    ),
    Grant("hosts", "CreateHostsFromImages", of("ec2", "RunInstances"), arns("ec2", "image/*", account="")),
    Grant(
        "hosts",
        "ChangeHosts",
        of(
            "ec2",
            "AssociateIamInstanceProfile",
            "DisassociateIamInstanceProfile",
            "ModifyInstanceAttribute",
            "ModifyInstanceMetadataOptions",
            "ModifyNetworkInterfaceAttribute",
            "ModifyVolume",
            "ReplaceIamInstanceProfileAssociation",
            "StartInstances",
            "StopInstances",
            "TerminateInstances",
        ),
        ec2("instance", "network-interface", "security-group", "volume"),
        OURS,
    ),
    Grant("hosts", "CreateKeys", of("ec2", "ImportKeyPair"), ec2("key-pair"), MADE_OURS),
    Grant("hosts", "DeleteKeys", of("ec2", "DeleteKeyPair"), ec2("key-pair"), OURS),
    Grant(
        "hosts",
        "TagNewHosts",
        of("ec2", "CreateTags"),
        ec2("instance", "key-pair", "network-interface", "volume"),
        {
            "StringEquals": {
                **MADE_OURS["StringEquals"],
                "ec2:CreateAction": ["ImportKeyPair", "RunInstances"],
            }
        },
    ),
    Grant("hosts", "TagHosts", of("ec2", "CreateTags"), ec2("instance", "key-pair"), STAYS_OURS),
    Grant(
        "hosts",
        "ManageInstanceProfiles",
        of(
            "iam",
            "AddRoleToInstanceProfile",
            "CreateInstanceProfile",
            "DeleteInstanceProfile",
            "RemoveRoleFromInstanceProfile",
            "TagInstanceProfile",
        ),
        PROFILES,
    ),
    Grant("hosts", "FindImages", of("ssm", "GetParameter"), arns("ssm", "parameter/aws/service/*", account="")),
)
SESSIONS = (
    Grant("sessions", "ReachHosts", of("ssm", "StartSession"), ec2("instance"), {**OURS, **ONLY_WITH_DOCUMENT}),
    # As the inventories name it. Of AWS, so its ARN has no account.
    Grant(
        "sessions",
        "ReachHostsBySsh",
        of("ssm", "StartSession"),
        arns("ssm", "document/AWS-StartSSHSession", account=""),
        ONLY_WITH_DOCUMENT,
    ),
    Grant("sessions", "UseOwnSessions", of("ssm", "ResumeSession", "TerminateSession"), OWN_SESSIONS),
    Grant("sessions", "ConnectToOwnSessions", of("ssmmessages", "OpenDataChannel"), OWN_SESSIONS),
)
#: A shell, and a bucket through which modules and files go.
AWS_SSM = (
    Grant(
        "aws_ssm",
        "ReachHostsByShell",
        of("ssm", "StartSession"),
        arns("ssm", "document/SSM-SessionManagerRunShell"),
        ONLY_WITH_DOCUMENT,
    ),
    Grant(
        "aws_ssm",
        "TransferFiles",
        of("s3", "DeleteObject", "GetObject", "PutObject"),
        SESSION_FILES,
    ),
)
COST = (
    # AWS accepts nothing narrower for either.
    Grant("cost", "LookPricesUp", of("pricing", "GetProducts")),
    Grant("cost", "ReadBill", of("ce", "GetCostAndUsage")),
    Grant("cost", "ReadAccount", of("sts", "GetCallerIdentity")),
)
GRANTS: tuple[Grant, ...] = (
    *READ,
    *SESSIONS,
    *IN_NETWORK,
    *DATA,
    *SERVICE,
    *STORAGE,
    *DELIVERY,
    *HOSTS,
    *AWS_SSM,
    *COST,
)


def policy(part: str) -> dict[str, t.Any]:
    """One of the shipped policies."""
    return {"Version": "2012-10-17", "Statement": [one.statement for one in GRANTS if one.part == part]}


def grants_of(action: str) -> list[Grant]:
    """The statements that grant an action; the names of actions have no case."""
    return [one for one in GRANTS if action.lower() in {name.lower() for name in one.actions}]
