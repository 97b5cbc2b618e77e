# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in options that a type alone lets pass: negative ones, ports beyond 65535, NaN."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Ranges = t.Mapping[str, "tuple[float, float | None]"]


def check_ranges(given: t.Mapping[str, t.Any], ranges: Ranges) -> None:
    """Refuse the first option of `given` that is out of its range, both ends included; one that is not set passes."""
    for option, (least, most) in ranges.items():
        value = given.get(option)
        # Not `value < least`: every comparison with NaN is false.
        if value is None or (value >= least and value <= (float("inf") if most is None else most)):
            continue
        limits = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise InfraError("use the option", f'"{option}"', f"it is {value}", f"Set it to a number {limits}.")
