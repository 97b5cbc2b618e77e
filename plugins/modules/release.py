#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Install a release of a Python application
version_added: "1.0.0"
description:
  - Creates the virtual environment C(ROOT/NAME/VERSION) from one archive on the controller, without a package index.
  - If the release is installed already, that is one module execution; the archive is sent only if it is missing.
  - A release is complete or counts as missing. What an interrupted run left is built again.
  - When a new release is installed, older ones are removed, but never one that a file set of M(nexod.infra.file_set)
    runs or may return to, nor one that a process runs from.
  - Which version runs is not decided here but by the unit in the service's file set.
options:
  name:
    description: Name of the application, and of its folder below O(root).
    type: str
    required: true
  version:
    description:
      - Version to install. Required if O(state=present).
      - If O(state=absent), the version to remove; by default all of them and their folder.
    type: str
  archive:
    description:
      - The release on the controller, as an absolute path, a path relative to where Ansible runs, or one in the
        role's C(files/). Required if O(state=present).
      - M(nexod.infra.release_archive) builds it and documents its format. It is a tar file that begins with
        C(release.json), which names the C(wheels/) for each Python and their checksums.
    type: str
  state:
    description:
      - V(present) installs O(version). If it was missing, older releases beyond O(keep) are removed.
      - V(absent) removes. A version in use is refused, except in check mode, where the tasks before have not removed
        the service that uses it.
    type: str
    choices: [present, absent]
    default: present
  link:
    description: Name of a link to O(version) beside the releases, such as V(current), for people.
    type: str
  keep:
    description: How many older releases to keep beside O(version) and those in use.
    type: int
    default: 2
  protect:
    description: Further versions that are never removed.
    type: list
    elements: str
    default: []
  python:
    description: Interpreter on the host for the virtual environment.
    type: path
    default: /usr/bin/python3
  root:
    description: Folder of all applications of a host.
    type: path
    default: /opt
  sets_root:
    description: Folder of the host's file sets, searched for versions in use.
    type: path
    default: /etc/nexod
extends_documentation_fragment: nexod.infra.internal
notes:
  - The host needs only Python, no pip and no package index; pip is run from its wheel in the archive.
seealso:
  - module: nexod.infra.release_archive
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: install | Install the release
  nexod.infra.release:
    name: api
    version: 1.1.0
    archive: dist/api-1.1.0.tar
  register: __backend_release

- name: remove | Remove all releases of the API
  nexod.infra.release:
    name: api
    state: absent
"""

RETURN = r"""
path:
  description: Folder of the release.
  returned: when O(version) is given
  type: str
  sample: /opt/api/1.1.0
python:
  description: The release's own interpreter.
  returned: when O(version) is given
  type: str
  sample: /opt/api/1.1.0/bin/python
built:
  description: Whether the release was built by this task.
  returned: always
  type: bool
linked:
  description: The C(path) of O(link), and the version that it named C(before).
  returned: when the link is made or changed
  type: dict
removed:
  description: Versions that this task removed.
  returned: always
  type: list
  elements: str
installed:
  description: Versions that are on the host after this task, oldest first.
  returned: always
  type: list
  elements: str
  sample: [1.0.0, 1.1.0]
needs_archive:
  description: Asks the action plugin to send the archive; never in the task's result.
  returned: never
  type: bool
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._files.release import (
    HOST_ARGUMENTS,
    REQUIRED_IF,
    Description,
    Releases,
    as_diff,
    by_version,
    plan_absent,
    plan_present,
    refuse_bad_names,
    wheels_for,
)


def apply(module: AnsibleModule) -> dict[str, t.Any]:
    options, sent = module.params, module.params["_internal"] or {}
    name, version, present = options["name"], options["version"], options["state"] == "present"
    refuse_bad_names(name, version, options["keep"])
    releases = Releases(name, options["root"], options["sets_root"])
    installed = releases.installed()
    # In check mode the service that the tasks before this one remove still runs.
    rehearsed_removal = module.check_mode and not present
    protected = set(options["protect"]) | (set() if rehearsed_removal else releases.in_use())
    if present:
        wanted = Description.parse(sent["description"])
        linked = releases.linked(options["link"], version)
        plan = plan_present(installed, version, wanted.digest, keep=options["keep"], protected=protected)
        if plan.build:
            wheels_for(wanted, options["python"])
            if not module.check_mode and not sent.get("received"):
                return {"changed": False, "needs_archive": True}
    else:
        plan, linked = plan_absent(installed, version, protected), None
    relink = linked is not None and linked.changes
    whole = not present and version is None and releases.home.is_dir()
    if not module.check_mode and (plan.changed or relink):
        os.umask(0o022)
        with releases.locked():
            if plan.build:
                releases.build(wanted, sent["received"], sent["digest"], options["python"])
            if linked and relink:
                releases.point(linked)
            releases.remove(plan.remove)
    if not module.check_mode and whole:
        releases.remove_home()
    left = (set(installed) | ({version} if plan.build else set())) - set(plan.remove)
    where = {"path": f"{releases.path(version)}", "python": f"{releases.path(version)}/bin/python"} if version else {}
    return {
        **where,
        "changed": plan.changed or whole or relink,
        "built": plan.build,
        **(
            {"linked": {"path": f"{releases.home / linked.name}", "before": linked.before}} if linked and relink else {}
        ),
        "removed": list(plan.remove),
        "installed": sorted(left, key=by_version),
        "diff": as_diff(name, installed, plan, version, linked),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=HOST_ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    given = module.params
    release = f'"{given["name"]} {given["version"]}"' if given["version"] else f'"{given["name"]}"'
    action = "install the release" if given["state"] == "present" else "remove the release"
    with edge(module, action, release, f"{given['root']}/{given['name']}"):
        module.exit_json(**apply(module))


if __name__ == "__main__":
    main()
