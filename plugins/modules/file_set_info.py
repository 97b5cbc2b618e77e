#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set_info
short_description: Read the generations of a file set on a host
version_added: "1.0.0"
description:
  - Returns the generations that the links of a set of M(nexod.infra.file_set) point to, and the content of one file in
    each of them, or lists the sets of a host.
  - Changes nothing.
options:
  name:
    description: Name of the set. Exactly one of O(name) and O(matching) is required.
    type: str
  matching:
    description: Shell pattern, such as V(exporter-*). All sets whose names match it are listed.
    type: str
  root:
    description: Folder of all sets of a host.
    type: path
    default: /etc/nexod
  path:
    description: A file of the set to read in each generation. It must not contain secrets. Required with O(name).
    type: str
seealso:
  - module: nexod.infra.file_set
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Read which versions of the API are on the host
  nexod.infra.file_set_info:
    name: api
    path: version

- name: List the exporters of a host
  nexod.infra.file_set_info:
    matching: exporter-*
"""

RETURN = r"""
links:
  description:
    - Generation, its digest, the file's content, and the Unix time since when the link points to it, by link (current,
      previous, live, returned).
  returned: with O(name)
  type: dict
  sample:
    current:
      generation: 0002-5f1c9a7be210
      digest: 5f1c9a7be210
      content: "1.1.0"
      since: 1795780800
on_trial:
  description: Whether a run that was killed has left a current set that was never proven live.
  returned: with O(name)
  type: bool
sets:
  description: Names of the sets that match.
  returned: with O(matching)
  type: list
  elements: str
  sample: [exporter-node, exporter-redis]
"""

import fnmatch
import pathlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import LINKS, NAME, FileSet

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str"},
    "matching": {"type": "str"},
    "root": {"type": "path", "default": "/etc/nexod"},
    "path": {"type": "str"},
}
ALTERNATIVES: list[tuple[str, ...]] = [("name", "matching")]


def read(files: FileSet, path: str) -> dict[str, dict[str, t.Any]]:
    """What each link of the set names, without the links that name nothing."""
    found = {link: files.generation(link) for link in LINKS}
    return {
        link: {**facts(files.home / "generations" / name, path), "since": int((files.home / link).lstat().st_mtime)}
        for link, name in found.items()
        if name
    }


def facts(generation: pathlib.Path, path: str) -> dict[str, str]:
    try:
        content = (generation / path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InfraError(
            "read", f'"{generation / path}"', str(error), "Deploy by version number; that writes a whole set."
        ) from error
    return {"generation": generation.name, "digest": generation.name.partition("-")[2], "content": content}


def listed(root: str, matching: str) -> list[str]:
    folders = [path for path in pathlib.Path(root).glob("*") if path.is_dir() and NAME.fullmatch(path.name)]
    return sorted(path.name for path in folders if fnmatch.fnmatch(path.name, matching))


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=ALTERNATIVES,
        required_one_of=ALTERNATIVES,
        required_by={"name": ["path"]},
    )
    root, matching = module.params["root"], module.params["matching"]
    if matching is not None:
        with edge(module, "list the file sets", f'"{matching}"', root):
            module.exit_json(changed=False, sets=listed(root, matching))
    files = FileSet(module.params["name"], module.params["root"])
    with edge(module, "read the file set", f'"{files.name}"', str(files.home)):
        module.exit_json(changed=False, links=read(files, module.params["path"]), on_trial=files.on_trial())


if __name__ == "__main__":
    main()
