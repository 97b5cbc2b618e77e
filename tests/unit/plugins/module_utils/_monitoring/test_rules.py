# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions for the latency table."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._monitoring import rules as monitoring


@pytest.mark.parametrize(
    ("seconds", "pattern"),
    [
        pytest.param(1, r"1|1\\.0", id="Prometheus 3 writes 1.0"),
        pytest.param(1.0, r"1|1\\.0", id="a whole number given as a float"),
        pytest.param(0.5, r"0\\.5", id="a fraction is written one way"),
        pytest.param(2.5, r"2\\.5", id="above one"),
    ],
)
def test_boundary(seconds: float, pattern: str) -> None:
    assert monitoring.boundary(seconds) == pattern
