# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form in which a survey crosses from its host to the controller.

Apart from the survey, as the controller reads it in every run, and imports nothing of what takes it.
"""

from __future__ import annotations

import base64
import gzip
import json
import typing as t


def pack(found: t.Mapping[str, t.Any]) -> str:
    """A survey as one short text: as a structure it would slow down every later task of the host."""
    return base64.b64encode(gzip.compress(json.dumps(found).encode(), mtime=0)).decode()


def unpack(text: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = json.loads(gzip.decompress(base64.b64decode(text)))
    return found
