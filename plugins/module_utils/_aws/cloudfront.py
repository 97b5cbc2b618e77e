# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of the module ``cloudfront_invalidation``: which paths in which batches, and which were sent before."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import json
import time
import traceback
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
except ImportError:
    MISSING: str | None = traceback.format_exc()
else:
    MISSING = None

# Limits of invalidations in progress per distribution, and Amazon's price.
MOST_PATHS, MOST_WILDCARDS = 3000, 15
FREE_PATHS, PRICE = 1000, 0.005
# How many of the latest invalidations are compared: each costs a request.
LOOKED_AT = 20
BUSY = ("TooManyInvalidationsInProgress", "Throttling", "ThrottlingException", "ServiceUnavailable")
ACTION = "invalidate paths of"
RIGHTS = "cloudfront:CreateInvalidation, cloudfront:GetInvalidation and cloudfront:ListInvalidations"


@dataclasses.dataclass(frozen=True)
class Batch:
    items: tuple[str, ...]
    reference: str


def item_of_path(path: str) -> str:
    if not path.startswith("/") or "*" in path[:-1]:
        raise InfraError(
            "invalidate the path",
            f'"{path}"',
            "it does not begin with a slash" if not path.startswith("/") else "it contains an asterisk before its end",
            "Write it as /static/app.js or /static/*.",
        )
    return urllib.parse.quote(path, safe="/*%?&=~:+$,;@!()'-._")


def item_of_tag(tag: str) -> str:
    found = tag.removeprefix("#").lower()
    if not found or "*" in found or any(letter.isspace() for letter in found):
        raise InfraError(
            "invalidate the tag", f'"{tag}"', "a tag has no wildcards and no spaces", "Name each tag, or use a path."
        )
    return f"#{found}"


def plan_items(paths: t.Iterable[str], tags: t.Iterable[str], collapse_above: int) -> list[str]:
    """Each item once, without those covered by a wildcard, and with one wildcard for a folder with many paths."""
    wanted = {item_of_path(path) for path in paths}
    if collapse_above:
        folders = collections.Counter(path.rpartition("/")[0] + "/" for path in wanted if not path.endswith("*"))
        # Never for the root: that wildcard would cover everything.
        wanted |= {f"{folder}*" for folder, count in folders.items() if count > collapse_above and folder != "/"}
    wildcards = {path for path in wanted if path.endswith("*")}
    kept = [
        path
        for path in wanted
        if not any(path != wildcard and path.startswith(wildcard[:-1]) for wildcard in wildcards)
    ]
    return sorted(kept) + sorted({item_of_tag(tag) for tag in tags})


def plan_batches(distribution: str, release: str, items: t.Sequence[str]) -> list[Batch]:
    """The items in as few requests as the limits allow; the same items of a release are always the same requests."""
    groups: list[list[str]] = []
    wildcards = 0
    for item in items:
        if not groups or len(groups[-1]) == MOST_PATHS or (item.endswith("*") and wildcards == MOST_WILDCARDS):
            groups.append([])
            wildcards = 0
        groups[-1].append(item)
        wildcards += item.endswith("*")
    return [Batch(tuple(group), reference_of(distribution, release, group)) for group in groups]


def reference_of(distribution: str, release: str, items: t.Sequence[str]) -> str:
    content = json.dumps([distribution, release, *items])
    return f"nexod-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


def cost(items: int) -> dict[str, t.Any]:
    """Maximum cost of the request: the first thousand paths of a month are free, but may have been used already."""
    return {
        "paths": items,
        "usd_at_most": round(items * PRICE, 3),
        "usd_at_least": round(max(0, items - FREE_PATHS) * PRICE, 3),
    }


