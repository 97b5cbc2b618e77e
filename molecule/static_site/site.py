"""The bucket and the distribution of the scenario on moto: site.py ENDPOINT creates them, or reports what they hold."""

from __future__ import annotations

import json
import sys
import typing as t

import boto3

BUCKET = "molecule-static"


def distribution() -> dict[str, t.Any]:
    origin = {"Id": "o", "DomainName": "x.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    return {
        "CallerReference": "1",
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
    }


def main() -> None:
    s3, cloudfront = (
        boto3.client(name, endpoint_url=sys.argv[1], region_name="us-east-1") for name in ("s3", "cloudfront")
    )
    if BUCKET not in [row["Name"] for row in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET)
        cloudfront.create_distribution(DistributionConfig=distribution())
    identifier = cloudfront.list_distributions()["DistributionList"]["Items"][0]["Id"]
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]
    headers = {key: s3.head_object(Bucket=BUCKET, Key=key).get("CacheControl", "") for key in keys}
    invalidated = cloudfront.list_invalidations(DistributionId=identifier)["InvalidationList"].get("Items", ())
    sys.stdout.write(
        json.dumps(
            {
                "origin": {
                    "bucket": BUCKET,
                    "folder": "public",
                    "region": "us-east-1",
                    "distribution": identifier,
                    "endpoint_url": sys.argv[1],
                },
                "objects": headers,
                "invalidations": len(invalidated),
            }
        )
    )


if __name__ == "__main__":
    main()
