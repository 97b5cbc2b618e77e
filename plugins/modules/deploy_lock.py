#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lock
short_description: Hold an environment alone while a run changes it
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Takes the lock of an environment for the run of the playbook that the task belongs to, or refuses, naming who holds
    it and since when.
  - The lock is a file on the host that runs the module, so that every controller meets the same one.
  - A run that was killed loses its lock to the next one - at once where both run on one machine, since that one can
    see that the process is gone; elsewhere when the lease ends.
  - The callback P(nexod.infra.summary#callback) gives the lock back when the run ends, however it ends.
  - Taking and giving back is no change of the environment, so the task never says changed.
  - In check mode nothing is taken. Where another run holds the lock, a warning says so.
options:
  environment:
    description: The environment's name; each has a lock of its own.
    type: str
    required: true
  state:
    description: V(held) takes the lock, V(released) gives it back if this run holds it.
    type: str
    choices: [held, released]
    default: held
  what:
    description: What the run does, for the one who is refused; where not given, the playbook's name.
    type: str
  lease_seconds:
    description: Seconds after which the lock counts no more, for machines that cannot see the holder's process.
    type: int
    default: 7200
  folder:
    description: Folder of the lock. C(/run/nexod) for root, else C(~/.cache/nexod).
    type: path
  holder:
    description: Who asks. Given by the action plugin. Not for playbooks.
    type: dict
  dead:
    description: A holder's run that the controller has seen to have ended. Given by the action plugin.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Hold the environment alone
  nexod.infra.deploy_lock:
    environment: production
    what: deploy of 1.1.0
  delegate_to: "{{ groups.migration_runner | first }}"
"""

RETURN = r"""
became:
  description: V(take), V(keep), V(take over), or in check mode what it would be; V(release) or V(none) on the way back.
  returned: success
  type: str
  sample: take
file:
  description: The lock's file.
  returned: always
  type: str
  sample: /run/nexod/production.lock.json
lock:
  description: Environment, host and run, by which the callback gives the lock back.
  returned: always
  type: dict
held_by:
  description: Who held it before, if anybody.
  returned: when somebody did
  type: dict
"""

import dataclasses
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import Holder, Lock, decide, refusal

ARGUMENTS = {
    "environment": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
    "what": {"type": "str"},
    "lease_seconds": {"type": "int", "default": 7200},
    "folder": {"type": "path"},
    "holder": {"type": "dict"},
    "dead": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    lock, now = Lock(given["environment"], given["folder"] or ""), time.time()
    me = Holder(**given["holder"], what=given["what"] or "a run", since=now, until=now + given["lease_seconds"])
    if given["state"] == "released":
        released = not module.check_mode and lock.release(me.run)
        module.exit_json(changed=False, became="release" if released else "none", file=str(lock.path))
    if module.check_mode:
        held = lock.read()
        became = decide(held, me, given["dead"])
    else:
        became, held = lock.take(me, given["dead"])
    before = {"held_by": dataclasses.asdict(held)} if held else {}
    if became == "refuse" and held:
        if not module.check_mode:
            module.fail_json(**{**refusal(held, now, str(lock.path)).report(), "file": str(lock.path), **before})
        module.warn(f"Another run is changing {given['environment']}, so this plan may be wrong: {held.said(now)}.")
    module.exit_json(changed=False, became=became, file=str(lock.path), **before)


if __name__ == "__main__":
    main()
