#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a pinned list of Grafana's plugins."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_plugins
short_description: Install a pinned list of Grafana's plugins
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Installs exactly the listed plugins in a folder of their own below O(root), which is complete or absent. Grafana's
    setting C(paths.plugins) selects it, so that a changed list takes effect with the file set that names it, and is
    rolled back with it.
  - Each archive is verified by its checksum, and by the identifier and the version in its C(plugin.json), before
    anything is installed. If one fails, nothing is changed.
  - Folders that neither this list nor a set of Grafana's files refers to are removed.
options:
  plugins:
    description: The plugins. Empty only removes folders that are no longer referred to.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: Identifier of the plugin.
        type: str
        required: true
      version:
        description: Its version.
        type: str
        required: true
      checksum:
        description: Checksum of its archive as ALGORITHM:HEX, such as V(sha256:0f1e...).
        type: str
        required: true
      url:
        description: URL of its archive, in ZIP format. The host downloads it, with the proxy of its environment.
        type: str
      file:
        description: Its archive as a file on the host, in place of O(plugins[].url).
        type: path
  root:
    description: Folder for the folders.
    type: path
    default: /opt/grafana-plugins
  files:
    description: Folder of Grafana's file set, whose files may refer to a folder that is still needed.
    type: path
    default: /etc/nexod/grafana
  timeout:
    description: Seconds to wait for the server of an archive. Above 0.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Install Grafana's plugins
  nexod.infra.grafana_plugins:
    plugins:
      - id: grafana-clock-panel
        version: 2.1.8
        url: https://grafana.com/api/plugins/grafana-clock-panel/versions/2.1.8/download
        checksum: "sha256:{{ clock_panel_checksum }}"
  register: plugins
"""

RETURN = r"""
path:
  description: Folder with exactly these plugins, for Grafana's setting C(paths.plugins). Empty if there are none.
  returned: success
  type: str
  sample: /opt/grafana-plugins/4e07408562bedb8b
installed:
  description: Whether they were installed, or in check mode would be.
  returned: success
  type: bool
removed:
  description: Folders that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
"""

import pathlib
import shutil
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._monitoring import plugins

ARGUMENTS = {
    "plugins": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "id": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "checksum": {"type": "str", "required": True},
            "url": {"type": "str"},
            "file": {"type": "path"},
        },
        "mutually_exclusive": [("url", "file")],
        "required_one_of": [("url", "file")],
    },
    "root": {"type": "path", "default": "/opt/grafana-plugins"},
    "files": {"type": "path", "default": "/etc/nexod/grafana"},
    "timeout": {"type": "float", "default": 60},
}


def getter(timeout: float) -> plugins.Get:
    """From the host itself, or from a server with Ansible's own client, which knows proxies."""

    def get(row: plugins.Plugin, archive: pathlib.Path) -> None:
        if row.get("file"):
            shutil.copyfile(row["file"], archive)
            return
        try:
            with open_url(row["url"], timeout=timeout) as answer, archive.open("wb") as file:
                shutil.copyfileobj(answer, file, plugins.BLOCK)
        except (urllib.error.URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise plugins.fault(
                row,
                f"{row['url']}: {reason}",
                "Check the URL from the host, or give the archive as a file on the controller. Nothing was changed.",
            ) from error

    return get


def run(module: AnsibleModule) -> dict[str, t.Any]:
    given = module.params
    root, rows = pathlib.Path(given["root"]), given["plugins"]
    name = plugins.folder_of(rows) if rows else ""
    missing = bool(rows) and not (root / name).is_dir()
    keep = plugins.referred(pathlib.Path(given["files"]), root) | {name}
    removed = plugins.outdated(root, keep)
    if not module.check_mode:
        if missing:
            plugins.install(root, rows, getter(given["timeout"]))
        plugins.remove(root, [folder for folder in removed if folder != plugins.STAGING or not missing])
    listing = "".join(f"{row['id']} {row['version']}\n" for row in rows)
    return {
        "changed": missing or bool(removed),
        "path": str(root / name) if rows else "",
        "installed": missing,
        "removed": removed,
        "diff": {"before": "", "after": listing, "after_header": str(root / name)} if missing else {},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    with edge(module, "install Grafana's plugins in", module.params["root"]):
        module.exit_json(**run(module))


if __name__ == "__main__":
    main()
