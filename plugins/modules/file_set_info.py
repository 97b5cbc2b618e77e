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
    each of them.
  - Changes nothing.
options:
  name:
    description: Name of the set.
    type: str
    required: true
  root:
    description: Folder of all sets of a host.
    type: path
    default: /etc/nexod
  path:
    description: A file of the set to read in each generation. It must not contain secrets.
    type: str
    required: true
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
"""

RETURN = r"""
links:
  description: Generation, its digest and the file's content, by link (current, previous, live, returned).
  returned: always
  type: dict
  sample:
    current:
      generation: 0002-5f1c9a7be210
      digest: 5f1c9a7be210
      content: "1.1.0"
"""

import pathlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import LINKS, FileSet

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "root": {"type": "path", "default": "/etc/nexod"},
    "path": {"type": "str", "required": True},
}


def read(files: FileSet, path: str) -> dict[str, dict[str, str]]:
    """What each link of the set names, without the links that name nothing."""
    found = {link: files.generation(link) for link in LINKS}
    return {link: facts(files.home / "generations" / name, path) for link, name in found.items() if name}


def facts(generation: pathlib.Path, path: str) -> dict[str, str]:
    try:
        content = (generation / path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InfraError(
            "read", f'"{generation / path}"', str(error), "Deploy by version number; that writes a whole set."
        ) from error
    return {"generation": generation.name, "digest": generation.name.partition("-")[2], "content": content}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    files = FileSet(module.params["name"], module.params["root"])
    with edge(module, "read the file set", f'"{files.name}"', str(files.home)):
        module.exit_json(changed=False, links=read(files, module.params["path"]))


if __name__ == "__main__":
    main()
