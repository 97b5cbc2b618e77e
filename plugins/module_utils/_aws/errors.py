# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS refuses, by what it means and what to do about it: one table for all services.

AWS has several codes for one meaning, by the age of the service: those of botocore's models, of botocore's list of what
is tried again, and of the pages "Common errors" and "Error codes" of each service's API reference.
"""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import json
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.grants import grants_of

ATTEMPTS = 8
#: AWS accepts five minutes; a little less is already worth a word.
SKEW_SECONDS = 240
WHERE = "roles/provider_aws/templates/policies"
SIGNATURE_IS_OLD = re.compile(r"Signature (?:expired|not yet current)|[Rr]equest.{0,40}\bskew|time.{0,40}too large")
NOT_AUTHORIZED = re.compile(
    r"not authorized to perform: (?P<action>[a-zA-Z0-9-]+:[A-Za-z0-9]+)"
    r"(?: on resource: (?P<resource>\S+))?"
    r"(?: with an explicit deny in an? (?P<deny>[a-z -]+))?"
    r"(?: because no (?P<lacks>[A-Za-z -]+?) allows)?"
)
ENCODED = re.compile(r"\.?\s*Encoded authorization failure message: (?P<text>\S+)")
CONSOLE = "https://console.aws.amazon.com/servicequotas/home/services/{}/quotas"


@dataclasses.dataclass(frozen=True)
class Refused:
    """An answer of AWS. `skew`: seconds by which this host's clock is ahead of AWS', if its answer says so."""

    right: str
    service: str
    operation: str
    code: str
    message: str = ""
    region: str = ""
    skew: float | None = None

    @property
    def clock_is_wrong(self) -> bool:
        return self.skew is not None and abs(self.skew) >= SKEW_SECONDS


@dataclasses.dataclass(frozen=True)
class Meaning:
    """`codes` and `pattern` of the code; `everywhere`: every other call would be refused for the same reason."""

    name: str
    codes: frozenset[str]
    advice: t.Callable[[Refused], str]
    pattern: re.Pattern[str] | None = None
    fits: t.Callable[[Refused], bool] = lambda _refused: True
    everywhere: bool = False

    def is_of(self, refused: Refused) -> bool:
        known = refused.code in self.codes or bool(self.pattern and self.pattern.search(refused.code))
        return known and self.fits(refused)


def refused_by(error: t.Any, now: float, **asked: str) -> Refused:
    """`asked`: right, service, operation and region of the call."""
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), " ".join(str(said.get("Message", "")).split())
    return Refused(**asked, code=code, message=message, skew=clock_skew(error.response, now))


def clock_skew(response: t.Mapping[str, t.Any], now: float) -> float | None:
    """Seconds by which the clock here is ahead of AWS', by the date of its answer."""
    headers = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        there = email.utils.parsedate_to_datetime(str(headers.get("date") or ""))
    except (TypeError, ValueError):
        return None
    there = there if there.tzinfo else there.replace(tzinfo=datetime.timezone.utc)  # noqa: UP017 - Python 3.9
    return now - there.timestamp()


# -- what to do


def throttled(_refused: Refused) -> str:
    return (
        f"AWS limits the rate of requests, and {ATTEMPTS} attempts with growing pauses were not enough. Run again; "
        "what was done stays done."
    )


def wrong_clock(refused: Refused) -> str:
    how = ""
    if refused.skew is not None and refused.clock_is_wrong:
        how = f" (it is {abs(refused.skew):.0f} s {'ahead of' if refused.skew > 0 else 'behind'} AWS' clock)"
    return (
        f"Set the clock of the host that runs the module{how}, for example with chrony or systemd-timesyncd: AWS "
        "accepts signatures for five minutes. Then run again."
    )


def expired(_refused: Refused) -> str:
    return "Sign in again (aws sso login, or new credentials), then run again; what was done stays done."


def unknown_key(refused: Refused) -> str:
    place = (
        f" If they are right, the region {refused.region} may not be enabled for the account." if refused.region else ""
    )
    return (
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_PROFILE: AWS does not know these "
        f"credentials.{place}"
    )


