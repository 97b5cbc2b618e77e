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
import re
import signal
import time
import traceback
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._aws.credentials import aws_fault
from ansible_collections.nexod.infra.plugins.module_utils._aws.errors import cause_of, meaning_of, refused_by
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
except ImportError:
    MISSING: str | None = traceback.format_exc()
else:
    MISSING = None

# Limits of invalidations in progress per distribution, and Amazon's price.
MOST_PATHS, MOST_WILDCARDS = 3000, 15
FREE_PATHS, PRICE = 1000, 0.005
LONGEST_PATH, LONGEST_TAG, SHOWN = 4000, 256, 80
LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
ENDPOINT = re.compile(r"https?://[^\s/@?#]+(/\S*)?")
LEAST_SECONDS = 5  # even with wait_seconds: 0, a request needs some time
# How many of the latest invalidations are compared: each costs a request.
LOOKED_AT = 20
BUSY = ("TooManyInvalidationsInProgress", "Throttling", "ThrottlingException", "ServiceUnavailable")
ACTION = "invalidate paths of"


def refused_item(kind: str, text: str, cause: str, next_step: str) -> InfraError:
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return InfraError(
        f"invalidate the {kind}", f'"{shown.encode(errors="backslashreplace").decode()}"', cause, next_step
    )


def item_of_path(path: str) -> str:
    """The path as CloudFront requires it: what RFC 1738 calls unsafe is encoded, and nothing else."""
    if path.startswith("#"):
        raise refused_item("path", path, "a tag begins with #, a path with a slash", "Move it to tags.")
    if not path.startswith("/") or "*" in path[:-1]:
        raise refused_item(
            "path",
            path,
            "it does not begin with a slash" if not path.startswith("/") else "it contains an asterisk before its end",
            "Write it as /static/app.js or /static/*.",
        )
    try:
        encoded = urllib.parse.quote(LONE_PERCENT.sub("%25", path), safe="/*%?&=:+$,;@!()'-._").replace("~", "%7E")
    except UnicodeEncodeError as error:
        raise refused_item("path", path, "it contains half a character (a surrogate)", "Write it in UTF-8.") from error
    if len(encoded) > LONGEST_PATH:
        raise refused_item(
            "path",
            path,
            f"it has {len(encoded)} characters, and CloudFront accepts {LONGEST_PATH}",
            "Use a shorter path that ends with an asterisk.",
        )
    return encoded


def item_of_tag(tag: str) -> str:
    found = tag.removeprefix("#").lower()
    cause = ""
    if not found:
        cause = "it is empty"
    elif "," in found:
        cause = "it contains a comma, which separates tags"
    elif "*" in found:
        cause = "a tag has no wildcards"
    elif not all("!" <= letter <= "~" for letter in found):
        cause = "a tag consists of visible ASCII characters without spaces"
    elif len(found) > LONGEST_TAG:
        cause = f"it has {len(found)} characters, and CloudFront accepts {LONGEST_TAG}"
    if cause:
        raise refused_item("tag", tag, cause, "Name each tag as the origin sends it, or use a path.")
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


def plan_batches(items: t.Sequence[str]) -> list[tuple[str, ...]]:
    """The items in as few requests as the limits allow."""
    groups: list[list[str]] = []
    wildcards = 0
    for item in items:
        if not groups or len(groups[-1]) == MOST_PATHS or (item.endswith("*") and wildcards == MOST_WILDCARDS):
            groups.append([])
            wildcards = 0
        groups[-1].append(item)
        wildcards += item.endswith("*")
    return [tuple(group) for group in groups]


