#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete cached keys by prefix or glob."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_flush
short_description: Delete cached keys of a Redis or Valkey by prefix or glob, sessions kept
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Walks the keys with C(SCAN) and deletes with C(UNLINK) those that were asked for, on every primary at the same time.
    Counted is what the server says it deleted.
  - Works on a single server, one with replicas, one that Sentinel names, and a cluster.
  - Keys are bytes and may hold any. Prefixes are taken literally, glob characters too.
  - A prefix or pattern through which a protected key could be reached is refused before the first deletion, and each
    key is looked at again before it is deleted.
  - A connection that is cut, a failover and slots that move are waited for, and the walk begins anew where they were.
  - In check mode the keys that would go are counted and none is deleted.
  - While it runs, the terminal shows every three seconds how far it is, a line for each host; the system's log holds it
    too. Not where C(async) takes it into the background, nor under C(no_log).
extends_documentation_fragment: [nexod.infra.cache]
options:
  prefixes:
    description: Keys that begin with one of these go.
    type: list
    elements: str
    default: []
  patterns:
    description:
      - Keys that match one of these globs, as Redis reads them, go as well.
      - Refused are a class without its closing bracket and a range of letters beyond ASCII, which servers differ about.
    type: list
    elements: str
    default: []
  protect:
    description: Keys that begin with one of these stay. Required, unless O(protect_nothing) waives it.
    type: list
    elements: str
    default: []
  protect_nothing:
    description: Says that every key may go.
    type: bool
    default: false
  max_latency_ms:
    description:
      - How long a C(PING), on a connection of its own, may take. Where it takes longer, fewer keys are looked at in one
        call; where it takes much less, more.
      - V(0) does not look, and goes as quickly as it can.
    type: float
    default: 5
  max_keys_per_second:
    description: How many keys may go in a second, on all nodes together. V(0) is no limit.
    type: int
    default: 0
  deadline:
    description:
      - How long the flush may take, as V(300s), V(5m) or V(1h). When it is over, the module fails, saying what is left.
      - V(0) is no limit. Protected keys are counted after it, however long that takes.
    type: str
    default: 300s
  max_keys:
    description: Ends the flush, with a warning, when so many keys are deleted. V(0) is no limit.
    type: int
    default: 0
  patience:
    description: How long to wait for a node that goes away during the flush, or for what takes its place.
    type: str
    default: 60s
  progress_file:
    description: Where the action plugin reads how far the flush is. Not for playbooks.
    type: path
notes:
  - The account needs C(+scan +unlink +info +dbsize +ping +hello), in a cluster C(+cluster|slots), and the keys that are
    to go; C(info) and C(dbsize) only for the figures. Rights on the protected keys it needs none. Where a right is
    missing, the error holds the whole C(ACL SETUSER) line.
  - C(CONFIG) and C(DEBUG), which ElastiCache refuses, are not used. Neither are C(KEYS), C(DEL) and C(FLUSHDB).
  - Memory does not grow with the number of keys, in check mode neither. There are the keys of one call, and of those
    that are only counted (protected ones, in check mode matching ones) what tells the last 5,000 to 10,000 apart.
    Where a server's table shrinks meanwhile, C(SCAN) names a few keys twice, one soon after the other, which are known
    by that. One that named them again much later would have them counted twice. What is deleted the server counts.
seealso:
  - module: nexod.infra.cache_info
  - module: nexod.infra.cache_namespace
"""

EXAMPLES = r"""
- name: Forget what the old release cached
  nexod.infra.cache_flush:
    url: rediss://flusher@cache.example:6379/0
    password: "{{ infra_cache_password }}"
    prefixes: ["api:", "user:", "query:"]
    protect: ["session:"]

- name: The same through Sentinel, gently
  nexod.infra.cache_flush:
    sentinels: ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"]
    sentinel_service: cache
    password: "{{ infra_cache_password }}"
    patterns: ["page:[0-9]*:html"]
    protect: ["session:"]
    max_latency_ms: 2
    max_keys_per_second: 20000
    deadline: 10m

- name: A serverless ElastiCache, signed in by IAM
  nexod.infra.cache_flush:
    host: app-abc123.serverless.euw1.cache.amazonaws.com
    tls: true
    username: flusher
    iam_cache: app
    iam_serverless: true
    region: eu-west-1
    prefixes: ["api:"]
    protect: ["session:"]
"""

RETURN = r"""
deleted:
  description: Keys deleted for each prefix and pattern; in check mode those that would be.
  returned: success, and when the flush was begun but not ended
  type: dict
  sample: {"api:": 120, "user:": 31}
deleted_total:
  description: Their sum.
  returned: success, and when the flush was begun but not ended
  type: int
  sample: 151
sessions_kept:
  description: Keys under O(protect) that are there afterwards.
  returned: success, when the server could be asked
  type: int
  sample: 40
complete:
  description: Whether all keys were looked at; not where O(max_keys) ended it.
  returned: success, when the server could be asked
  type: bool
  sample: true
