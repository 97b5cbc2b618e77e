# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The range of a number, as the description of its option states it.

Argument specifications have no keys for a range, and Ansible's tools refuse keys that they don't know. So the sentence
that people read is the one that preflight enforces: ``From 1 to 65535.``, ``At least 0.``, ``Above 0.``, ``Above 0 and
below 1.`` A test asks every number of every role for one.
"""

from __future__ import annotations

import functools
import math
import re
import typing as t

_NUMBER: t.Final = r"(-?\d+(?:\.\d+)?)"
_RANGES: t.Final = re.compile(
    rf"\b(?:from {_NUMBER} to {_NUMBER}|above {_NUMBER}(?: and below {_NUMBER})?|at least {_NUMBER})(?=[.,;]|$)",
    re.IGNORECASE,
)


class Limits(t.NamedTuple):
    """The bounds of a number; `above` and `below` are not part of the range themselves."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    text: str = ""

    def allows(self, value: float) -> bool:
        return self.least <= value <= self.most and self.above < value < self.below


def limits_of(spec: t.Mapping[str, t.Any]) -> Limits | None:
    """The range of an option; None without one."""
    description = spec.get("description") or ""
    return _limits_in(description if isinstance(description, str) else "\n".join(map(str, description)))


@functools.lru_cache(maxsize=1024)
def _limits_in(description: str) -> Limits | None:
    found = _RANGES.search(description)
    if found is None:
        return None
    least, most, above, below, floor = (None if number is None else float(number) for number in found.groups())
    text = found[0].lower()
    if above is not None:
        return Limits(above=above, below=math.inf if below is None else below, text=text)
    if floor is not None:
        return Limits(least=floor, text=text)
    return Limits(least=least or 0.0, most=math.inf if most is None else most, text=text)