def wrong_region(refused: Refused) -> str:
    return (
        f"Check the region, which is {refused.region or 'not known here'}: the resource is in another one, or the "
        "region is not enabled for the account (Account settings in the console)."
    )


def bucket_of_another(refused: Refused) -> str:
    return (
        "The names of buckets are unique worldwide. If the bucket is of another account, choose another name; if it is "
        f"yours, {grant_of(refused)}"
    )


def denied(refused: Refused) -> str:
    """Who allows it, and how: nothing that we could ship overrides an explicit deny."""
    found = NOT_AUTHORIZED.search(refused.message)
    encoded = ENCODED.search(refused.message)
    decode = (
        f" The whole reason: aws sts decode-authorization-message --encoded-message {encoded['text']}"
        if encoded
        else ""
    )
    if found and found["deny"]:
        kind = found["deny"].strip()
        return (
            f"It is denied explicitly by a {kind}, which no permission overrides: ask who manages it, "
            f"then run again.{decode}"
        )
    lacks = (found["lacks"] or "") if found else ""
    if lacks and "identity-based" not in lacks:
        return f"The {lacks} has to allow it as well: ask who manages it, then run again.{decode}"
    grant = grant_of(refused)
    return f"{grant[0].upper()}{grant[1:]}{decode}"


def denied_action(refused: Refused) -> str:
    """The action that is missing, which need not be the one of the call: an API may need others too."""
    found = NOT_AUTHORIZED.search(refused.message)
    return found["action"] if found else refused.right


def grant_of(refused: Refused) -> str:
    action, found = denied_action(refused), NOT_AUTHORIZED.search(refused.message)
    resource = (found["resource"] or "*").rstrip(".,") if found else "*"
    grants = grants_of(action)
    statement = json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})
    if not grants:
        return f"let the account that runs this do so, by the policy statement {statement}."
    names = " or ".join(dict.fromkeys(f"{one.sid} of {one.part}.json" for one in grants))
    return (
        f"attach the current policies of {WHERE} (playbooks/aws_policies.yml fills them in) to the account that runs "
        f"this: the statement {names} grants it. Or add the statement {statement}."
    )