def digest(*words: str) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What the invalidations are for: a release, and which rollout of it if that is known.

    The caller reference says for which release, which items, and which invalidation came before. The last part makes it
    new if a release returns after another one: CloudFront does nothing for a reference that it has seen.
    """

    distribution: str
    release: str
    rollout: str = ""

    @property
    def mark(self) -> str:
        return digest(self.distribution, self.release, self.rollout)

    def reference(self, items: t.Sequence[str], previous: str) -> str:
        return f"nexod-{self.mark}-{digest(*items)}-{digest(previous)}"


def created_at(row: t.Mapping[str, t.Any]) -> float:
    """Amazon lists the latest invalidations first, other implementations need not."""
    return row["CreateTime"].timestamp() if "CreateTime" in row else 0.0


def earlier(
    client: t.Any, rollout: Rollout, batches: t.Sequence[t.Sequence[str]]
) -> tuple[dict[str, dict[str, t.Any]], str]:
    """The batches that were sent for this rollout, by the digest of their items; and the latest invalidation.

    Without the name of the rollout, those before one for another release do not count: the release had left since.
    """
    wanted = {digest(*items) for items in batches}
    found: dict[str, dict[str, t.Any]] = {}
    listed = client.list_invalidations(DistributionId=rollout.distribution, MaxItems=str(LOOKED_AT))["InvalidationList"]
    rows = sorted((listed.get("Items") or [])[:LOOKED_AT], key=created_at, reverse=True)
    for row in rows:
        if wanted <= set(found):
            break
        one = client.get_invalidation(DistributionId=rollout.distribution, Id=row["Id"])["Invalidation"]
        name, _dash, rest = str(one["InvalidationBatch"]["CallerReference"]).partition("-")
        mark, _dash, rest = rest.partition("-")
        if name == "nexod" and mark == rollout.mark:
            found.setdefault(rest.partition("-")[0], one)
        elif name == "nexod" and not rollout.rollout:
            break
    return found, str(rows[0]["Id"]) if rows else ""


def cost(items: int) -> dict[str, t.Any]:
    """Maximum cost of the request: the first thousand paths of a month are free, but may have been used already."""
    return {
        "paths": items,
        "usd_at_most": round(items * PRICE, 3),
        "usd_at_least": round(max(0, items - FREE_PATHS) * PRICE, 3),
    }


def created(client: t.Any, distribution: str, items: t.Sequence[str], reference: str, ends: float) -> dict[str, t.Any]:
    """Create the invalidation, after waiting while too many are in progress."""
    pause = 1.0
    while True:
        try:
            made: dict[str, t.Any] = client.create_invalidation(
                DistributionId=distribution,
                InvalidationBatch={
                    "Paths": {"Quantity": len(items), "Items": list(items)},
                    "CallerReference": reference,
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
    client: t.Any, rollout: Rollout, batches: t.Sequence[t.Sequence[str]], *, wait: bool, seconds: float, check: bool
) -> list[dict[str, t.Any]]:
    """Send the batches that were not sent for this rollout; returns a row for each."""
    ends = time.monotonic() + seconds
    sent, latest = earlier(client, rollout, batches)
    rows = []
    for items in batches:
        found = sent.get(digest(*items))
        reference = found["InvalidationBatch"]["CallerReference"] if found else rollout.reference(items, latest)
        row = {"reference": reference, "items": list(items), "created": found is None}
        if found is None and check:
            rows.append({**row, "id": None, "status": None})
            continue
        one = found or created(client, rollout.distribution, items, reference, ends)
        status = finished(client, rollout.distribution, one, ends) if wait and not check else one["Status"]
        rows.append({**row, "id": one["Id"], "status": status})
    return rows


class TimeIsUp(BaseException):
    """No Exception, because botocore would take that for an error of the network."""


@contextlib.contextmanager
def time_limit(seconds: float) -> t.Iterator[None]:
    """Raise TimeIsUp after `seconds`, whatever is waited for: the name's resolution, credentials, the API."""

    def up(*_given: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def opened(distribution: str, seconds: float, **options: t.Any) -> t.Iterator[t.Any]:
    """A client whose errors have a next step, for at most `seconds`, but long enough for a request."""
    place, limit = f'"{distribution}"', max(LEAST_SECONDS, seconds)
    endpoint = options["endpoint_url"]
    if endpoint and not ENDPOINT.fullmatch(endpoint):
        raise InfraError(
            ACTION, place, "endpoint_url is not the URL of an API", "Write it with its scheme, as https://host:port."
        )
    patient = Config(connect_timeout=min(10, limit), read_timeout=min(60, limit), retries={"mode": "standard"})
    try:
        with time_limit(limit + 1):
            session = boto3.Session(profile_name=options["profile"], region_name=options["region"] or "us-east-1")
            yield session.client("cloudfront", endpoint_url=endpoint, config=patient)
    except (TimeIsUp, ReadTimeoutError, ConnectTimeoutError) as error:
        raise InfraError(
            ACTION,
            place,
            f"there was no answer within {limit:g} s",
            f"Check that this host reaches {endpoint or 'the API of Amazon'}, or increase wait_seconds. Invalidations "
            "that were sent are not sent again.",
        ) from error
    except ClientError as error:
        raise refused_by_aws(error, place) from error
    except (BotoCoreError, ValueError) as error:
        raise aws_fault(ACTION, place, error) from error


def refused_by_aws(error: t.Any, place: str) -> InfraError:
    operation = str(error.operation_name)
    asked = {"right": f"cloudfront:{operation}", "service": "cloudfront", "operation": operation, "region": ""}
    answer = refused_by(error, time.time(), **asked)
    if answer.code == "NoSuchDistribution":
        return InfraError(ACTION, place, cause_of(answer), "Check distribution_id and the account.")
    meaning = meaning_of(answer)
    return InfraError(ACTION, place, cause_of(answer), meaning.advice(answer), code=answer.code, meaning=meaning.name)
