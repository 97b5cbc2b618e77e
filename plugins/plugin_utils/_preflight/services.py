# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight of what only the vendors know: the problems in an answer of service_resources or supabase_project.

Both were asked in check mode.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import Fault


def judge_services(found: t.Mapping[str, t.Any]) -> list[Fault]:
    """Each refusal as a problem: of a resource, of an account, or of the declarations as a whole."""
    errors = found.get("problems") or ([found["error"]] if found.get("error") else [])
    return [
        Fault(str(one["object"]), f"can't be used: {str(one['cause']).rstrip('.')}", str(one["next_step"]))
        for one in errors
    ]