#: Quotas by the codes of those who have run into them: the service as Service Quotas calls it, and the quota.
QUOTAS: dict[str, tuple[str, str]] = {
    "VpcLimitExceeded": ("vpc", "VPCs per Region"),
    "SubnetLimitExceeded": ("vpc", "Subnets per VPC"),
    "InternetGatewayLimitExceeded": ("vpc", "Internet gateways per Region"),
    "NatGatewayLimitExceeded": ("vpc", "NAT gateways per Availability Zone"),
    "RouteTableLimitExceeded": ("vpc", "Route tables per VPC"),
    "RouteLimitExceeded": ("vpc", "Routes per route table"),
    "SecurityGroupLimitExceeded": ("vpc", "VPC security groups per Region"),
    "RulesPerSecurityGroupLimitExceeded": ("vpc", "Inbound or outbound rules per security group"),
    "SecurityGroupsPerInterfaceLimitExceeded": ("vpc", "Security groups per network interface"),
    "VpcEndpointLimitExceeded": ("vpc", "Gateway VPC endpoints per Region"),
    "AddressLimitExceeded": ("ec2", "EC2-VPC Elastic IPs"),
    "VcpuLimitExceeded": ("ec2", "Running On-Demand instances of this family"),
    "InstanceLimitExceeded": ("ec2", "Running On-Demand instances of this family"),
    "VolumeLimitExceeded": ("ebs", "Storage for General Purpose SSD (gp3) volumes"),
    "InstanceQuotaExceeded": ("rds", "DB instances"),
    "StorageQuotaExceeded": ("rds", "Total storage for all DB instances"),
    "SnapshotQuotaExceeded": ("rds", "Manual DB instance snapshots"),
    "DBSubnetGroupQuotaExceeded": ("rds", "DB subnet groups"),
    "DBSubnetQuotaExceededFault": ("rds", "Subnets per DB subnet group"),
    "DBParameterGroupQuotaExceeded": ("rds", "Parameter groups"),
    "DBInstanceAutomatedBackupQuotaExceeded": ("rds", "DB instances with retained automated backups"),
    "NodeQuotaForCustomerExceeded": ("elasticache", "Nodes per Region"),
    "NodeQuotaForClusterExceeded": ("elasticache", "Nodes per cluster"),
    "ClusterQuotaForCustomerExceeded": ("elasticache", "Clusters per Region"),
    "CacheSubnetGroupQuotaExceeded": ("elasticache", "Subnet groups per Region"),
    "CacheSubnetQuotaExceededFault": ("elasticache", "Subnets per subnet group"),
    "SnapshotQuotaExceededFault": ("elasticache", "Manual snapshots"),
    "TooManyLoadBalancers": ("elasticloadbalancing", "Application Load Balancers per Region"),
    "TooManyTargetGroups": ("elasticloadbalancing", "Target Groups per Region"),
    "TooManyListeners": ("elasticloadbalancing", "Listeners per Application Load Balancer"),
    "TargetGroupAssociationLimit": ("elasticloadbalancing", "Load balancers per target group"),
    "TooManyBuckets": ("s3", "General purpose buckets"),
    "TooManyDistributions": ("cloudfront", "Distributions per account"),
    "TooManyCachePolicies": ("cloudfront", "Cache policies per account"),
    "TooManyOriginAccessControls": ("cloudfront", "Origin access controls per account"),
    "TooManyResponseHeadersPolicies": ("cloudfront", "Response headers policies per account"),
    "TopicLimitExceeded": ("sns", "Topics per account"),
}
#: Where a service has one code for all of its quotas.
SERVICES_OF_QUOTAS = {
    "elbv2": "elasticloadbalancing",
    "cloudwatch": "monitoring",
    "ec2": "ec2",
    "application-autoscaling": "application-autoscaling",
}
VCPUS = "limit on the number of vCPUs"


def quota(refused: Refused) -> str:
    service, name = QUOTAS.get(refused.code, ("", ""))
    if refused.service == "ecs" and VCPUS in refused.message:
        service, name = "fargate", "Fargate On-Demand vCPU resource count"
    service = service or SERVICES_OF_QUOTAS.get(refused.service, refused.service)
    said = f'the quota "{name}" of {service}' if name else f"a quota of {service}, which its message names"
    return (
        f"This is {said}. Have it raised at {CONSOLE.format(service)} (region {refused.region or 'of the run'}), or "
        "remove what is not needed, then run again; what was done stays done."
    )


def not_started(reason: str, region: str) -> str:
    """What to do about a task that ECS does not place; it says so in words, not by a code."""
    answer = Refused("ecs:RunTask", "ecs", "RunTask", "", reason, region)
    if VCPUS in reason:
        return quota(answer)
    if "apacity is unavailable" in reason:
        return no_capacity(answer)
    return "Check capacity, subnets and quotas of the cluster, then run again."


def no_capacity(_refused: Refused) -> str:
    return (
        "AWS has none of these left there at the moment. Run again later, or declare another size or another zone; "
        "what was done stays done."
    )


def exists(_refused: Refused) -> str:
    return (
        "Something of this name was there before, or was made meanwhile. Run again: if it is not marked as this "
        "environment's, it is refused with how to adopt it; otherwise choose another name."
    )


def busy(_refused: Refused) -> str:
    return "Another change of it is in progress. Wait until it has ended (see its status), then run again."


def failed_there(_refused: Refused) -> str:
    return (
        f"AWS could not answer, and {ATTEMPTS} attempts were not enough. See https://health.aws.amazon.com/ for the "
        "state of the service, then run again; what was done stays done."
    )


def protected(_refused: Refused) -> str:
    return "It is protected against deletion. End that first, if that is meant, then run again."


