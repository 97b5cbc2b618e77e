#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profile a running Python process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: profile_process
short_description: Profile a running Python process
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Profiles one process of a running service with py-spy or Memray. The role P(nexod.infra.profile#role) installs them.
    The service is not restarted and needs no change.
  - Returns the functions with the largest own and total time, the shares of the GIL, the database, the cache, JSON and
    validation, the same in sentences, and what the profile cost in processor time.
  - One profile at a time is taken on a host. Files are complete or not there, and readable by root only, because
    profiles contain paths and names. They stay until they are removed, or until the next profile is taken.
  - In check mode the process is found and what cannot work is refused. Nothing is profiled or written.
options:
  tool:
    description:
      - V(record) samples stacks with py-spy for O(seconds), and writes them as a flame graph (C(profile.svg)), as
        collapsed stacks (C(profile.raw)) and for speedscope (C(profile.speedscope.json)).
      - V(top) samples in the same way and writes no file.
      - V(dump) returns the stack of every thread at this moment. Local variables are never read, because they contain
        passwords and what users have sent.
      - V(memory) attaches Memray for O(seconds), and writes its flame graphs of the peak (C(peak.html)) and of what was
        still allocated at the end (C(left.html)), which is where a leak shows, and its capture (C(memory.bin)). Only
        allocations since it was attached are known. The process is paused for one to several seconds meanwhile, and
        Memray stays loaded in it until it is restarted.
    type: str
    choices: [record, top, dump, memory]
    default: record
  unit:
    description: The systemd unit of the service. Either this or O(pid) is required.
    type: str
  worker:
    description:
      - Number of the unit's process that answers requests, the oldest first. From 1 to 256.
      - These are the Python processes below the unit's main process. If there are none, the main process is worker 1.
    type: int
    default: 1
  pid:
    description: Id of the process. At least 1.
    type: int
  seconds:
    description: How long to profile. From 1 to 300.
    type: int
    default: 30
  baseline_seconds:
    description:
      - Seconds in which the processor use of the process is measured before the profile, to compare. V(0) does not.
        From 0 to 60.
    type: int
    default: 5
  rate:
    description: Samples a second. From 1 to 1000, and at most 60000 in O(seconds).
    type: int
    default: 100
  nonblocking:
    description:
      - Whether py-spy reads the process without pausing it. This costs nearly nothing. A few samples cannot be read,
        and the functions of one stack may be of different moments.
      - With V(false), the process is paused for some milliseconds for each sample, and once with O(tool=dump).
    type: bool
    default: true
  gil:
    description: Whether only samples of threads that hold the GIL are taken. Their share is measured in any case.
    type: bool
    default: false
  native:
    description: Whether stacks contain functions of compiled extensions. With py-spy, O(nonblocking=false) is needed.
    type: bool
    default: false
  idle:
    description: Whether samples of threads that wait are taken too.
    type: bool
    default: false
  debugger:
    description:
      - The debugger that Memray attaches with. V(gdb) has killed processes that it attached to, so it is only used if
        it is named here.
    type: str
    choices: [lldb, gdb]
    default: lldb
  metrics_url:
    description:
      - URL of the application's metrics in Prometheus's format, from which O(counted) is read before and after the
        profile. With several workers, they are those of the worker that answers, or of all if it adds them up.
    type: str
  counted:
    description:
      - Counters of the application whose growth is reported, as py-spy samples and counts no calls. Those after the
        first are also reported for each of the first.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What is counted, in the plural, such as V(requests).
        type: str
        required: true
      metric:
        description: Name of the series, such as V(http_request_duration_seconds_count). All of this name are added up.
        type: str
        required: true
      except:
        description: Regular expression. Series whose labels match it are left out.
        type: str
  shown:
    description: Number of functions in each of the lists that are returned. From 1 to 50.
    type: int
    default: 20
  profilers:
    description: The virtual environment with py-spy and Memray.
    type: path
    default: /opt/profilers/current
  dest:
    description: Folder on the host for the folder with the files. Profiles that are in it already are removed.
    type: path
    default: /var/lib/nexod-profiles
  owner:
    description: Who takes the profile, for the message to whoever tries to take another one meanwhile.
    type: str
    default: ""
notes:
  - Needs the capability CAP_SYS_PTRACE, which root has on a host. In a container it has to be added (C(SYS_PTRACE)).
  - py-spy writes one format in a run. speedscope is recorded, as it alone keeps threads and the order of samples; the
    other formats are written from it.
  - The share of the GIL is measured by a second, non-blocking recording at the same time.
  - The memory that V(memory) needs is estimated beforehand as 400 MiB for the debugger and a quarter of what the
    process uses (64 to 512 MiB). Where the host, or a limit of the unit or its slice, has less, nothing is started.
seealso:
  - module: nexod.infra.release
"""

EXAMPLES = r"""
- name: Record the first worker of the API for half a minute
  nexod.infra.profile_process:
    unit: api
  register: profile

- name: Print what every thread does at one moment
  nexod.infra.profile_process:
    tool: dump
    nonblocking: false
    unit: api
    worker: 2

- name: Find what is not freed
  nexod.infra.profile_process:
    tool: memory
    unit: api
    seconds: 120
"""

RETURN = r"""
pid:
  description: Id of the process; 0 in check mode if the unit does not exist yet.
  returned: success
  type: int
process:
  description: The process in words.
  returned: success
  type: str
  sample: worker 1 of "api" (process 171)
summary:
  description: The result in sentences; empty in check mode.
  returned: success
  type: list
  elements: str
folder:
  description: Folder of the files on the host.
  returned: if files were written
  type: str
files:
  description: Names of the files.
  returned: if files were written
  type: list
  elements: str
samples:
  description: Number of samples. One is taken of each active thread.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: int
unread_samples:
  description: Number of times that the process could not be read, because it changed meanwhile.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: int
behind:
  description: Whether py-spy could not keep its rate.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: bool
top_own:
  description: Functions by the samples in which they ran themselves, with C(own), C(total) and both in percent.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: list
  elements: dict
top_total:
  description: Functions by the samples in which they or what they called ran.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: list
  elements: dict
shares:
  description: Percentage of time in which the GIL was held, and of samples in each kind of work, by module.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: dict
  sample: {GIL: 31.5, database: 22.1, cache: 3.0, JSON: 8.4, validation: 2.2, metrics and error reports: 1.1}
calls:
  description: By how much each of O(counted) grew. One that was not there or was started anew is missing.
  returned: for O(tool=record) and O(tool=top), not in check mode
  type: dict
  sample: {requests: 1200, database queries: 3744}
threads:
  description: Each thread with its C(name), C(stack), and whether it is C(active) and C(owns_gil).
  returned: for O(tool=dump), not in check mode
  type: list
  elements: dict
memory:
  description: Bytes and allocations at the C(peak) and C(left) at the end, and the functions (C(top)) that made them.
  returned: for O(tool=memory), not in check mode
  type: dict
overhead:
  description:
    - Processor use in percent of one processor, C(process_before) and C(process_during) the profile, and of the
      C(profiler). C(process_before) is null without a baseline.
  returned: if it was profiled for O(seconds)
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._profiling.plan import Asked
from ansible_collections.nexod.infra.plugins.module_utils._profiling.profiler import profile

COUNTER = {
    "name": {"type": "str", "required": True},
    "metric": {"type": "str", "required": True},
    "except": {"type": "str"},
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "tool": {"type": "str", "choices": ["record", "top", "dump", "memory"], "default": "record"},
    "unit": {"type": "str"},
    "worker": {"type": "int", "default": 1},
    "pid": {"type": "int"},
    "seconds": {"type": "int", "default": 30},
    "baseline_seconds": {"type": "int", "default": 5},
    "rate": {"type": "int", "default": 100},
    "nonblocking": {"type": "bool", "default": True},
    "gil": {"type": "bool", "default": False},
    "native": {"type": "bool", "default": False},
    "idle": {"type": "bool", "default": False},
    "debugger": {"type": "str", "choices": ["lldb", "gdb"], "default": "lldb"},
    "shown": {"type": "int", "default": 20},
    "profilers": {"type": "path", "default": "/opt/profilers/current"},
    "dest": {"type": "path", "default": "/var/lib/nexod-profiles"},
    "owner": {"type": "str", "default": ""},
    "metrics_url": {"type": "str"},
    "counted": {"type": "list", "elements": "dict", "default": [], "options": COUNTER},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("unit", "pid")],
        required_one_of=[("unit", "pid")],
        supports_check_mode=True,
    )
    given = module.params
    what = f'the unit "{given["unit"]}"' if given["unit"] else f"process {given['pid']}"
    with edge(module, "profile", what, given["dest"]):
        module.exit_json(**profile(Asked(**given), check_mode=module.check_mode))


if __name__ == "__main__":
    main()