def known(client: t.Any, distribution: str, batches: t.Sequence[Batch]) -> dict[str, dict[str, t.Any]]:
    """Those of `batches` that are among the latest invalidations: reference to invalidation."""
    wanted = {batch.reference for batch in batches}
    found: dict[str, dict[str, t.Any]] = {}
    listed = client.list_invalidations(DistributionId=distribution, MaxItems=str(LOOKED_AT))["InvalidationList"]
    for row in (listed.get("Items") or [])[:LOOKED_AT]:
        if wanted == set(found):
            break
        one = client.get_invalidation(DistributionId=distribution, Id=row["Id"])["Invalidation"]
        reference = one["InvalidationBatch"]["CallerReference"]
        if reference in wanted:
            found[reference] = one
    return found


def created(client: t.Any, distribution: str, batch: Batch, ends: float) -> dict[str, t.Any]:
    """Create the invalidation, after waiting while too many are in progress."""
    pause = 1.0
    while True:
        try:
            made: dict[str, t.Any] = client.create_invalidation(
                DistributionId=distribution,
                InvalidationBatch={
                    "Paths": {"Quantity": len(batch.items), "Items": list(batch.items)},
                    "CallerReference": batch.reference,
                },
            )["Invalidation"]
            return made
        except ClientError as error:
            if error.response["Error"]["Code"] not in BUSY:
                raise
            if time.monotonic() + pause > ends:
                raise InfraError(
                    ACTION,
                    f'"{distribution}"',
                    "too many invalidations are under way, and none ended in time",
                    "Run it again later or increase wait_seconds. Invalidations that were sent are not sent again.",
                ) from error
        time.sleep(pause)
        pause = min(pause * 2, 30.0)


def finished(client: t.Any, distribution: str, one: t.Mapping[str, t.Any], ends: float) -> str:
    """The invalidation's status after waiting for its completion."""
    status, pause = str(one["Status"]), 1.0
    while status.lower() != "completed":
        if time.monotonic() + pause > ends:
            raise InfraError(
                ACTION,
                f'"{distribution}"',
                f"invalidation {one['Id']} is still {status}",
                "It continues in the background. Increase wait_seconds or set wait: false.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 15.0)
        status = str(client.get_invalidation(DistributionId=distribution, Id=one["Id"])["Invalidation"]["Status"])
    return status


def invalidate(
    client: t.Any, distribution: str, batches: t.Sequence[Batch], *, wait: bool, seconds: float, check: bool
) -> list[dict[str, t.Any]]:
    """Send the batches that were not sent before; returns a row for each."""
    ends = time.monotonic() + seconds
    there = known(client, distribution, batches)
    rows = []
    for batch in batches:
        found = there.get(batch.reference)
        row = {"reference": batch.reference, "items": list(batch.items), "created": found is None}
        if found is None and check:
            rows.append({**row, "id": None, "status": None})
            continue
        one = found or created(client, distribution, batch, ends)
        status = finished(client, distribution, one, ends) if wait and not check else one["Status"]
        rows.append({**row, "id": one["Id"], "status": status})
    return rows


@contextlib.contextmanager
def opened(distribution: str, **options: t.Any) -> t.Iterator[t.Any]:
    """A client whose errors have a next step."""
    place = f'"{distribution}"'
    try:
        session = boto3.Session(profile_name=options["profile"], region_name=options["region"] or "us-east-1")
        yield session.client("cloudfront", endpoint_url=options["endpoint_url"])
    except NoCredentialsError as error:
        raise InfraError(
            ACTION, place, "there are no AWS credentials", "Give them in the environment, or name a profile."
        ) from error
    except ClientError as error:
        code = error.response["Error"]["Code"]
        next_steps = {
            "NoSuchDistribution": "Check distribution_id and the account.",
            "AccessDenied": f"The account needs {RIGHTS}.",
        }
        cause = f"{code}: {error.response['Error'].get('Message', '')}"
        raise InfraError(
            ACTION, place, cause, next_steps.get(code, "Look up the error code in Amazon's documentation.")
        ) from error
    except BotoCoreError as error:
        raise InfraError(ACTION, place, str(error), "Check the address and the network.") from error
