# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What delivers the static files of an environment. S3 on moto, and CloudFront on a stand-in."""

from __future__ import annotations

import json
import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.delivery import delivery
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.endpoints import endpoints
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.environment import declaration
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import endpoint_faults
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import REGION, Row, bring, said, writes
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import CloudFront
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import by_key, options

UPLOADS = {"cdn_uploads_path": "/uploads/*"}
DISTRIBUTION = "cloudfront_distribution/nexod-staging"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"


@pytest.fixture
def cloudfront(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[CloudFront]:
    made = CloudFront()
    with emulated_aws(monkeypatch):
        monkeypatch.setattr(aws_resources, "CLIENTS", {"cloudfront": made, "s3": boto3.client("s3", REGION)})
        yield made


def rows(**changes: t.Any) -> list[Row]:
    """What delivers, with the bucket of uploads."""
    given = options(cdn=True, **changes)
    found = [("s3_bucket", given["uploads_bucket"], {"intelligent_tiering": True})]
    return found + [(one["kind"], one["name"], one["properties"]) for one in delivery(given)]


def test_only_what_asks_for_it_has_a_cdn() -> None:
    found = declaration(options())
    assert not {one["kind"] for one in found} & {"cloudfront_distribution", "origin_access_control", "bucket_policy"}
    assert endpoints({}, options())["cdn"] is None


def test_no_bucket_is_public_and_the_distribution_reads_the_static_files_alone() -> None:
    found = by_key(declaration(options(cdn=True)))
    assert [given.get("private", True) for key, given in found.items() if key.startswith("s3_bucket/")] == [True, True]
    readers = {key: given["distribution"] for key, given in found.items() if key.startswith("bucket_policy/")}
    assert readers == {
        "bucket_policy/nexod-staging-static": f"@{DISTRIBUTION}.arn",
        "bucket_policy/nexod-staging-uploads": "",
    }
    assert found[DISTRIBUTION]["behaviours"] == []


def test_uploads_are_delivered_where_that_is_asked_for_and_run_no_scripts() -> None:
    found = by_key(declaration(options(cdn=True, **UPLOADS)))
    assert found["bucket_policy/nexod-staging-uploads"]["distribution"] == f"@{DISTRIBUTION}.arn"
    (uploads,) = found[DISTRIBUTION]["behaviours"]
    assert (uploads["path"], uploads["bucket"]) == ("/uploads/*", "@s3_bucket/nexod-staging-uploads")
    headers = found[uploads["response_headers_policy"].removeprefix("@")]
    assert headers["headers"] == {"Cache-Control": "public, max-age=3600, stale-while-revalidate=86400"}
    assert "sandbox" in headers["content_security_policy"]


@pytest.mark.parametrize("changes", [{}, UPLOADS], ids=["static files", "uploads too"])
def test_it_is_created_once_and_predicted_before(cloudfront: CloudFront, changes: dict[str, str]) -> None:
    declared = rows(cdn_cors_origins=["https://staging.example.com"], **changes)
    predicted, api = bring(*declared, check=True)
    assert (said(predicted), writes(api)) == ([], [])
    made, _api = bring(*declared)
    assert [one.key for one in made.changes] == [one.key for one in predicted.changes]
    assert said(made) == []
    again, api = bring(*declared)
    assert (again.changes, writes(api)) == ([], [])
    (distribution,) = cloudfront.found["Distribution"].values()
    origins = {one["Id"]: one["OriginPath"] for one in distribution["config"]["Origins"]["Items"]}
    static = {"nexod-staging-static": "/public"}
    assert origins == ({**static, "nexod-staging-uploads": ""} if changes else static)


def test_uploads_are_private_again_when_they_are_no_longer_declared(cloudfront: CloudFront) -> None:
    bring(*rows(**UPLOADS))
    done, _api = bring(*rows())
    assert sorted(one.key for one in done.changes) == ["bucket_policy/nexod-staging-uploads", DISTRIBUTION]
    policy = boto3.client("s3", REGION).get_bucket_policy(Bucket="nexod-staging-uploads")["Policy"]
    assert [row["Effect"] for row in json.loads(policy)["Statement"]] == ["Deny"]


@pytest.mark.parametrize(
    ("changes", "outputs", "url"),
    [
        ({}, {"id": "E1", "host": "d1.cloudfront.net"}, "https://d1.cloudfront.net"),
        (
            {"cdn_domains": ["static.example.com", "cdn.example.com"], "cdn_certificate": CERTIFICATE},
            {"id": "E1", "host": "d1.cloudfront.net"},
            "https://static.example.com",
        ),
        ({}, {}, "https://cloudfront-distribution.not-created-yet.invalid"),
    ],
)
def test_the_endpoints_say_where_files_are_published(
    changes: dict[str, t.Any], outputs: dict[str, str], url: str
) -> None:
    found = endpoints({DISTRIBUTION: outputs}, options(cdn=True, profile="deployer", **changes))
    assert endpoint_faults(found) == []
    assert found["cdn"] == {
        "url": url,
        "origin": {
            "bucket": "nexod-staging-static",
            "folder": "public",
            "region": "us-east-1",
            "distribution": outputs.get("id", f"(known when {DISTRIBUTION} is created)"),
            "profile": "deployer",
        },
    }
