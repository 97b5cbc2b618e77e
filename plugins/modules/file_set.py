#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Install all configuration files of a service as one set
version_added: "1.0.0"
description:
  - Renders all files on the controller, compares them with those on the host by content, mode, owner and link in one
    module execution, stages a complete new generation, has the product's own program check it, and switches to it with
    one rename.
  - The set lies in C(ROOT/NAME/generations); the links C(current), C(previous) and C(live) name three generations.
    C(diff -r previous current) shows the last change.
  - A file that is no longer listed is removed with the switch, its link included; older generations are deleted.
  - Returns whether the service must be reloaded or restarted, compared with the generation that
    M(nexod.infra.live_service) last proved live. A run that is killed between the two tasks therefore loses nothing.
  - In check mode nothing is written; the check runs on a scratch copy if its program is installed already.
  - Within a role, templates and O(files[].content) see the role's options in the types that its
    C(meta/argument_specs.yml) specifies, even if they were given as text, such as with C(-e pool_size=30).
options:
  name:
    description: Name of the set, and of its folder below O(root).
    type: str
    required: true
  root:
    description: Folder of all sets of a host.
    type: str
    default: /etc/nexod
  state:
    description:
      - V(present) installs O(files).
      - V(previous) returns to the set that was live before; repeated, it changes nothing.
      - V(absent) removes the set and its links, and puts back files that a link had displaced.
    type: str
    choices: [present, previous, absent]
    default: present
  files:
    description:
      - All files of the set. Required if O(state) is V(present).
      - Each has exactly one of O(files[].template), O(files[].src) and O(files[].content).
    type: list
    elements: dict
    suboptions:
      path:
        description: Path of the file, relative to the set; a folder if O(files[].src) is one.
        type: str
        required: true
      template:
        description: Template on the controller, searched for like P(ansible.builtin.template#lookup) does.
        type: str
      src:
        description: File or folder on the controller; of a folder, all files in it are installed.
        type: str
      content:
        description: The content itself, UTF-8.
        type: str
      vars:
        description: Variables for O(files[].template) beside the task's.
        type: dict
      mode:
        description:
          - Octal mode as text.
          - The default is V(0644), or V(0600) if O(files[].secret) is set. A file from O(files[].src) that is
            executable on the controller is executable on the host too.
        type: str
      owner:
        description: Account that owns the file. Check mode ignores an account that does not exist yet.
        type: str
        default: root
      group:
        description: Group of the file. Check mode ignores a group that does not exist yet.
        type: str
        default: root
      link:
        description: Absolute path that becomes a link to the file, such as a unit's path in C(/etc/systemd/system).
        type: str
      on_change:
        description: What the service must do when this file changes.
        type: str
        choices: [none, reload, restart]
        default: restart
      secret:
        description: Never show the content in a diff; the mode must keep others out.
        type: bool
        default: false
      keep_previous:
        description:
          - V(false) if the set before must not be kept where this file was another one or missing, as that set has
            secrets that are to leave the host. It is removed once M(nexod.infra.live_service) has proven the current
            one; then O(state=previous) has nothing to return to.
        type: bool
        default: true
  check:
    description:
      - Commands, each a list of words, that must succeed on the staged set before the switch.
      - V({staged}) stands for the staged folder, which is also the working directory. No shell is involved.
      - A command that ends with 127 can't judge the set yet, as something that it needs is not installed. Check mode
        reports that in RV(unchecked); otherwise the task fails.
      - In check mode and with O(plan), its environment has C(NEXOD_CHECK_MODE), as what the set needs elsewhere may not
        be there yet.
    type: list
    elements: list
    default: []
  secrets:
    description:
      - Environment variables for every command of O(check), such as a password that must not appear in its arguments.
    type: dict
    default: {}
  keep_files:
    description:
      - Patterns of files that outlast their set, such as V(public/_next/static/*), for clients that have read the set
        before and ask for its files later. An asterisk stands for slashes too.
      - They are kept in C(ROOT/NAME/kept) below their paths, where the service must look for them after its own set.
    type: list
    elements: str
    default: []
  keep_days:
    description:
      - Days that files of O(keep_files) are kept after the last set that had them. V(0) keeps none. At least 0.
      - They are removed with a later change of the set, not by a run without changes.
    type: int
    default: 30
  plan:
    description:
      - Only compare. The task reports no change and no diff; RV(pending) says whether there is something to do.
      - For roles that decide by it what to do next, such as draining a server first.
    type: bool
    default: false
extends_documentation_fragment: nexod.infra.internal
seealso:
  - module: nexod.infra.live_service
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Install Prometheus's configuration and unit
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

- name: Run Prometheus with these files, and return to the previous ones if it does not load them
  nexod.infra.live_service:
    name: prometheus
    files: "{{ prometheus_files }}"
    proof:
      - url: http://127.0.0.1:9090/-/ready

- name: Return the API to the set that was live before
  nexod.infra.file_set:
    name: api
    state: previous
"""

RETURN = r"""
name:
  description: Name of the set.
  returned: always
  type: str
  sample: prometheus
root:
  description: Folder that the set lies in.
  returned: always
  type: str
  sample: /etc/nexod
digest:
  description: Name of exactly these files, 12 hex digits; empty if the set is absent.
  returned: always
  type: str
  sample: 5f1c9a7be210
action:
  description: What the service must do to run this set. One of C(none), C(reload), C(restart).
  returned: always
  type: str
  sample: reload
pending:
  description: Whether the set had to change, or its service has still to take an earlier change.
  returned: always
  type: bool
on_trial:
  description:
    - Whether the set on the host was swapped in by a run that was killed before it was proven live or returned.
  returned: always
  type: bool
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
  description: Paths that are removed from the set.
  returned: always
  type: list
  elements: str
stray_links:
  description: Links to the set that a killed run left behind, and that are removed.
  returned: always
  type: list
  elements: str
checked:
  description: False if check mode could not check the set, as a program is not installed yet.
  returned: always
  type: bool
unchecked:
  description: What was missing for that check, in the words of the program that missed it.
  returned: always
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges
from ansible_collections.nexod.infra.plugins.module_utils._files.arguments import HOST_OPTIONS, HOST_REQUIRED_IF
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import (
    Entry,
    FileSet,
    Keep,
    digest,
    links_as_diff,
    plan,
    rehearse,
    unpack,
)


def desired(files: FileSet, options: dict[str, t.Any]) -> list[Entry]:
    if options["state"] == "absent":
        return []
    return (
        unpack(options["_internal"]["rendered"]) if options["state"] == "present" else files.entries(files.previous())
    )


def secrets_of(options: dict[str, t.Any]) -> dict[str, str]:
    return {name: str(value) for name, value in (options["secrets"] or {}).items()}


def apply(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare, and unless only asked to, make it so."""
    options = module.params
    files = FileSet(options["name"], options["root"])
    current = files.generation("current")
    wanted = desired(files, options)
    steps, strays = plan(files.tree(current), wanted), files.stray_links()
    changed = steps.changed or bool(strays) or (options["state"] == "absent" and files.home.exists())
    action = files.action(wanted) if wanted else "none"
    on_trial = files.on_trial()
    diff = files.diff(current, wanted, steps) + links_as_diff(strays)
    unchecked: list[str] = []
    if module.check_mode or options["plan"]:
        if steps.changed and options["state"] == "present":
            unchecked = rehearse(options["name"], wanted, options["check"], secrets_of(options))
    elif options["state"] == "absent" and changed:
        files.remove()
    elif steps.changed and options["state"] == "present":
        keep = Keep(tuple(options["keep_files"]), options["keep_days"])
        files.apply(wanted, options["check"], secrets_of(options), keep)
    elif steps.changed:
        files.point_to("previous")
    elif strays:
        files.remove_stray_links()
    return {
        "name": options["name"],
        "root": options["root"],
        "digest": digest(wanted) if wanted else "",
        "action": action,
        "pending": changed or action != "none",
        "on_trial": on_trial,
        "changed": changed and not options["plan"],
        "diff": [] if options["plan"] else diff,
        "created": steps.created,
        "updated": steps.updated,
        "removed": steps.removed,
        "stray_links": strays,
        "checked": not unchecked,
        "unchecked": unchecked,
    }


def main() -> None:
    module = AnsibleModule(argument_spec=HOST_OPTIONS, required_if=HOST_REQUIRED_IF, supports_check_mode=True)
    name, home = f'"{module.params["name"]}"', f"{module.params['root']}/{module.params['name']}"
    words = {"present": "install the file set", "previous": "return the file set", "absent": "remove the file set"}
    with edge(module, words[module.params["state"]], name, home):
        check_ranges(module.params, {"keep_days": (0, None)})
        module.exit_json(**apply(module))


if __name__ == "__main__":
    main()
