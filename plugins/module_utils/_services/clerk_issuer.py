# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an issuer of tokens is Clerk's, and the instance that the secret key belongs to: before an API trusts it."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._services.client import BUSY, LIMITED, Client

#: What the keys of an instance are at, below its Frontend API URL.
KEYS = "/.well-known/jwks.json"
#: The same, in the Backend API, of the instance that the secret key belongs to.
OWN_KEYS = "/v1/jwks"
ATTEMPTS, PAUSE, TIMEOUT = 3, 2.0, 15.0
NEXT_STEP = "Set it to the Frontend API URL of the instance (Clerk's dashboard, API keys), such as {example}."
EXAMPLE = "https://clerk.example.com"


def key_ids(answer: Answer) -> list[str]:
    """The ids of the keys by which tokens are verified; none if the answer is no such document."""
    document = answer.document if answer.status == 200 else None
    return ids_in(document.get("keys") if isinstance(document, dict) else None)


def ids_in(keys: t.Any) -> list[str]:
    rows = keys if isinstance(keys, list) else []
    return sorted(
        str(key["kid"]) for key in rows if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("kid")
    )


def refuse_another(
    issuer: str, client: Client | None, *, asked: t.Callable[..., Answer] = ask, clock: t.Any = time
) -> None:
    """Raise InfraError unless the keys of `issuer` can be read, and are those of `client`'s instance, if given.

    The issuer may be a mistake, so it never gets the secret key.
    """
    where = issuer.rstrip("/") + KEYS
    for number in range(1, ATTEMPTS + 1):
        answer = asked(where, timeout=TIMEOUT, proxies=True)
        if answer.status not in (*BUSY, LIMITED) or number == ATTEMPTS:
            break
        clock.sleep(PAUSE)
    found = key_ids(answer)
    if not found:
        said = f"HTTP {answer.status}" if answer.status else f"no answer: {answer.reason}"
        said = "there are none" if answer.status == 200 else said
        raise mistake(issuer, f"Clerk's keys can't be read at {where} ({said})")
    own = ids_in((client.get(OWN_KEYS) or {}).get("keys")) if client else []
    if own and not set(own) & set(found):
        raise mistake(
            issuer, f"its keys ({', '.join(found)}) are not those of the secret key's instance ({', '.join(own)})"
        )


def mistake(issuer: str, cause: str) -> InfraError:
    return InfraError("use", f"the issuer of Clerk's tokens {issuer}", cause, NEXT_STEP.format(example=EXAMPLE))
