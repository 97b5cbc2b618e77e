# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How durations are written, for all modules that take one."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
notes:
  - A duration is a number of seconds, such as V(300), or a number with a unit, such as V(200ms), V(60s), V(5m),
    V(5min), V(1h) or V(1d).
"""
