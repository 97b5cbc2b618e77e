# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of supabase_project: prints the project's statuses while the module waits."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._action.with_lines import ActionWithLines


class ActionModule(ActionWithLines):
    """Runs the module, and prints its lines."""

    MODULE = "supabase_project"
