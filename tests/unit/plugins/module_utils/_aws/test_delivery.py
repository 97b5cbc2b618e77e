"""CloudFront on a stand-in: moto has no cache policies, forgets access controls, and deletes what is enabled."""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import (
    REGION,
    actions,
    bring,
    changed,
    must_change,
    must_live,
    needed,
    writes,
)
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import CloudFront
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

CACHED = "public, max-age=3600, stale-while-revalidate=86400"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"
KEY = "cloudfront_distribution/site"
ROWS: list[aws_resources.Row] = [
    ("s3_bucket", "nexod-site", {}),
    ("s3_bucket", "nexod-other", {}),
    ("origin_access_control", "site", {}),
    ("origin_access_control", "other", {}),
    ("cache_policy", "site", {}),
    ("cache_policy", "hashed", {"default_seconds": 86400, "max_seconds": 31536000}),
    ("response_headers_policy", "site", {"headers": {"Cache-Control": CACHED}}),
    (
        "cloudfront_distribution",
        "site",
        {
            "bucket": "@s3_bucket/nexod-site",
            "origin_access_control": "@origin_access_control/site",
            "cache_policy": "@cache_policy/site",
            "response_headers_policy": "@response_headers_policy/site",
            "behaviours": [{"path": "/assets/*", "cache_policy": "@cache_policy/hashed"}],
            "error_pages": [{"code": code, "page": "/index.html"} for code in (403, 404)],
            "aliases": ["app.example.com"],
            "certificate": CERTIFICATE,
        },
    ),
    (
        "bucket_policy",
        "site",
        {"bucket": "@s3_bucket/nexod-site", "distribution": "@cloudfront_distribution/site.arn"},
    ),
]


@pytest.fixture(autouse=True)
def cloudfront(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[CloudFront]:
    made = CloudFront()
    with emulated_aws(monkeypatch):
        monkeypatch.setattr(aws_resources, "CLIENTS", {"cloudfront": made, "s3": boto3.client("s3", REGION)})
        yield made


def test_from_nothing_and_away() -> None:
    must_live(ROWS, {"s3_bucket/nexod-site", "s3_bucket/nexod-other"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("origin_access_control/site", {"signing": "no-override"}, id="access control signing"),
        pytest.param("cache_policy/site", {"min_seconds": 60}, id="cache policy min_seconds"),
        pytest.param("cache_policy/site", {"default_seconds": 60}, id="cache policy default_seconds"),
        pytest.param("cache_policy/site", {"max_seconds": 90000}, id="cache policy max_seconds"),
        pytest.param("cache_policy/site", {"default_seconds": 0, "max_seconds": 0}, id="cache policy nothing kept"),
        pytest.param("cache_policy/site", {"headers": ["Origin"]}, id="cache policy headers"),
        pytest.param("cache_policy/site", {"query_strings": ["v"]}, id="cache policy query_strings"),
        pytest.param("response_headers_policy/site", {"headers": {}}, id="headers policy headers"),
        pytest.param("response_headers_policy/site", {"hsts_seconds": 0}, id="headers policy hsts_seconds"),
        pytest.param(
            "response_headers_policy/site",
            {"content_security_policy": "sandbox"},
            id="headers policy content_security_policy",
        ),
        pytest.param(
            "response_headers_policy/site",
            {"cors_origins": ["https://app.example.com"]},
            id="headers policy cors_origins",
        ),
        pytest.param(KEY, {"bucket": "@s3_bucket/nexod-other"}, id="bucket"),
        pytest.param(KEY, {"origin_access_control": "@origin_access_control/other"}, id="origin_access_control"),
        pytest.param(KEY, {"origin_path": "/site"}, id="origin_path"),
        pytest.param(KEY, {"cache_policy": "@cache_policy/hashed"}, id="cache_policy"),
        pytest.param(KEY, {"response_headers_policy": ""}, id="response_headers_policy"),
        pytest.param(KEY, {"compress": False}, id="compress"),
        pytest.param(KEY, {"behaviours": []}, id="behaviours"),
        pytest.param(
            KEY,
            {"behaviours": [{"path": "/assets/*", "cache_policy": "@cache_policy/site", "compress": False}]},
            id="behaviour",
        ),
        pytest.param(
            KEY,
            {
                "behaviours": [
                    {"path": "/u/*", "cache_policy": "@cache_policy/site", "bucket": "@s3_bucket/nexod-other"}
                ]
            },
            id="behaviour of another bucket",
        ),
        pytest.param(KEY, {"error_pages": []}, id="error_pages"),
        pytest.param(KEY, {"root_object": ""}, id="root_object"),
        pytest.param(KEY, {"price_class": "PriceClass_All"}, id="price_class"),
        pytest.param(KEY, {"aliases": []}, id="aliases"),
        pytest.param(KEY, {"aliases": [], "certificate": ""}, id="certificate"),
        pytest.param(KEY, {"enabled": False}, id="enabled"),
        pytest.param("bucket_policy/site", {"distribution": ""}, id="bucket policy distribution"),
    ],
)
def test_each_property_is_changed_and_changed_back(key: str, value: dict[str, t.Any]) -> None:
    must_change(ROWS, key, value)


def test_what_is_not_declared_stays_as_it_is(cloudfront: CloudFront) -> None:
    rows = needed(ROWS, KEY)
    bring(*rows)
    (distribution,) = cloudfront.found["Distribution"].values()
    distribution["config"] |= {"WebACLId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/1"}
    distribution["config"]["DefaultCacheBehavior"]["OriginRequestPolicyId"] = "theirs"
    distribution["config"]["Origins"]["Items"][0]["ConnectionAttempts"] = 2
    assert actions(bring(*changed(rows, KEY, compress=False))[0]) == [(KEY, "update")]
    assert distribution["config"]["WebACLId"]
    assert distribution["config"]["Origins"]["Items"][0]["ConnectionAttempts"] == 2
    assert distribution["config"]["DefaultCacheBehavior"]["OriginRequestPolicyId"] == "theirs"


def test_a_bucket_that_was_opened_behind_our_back_is_closed() -> None:
    rows = needed(ROWS, "bucket_policy/site")
    bring(*rows)
    client = aws_resources.CLIENTS["s3"]
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::nexod-site/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [public]})
    client.put_bucket_policy(Bucket="nexod-site", Policy=policy)
    done, _api = bring(*rows)
    assert actions(done) == [("bucket_policy/site", "update")]
    assert done.changes[0].before["distribution"]["Statement"][0]["Principal"] == "*"
    assert bring(*rows)[0].changes == []


