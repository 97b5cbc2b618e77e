# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache modules do before they connect."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import secrets_of
from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import MISSING, MISSING_NAME


def register_secrets(module: t.Any) -> None:
    """Hide the password of the URL in the module's output, also as it is written there, with its escapes."""
    module.no_log_values |= secrets_of(module.params)


def require_client(module: t.Any) -> None:
    """Fail if hiredis is not installed on the host."""
    if MISSING:
        module.fail_json(msg=missing_required_lib(MISSING_NAME), exception=MISSING)
