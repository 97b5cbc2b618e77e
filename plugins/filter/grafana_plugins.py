# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a pinned list of Grafana's plugins is, and where its archives come from."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._monitoring.plugins import folder_of

DOCUMENTATION = r"""
name: grafana_plugins
short_description: Where a pinned list of Grafana's plugins is, and where its archives come from
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the folder in which M(nexod.infra.grafana_plugins) installs the list, that module's option C(plugins), and a
    text that names the folder and the versions.
positional: _input, root, archives
options:
  _input:
    description: The plugins, as the role P(nexod.infra.grafana#role) takes them.
    type: list
    elements: dict
    required: true
  root:
    description: Folder for the folders.
    type: str
    required: true
  archives:
    description: Folder on the host that archives from the controller are copied to.
    type: str
    required: true
"""

EXAMPLES = r"""
folder: "{{ (grafana_plugins | nexod.infra.grafana_plugins('/opt/grafana-plugins', '/var/cache/plugins')).folder }}"
"""

RETURN = r"""
_value:
  description: C(folder), empty without plugins, C(plugins) and C(pinned).
  type: dict
"""


def grafana_plugins(value: t.Sequence[t.Mapping[str, t.Any]], root: str, archives: str) -> dict[str, t.Any]:
    """The folder, the module's option, and the text."""
    folder = f"{root}/{folder_of(value)}" if value else ""
    rows = [
        {key: str(row[key]) for key in ("id", "version", "checksum")}
        | ({"file": f"{archives}/{row['id']}-{row['version']}.zip"} if row.get("path") else {"url": str(row["url"])})
        for row in value
    ]
    versions = {row["id"]: row["version"] for row in rows}
    return {"folder": folder, "plugins": rows, "pinned": json.dumps({"folder": folder, "plugins": versions}) + "\n"}


class FilterModule:
    """The entry point that Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"grafana_plugins": grafana_plugins}