def other(_refused: Refused) -> str:
    return "Correct the declaration by what AWS says, then run again; what was done stays done."


#: AWS says the same of a wrong key and of a wrong clock.
SIGNATURES = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
#: The first one that fits.
MEANINGS: tuple[Meaning, ...] = (
    Meaning(
        "throttled",
        frozenset(
            {
                "APICallRateForCustomerExceeded",
                "BandwidthLimitExceeded",
                "EC2ThrottledException",
                "KMSThrottling",
                "PriorRequestNotComplete",
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
                "RequestThrottled",
                "RequestThrottledException",
                "SlowDown",
                "Throttled",
                "ThrottledException",
                "Throttling",
                "ThrottlingException",
                "TooManyRequestsException",
            }
        ),
        throttled,
    ),
    Meaning(
        "clock",
        frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"}),
        wrong_clock,
        everywhere=True,
    ),
    Meaning(
        "clock",
        SIGNATURES | {"RequestExpired"},
        wrong_clock,
        fits=lambda one: one.clock_is_wrong or bool(SIGNATURE_IS_OLD.search(one.message)),
        everywhere=True,
    ),
    # EC2 says so both of expired credentials and of a wrong clock.
    Meaning(
        "expired", frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}), expired, everywhere=True
    ),
    Meaning("unknown key", SIGNATURES, unknown_key, everywhere=True),
    Meaning(
        "region",
        frozenset(
            {
                "301",
                "AuthorizationHeaderMalformed",
                "IllegalLocationConstraintException",
                "OptInRequired",
                "PermanentRedirect",
                "RegionDisabledException",
                "TemporaryRedirect",
            }
        ),
        wrong_region,
    ),
    # HEAD has no body: no code but that of HTTP.
    Meaning("denied", frozenset({"403"}), bucket_of_another),
    Meaning(
        "denied",
        frozenset(
            {
                "AccessDenied",
                "AccessDeniedException",
                "AllAccessDisabled",
                "AuthorizationError",
                "NotAuthorized",
                "UnauthorizedAccess",
                "UnauthorizedOperation",
            }
        ),
        denied,
    ),
    Meaning(
        "capacity",
        frozenset(),
        no_capacity,
        re.compile(r"^Insufficient\w*Capacity|^InsufficientHostCapacity|^Unsupported$"),
    ),
    Meaning(
        "exists",
        frozenset({"BucketAlreadyOwnedByYou", "ResourceExistsException", "ResourceAlreadyExistsException"}),
        exists,
        re.compile(r"AlreadyExists|Duplicate"),
    ),
    Meaning("protected", frozenset({"OperationNotPermitted"}), protected),
    Meaning(
        "busy",
        frozenset({"OperationAborted", "OperationInProgress", "ResourceInUse", "TooManyInvalidationsInProgress"}),
        busy,
        re.compile(
            r"^Invalid\w*State(?:Fault|Exception)?$|IncorrectState|IncorrectInstanceState|ConcurrentModification"
        ),
    ),
    Meaning(
        "quota", frozenset({"MaxDBShardGroupLimitReached"}), quota, re.compile(r"Quota|LimitExceeded|Limit$|TooMany")
    ),
    Meaning(
        "unavailable",
        frozenset(
            {
                "500",
                "502",
                "503",
                "504",
                "InternalError",
                "InternalFailure",
                "InternalServerError",
                "InternalServiceError",
                "RequestTimeout",
                "ServerException",
                "ServiceUnavailable",
                "ServiceUnavailableException",
                "Unavailable",
            }
        ),
        failed_there,
    ),
    Meaning("other", frozenset(), other, re.compile("")),
)


def meaning_of(refused: Refused) -> Meaning:
    return next(one for one in MEANINGS if one.is_of(refused))


def cause_of(refused: Refused) -> str:
    """What AWS has said, without the encoded part of a page or two."""
    message = ENCODED.sub("", refused.message)
    return f"{refused.code}: {message}" if message else refused.code
