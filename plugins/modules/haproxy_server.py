#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Take one server out of HAProxy without an outage, and put it back
version_added: "1.0.0"
description:
  - Drains a server by the admin socket and waits until its running requests have ended, or puts it back and waits
    until HAProxy's own checks find it up.
  - Refuses to drain the last server that serves.
  - Unlike M(community.general.haproxy) it knows check mode, reports a change only where the administrative state
    changes, and an open request at the end of the wait is reported, not fatal.
extends_documentation_fragment: [nexod.infra.durations]
options:
  backend:
    description: Name of the HAProxy backend.
    type: str
    required: true
  name:
    description: Name of the server in the backend.
    type: str
    required: true
  state:
    description:
      - V(drain) sends no new requests to it; those that run go on.
      - V(ready) lets it serve again as soon as its checks pass.
    type: str
    choices: [drain, ready]
    required: true
  least_serving:
    description: How many other servers must serve for V(drain) to be allowed.
    type: int
    default: 1
  enable_after:
    description:
      - For V(drain), the time after which the host enables the server by itself, as a duration, counted from the start
        of the task. It is for tasks that drain a server only for a while, as the controller may be killed meanwhile.
        Above 0.
      - A transient timer of systemd does so. It is started before the server is drained, and nothing is drained where
        it cannot be started. V(ready) ends it. A later V(drain) replaces it, or ends it if that has no O(enable_after).
    type: str
  must_exist:
    description:
      - Whether it is an error if HAProxy does not run or does not know the server.
      - V(false) is for removing an instance whose server may be gone already; then nothing is done.
    type: bool
    default: true
  timeout:
    description:
      - How long to wait, as a duration. For V(drain) until no request runs; what still runs then is in RV(requests).
      - For V(ready) until it is up; the task fails where it is not. V(0) leaves that to the checks.
    type: str
    default: "60"
  socket:
    description: Path of the admin socket, which must be of level admin.
    type: path
    default: /run/haproxy/admin.sock
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Take api-1 out
  nexod.infra.haproxy_server:
    backend: api
    name: api-1
    state: drain
    timeout: 35

- name: Drain api-1 for ten minutes at most
  nexod.infra.haproxy_server:
    backend: api
    name: api-1
    state: drain
    enable_after: 10min

- name: Put api-1 back and wait until it serves
  nexod.infra.haproxy_server:
    backend: api
    name: api-1
    state: ready
"""

RETURN = r"""
status:
  description: The server's status in HAProxy's words, at the end.
  returned: always
  type: str
  sample: UP
requests:
  description: Requests that it was still answering at the end.
  returned: always
  type: int
  sample: 0
seconds:
  description: How long that took.
  returned: always
  type: float
  sample: 1.2
"""

import dataclasses
import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._backend.haproxy import (
    Haproxy,
    Server,
    Wanted,
    find,
    is_known,
    plan,
)
from ansible_collections.nexod.infra.plugins.module_utils._backend.timer import Timer
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "backend": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["drain", "ready"], "required": True},
    "least_serving": {"type": "int", "default": 1},
    "enable_after": {"type": "str"},
    "must_exist": {"type": "bool", "default": True},
    "timeout": {"type": "str", "default": "60"},
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
}


def apply(haproxy: Haproxy, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Drain or enable the server; in check mode only return what that would change."""
    wanted = Wanted(options["backend"], options["name"], options["state"], options["least_serving"])
    timer, limit = Timer(haproxy.path, wanted.path), time_limit(options)
    if not options["must_exist"] and not is_known(haproxy, wanted):
        ended = not check_mode and timer.disarm()
        return {"changed": ended, "status": "not there", "requests": 0, "seconds": 0.0, "diff": {}}
    if check_mode and not os.path.exists(haproxy.path):
        # A bare edge: the run that is predicted starts it first, with every server ready.
        return {
            "changed": wanted.state == "drain",
            "status": "not there yet",
            "requests": 0,
            "seconds": 0.0,
            "diff": {},
        }
    began, timeout = time.monotonic(), seconds(options["timeout"], "timeout")
    timed = not timer.armed() if limit else bool(timer.unit())
    if wanted.state == "drain" and not limit and not check_mode:
        # First of all: the server is to stay drained until a task enables it.
        timer.disarm()
    servers = haproxy.servers(wanted.backend)
    before = find(servers, wanted.backend, wanted.server)
    # Who serves now says little of a plan: a run puts each instance in before it takes the next one out.
    least = 0 if check_mode else wanted.least
    commands = plan(dataclasses.replace(wanted, least=least), servers, haproxy.taken_out(wanted.backend))
    after = before
    if not check_mode:
        if limit:
            # Before the server is drained, as this program may end at any time.
            timer.arm(limit)
        haproxy.apply(commands)
        if wanted.state == "drain":
            after = haproxy.wait(wanted, lambda server: server.requests == 0, timeout)
        else:
            timer.disarm()
            after = haproxy.wait(wanted, lambda server: server.proven, timeout)
            refuse_unproven(wanted, after, timeout)
    return {
        "changed": bool(commands) or timed,
        "status": after.status,
        "requests": after.requests,
        "seconds": round(time.monotonic() - began, 3),
        "diff": {"before": f"{before.status}\n", "after": "".join(f"{c}\n" for c in commands)} if commands else {},
    }


def time_limit(options: dict[str, t.Any]) -> float:
    """Seconds after which the host enables the server by itself; 0 if it does not."""
    given = options["enable_after"]
    if given is None:
        return 0
    limit, what = seconds(given, "enable_after"), f'"{options["backend"]}/{options["name"]}"'
    if options["state"] != "drain":
        cause = f"`enable_after` is only for the state drain, and the state is {options['state']}"
        raise InfraError("enable the server", what, cause, "Remove `enable_after`.")
    if limit <= 0:
        raise InfraError("drain the server", what, "`enable_after` must be above 0", "Write for example 10min.")
    return limit


def refuse_unproven(wanted: Wanted, server: Server, timeout: float) -> None:
    if timeout and not server.proven:
        raise InfraError(
            "put back the server",
            f'"{wanted.path}"',
            f"HAProxy finds it {server.status} after {timeout:g} s",
            "Ask its check by hand from the edge; HAProxy's log says what the check answered.",
        )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, f"{given['state']} the server", f'"{given["backend"]}/{given["name"]}"', given["socket"]):
        module.exit_json(**apply(Haproxy(given["socket"]), given, module.check_mode))


if __name__ == "__main__":
    main()