nodes:
  description: What was seen and done on each primary.
  returned: when the server could be asked
  type: list
  elements: dict
  contains:
    node:
      description: Its address.
      type: str
    walks:
      description: How often its keys were walked; more than once after a disturbance.
      type: int
    scanned:
      description: Keys that SCAN named, some of them twice. Those with other beginnings it leaves out.
      type: int
    matched:
      description: How many of them were to go.
      type: int
    deleted:
      description: How many the server says it deleted.
      type: int
    protected:
      description: Protected keys that are there afterwards.
      type: int
    ms:
      description: Milliseconds it took.
      type: int
    keys_per_second:
      description: Keys deleted in a second.
      type: int
    latency_ms:
      description: What the PINGs took, as C(p50), C(p99) and C(max); null where O(max_latency_ms) is 0.
      type: dict
    memory_before:
      description: Bytes in use before; null where the account may not ask.
      type: int
    memory_after:
      description: Bytes in use afterwards. UNLINK gives memory back in the background.
      type: int
    dbsize_before:
      description: Keys there before.
      type: int
    dbsize_after:
      description: Keys there afterwards.
      type: int
totals:
  description: The same of all nodes together.
  returned: when the server could be asked
  type: dict
left:
  description: Nodes that were not walked to the end.
  returned: when the flush was begun but not ended
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._cache.flush import (
    ACTION,
    Flush,
    Limits,
    as_diff,
    rights,
    seconds,
    warnings_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._cache.globs import read_asked
from ansible_collections.nexod.infra.plugins.module_utils._cache.progress import Progress, left_in
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import (
    CONNECTION,
    CONNECTION_RULES,
    MISSING,
    MISSING_NAME,
    Cache,
    NobodyThereError,
    refusals_as_errors,
    target_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

LOG_SECONDS = 10.0
ARGUMENTS = {
    **CONNECTION,
    "prefixes": {"type": "list", "elements": "str", "default": []},
    "patterns": {"type": "list", "elements": "str", "default": []},
    "protect": {"type": "list", "elements": "str", "default": []},
    "protect_nothing": {"type": "bool", "default": False},
    "max_latency_ms": {"type": "float", "default": 5},
    "max_keys_per_second": {"type": "int", "default": 0, "no_log": False},
    "deadline": {"type": "str", "default": "300s"},
    "max_keys": {"type": "int", "default": 0, "no_log": False},
    "patience": {"type": "str", "default": "60s"},
    "progress_file": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONNECTION_RULES)
    given = module.params
    try:
        asked = read_asked(given["prefixes"], given["patterns"], given["protect"], waived=given["protect_nothing"])
        target = target_of(given)
        limits = Limits(
            given["max_latency_ms"],
            given["max_keys_per_second"],
            seconds(given["deadline"]),
            given["max_keys"],
            seconds(given["patience"]),
        )
        if MISSING and module.check_mode:
            not_yet(module, f"{MISSING_NAME} is not installed here yet")
        if MISSING:
            module.fail_json(msg=missing_required_lib(MISSING_NAME), exception=MISSING)
        if target.password:
            module.no_log_values.add(target.password)  # it may have stood in the URL
        cache = Cache(target)
        with left_in(given["progress_file"]) as leave, refusals_as_errors(ACTION, target, lambda: rights(cache, asked)):
            flushed = Flush(cache, asked, limits, check=module.check_mode, tell=told(module, leave)).run()
    except NobodyThereError as error:
        if module.check_mode:
            not_yet(module, error.cause)
        module.fail_json(**error.report())
    except InfraError as error:
        module.fail_json(**error.report())
    for warning in warnings_of(flushed, limits):
        module.warn(warning)
    module.exit_json(
        changed=flushed.total > 0,
        deleted=dict(flushed.deleted),
        deleted_total=flushed.total,
        sessions_kept=flushed.kept,
        complete=flushed.complete,
        nodes=[tally.report() for tally in flushed.nodes],
        totals=flushed.totals(),
        diff=as_diff(flushed, f"keys of the cache at {target.name}"),
    )


def told(module: AnsibleModule, leave: t.Callable[[Progress], None]) -> t.Callable[[Progress], None]:
    """To whoever waits, and now and then to the system's log."""
    logged = -LOG_SECONDS

    def tell(progress: Progress) -> None:
        nonlocal logged
        leave(progress)
        if progress.seconds - logged >= LOG_SECONDS:
            logged = progress.seconds
            module.log(progress.sentence())

    return tell


def not_yet(module: AnsibleModule, why: str) -> None:
    """Check mode before there is a cache, or what speaks with it: no key is known to go."""
    module.warn(f"Cannot yet see which keys would go: {why}.")
    names = [*module.params["prefixes"], *module.params["patterns"]]
    module.exit_json(changed=False, deleted=dict.fromkeys(names, 0), deleted_total=0)


if __name__ == "__main__":
    main()
