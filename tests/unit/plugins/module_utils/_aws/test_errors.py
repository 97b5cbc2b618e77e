"""What AWS refuses: what each code means, what to do about it, and what is tried again."""

from __future__ import annotations

import email.utils
import json
import time
import typing as t

import botocore.retries.bucket
import pytest
from botocore import exceptions
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api, Call, refused
from ansible_collections.nexod.infra.plugins.module_utils._aws.credentials import aws_fault
from ansible_collections.nexod.infra.plugins.module_utils._aws.errors import (
    ATTEMPTS,
    QUOTAS,
    Refused,
    meaning_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

REGION = "eu-west-1"
USER = "User: arn:aws:sts::123456789012:assumed-role/deploy/me is not authorized to perform:"


def error(
    code: str, message: str = "", service: str = "rds", operation: str = "CreateDBInstance", **more: t.Any
) -> t.Any:
    answer = ClientError({"Error": {"Code": code, "Message": message}, **more}, operation)
    return refused(Call(service, operation), answer, REGION)


@pytest.mark.parametrize(
    ("code", "meaning", "words"),
    [
        *(
            (code, "throttled", "limits the rate")
            for code in (
                "Throttling",
                "ThrottlingException",
                "ThrottledException",
                "Throttled",
                "RequestLimitExceeded",
                "RequestThrottled",
                "TooManyRequestsException",
                "SlowDown",
                "APICallRateForCustomerExceeded",
            )
        ),
        *((code, "expired", "Sign in again") for code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired")),
        *(
            (code, "unknown key", f"the region {REGION} may not be enabled")
            for code in (
                "InvalidClientTokenId",
                "InvalidAccessKeyId",
                "UnrecognizedClientException",
                "SignatureDoesNotMatch",
                "AuthFailure",
                "IncompleteSignature",
            )
        ),
        *((code, "clock", "chrony") for code in ("RequestTimeTooSkewed", "RequestInTheFuture")),
        *(
            (code, "denied", '"Action": "rds:CreateDBInstance"')
            for code in (
                "AccessDenied",
                "AccessDeniedException",
                "UnauthorizedOperation",
                "AuthorizationError",
                "UnauthorizedAccess",
            )
        ),
        ("403", "denied", "unique worldwide"),
        *(
            (code, "region", f"the region, which is {REGION}")
            for code in (
                "PermanentRedirect",
                "301",
                "AuthorizationHeaderMalformed",
                "IllegalLocationConstraintException",
                "OptInRequired",
                "RegionDisabledException",
            )
        ),
        *(
            (code, "capacity", "another size or another zone")
            for code in (
                "InsufficientInstanceCapacity",
                "InsufficientDBInstanceCapacity",
                "InsufficientCacheClusterCapacity",
            )
        ),
        *(
            (code, "exists", "how to adopt it")
            for code in (
                "DBInstanceAlreadyExists",
                "EntityAlreadyExists",
                "InvalidGroup.Duplicate",
                "DuplicateTargetGroupName",
                "BucketAlreadyExists",
                "ResourceExistsException",
            )
        ),
        *(
            (code, "busy", "in progress")
            for code in (
                "InvalidDBInstanceState",
                "InvalidReplicationGroupState",
                "IncorrectInstanceState",
                "OperationAborted",
                "ResourceInUse",
            )
        ),
        *(
            (code, "quota", "Have it raised at https://console.aws.amazon.com/servicequotas/")
            for code in (*QUOTAS, "LimitExceededException", "LimitExceeded", "ServiceQuotaExceededException")
        ),
        *(
            (code, "unavailable", "health.aws.amazon.com")
            for code in ("InternalFailure", "InternalError", "ServiceUnavailable", "503", "RequestTimeout")
        ),
        ("OperationNotPermitted", "protected", "protected against deletion"),
        ("InvalidParameterValue", "other", "Correct the declaration"),
    ],
)
def test_what_a_code_means(code: str, meaning: str, words: str) -> None:
    found = error(code, "said so")
    assert (found.facts["meaning"], found.facts["code"]) == (meaning, code)
    assert words in found.next_step
    assert str(found).startswith(f"Cannot call rds:CreateDBInstance: {code}: said so.\n")


@pytest.mark.parametrize(
    ("service", "code", "message", "words"),
    [
        ("ec2", "VpcLimitExceeded", "", 'the quota "VPCs per Region" of vpc'),
        ("rds", "InstanceQuotaExceeded", "", 'the quota "DB instances" of rds'),
        ("elbv2", "TooManyRules", "", "a quota of elasticloadbalancing"),
        (
            "iam",
            "LimitExceeded",
            "Cannot exceed quota for RolesPerAccount: 1000",
            "a quota of iam, which its message names",
        ),
        ("ecs", "LimitExceededException", "", "servicequotas/home/services/ecs/quotas"),
        (
            "ecs",
            "LimitExceededException",
            "You've reached the limit on the number of vCPUs you can run concurrently",
            'the quota "Fargate On-Demand vCPU resource count" of fargate',
        ),
    ],
)
def test_a_quota_is_named_and_where_it_is_raised(service: str, code: str, message: str, words: str) -> None:
    assert words in error(code, message, service, "Any").next_step


@pytest.mark.parametrize(
    ("message", "words", "without"),
    [
        pytest.param(
            "", ["the statement ManageDatabases of data.json or UseDefaultOptions of data.json"], [], id="bare"
        ),
        pytest.param(
            f"{USER} rds:CreateDBInstance on resource: arn:aws:rds:eu-west-1:1:db:x because no identity-based policy "
            "allows the rds:CreateDBInstance action",
            [
                "ManageDatabases of data.json",
                '"Resource": "arn:aws:rds:eu-west-1:1:db:x"',
                "playbooks/aws_policies.yml",
            ],
            [],
            id="an action on a resource",
        ),
        pytest.param(
            f"{USER} iam:PassRole on resource: arn:aws:iam::1:role/api because no identity-based policy allows the "
            "iam:PassRole action",
            ["PassRoles of service.json", '"Action": "iam:PassRole"'],
            ["rds:CreateDBInstance"],
            id="another action than the call's",
        ),
        pytest.param(
            f"{USER} rds:CreateDBInstance on resource: arn:aws:rds:eu-west-1:1:db:x with an explicit deny in a service "
            "control policy",
            ["denied explicitly by a service control policy, which no permission overrides"],
            ['"Effect"'],
            id="an explicit deny",
        ),
        pytest.param(
            f"{USER} rds:CreateDBInstance because no permissions boundary allows the rds:CreateDBInstance action",
            ["The permissions boundary has to allow it as well"],
            ['"Effect"'],
            id="a permissions boundary",
        ),
        pytest.param(
            f"{USER} rds:CreateDBInstance because no service control policy allows the rds:CreateDBInstance action",
            ["The service control policy has to allow it as well"],
            ['"Effect"'],
            id="a service control policy that lacks it",
        ),
        pytest.param(
            f"{USER} lambda:Invoke because no identity-based policy allows the lambda:Invoke action",
            ['by the policy statement {"Effect": "Allow", "Action": "lambda:Invoke"'],
            ["playbooks/"],
            id="what is not in the policies",
        ),
    ],
)
def test_a_missing_permission_names_the_action_and_the_statement(
    message: str, words: list[str], without: list[str]
) -> None:
    found = error("AccessDenied", message)
    assert [one for one in words if one.lower() not in found.next_step.lower()] == []
    assert [one for one in without if one in found.next_step] == []


def test_the_statement_can_be_pasted() -> None:
    text = error("AccessDenied").next_step
    statement = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert statement == {"Effect": "Allow", "Action": "rds:CreateDBInstance", "Resource": "*"}


def test_an_encoded_reason_is_decoded_with_a_command_and_not_printed_in_the_cause() -> None:
    blob = "A" * 900
    message = f"You are not authorized to perform this operation. Encoded authorization failure message: {blob}"
    found = error("UnauthorizedOperation", message, "ec2", "CreateVpc")
    assert blob not in found.cause
    assert f"aws sts decode-authorization-message --encoded-message {blob}" in found.next_step
    assert "CreateNetwork of network.json" in found.next_step


@pytest.mark.parametrize(
    ("code", "ahead", "message", "meaning", "words"),
    [
        ("SignatureDoesNotMatch", 3600, "", "clock", "is 3600 s ahead of AWS' clock"),
        ("AuthFailure", -3600, "", "clock", "is 3600 s behind AWS' clock"),
        ("RequestExpired", -3600, "", "clock", "behind"),
        ("RequestExpired", 1, "", "expired", "Sign in again"),
        ("SignatureDoesNotMatch", 1, "", "unknown key", "AWS_SECRET_ACCESS_KEY"),
        ("InvalidSignatureException", None, "Signature expired: 20261126T0800Z is now earlier than", "clock", "chrony"),
        ("SignatureDoesNotMatch", None, "Signature not yet current: 20261126T0800Z", "clock", "chrony"),
    ],
)
def test_a_wrong_clock_is_told_from_wrong_keys(
    monkeypatch: pytest.MonkeyPatch, code: str, ahead: float | None, message: str, meaning: str, words: str
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    date = "" if ahead is None else email.utils.formatdate(1_800_000_000.0 - ahead, usegmt=True)
    found = error(code, message, ResponseMetadata={"HTTPHeaders": {"date": date}})
    assert found.facts["meaning"] == meaning
    assert words in found.next_step


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (exceptions.NoCredentialsError(), "there are no AWS credentials"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="key"), "Set both"),
        (exceptions.ProfileNotFound(profile="x"), "Check the name"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), f"the region as well: {REGION}"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), "port 443 is reachable"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "what was done is found"),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), "what was done is found"),
        (exceptions.ProxyConnectionError(proxy_url="https://x"), "HTTPS_PROXY"),
        (exceptions.SSLError(endpoint_url="https://x", error="no"), "AWS_CA_BUNDLE"),
        (exceptions.InvalidRegionError(region_name="a b"), "no name of a region"),
        (exceptions.ParamValidationError(report="no"), "nothing was sent"),
        (exceptions.UnauthorizedSSOTokenError(), "aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="no"), "aws sso login"),
    ],
)
def test_what_no_server_has_sent(raised: Exception, words: str) -> None:
    assert words in str(aws_fault("call", "rds:CreateDBInstance", raised, REGION))


