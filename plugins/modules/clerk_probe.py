#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that an API accepts what Clerk signs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clerk_probe
short_description: Verify that an API accepts what Clerk signs, and nothing else
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Checks from outside what Clerk's API cannot configure. The keys of the instance can be read, a session token that
    Clerk has not signed is refused, and one of a test key is accepted where there is one.
  - With O(webhook_secrets), sends webhooks as Svix does for Clerk. A wrong signature must be refused, and each of the
    declared secrets accepted, as both must be while one replaces the other. The user of these webhooks must exist
    afterwards, and be gone once its deletion was sent.
  - That user has an id that begins with C(user_nexod_verify_) and an address in C(nexod.invalid). It is removed
    whatever the checks find. Only a run that is killed in between leaves it.
  - Does not fail if a check does; acting on RV(faults) is left to the caller. Asks nothing of Clerk but its keys,
    and with O(secret_keys) whether it accepts them.
  - In check mode nothing is sent, because the API may not be deployed yet.
  - Built to Clerk's published interface. Its webhooks are accepted by Svix's own library, and tokens like its own by
    C(clerk-backend-api); never run against the live service.
options:
  url:
    description: Base URL of the API.
    type: str
    required: true
  jwks_url:
    description: URL of the instance's keys, such as V(https://clerk.example.com/.well-known/jwks.json). Empty skips it.
    type: str
    default: ""
  token_path:
    description: Path that requires a session token in C(Authorization). Empty skips the checks of tokens.
    type: str
    default: /me
  test_key:
    description:
      - Private RSA key as PEM whose tokens the API accepts too, where there is one. Whoever has it can sign in as
        anybody, so production should have none. Needs the Python library C(cryptography), which ansible-core depends
        on.
    type: str
    default: ""
  issuer:
    description: Issuer that tokens must name.
    type: str
    default: ""
  origin:
    description: Origin that tokens must name as their authorized party.
    type: str
    default: ""
  audience:
    description: Audience that tokens must have.
    type: str
    default: ""
  webhook_path:
    description: Path of the endpoint for webhooks.
    type: str
    default: /webhooks/clerk
  webhook_secrets:
    description:
      - Signing secrets of the endpoint that the API accepts, secrets. Two while one replaces the other. Empty skips the
        checks of webhooks.
    type: list
    elements: str
    default: []
  secret_keys:
    description:
      - Secret keys of the instance, secrets. Two while one replaces the other, the new one first. Clerk must accept the
        first one, which is the one in use; RV(says) reports whether it accepts the others. Empty skips it.
    type: list
    elements: str
    default: []
  api_url:
    description: URL of Clerk's API, for O(secret_keys).
    type: str
    default: https://api.clerk.com
  user_path:
    description:
      - Path at which the user of a webhook is found. C({user_id}) is replaced by the key C(user_id) of the JSON answer
        to the webhook. Empty skips it.
    type: str
    default: /users/{user_id}
seealso:
  - module: nexod.infra.api_probe
"""

EXAMPLES = r"""
- name: Verify that the API accepts what Clerk signs
  nexod.infra.clerk_probe:
    url: https://api.example.com
    jwks_url: https://clerk.example.com/.well-known/jwks.json
    webhook_secrets: "{{ clerk_webhook_secrets }}"
  register: clerk

- name: Refuse an API that does not
  ansible.builtin.assert:
    that: clerk.faults | length == 0
    fail_msg: "{{ clerk.faults | join('; ') }}"
"""

RETURN = r"""
verdict:
  description: V(met), V(missed), or V(not enough data) in check mode.
  returned: success
  type: str
says:
  description: The verdict as a sentence.
  returned: success
  type: str
  sample: "Clerk: met (8 of 8 checks passed)"
checks:
  description: The checks, each with C(name), C(passed) and C(cause), which is empty if it passed.
  returned: success
  type: list
  elements: dict
faults:
  description: The checks that failed, and why.
  returned: success
  type: list
  elements: str
"""

import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.clerk_probe import Probe, verdict

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    MISSING = ""
except ImportError:
    MISSING = traceback.format_exc()

ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "jwks_url": {"type": "str", "default": ""},
    "token_path": {"type": "str", "default": "/me", "no_log": False},
    "test_key": {"type": "str", "default": "", "no_log": True},
    "issuer": {"type": "str", "default": ""},
    "origin": {"type": "str", "default": ""},
    "audience": {"type": "str", "default": ""},
    "webhook_path": {"type": "str", "default": "/webhooks/clerk"},
    "webhook_secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "secret_keys": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "api_url": {"type": "str", "default": "https://api.clerk.com"},
    "user_path": {"type": "str", "default": "/users/{user_id}"},
}


def signer(pem: str) -> t.Callable[[bytes], bytes]:
    """Signs as RS256 does."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        next_step = "Give one as PEM: openssl genrsa 2048 prints one."
        raise InfraError("use", "the test key", "it is no private RSA key", next_step)
    private = key
    return lambda content: private.sign(content, padding.PKCS1v15(), hashes.SHA256())


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if module.check_mode:
        says = "Clerk: not enough data (check mode deploys nothing)"
        module.exit_json(changed=False, verdict="not enough data", says=says, checks=[], faults=[])
    if given["test_key"] and MISSING:
        module.fail_json(msg=missing_required_lib("cryptography"), exception=MISSING)
    with edge(module, "verify what Clerk signs at", given["url"]):
        probe = Probe(given)
        rows = probe.run(signer(given["test_key"]) if given["test_key"] else None)
        module.exit_json(changed=False, **verdict(rows, probe.notes))


if __name__ == "__main__":
    main()
