#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete cached keys by prefix."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_flush
short_description: Delete cached keys of a Redis server by prefix, sessions kept
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Walks the keys under each prefix with C(SCAN) and deletes them with C(UNLINK), so that the server never stalls.
    Counted is what the server says it deleted.
  - Prefixes are taken literally, glob characters too; keys may hold any byte.
  - A prefix through which a protected key could be reached is refused before the first deletion. The protected keys
    are counted before and after.
  - In check mode the keys that would go are counted and none is deleted.
requirements:
  - redis-py 4.3 or newer on the host that runs the module (python3-redis; python3-hiredis makes it twice as quick)
  - Redis 4 or newer, not a cluster
options:
  host:
    description: Address of the server.
    type: str
    required: true
  port:
    description: Its TCP port.
    type: int
    default: 6379
  db:
    description: Number of the database.
    type: int
    default: 0
  username:
    description: ACL account; the default one where not given.
    type: str
  password:
    description: Its password.
    type: str
  tls:
    description: Whether to speak TLS; the certificate is checked.
    type: bool
    default: false
  ca_cert:
    description: Path of the certificates to trust; the system's where not given.
    type: path
  prefixes:
    description: Keys that begin with one of these go.
    type: list
    elements: str
    required: true
  protected:
    description: Keys that begin with one of these stay, whatever O(prefixes) says.
    type: list
    elements: str
    default: ["session:"]
  batch:
    description: About how many keys to look at in one call. More is quicker and makes others wait longer.
    type: int
    default: 1000
  timeout:
    description: Seconds to wait for any one answer.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Forget what the old release cached
  nexod.infra.cache_flush:
    host: 10.213.77.21
    password: "{{ infra_cache_password }}"
    prefixes: ["api:", "user:", "query:"]
"""

RETURN = r"""
deleted:
  description: Keys deleted under each prefix; in check mode those that would be.
  returned: success
  type: dict
  sample: {"api:": 120, "user:": 31}
deleted_total:
  description: Their sum.
  returned: success
  type: int
  sample: 151
sessions_kept:
  description: Keys under O(protected) that are there afterwards.
  returned: when the server could be asked
  type: int
  sample: 40
sessions_without_lifetime:
  description: How many of them would stay for ever; a fault of the application's.
  returned: when the server could be asked
  type: int
  sample: 0
sessions_ended:
  description: How many of them ended meanwhile by others' doing, with lifetime left.
  returned: when the server could be asked
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._cache import (
    MISSING,
    NobodyThereError,
    as_diff,
    check_prefixes,
    flush,
    opened,
    warnings_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError

ARGUMENTS = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 6379},
    "db": {"type": "int", "default": 0},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "tls": {"type": "bool", "default": False},
    "ca_cert": {"type": "path"},
    "prefixes": {"type": "list", "elements": "str", "required": True},
    "protected": {"type": "list", "elements": "str", "default": ["session:"]},
    "batch": {"type": "int", "default": 1000},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    try:
        check_prefixes(given["prefixes"], given["protected"])
        if MISSING and module.check_mode:
            not_yet(module, "python3-redis is not installed here yet")
        if MISSING:
            module.fail_json(msg=missing_required_lib("redis"), exception=MISSING)
        with opened(given) as client:
            flushed = flush(
                client, given["prefixes"], given["protected"], batch=given["batch"], check=module.check_mode
            )
    except NobodyThereError as error:
        if module.check_mode:
            not_yet(module, error.cause)
        module.fail_json(**error.report())
    except InfraError as error:
        module.fail_json(**error.report())
    for warning in warnings_of(flushed, given["protected"]):
        module.warn(warning)
    module.exit_json(
        changed=flushed.total > 0,
        deleted=dict(flushed.deleted),
        deleted_total=flushed.total,
        sessions_kept=flushed.kept,
        sessions_without_lifetime=flushed.without_lifetime,
        sessions_ended=flushed.ended,
        diff=as_diff(flushed, f"keys of the cache at {given['host']}:{given['port']}"),
    )


def not_yet(module: AnsibleModule, why: str) -> None:
    """Check mode before there is a cache, or what speaks with it: no key is known to go."""
    module.warn(f"Cannot yet see which keys would go: {why}.")
    module.exit_json(changed=False, deleted=dict.fromkeys(module.params["prefixes"], 0), deleted_total=0)


if __name__ == "__main__":
    main()
