# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket whose files CloudFront delivers: reading it, and doing what was planned (``site.py``)."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws import cloudfront
from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.site import File, Plan, Record, published
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import Tell

#: Uploads at the same time, as many as a client of boto3 has connections.
WORKERS = 10
#: A folder with more changed files than this is invalidated as a whole, which costs as much as one path.
COLLAPSE_ABOVE = 100


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A folder of a bucket. The record of what is published lies beside it, where it is not delivered."""

    api: Api
    name: str
    folder: str

    def key(self, name: str) -> str:
        return f"{self.folder}/{name}"

    @property
    def record_key(self) -> str:
        return f".nexod/{self.folder}.json"

    def stored(self) -> dict[str, str]:
        """The objects by name, each with a mark that changes whenever it is written."""
        found = self.api.call("s3", "ListObjectsV2", ("NoSuchBucket",), Bucket=self.name, Prefix=self.key(""))
        if found is None and not self.api.check:
            raise InfraError(
                "publish files in",
                f'the bucket "{self.name}"',
                "it does not exist",
                "Create it first (stage infrastructure), or correct bucket.",
            )
        rows = (found or {}).get("Contents") or ()
        return {
            str(row["Key"])[len(self.key("")) :]: f"{row['ETag']} {row['LastModified'].isoformat()}" for row in rows
        }

    def record(self) -> Record:
        """What earlier runs have published. One that can't be read is none: then everything is uploaded again."""
        missing = ("NoSuchKey", "NoSuchBucket")
        found = self.api.call("s3", "GetObject", missing, Bucket=self.name, Key=self.record_key)
        try:
            given = json.loads(found["Body"].read()) if found else {}
            return Record(given.get("rows", {}), tuple(given.get("pending", ())), given.get("rollout", ""))
        except (ValueError, AttributeError):
            return Record()

    def keep(self, record: Record) -> None:
        text = json.dumps(dataclasses.asdict(record), sort_keys=True)
        headers = {"ContentType": "application/json", "CacheControl": "no-store"}
        self.api.call("s3", "PutObject", Bucket=self.name, Key=self.record_key, Body=text.encode(), **headers)

    def upload(self, file: File) -> None:
        headers = {"ContentType": file.content_type, "CacheControl": file.cache_control}
        with open(file.path, "rb") as body:
            self.api.call("s3", "PutObject", Bucket=self.name, Key=self.key(file.name), Body=body, **headers)

    def remove(self, name: str) -> None:
        self.api.call("s3", "DeleteObject", Bucket=self.name, Key=self.key(name))

    def write(self, plan: Plan) -> None:
        """Upload and remove, as many files at the same time as may be, and the next ones when these are there."""
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for wave in plan.waves:
                list(pool.map(self.upload, wave))
            list(pool.map(self.remove, plan.removals))


def publish(
    bucket: Bucket, plan: Plan, files: t.Sequence[File], record: Record, *, cdn: Cdn | None, tell: Tell
) -> None:
    """Do what was planned.

    What caches must drop is recorded before the first change and until CloudFront has done so: if this run is killed,
    the next one knows, although it finds the new files in the bucket.
    """
    pending = plan.paths if cdn else ()
    if pending:
        bucket.keep(Record(record.rows, pending, plan.rollout))
    tell(f"{len(plan.uploads)} files to upload to {bucket.name}, {len(plan.removals)} to remove")
    bucket.write(plan)
    rows = published(files, bucket.stored(), record, plan.unused)
    bucket.keep(Record(rows, pending, plan.rollout))
    if cdn and pending:
        cdn.invalidate(pending, plan.rollout, tell)
        bucket.keep(Record(rows))


@dataclasses.dataclass(frozen=True)
class Cdn:
    """The distribution that delivers the bucket."""

    distribution: str
    wait: bool
    wait_seconds: int
    connection: t.Mapping[str, str | None]

    def invalidate(self, paths: t.Sequence[str], rollout: str, tell: Tell) -> None:
        items = cloudfront.plan_items(paths, (), COLLAPSE_ABOVE)
        tell(f"{len(items)} paths to invalidate at {self.distribution}")
        with cloudfront.opened(self.distribution, self.wait_seconds, **self.connection) as client:
            cloudfront.invalidate(
                client,
                cloudfront.Rollout(self.distribution, "static files", rollout),
                cloudfront.plan_batches(items),
                wait=self.wait,
                seconds=self.wait_seconds,
                check=False,
            )
