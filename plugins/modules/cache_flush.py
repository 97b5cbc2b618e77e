#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete cached keys by prefix or pattern."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_flush
short_description: Delete cached keys of a Redis or Valkey by prefix or pattern, keeping sessions
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Walks the keys with C(SCAN) and deletes the selected ones with C(UNLINK), on all primaries in parallel. Deletion
    counts come from the server.
  - Works with a single server, a server with replicas, a server found through Sentinel, and a cluster.
  - Keys may contain any bytes.
  - A prefix or pattern that could match a protected key is refused before the first deletion, and each key is checked
    again before it is deleted.
  - After a lost connection, a failover, or slots that moved, the module waits and repeats the walk where it was
    disturbed. While slots are moving, the nodes concerned are walked in turn, and keys are deleted where they are then.
  - In check mode the keys that would be deleted are counted.
  - While it runs, the progress is printed every three seconds, one line for each host, and written to the system log.
    Not if C(async) runs the task in the background, nor under C(no_log).
extends_documentation_fragment: [nexod.infra.cache, nexod.infra.durations, nexod.infra.internal]
options:
  prefixes:
    description:
      - Keys that begin with one of these are deleted. O(prefixes) or O(patterns) is required.
      - Taken literally. One with an asterisk or a question mark is refused, because it was probably meant as a pattern.
    type: list
    elements: str
    default: []
  patterns:
    description:
      - Keys that match one of these globs, in Redis' syntax, are deleted too.
      - A class without a closing bracket and a range beyond ASCII are refused, because servers read them differently.
    type: list
    elements: str
    default: []
  protect:
    description:
      - Keys that begin with one of these are kept. Required, unless O(protect_nothing=true).
      - An entry with glob characters, such as V(*:session:*), protects the keys that begin with what it matches and,
        besides, those that begin with its text as it stands. It never protects less than one of the two.
      - A prefix or pattern that could match a key under a prefix in this list is refused. Where only an entry with a
        glob is concerned, the keys that it matches are left out of the deletion.
      - White space at an end and characters with a meaning in regular expressions, shells or SQL (C(^ $ | % .*) and
        others) are refused, so that none of them is taken literally without notice. A backslash before such a
        character makes it ordinary.
      - A warning names each entry that protects no key, unless the cache holds no key at all, as at a first deploy.
    type: list
    elements: str
    default: []
  protect_nothing:
    description: Confirms that every key may be deleted.
    type: bool
    default: false
  type:
    description: Delete only keys of this type. By default all. Requires Redis 6 or newer.
    type: str
    choices: [string, list, set, zset, hash, stream]
  lifetime:
    description:
      - V(none) deletes only keys that never expire, V(limited) only those that do.
    type: str
    choices: [any, none, limited]
    default: any
  longer_than:
    description:
      - Delete only keys that live longer than this, as a duration. Keys that never expire do. V(0) is no limit.
      - The lifetime is read before each deletion (C(+pttl)), which makes the flush slower.
    type: str
    default: "0"
  names:
    description: In check mode, how many keys to name for each prefix and pattern.
    type: int
    default: 10
  minimum_protected:
    description: Fail before the first deletion if fewer keys than this are protected. V(0) does not count beforehand.
    type: int
    default: 0
  max_latency_ms:
    description:
      - How long a C(PING) on a separate connection may take, in milliseconds. If it takes longer, fewer keys are
        processed in one call; if it takes much less, more.
      - V(0) measures nothing and runs as fast as possible.
    type: float
    default: 5
  max_keys_per_second:
    description: How many keys may be deleted per second, on all nodes together. V(0) is no limit.
    type: int
    default: 0
  deadline:
    description:
      - How long the flush may take, as a duration. After that, the module fails and reports what is left, even if the
        server does not answer any more.
      - V(0) is no limit. If only the counting of the protected keys is left, the module succeeds with a warning, and
        C(sessions_kept) is null.
    type: str
    default: 300s
  max_keys:
    description: Number of deleted keys after which the flush ends, with a warning. V(0) is no limit.
    type: int
    default: 0
  patience:
    description: How long to wait for a node that fails during the flush, or for its replacement, as a duration.
    type: str
    default: 60s
