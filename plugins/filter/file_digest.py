# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksum of a file on the controller."""

from __future__ import annotations

import hashlib
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: file_digest
short_description: The checksum of a file on the controller
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the SHA-256 checksum of a file on the controller, of any size and content.
options:
  _input:
    description: Path of the file.
    type: path
    required: true
"""

EXAMPLES = r"""
msg: "{{ '/srv/packages/grafana_12.0.0_amd64.deb' | nexod.infra.file_digest }}"
"""

RETURN = r"""
_value:
  description: The checksum as C(sha256:HEX).
  type: str
"""


def file_digest(value: str) -> str:
    """The checksum, with the name of its algorithm."""
    try:
        with open(value, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise AnsibleFilterError(f'Cannot read "{value}" on the controller: {error.strerror}') from error


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"file_digest": file_digest}
