#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Build the release archive of a Python application
version_added: "1.1.0"
description:
  - Builds one tar file with an application's wheel and all wheels that it needs, for every Python version of the hosts.
    M(nexod.infra.release) installs it on a host without a package index.
  - Runs on the controller, with the pip of the Python that runs the module. Compiled dependencies must have wheels.
  - The same inputs give the same bytes. If neither the source, the requirements nor the options have changed since the
    archive was built, nothing is done; C(.NAME-VERSION.tar.key) beside the archive records what it was built from.
  - In check mode nothing is built or downloaded.
options:
  source:
    description:
      - A wheel, or the folder of a project that pip can build, such as one with C(pyproject.toml).
        The folder is not changed.
      - A project with compiled code can only be built for the Python that runs the module; give a wheel for others.
    type: path
    required: true
  dest:
    description: Folder for the archive, which is named C(NAME-VERSION.tar).
    type: path
    required: true
  name:
    description: Name of the release, such as V(api). By default the name of the project.
    type: str
  version:
    description: Version of the release. By default the version of the project; if given, the two must be equal.
    type: str
  requirements:
    description:
      - A file of pinned requirements for pip, such as C(pip-compile) writes, with all that the application needs.
      - Without it, pip resolves what the wheel declares, and a later build may get newer versions.
    type: path
  imports:
    description:
      - Modules that must be importable on the host; only then is a release complete there.
      - By default the top-level packages of the application's wheel.
    type: list
    elements: str
    default: []
  pythons:
    description: Python versions of the hosts. The default is those of Debian 12 and 13.
    type: list
    elements: str
    default: ["3.11", "3.13"]
  machine:
    description: Architecture of the hosts, such as V(x86_64) or V(aarch64). By default the one of this machine.
    type: str
  find_links:
    description: Folders with wheels that pip may take, beside the package index or instead of it.
    type: list
    elements: path
    default: []
  index:
    description: Whether pip may use a package index. Which one is set in pip's configuration (C(pip config list)).
    type: bool
    default: true
  build_isolation:
    description:
      - Whether pip installs the build requirements of the project in an environment of their own.
      - V(false) uses those that are installed.
    type: bool
    default: true
  cache:
    description: Folder in which downloaded wheels are kept for the next build with the same O(requirements).
    type: path
notes:
  - "The archive is an uncompressed tar file. Its first member is C(release.json), a mapping with the keys C(schema)
    (1), C(name), C(version), C(machine) (as C(uname -m) prints it), C(pythons) (by Python version, such as C(3.11), the
    list of its wheels), C(imports) (names of modules), and C(files) (the SHA-256 checksum of every wheel by its path).
    Other keys are ignored. All other members are the wheels, C(wheels/*.whl)."
  - Each Python version needs a wheel of pip among its wheels, because hosts have no pip. If the requirements have none,
    the module adds the pip that it runs with.
  - Any tool may write such an archive; see C(docs/releases.md).
seealso:
  - module: nexod.infra.release
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Build the release from a source tree with pinned requirements
  nexod.infra.release_archive:
    source: ~/src/shop
    requirements: ~/src/shop/requirements.lock
    dest: dist
  delegate_to: localhost
  register: built

- name: Build it from a wheel for one Python version, without a package index
  nexod.infra.release_archive:
    source: dist/shop-1.4.0-py3-none-any.whl
    name: shop
    pythons: ["3.13"]
    find_links: [wheels]
    index: false
    dest: dist
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The archive.
  returned: always
  type: str
  sample: dist/shop-1.4.0.tar
name:
  description: Name of the release; empty in check mode if only a build would tell.
  returned: always
  type: str
  sample: shop
version:
  description: Version of the release; empty in check mode if only a build would tell.
  returned: always
  type: str
  sample: 1.4.0
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._files.release_archive import ARGUMENTS, build, wanted_of


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "build the release archive of", f'"{given["source"]}"', given["dest"]):
        done = build(wanted_of(given), rehearsal=module.check_mode)
        diff = {"before": "", "after": f"{done.path}\n"} if done.built else {}
        module.exit_json(changed=done.built, path=str(done.path), name=done.name, version=done.version, diff=diff)


if __name__ == "__main__":
    main()
