# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files of packages that no service of a role reads."""

from __future__ import annotations


def package_file_notice(real: str, role: str, include: str = "") -> str:
    """Comments in the form that all these programs know, which name the file that is read instead."""
    lines = [
        "# The service does not read this file: changes made here have no effect.",
        f"# It reads {real}.",
        f"# That is written by the Ansible role nexod.infra.{role}: change its variables, and deploy.",
        "# The package's own file is kept in displaced/ of the same set, and comes back when the role is removed.",
    ]
    return "\n".join([*lines, *([include] if include else [])]) + "\n"
