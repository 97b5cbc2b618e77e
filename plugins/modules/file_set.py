#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Bring a role's whole set of files to what is wanted, at once
version_added: "1.0.0"
description:
  - Renders all files on the controller, compares them by content, mode, owner and link in one module execution,
    stages a complete new generation, lets the product's own program check it, and swaps to it with one rename.
  - The set lives in C(ROOT/NAME/generations); the links C(current), C(previous) and C(live) name three of them.
    C(diff -r previous current) shows what changed last.
  - What the set no longer names is gone with the swap, links to it included; older generations are removed.
  - Tells whether the service must reload or restart, measured against the generation that M(nexod.infra.live_service)
    last proved live, so that a run that was killed between the two loses nothing.
  - In check mode nothing is written; the check runs on a scratch copy where its program is there already.
options:
  name:
    description: Name of the set; names its folder below O(root).
    type: str
    required: true
  root:
    description: Folder that holds all sets of a host.
    type: str
    default: /etc/nexod
  state:
    description:
      - V(present) brings the set to O(files).
      - V(previous) returns to the set that was live before; a second time it changes nothing.
      - V(absent) removes the set and its links, and puts back files that a link had displaced.
    type: str
    choices: [present, previous, absent]
    default: present
  files:
    description:
      - All files of the set.
      - Each has exactly one source of O(files[].template), O(files[].src), O(files[].content).
    type: list
    elements: dict
    suboptions:
      path:
        description: Where the file lies, relative to the set; a folder where O(files[].src) is one.
        type: str
        required: true
      template:
        description: Template on the controller, searched like P(ansible.builtin.template#lookup) does.
        type: str
      src:
        description: File or folder on the controller; a folder brings all files in it.
        type: str
      content:
        description: The content itself, UTF-8.
        type: str
      vars:
        description: Variables for O(files[].template) beside the task's.
        type: dict
      mode:
        description: Octal mode as text. V(0644), or V(0600) where O(files[].secret).
        type: str
      owner:
        description: Account that owns the file; check mode passes one that is not there yet.
        type: str
        default: root
      group:
        description: Group of the file; check mode passes one that is not there yet.
        type: str
        default: root
      link:
        description: Absolute path that becomes a link to the file, such as a unit's place in C(/etc/systemd/system).
        type: str
      on_change:
        description: What the service must do to take a change of this file.
        type: str
        choices: [none, reload, restart]
        default: restart
      secret:
        description: Never show the content in a diff; the mode must keep others out.
        type: bool
        default: false
  check:
    description:
      - Commands, each a list of words, that must succeed on the staged set before the swap.
      - V({staged}) stands for the staged folder, which is the working directory too. No shell is involved.
    type: list
    elements: list
    default: []
  rendered:
    description: What the action plugin hands over in place of O(files). Not for playbooks.
    type: str
seealso:
  - module: nexod.infra.live_service
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Bring Prometheus's files to what the inventory says
  nexod.infra.file_set:
    name: prometheus
    files:
      - path: prometheus.yml
        template: prometheus.yml.j2
        on_change: reload
      - path: rules
        src: rules
        on_change: reload
      - path: alertmanager-password
        content: "{{ prometheus_alertmanager_password }}"
        secret: true
      - path: prometheus.service
        template: prometheus.service.j2
        link: /etc/systemd/system/prometheus.service
    check:
      - [promtool, check, config, "{staged}/prometheus.yml"]
  register: prometheus_files

- name: Return the API to the set that was live before
  nexod.infra.file_set:
    name: api
    state: previous
"""

RETURN = r"""
name:
  description: The set's name.
  returned: always
  type: str
  sample: prometheus
root:
  description: The folder that holds the set.
  returned: always
  type: str
  sample: /etc/nexod
digest:
  description: Name of exactly these files, 12 hex digits; empty when absent.
  returned: always
  type: str
  sample: 5f1c9a7be210
action:
  description: What the service must do so that it runs this set.
  returned: always
  type: str
  sample: reload
created:
  description: Paths that are new in the set.
  returned: always
  type: list
  elements: str
updated:
  description: Paths whose content, mode, owner or link changes.
  returned: always
  type: list
  elements: str
removed:
  description: Paths that leave the set.
  returned: always
  type: list
  elements: str
checked:
  description: False where check mode found the checking program not installed yet.
  returned: always
  type: bool
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.arguments import ARGUMENTS, MUTUALLY_EXCLUSIVE
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import FileSet, digest, plan, rehearse, unpack


def bring(module: AnsibleModule) -> dict[str, t.Any]:
    """Apply what the parameters ask for, or, in check mode, only say what that would be."""
    options = module.params
    files = FileSet(options["name"], options["root"])
    current = files.generation("current")
    checked = True
    if options["state"] == "present":
        wanted = unpack(options["rendered"])
    elif options["state"] == "absent":
        wanted = []
    else:
        wanted = files.entries(files.previous())
    steps = plan(files.tree(current), wanted)
    changed = steps.changed or (options["state"] == "absent" and files.home.exists())
    result = {
        "name": options["name"],
        "root": options["root"],
        "digest": digest(wanted) if wanted else "",
        "action": files.action(wanted) if wanted else "none",
        "changed": changed,
        "diff": files.diff(current, wanted, steps),
        "created": steps.created,
        "updated": steps.updated,
        "removed": steps.removed,
    }
    if changed and options["state"] == "present":
        if module.check_mode:
            checked = rehearse(options["name"], wanted, options["check"])
        else:
            files.apply(wanted, options["check"])
    elif changed and not module.check_mode:
        if options["state"] == "absent":
            files.remove()
        else:
            files.point_to("previous")
    return {**result, "checked": checked}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, mutually_exclusive=MUTUALLY_EXCLUSIVE, supports_check_mode=True)
    try:
        result = bring(module)
    except InfraError as error:
        module.fail_json(**error.report())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
