# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Supabase project, and how its API is asked."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  ref:
    description: Ref of the project, the 20 letters in its address in the dashboard.
    type: str
    required: true
  token:
    description: Personal access token of a member of the project's organization.
    type: str
    required: true
  url:
    description: URL of the Management API, if it is not Supabase's.
    type: str
"""