notes:
  - The account needs C(+scan +unlink +info +dbsize +ping +hello) on the keys to delete, C(+select) with O(db), and in a
    cluster C(+cluster|slots +cluster|nodes +asking). Without C(cluster|nodes) it can't be known whether slots are
    moving, which is a warning. C(info) and C(dbsize) are only needed for the figures. It needs no permissions on the
    protected keys. If a permission is missing, the error contains the complete C(ACL SETUSER) line.
  - C(CONFIG) and C(DEBUG), which ElastiCache refuses, are not used, nor are C(KEYS), C(DEL) and C(FLUSHDB).
  - Memory use is constant, in check mode too. To avoid counting a key twice when C(SCAN) repeats it, the last 5,000 to
    10,000 counted keys (protected ones, and in check mode matching ones) are remembered. A repeat further apart is
    counted twice. Deletion counts come from the server.
seealso:
  - module: nexod.infra.cache_info
  - module: nexod.infra.cache_namespace
"""

EXAMPLES = r"""
- name: Flush what the previous release cached
  nexod.infra.cache_flush:
    url: rediss://flusher@cache.example:6379/0
    password: "{{ infra_cache_password }}"
    prefixes: ["api:", "user:", "query:"]
    protect: ["session:", "*:session:*"]
    minimum_protected: 1

- name: Flush gently, through Sentinel
  nexod.infra.cache_flush:
    sentinels: ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"]
    sentinel_service: cache
    password: "{{ infra_cache_password }}"
    patterns: ["page:[0-9]*:html"]
    protect: ["session:"]
    max_latency_ms: 2
    max_keys_per_second: 20000
    deadline: 10m

- name: Flush a serverless ElastiCache, authenticated with IAM
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
  description: Number of deleted keys for each prefix and pattern; in check mode, of keys that would be deleted.
  returned: success, or when the flush began but did not finish
  type: dict
  sample: {"api:": 120, "user:": 31}
deleted_total:
  description: Their sum.
  returned: success, or when the flush began but did not finish
  type: int
  sample: 151
sessions_kept:
  description: Number of keys under O(protect) after the flush; null if the deadline passed before they were counted.
  returned: if the server could be reached
  type: int
  sample: 40
protected:
  description: Number of keys after the flush for each entry of O(protect).
  returned: if the server could be reached
  type: dict
  sample: {"session:": 40}
names:
  description: In check mode, some keys that would be deleted, for each prefix and pattern; at most O(names).
  returned: if the server could be reached
  type: dict
  sample: {"api:": ["api:1", "api:2"]}
complete:
  description: Whether all keys were walked; false if O(max_keys) ended the flush.
  returned: if the server could be reached
  type: bool
  sample: true
nodes:
  description: The figures of each primary.
  returned: if the server could be reached
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
      description: Number of keys that SCAN returned, which includes repeats but no keys that can't match.
      type: int
    matched:
      description: How many of them matched.
      type: int
    deleted:
      description: How many the server deleted.
      type: int
    protected:
      description: Number of protected keys after the flush.
      type: int
    ms:
      description: Duration in milliseconds.
      type: int
    keys_per_second:
      description: Deleted keys per second.
      type: int
    latency_ms:
      description: Latency of the PINGs, as C(p50), C(p99) and C(max); null if O(max_latency_ms=0).
      type: dict
    memory_before:
      description: Bytes in use before; null if the account lacks the permission.
      type: int
    memory_after:
      description: Bytes in use after. UNLINK frees memory in the background.
      type: int
    dbsize_before:
      description: Number of keys before.
      type: int
    dbsize_after:
      description: Number of keys after.
      type: int
totals:
  description: The same figures for all nodes together.
  returned: if the server could be reached
  type: dict
