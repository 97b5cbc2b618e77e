# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of prices, as it is on the controller."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


def document_of(path: str) -> dict[str, t.Any]:
    """Its contents, a mapping."""
    with translated("read the prices of", f'"{path}"', path):
        text = Path(path).read_text(encoding="utf-8")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InfraError("read the prices of", f'"{path}"', reason, "Correct the file's YAML.") from error
    if not isinstance(document, dict):
        raise InfraError(
            "read the prices of", f'"{path}"', "it holds no mapping", "Write it as docs/cost.md describes."
        )
    return document
