# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kinds of AWS resources have in common: tags, versions and maintenance windows."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import OWNER, Facts, Kind, Wanted


class AwsKind(Kind):
    """A type of resource on AWS. `api` of its methods is an `_aws.api.Api`."""

    party = "AWS"


def minor_upgraded(wanted: t.Any, seen: t.Any) -> bool:
    """A version that is declared in part, or that AWS has upgraded since: 15 and 15.8 are as 15.9 is, 14 is not.

    AWS installs minor versions by itself, and refuses to go back.
    """
    if not seen:
        return False
    first, second = ([int(part) for part in re.findall(r"\d+", str(version))] for version in (wanted, seen))
    return first[:1] == second[:1] and first <= second


def owned(wanted: Wanted, owner: str | None) -> dict[str, str]:
    """The tags of what AWS gives none: as declared if it is marked as ours in another way."""
    if owner == wanted.tags[OWNER]:
        return dict(wanted.tags)
    return {OWNER: owner} if owner else {}


def waiting_for_window(values: Facts, window: t.Any) -> str:
    """That these values are applied in the maintenance window; empty without any."""
    if not values:
        return ""
    names = ", ".join(f"{name} {value}" for name, value in sorted(values.items()))
    verb = "wait" if len(values) > 1 else "waits"
    return (
        f"{names} {verb} for the maintenance window {window} (UTC); apply_immediately: true applies it at once, with "
        "an interruption"
    )


def final_snapshot(name: str) -> str:
    """The snapshot that a removal leaves; with the time, as the name of an earlier one would be refused."""
    return f"{name}-final-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"


def as_tags(tags: Facts) -> list[dict[str, str]]:
    """As most services take them."""
    return [{"Key": str(key), "Value": str(value)} for key, value in sorted(tags.items())]


def from_tags(rows: t.Iterable[Facts] | None) -> dict[str, str]:
    return {str(row["Key"]): str(row["Value"]) for row in rows or ()}