left:
  description: Nodes that were not walked completely.
  returned: when the flush began but did not finish
  type: list
  elements: str
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import CONNECTION, CONNECTION_RULES, target_of
from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import MISSING, MISSING_NAME
from ansible_collections.nexod.infra.plugins.module_utils._cache.flush import (
    ACTION,
    Flush,
    as_diff,
    rights,
    warnings_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._cache.module import register_secrets, require_client
from ansible_collections.nexod.infra.plugins.module_utils._cache.pacing import Limits
from ansible_collections.nexod.infra.plugins.module_utils._cache.progress import Progress, progress_file
from ansible_collections.nexod.infra.plugins.module_utils._cache.selection import Filters, read_selection
from ansible_collections.nexod.infra.plugins.module_utils._cache.server import (
    Cache,
    NobodyThereError,
    refusals_as_errors,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge, translated
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import Ranges, check_ranges

LOG_SECONDS = 10.0
RANGES: Ranges = {
    "names": (0, 1000),
    **dict.fromkeys(("minimum_protected", "max_latency_ms", "max_keys_per_second", "max_keys"), (0, None)),
}
ARGUMENTS = {
    **CONNECTION,
    "prefixes": {"type": "list", "elements": "str", "default": []},
    "patterns": {"type": "list", "elements": "str", "default": []},
    "protect": {"type": "list", "elements": "str", "default": []},
    "protect_nothing": {"type": "bool", "default": False},
    "type": {"type": "str", "choices": ["string", "list", "set", "zset", "hash", "stream"]},
    "lifetime": {"type": "str", "choices": ["any", "none", "limited"], "default": "any"},
    "longer_than": {"type": "str", "default": "0"},
    "names": {"type": "int", "default": 10},
    "minimum_protected": {"type": "int", "default": 0},
    "max_latency_ms": {"type": "float", "default": 5},
    "max_keys_per_second": {"type": "int", "default": 0, "no_log": False},
    "deadline": {"type": "str", "default": "300s"},
    "max_keys": {"type": "int", "default": 0, "no_log": False},
    "patience": {"type": "str", "default": "60s"},
    # Set by the action plugin: `progress_file`, where it reads how far the flush is.
    "_internal": {"type": "dict"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **CONNECTION_RULES)
    given = module.params
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, ACTION, "the host", path or ""), predicting(module):
        register_secrets(module)
        check_ranges(given, RANGES)
        selection = read_selection(
            given["prefixes"],
            given["patterns"],
            given["protect"],
            waived=given["protect_nothing"],
            filters=Filters(given["type"] or "", given["lifetime"], seconds(given["longer_than"], "longer_than")),
        )
        target = target_of(given)
        limits = Limits(
            given["max_latency_ms"],
            given["max_keys_per_second"],
            seconds(given["deadline"], "deadline"),
            given["max_keys"],
            seconds(given["patience"], "patience"),
        )
        if MISSING and module.check_mode:
            exit_without_cache(module, f"{MISSING_NAME} is not installed yet")
        require_client(module)
        cache = Cache(target)
        with (
            progress_file(path) as write,
            translated(ACTION, target.name),
            refusals_as_errors(ACTION, target, lambda: rights(cache, selection)),
        ):
            flushed = Flush(
                cache,
                selection,
                limits,
                check=module.check_mode,
                report=reporter(module, write),
                minimum_protected=given["minimum_protected"],
                names=given["names"],
            ).run()
    for warning in warnings_of(flushed, limits, selection):
        module.warn(warning)
    diff = as_diff(flushed, f"keys of the cache at {target.name}")
    module.exit_json(changed=flushed.total > 0, **flushed.facts(), diff=diff)


def reporter(module: AnsibleModule, write: t.Callable[[Progress], None]) -> t.Callable[[Progress], None]:
    """Reports the progress to whoever waits, and now and then to the system log."""
    logged = -LOG_SECONDS

    def report(progress: Progress) -> None:
        nonlocal logged
        write(progress)
        if progress.seconds - logged >= LOG_SECONDS:
            logged = progress.seconds
            module.log(progress.sentence())

    return report


@contextlib.contextmanager
def predicting(module: AnsibleModule) -> t.Iterator[None]:
    """In check mode a cache that nobody answers for is no fault: the run would have started it before."""
    try:
        yield
    except NobodyThereError as error:
        if module.check_mode:
            exit_without_cache(module, error.cause)
        raise


def exit_without_cache(module: AnsibleModule, why: str) -> None:
    """Check mode before the cache or its client is installed: no key is known that would be deleted."""
    module.warn(f"Cannot determine yet which keys would be deleted: {why}.")
    names = [*module.params["prefixes"], *module.params["patterns"]]
    module.exit_json(changed=False, deleted=dict.fromkeys(names, 0), deleted_total=0)


if __name__ == "__main__":
    main()
