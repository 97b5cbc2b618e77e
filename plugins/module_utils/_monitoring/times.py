# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as Prometheus and Alertmanager, which are written in Go, write them."""

from __future__ import annotations

import datetime
import re

TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


def seconds_of(text: str) -> float:
    """Seconds since 1970 of a time with up to nine decimals; below 0 for Go's zero time. ValueError if it is none."""
    found = TIME.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no time")
    moment, decimals, zone = found.groups()
    whole = datetime.datetime.fromisoformat(moment + ("+00:00" if zone == "Z" else zone))
    return whole.timestamp() + float(f"0.{decimals or 0}")


def text_of(seconds: float) -> str:
    """The time of these seconds since 1970."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
