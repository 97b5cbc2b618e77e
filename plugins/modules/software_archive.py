#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: software_archive
short_description: Install a program from an upstream archive
version_added: "1.1.0"
description:
  - Unpacks the archive of one version to C(ROOT/NAME/VERSION), after it was compared with its sha256. An archive
    without a pinned checksum is refused.
  - The host downloads the archive from O(url), or from a O(mirror) of it; or the controller sends a O(file) to hosts
    that lack the version. If the version is installed already, nothing is downloaded and nothing is sent.
  - A version is complete or counts as missing. It is unpacked next to its folder and renamed, so that an interrupted
    run leaves the other versions as they are, and the next run continues.
  - When a new version is installed, older ones are removed, but never one that a file set of M(nexod.infra.file_set)
    runs or may return to, nor one that a process runs from.
  - Which version runs is not decided here but by the unit in the service's file set. If the service does not become
    ready with the new version, M(nexod.infra.live_service) returns to the previous set, and so to the previous version.
options:
  name:
    description: Name of the folder below O(root).
    type: str
    required: true
  software:
    description: Name of the program in the lock file. By default O(name).
    type: str
  version:
    description:
      - Version to install. Required if O(state=present).
      - If O(state=absent), the version to remove; by default all of them and their folder.
    type: str
  url:
    description:
      - Where the host downloads the archive. C({version}) and C({arch}) are replaced, such as by C(3.5.0) and C(amd64).
      - By default the URL in the lock file.
    type: str
  mirror:
    description:
      - URL that replaces the scheme and the host name of O(url), such as V(https://mirror.example.com/github).
    type: str
  file:
    description:
      - The archive as a file on the controller, instead of O(url), for hosts that reach no download site.
      - C({version}) and C({arch}) are replaced as in O(url).
    type: str
  checksums:
    description:
      - "The sha256 of the archive by architecture, such as C({amd64: 0f1e..., arm64: 2d3c...})."
      - Merged over those of the lock file for this version.
    type: dict
    default: {}
  lock:
    description:
      - A lock file on the controller, which is read before the one of the collection. The playbook
        C(nexod.infra.pin_versions) writes such files.
    type: str
  programs:
    description: Files of the archive that must be in it, executable, and built for the host.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) installs O(version). If it was missing, older versions beyond O(keep) are removed.
      - V(absent) removes. A version in use is refused, except in check mode, where the tasks before have not removed
        the service that uses it.
    type: str
    choices: [present, absent]
    default: present
  keep:
    description: How many older versions to keep besides O(version) and those in use.
    type: int
    default: 1
  timeout:
    description: Seconds to wait for the server each time.
    type: int
    default: 60
  root:
    description: Folder of all programs that are installed so.
    type: path
    default: /opt
  sets_root:
    description: Folder of the host's file sets, searched for versions in use.
    type: path
    default: /etc/nexod
extends_documentation_fragment: nexod.infra.internal
notes:
  - Downloads use the proxy in the environment of the task (E(https_proxy)).
seealso:
  - module: nexod.infra.software_pins
  - module: nexod.infra.file_set
  - module: nexod.infra.live_service
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: install | Install Prometheus, which the lock file of the collection pins
  nexod.infra.software_archive:
    name: prometheus
    version: 3.5.0
    programs: [prometheus, promtool]

- name: install | Install the node exporter from a mirror, with a checksum of our own
  nexod.infra.software_archive:
    name: node_exporter
    version: 1.12.1
    mirror: https://mirror.example.com/github
    checksums: {amd64: "{{ node_exporter_sha256 }}"}
    programs: [node_exporter]

- name: remove | Remove all versions of Prometheus
  nexod.infra.software_archive:
    name: prometheus
    state: absent
"""

RETURN = r"""
path:
  description: Folder of the version.
  returned: when O(version) is given
  type: str
  sample: /opt/prometheus/3.5.0
unpacked:
  description: Whether the version was installed by this task.
  returned: always
  type: bool
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
  sample: [3.4.1, 3.5.0]
needs_archive:
  description: Asks the action plugin to send the archive for this architecture; never in the task's result.
  returned: never
  type: str
"""

import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._files.archive import (
    HOST_ARGUMENTS,
    REQUIRED_IF,
    architecture,
    checksum_of,
    digest_of,
    install,
    world_readable,
)
from ansible_collections.nexod.infra.plugins.module_utils._files.release import (
    Releases,
    as_diff,
    by_version,
    plan_absent,
    plan_present,
    refuse_bad_names,
)


def apply(module: AnsibleModule) -> dict[str, t.Any]:
    options, sent = module.params, module.params["_internal"] or {}
    name, version, present = options["name"], options["version"], options["state"] == "present"
    refuse_bad_names(name, version, options["keep"])
    releases = Releases(name, options["root"], options["sets_root"])
    installed = releases.installed()
    # In check mode the service that the tasks before this one remove still runs.
    protected = set() if module.check_mode and not present else releases.in_use()
    checksum, asked = "", {}
    if present:
        arch = architecture(platform.machine())
        checksum = checksum_of(options, arch)
        digest = digest_of(name, version, checksum)
        plan = plan_present(installed, version, digest, keep=options["keep"], protected=protected)
        if plan.build and options["file"] and not sent.get("received"):
            asked = {"needs_archive": arch}
            if not module.check_mode:
                return {"changed": False, **asked}
    else:
        plan = plan_absent(installed, version, protected)
    whole = not present and version is None and releases.home.is_dir()
    if not module.check_mode and plan.changed:
        with world_readable(), releases.locked():
            if plan.build:
                install(releases, options, checksum, sent.get("received") or "")
            releases.remove(plan.remove)
    if not module.check_mode and whole:
        releases.remove_home()
    left = (set(installed) | ({version} if plan.build else set())) - set(plan.remove)
    return {
        **({"path": f"{releases.path(version)}"} if version else {}),
        **asked,
        "changed": plan.changed or whole,
        "unpacked": plan.build,
        "removed": list(plan.remove),
        "installed": sorted(left, key=by_version),
        "diff": as_diff(name, installed, plan, version, thing="versions"),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=HOST_ARGUMENTS, required_if=REQUIRED_IF, supports_check_mode=True)
    given = module.params
    program = f'"{given["name"]} {given["version"]}"' if given["version"] else f'"{given["name"]}"'
    action = "install" if given["state"] == "present" else "remove"
    with edge(module, action, program, f"{given['root']}/{given['name']}"):
        module.exit_json(**apply(module))


if __name__ == "__main__":
    main()
