# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one grammar of durations in options; the documentation fragment nexod.infra.durations describes it."""

from __future__ import annotations

import re

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


def seconds(duration: str | float, option: str) -> float:
    """``300``, ``300s``, ``5m``, ``5min`` -> 300.0; ``200ms`` -> 0.2. `option` is named in the error."""
    found = DURATION.fullmatch(str(duration))
    if found is None or found[2] not in SECONDS:
        raise InfraError(
            "read the duration",
            f'{option}: "{duration}"',
            "it is neither a number of seconds nor a number with one of the units ms, s, m (or min), h, d",
            "Write for example 300, 200ms, 60s, 5m or 1h.",
        )
    return float(found[1]) * SECONDS[found[2]]


def milliseconds(duration: str | float, option: str) -> int:
    return round(seconds(duration, option) * 1000)