@pytest.mark.parametrize("kind", ["origin_access_control", "cache_policy", "response_headers_policy"])
def test_what_has_no_tags_is_ours_by_its_comment(cloudfront: CloudFront, kind: str) -> None:
    key = f"{kind}/site"
    rows = needed(ROWS, key)
    bring(*rows)
    (one,) = cloudfront.found[KINDS[kind].thing].values()  # type: ignore[attr-defined]
    field = "Description" if kind == "origin_access_control" else "Comment"
    one["config"][field] = "nexod:environment=production"
    refused, api = bring(*rows)
    assert "belongs to the environment production" in str(refused.faults[0][1])
    one["config"][field] = ""
    refused, api = bring(*rows)
    assert "its tags don't say that it is ours" in str(refused.faults[0][1])
    assert writes(api) == []
    assert actions(bring(*rows, adopt=frozenset({key}))[0]) == [(key, "update")]
    assert one["config"][field] == "nexod:environment=staging"
    assert bring(*rows)[0].changes == []


def test_the_distribution_of_another_environment_is_not_seen(cloudfront: CloudFront) -> None:
    rows = needed(ROWS, KEY)
    bring(*rows)
    (tags,) = cloudfront.tags.values()
    tags["nexod:environment"] = "production"
    (one,) = cloudfront.found["Distribution"].values()
    one["config"]["CallerReference"] = "theirs"
    assert actions(bring(*rows)[0]) == [(KEY, "create")]
    tags["nexod:environment"] = "staging"
    assert "there are 2 with this comment in the environment" in str(bring(*rows)[0].faults[0][1])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("cache_policy/site", {"max_seconds": 60}, "each must be at least the one before"),
        (KEY, {"certificate": ""}, "aliases need a certificate"),
        (KEY, {"behaviours": [{"path": "/a"}]}, "each of behaviours has cache_policy, path"),
        (KEY, {"error_pages": [{"code": 403, "page": "/", "ttl": 1}]}, "may have answer, seconds"),
    ],
)
def test_what_is_wrong_together(key: str, value: dict[str, t.Any], words: str) -> None:
    rows = [{"kind": kind, "name": name, "properties": given} for kind, name, given in changed(ROWS, key, **value)]
    with pytest.raises(InfraError, match=words):
        declared(rows, KINDS)
