# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which distributions the roles install on. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import SUPPORTED_RELEASES

#: A name that /etc/os-release has for one of the supported releases: the one under way is called both.
_ALIASES = {"sid": "forky"}


def distribution_fault(distribution: t.Mapping[str, str] | None) -> list[str]:
    """Why the roles do not install on this distribution: `id`, `codename` and `name` of its os-release.

    None: the host was checked before.
    """
    if distribution is None:
        return []
    codename = distribution["codename"]
    if _ALIASES.get(codename, codename) in SUPPORTED_RELEASES.get(distribution["id"], ()):
        return []
    return [
        f"the host runs {distribution['name'] or 'an unknown system'}; this role installs on Debian 12 (bookworm), "
        "Debian 13 (trixie) and forky"
    ]