class Answers:
    """Answers of the network to the requests of one client, in order; the last one again and again."""

    def __init__(self, api: Api, *answers: tuple[int, bytes]) -> None:
        self.left, self.asked = list(answers), 0
        api.client("sts").meta.events.register("before-send.sts", self)

    def __call__(self, request: t.Any, **_more: t.Any) -> AWSResponse:
        self.asked += 1
        status, body = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        answer = AWSResponse(request.url, status, {"content-type": "text/xml"}, None)
        answer._content = body
        return answer


THROTTLED = (
    400,
    b"<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
)
ANSWERED = (
    200,
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>"
    b"</GetCallerIdentityResponse>",
)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that botocore makes, which take no time."""
    found: list[float] = []
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("botocore.endpoint.time.sleep", found.append)
    monkeypatch.setattr(botocore.retries.bucket.Clock, "sleep", lambda _self, seconds: found.append(seconds))
    return found


def test_throttling_is_tried_again_with_pauses(pauses: list[float]) -> None:
    api = Api(REGION)
    answers = Answers(api, THROTTLED, THROTTLED, THROTTLED, ANSWERED)
    assert api.account == "123456789012"
    assert answers.asked == 4
    assert len([one for one in pauses if one > 0]) >= 3


def test_throttling_without_end_is_an_error_that_says_so(pauses: list[float]) -> None:
    api = Api(REGION)
    answers = Answers(api, THROTTLED)
    with pytest.raises(InfraError, match=f"Rate exceeded.\n.*{ATTEMPTS} attempts with growing pauses"):
        _account = api.account
    assert (answers.asked, len(pauses) >= ATTEMPTS - 1) == (ATTEMPTS, True)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "AccessDenied"])
def test_what_does_not_pass_is_not_tried_again(pauses: list[float], code: str) -> None:
    api = Api(REGION)
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    answers = Answers(api, (403, body.encode()))
    with pytest.raises(InfraError, match=code):
        _account = api.account
    assert answers.asked == 1


def test_the_table_has_one_meaning_for_each_code() -> None:
    """Whatever fits two rows depends on their order; only what depends on the message may."""
    twice = {"RequestExpired", "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException"}
    assert meaning_of(Refused("a:B", "a", "B", "RequestLimitExceeded")).name == "throttled"
    assert {meaning_of(Refused("a:B", "a", "B", code)).name for code in twice} == {"expired", "unknown key"}
