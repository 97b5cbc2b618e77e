# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stored outside the database: buckets of S3, repositories of ECR, log groups of CloudWatch."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, as_tags, from_tags, owned
from ansible_collections.nexod.infra.plugins.module_utils._aws.kinds.identity import document, same_document
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    OWNER,
    Facts,
    Property,
    Seen,
    Unknown,
    Wanted,
)

BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
#: The rule by which old versions and unfinished uploads go, and objects are stored where they cost least.
RULE = "nexod.infra"


class Bucket(AwsKind):
    """A bucket that is private, encrypted by S3, and of which only its owner has objects."""

    name, title, holds_data = "s3_bucket", "bucket", True
    outputs = ("id", "arn")
    properties = {
        "versioned": Property("bool", default=True, about="Whether former versions are kept."),
        "private": Property("bool", default=True, choices=(True,), about="No bucket is public."),
        "old_versions_days": Property(
            "int", default=90, about="After which overwritten and deleted versions go; 0 keeps them.", least=0
        ),
        "intelligent_tiering": Property(
            "bool", default=False, about="Whether S3 moves objects that are seldom read to cheaper storage."
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        # Of another account it is 403, which is reported: the name is taken.
        if api.call("s3", "HeadBucket", ("404", "NoSuchBucket"), Bucket=wanted.name) is None:
            return None
        named = {"Bucket": wanted.name}
        versions = api.call("s3", "GetBucketVersioning", **named).get("Status")
        blocked = api.call("s3", "GetPublicAccessBlock", ("NoSuchPublicAccessBlockConfiguration",), **named)
        tags = api.call("s3", "GetBucketTagging", ("NoSuchTagSet",), **named)
        lifecycle = api.call("s3", "GetBucketLifecycleConfiguration", ("NoSuchLifecycleConfiguration",), **named)
        rule: Facts = next((row for row in (lifecycle or {}).get("Rules", ()) if row.get("ID") == RULE), {})
        expiry = rule.get("NoncurrentVersionExpiration") or {}
        storage = {row.get("StorageClass") for row in rule.get("Transitions") or ()}
        return Seen(
            {
                "versioned": versions == "Enabled",
                "private": bool(blocked) and blocked["PublicAccessBlockConfiguration"] == BLOCKED,
                "old_versions_days": expiry.get("NoncurrentDays", 0),
                "intelligent_tiering": "INTELLIGENT_TIERING" in storage,
            },
            {"id": wanted.name, "arn": f"arn:aws:s3:::{wanted.name}"},
            from_tags((tags or {}).get("TagSet")),
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        tagged = {"Tags": as_tags(wanted.tags)} if self._takes_tags(api) else {}
        place = {} if api.region == "us-east-1" else {"LocationConstraint": api.region}
        config = {"CreateBucketConfiguration": {**place, **tagged}} if place or tagged else {}
        # With its tags from the first moment on: a run that is killed leaves nothing that the next one can't find.
        api.call("s3", "CreateBucket", Bucket=wanted.name, ObjectOwnership="BucketOwnerEnforced", **config)
        # For a botocore that does not know them yet, and for emulators, which ignore them.
        api.call("s3", "PutBucketTagging", Bucket=wanted.name, Tagging={"TagSet": as_tags(wanted.tags)})
        self._set(api, wanted, self.properties)

    @staticmethod
    def _takes_tags(api: Api) -> bool:
        """Whether the installed botocore can create a bucket with tags."""
        given = api.client("s3").meta.service_model.operation_model("CreateBucket").input_shape.members
        return "Tags" in given["CreateBucketConfiguration"].members

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._set(api, wanted, changed)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        # An empty one only: AWS refuses the others, and what is in them is not for a deploy to remove.
        api.call("s3", "DeleteBucket", Bucket=wanted.name)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("s3", "PutBucketTagging", Bucket=seen.outputs["id"], Tagging={"TagSet": as_tags(tags)})

    @staticmethod
    def _set(api: Api, wanted: Wanted, changed: t.Collection[str]) -> None:
        named = {"Bucket": wanted.name}
        if "private" in changed:
            api.call("s3", "PutPublicAccessBlock", PublicAccessBlockConfiguration=BLOCKED, **named)
        if "versioned" in changed:
            status = "Enabled" if wanted["versioned"] else "Suspended"
            api.call("s3", "PutBucketVersioning", VersioningConfiguration={"Status": status}, **named)
        if {"old_versions_days", "intelligent_tiering"} & set(changed):
            found = api.call("s3", "GetBucketLifecycleConfiguration", ("NoSuchLifecycleConfiguration",), **named)
            others = [row for row in (found or {}).get("Rules", ()) if row.get("ID") != RULE]
            rules = {"Rules": [*others, lifecycle_rule(wanted)]}
            api.call("s3", "PutBucketLifecycleConfiguration", LifecycleConfiguration=rules, **named)


def lifecycle_rule(wanted: Wanted) -> dict[str, t.Any]:
    rule: dict[str, t.Any] = {
        "ID": RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    if days := wanted["old_versions_days"]:
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    if wanted["intelligent_tiering"]:
        rule["Transitions"] = [{"Days": 0, "StorageClass": "INTELLIGENT_TIERING"}]
    return rule


def bucket_policy(bucket: str, distribution: str) -> dict[str, t.Any]:
    """Nobody reads without TLS, and of others only the distribution, if there is one, reads at all."""
    arn = f"arn:aws:s3:::{bucket}"
    rows: list[dict[str, t.Any]] = [
        {
            "Sid": "OnlyWithTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if distribution:
        service = {"Sid": "CloudFront", "Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}}
        only = {"StringEquals": {"AWS:SourceArn": distribution}}
        rows.append({**service, "Action": "s3:GetObject", "Resource": f"{arn}/*", "Condition": only})
    return {"Version": "2012-10-17", "Statement": rows}


class BucketPolicy(AwsKind):
    """Who beside the account's own roles reads a bucket. It belongs to whom the bucket belongs."""

    name, title = "bucket_policy", "bucket policy"
    outputs = ("id",)
    properties = {
        "bucket": Property(required=True, change=FIXED, about="Its bucket, by whose tags it is ours."),
        "distribution": Property(
            default="",
            about="ARN of the distribution that may read. All others need rights of their own, and nobody reads "
            "without TLS.",
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        bucket = wanted["bucket"]
        if isinstance(bucket, Unknown):
            return None
        found = api.call("s3", "GetBucketPolicy", ("NoSuchBucketPolicy", "NoSuchBucket"), Bucket=bucket)
        if not found:
            return None
        tags = api.call("s3", "GetBucketTagging", ("NoSuchTagSet",), Bucket=bucket)
        owner = from_tags((tags or {}).get("TagSet")).get(OWNER)
        properties = {"bucket": bucket, "distribution": self._distribution(bucket, json.loads(found["Policy"]))}
        return Seen(properties, {"id": bucket}, owned(wanted, owner))

    @staticmethod
    def _distribution(bucket: str, policy: Facts) -> t.Any:
        """The distribution that a policy of ours names; any other policy as it is."""
        conditions = [row.get("Condition") or {} for row in document(policy)["Statement"]]
        names = [row["StringEquals"].get("AWS:SourceArn") for row in conditions if "StringEquals" in row]
        name = str(names[0] or "") if names else ""
        return name if same_document(bucket_policy(bucket, name), policy) else policy

    def create(self, api: Api, wanted: Wanted) -> None:
        policy = json.dumps(bucket_policy(wanted["bucket"], wanted["distribution"]))
        api.call("s3", "PutBucketPolicy", Bucket=wanted["bucket"], Policy=policy)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self.create(api, wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("s3", "DeleteBucketPolicy", Bucket=wanted["bucket"])

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        raise InfraError(
            "take over the policy of the bucket",
            seen.outputs["id"],
            "a policy has no tags of its own",
            f'Declare the bucket too, and take it over: adopt: ["s3_bucket/{seen.outputs["id"]}"].',
        )


#: CloudWatch takes no other numbers of days; 0 is ours for always.
KEPT = (0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


class LogGroup(AwsKind):
    """A log group, whose events are kept for some days."""

    name, title = "log_group", "log group"
    outputs = ("id", "arn")
    properties = {
        "retention_days": Property("int", default=30, choices=KEPT, about="For which events are kept; 0 keeps them.")
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        groups = api.call("logs", "DescribeLogGroups", logGroupNamePrefix=wanted.name)["logGroups"]
        row = next((one for one in groups if one["logGroupName"] == wanted.name), None)
        if row is None:
            return None
        # With an asterisk at its end it names the streams, and tags are refused.
        arn = str(row["arn"]).removesuffix(":*")
        tags = api.call("logs", "ListTagsForResource", resourceArn=arn)["tags"]
        return Seen({"retention_days": row.get("retentionInDays", 0)}, {"id": wanted.name, "arn": arn}, tags)

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call("logs", "CreateLogGroup", logGroupName=wanted.name, tags=dict(wanted.tags))
        self._keep(api, wanted)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._keep(api, wanted)

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("logs", "DeleteLogGroup", logGroupName=wanted.name)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("logs", "TagResource", resourceArn=seen.outputs["arn"], tags=dict(tags))

    @staticmethod
    def _keep(api: Api, wanted: Wanted) -> None:
        if days := wanted["retention_days"]:
            api.call("logs", "PutRetentionPolicy", logGroupName=wanted.name, retentionInDays=days)
        else:
            api.call("logs", "DeleteRetentionPolicy", logGroupName=wanted.name)


class Repository(AwsKind):
    """A repository of images, whose tags can't be moved to another image."""

    name, title, holds_data = "ecr_repository", "ECR repository", True
    outputs = ("id", "arn", "url")
    properties = {
        "immutable": Property("bool", default=True, about="Whether a tag stays with its image."),
        "scan_on_push": Property("bool", default=True, about="Whether images are scanned for known vulnerabilities."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        missing = ("RepositoryNotFoundException",)
        found = api.call("ecr", "DescribeRepositories", missing, repositoryNames=[wanted.name])
        if not found or not found["repositories"]:
            return None
        row = found["repositories"][0]
        tags = api.call("ecr", "ListTagsForResource", resourceArn=row["repositoryArn"])["tags"]
        return Seen(
            {
                "immutable": row["imageTagMutability"] == "IMMUTABLE",
                "scan_on_push": row["imageScanningConfiguration"]["scanOnPush"],
            },
            {"id": wanted.name, "arn": row["repositoryArn"], "url": row["repositoryUri"]},
            from_tags(tags),
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call(
            "ecr",
            "CreateRepository",
            repositoryName=wanted.name,
            imageTagMutability=mutability(wanted),
            imageScanningConfiguration={"scanOnPush": wanted["scan_on_push"]},
            tags=as_tags(wanted.tags),
        )

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        if "immutable" in changed:
            api.call("ecr", "PutImageTagMutability", repositoryName=wanted.name, imageTagMutability=mutability(wanted))
        if "scan_on_push" in changed:
            scanning = {"scanOnPush": wanted["scan_on_push"]}
            api.call(
                "ecr", "PutImageScanningConfiguration", repositoryName=wanted.name, imageScanningConfiguration=scanning
            )

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("ecr", "DeleteRepository", repositoryName=wanted.name, force=True)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("ecr", "TagResource", resourceArn=seen.outputs["arn"], tags=as_tags(tags))


def mutability(wanted: Wanted) -> str:
    return "IMMUTABLE" if wanted["immutable"] else "MUTABLE"
