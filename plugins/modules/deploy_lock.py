#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lock
short_description: Lock an environment while a run changes it
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Takes the lock of an environment for the playbook run that the task belongs to. If another run holds it, the task
    fails and names the holder and the time since when.
  - The lock is a file on the host that runs the module, so that every controller meets the same one.
  - The lock of a run that was killed is taken over. On the machine that it ran on that happens at once, as the process
    can be seen to be gone; elsewhere when the lease is over. The lock of a living run is never taken over there.
  - The callback P(nexod.infra.summary#callback) renews the lease while the run lives, and releases the lock when it
    ends, however it ends.
  - Locking does not change the environment, so the task never reports a change.
  - In check mode nothing is taken. If another run holds the lock, a warning says so.
options:
  environment:
    description: Name of the environment; each has a lock of its own.
    type: str
    required: true
  state:
    description:
      - V(held) takes the lock, or renews it if this run holds it.
      - V(renewed) renews it if this run holds it, and does nothing otherwise.
      - V(released) releases it if this run holds it.
    type: str
    choices: [held, renewed, released]
    default: held
  what:
    description: What the run does, for the message to others. By default the name of the playbook.
    type: str
  lease_seconds:
    description: Seconds after which other machines may take the lock over, unless it is renewed before.
    type: int
    default: 7200
  folder:
    description: Folder of the lock. By default C(/run/nexod) for root, otherwise C(~/.cache/nexod).
    type: path
extends_documentation_fragment: nexod.infra.internal
"""

EXAMPLES = r"""
- name: Lock the environment
  nexod.infra.deploy_lock:
    environment: production
    what: deploy of 1.1.0
  delegate_to: "{{ groups.migration_runner | first }}"
"""

RETURN = r"""
became:
  description:
    - What was done. One of C(take), C(keep), C(take over), C(renew), C(release) and C(none).
    - In check mode what would be done, or C(refuse).
  returned: success
  type: str
  sample: take
file:
  description: The file of the lock.
  returned: always
  type: str
  sample: /run/nexod/production.lock.json
lock:
  description: What the callback needs to renew and release the lock.
  returned: always
  type: dict
  sample: {environment: production, host: migration-runner, run: "laptop/4711/881", lease_seconds: 7200}
since:
  description: When the lock was acquired, in seconds since 1970 on the controller.
  returned: always
  type: float
held_by:
  description: Who held the lock before.
  returned: if somebody did
  type: dict
"""

import dataclasses
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import Holder, Lock, decide, refusal

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "environment": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["held", "renewed", "released"], "default": "held"},
    "what": {"type": "str"},
    "lease_seconds": {"type": "int", "default": 7200},
    "folder": {"type": "path"},
    # Holder: who asks. Dead: the run that the controller knows to have ended.
    "_internal": {"type": "dict"},
}


def take(module: AnsibleModule, lock: Lock, me: Holder) -> dict[str, t.Any]:
    dead, environment = module.params["_internal"].get("dead", ""), module.params["environment"]
    if module.check_mode:
        held = lock.read()
        became = decide(held, me, dead)
    else:
        became, held = lock.take(me, dead)
    before = {"held_by": dataclasses.asdict(held)} if held else {}
    if became == "refuse" and held:
        if not module.check_mode:
            module.fail_json(**{**refusal(held, me.since, str(lock.path)).report(), "file": str(lock.path), **before})
        module.warn(f"Another run is changing {environment}, so this plan may be wrong: {held.sentence(me.since)}.")
    return {"became": became, **before}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given, now = module.params, time.time()
    lock, until = Lock(given["environment"], given["folder"] or ""), now + given["lease_seconds"]
    me = Holder(**given["_internal"]["holder"], what=given["what"] or "a run", since=now, until=until)
    with edge(module, "change the lock of", f'"{given["environment"]}"', str(lock.path)):
        if given["state"] == "held":
            result = take(module, lock, me)
        elif given["state"] == "renewed":
            result = {"became": "renew" if not module.check_mode and lock.renew(me.run, until) else "none"}
        else:
            result = {"became": "release" if not module.check_mode and lock.release(me.run) else "none"}
        module.exit_json(changed=False, file=str(lock.path), **result)


if __name__ == "__main__":
    main()
