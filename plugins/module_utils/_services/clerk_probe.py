# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an API accepts what Clerk signs, refuses what it does not, and follows its users; seen from outside."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask

Facts = t.Mapping[str, t.Any]
Row = dict[str, t.Any]
Ask = t.Callable[..., Answer]
Sign = t.Callable[[bytes], bytes]

#: What the ids of test users begin with. None of Clerk's has underscores after the first.
RESERVED = "user_nexod_verify_"
REFUSALS = (400, 401, 403)
PREFIX = "whsec_"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(given: Facts, user: str, now: float, sign: Sign) -> str:
    """A session token, as Clerk's front end has it, signed by `sign`."""
    optional = {"iss": given["issuer"], "azp": given["origin"], "aud": given["audience"]}
    claims = {
        **{name: value for name, value in optional.items() if value},
        "sub": user,
        "sid": "sess_nexod_verify",
        "sts": "active",
        "v": 2,
        "iat": int(now),
        "nbf": int(now) - 10,
        "exp": int(now) + 60,
    }
    parts = ({"alg": "RS256", "kid": "nexod_verify", "typ": "JWT"}, claims)
    content = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{content}.{encoded(sign(content.encode()))}"


def key_of(secret: str) -> bytes:
    """The key in a secret of webhooks, whose padding may be missing. Raises InfraError, without its text."""
    text = secret.removeprefix(PREFIX).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        next_step = "Copy the signing secret of the endpoint from Clerk's dashboard (Configure, Webhooks)."
        raise InfraError("use", "a secret of Clerk's webhooks", f"it is not {PREFIX} and base64", next_step) from None


def signed(secret: str, message: str, document: Facts, now: float) -> dict[str, str]:
    """The headers of a webhook, as Svix sends them. `document` is sent as json.dumps writes it."""
    content = f"{message}.{int(now)}.".encode() + json.dumps(document).encode()
    digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"svix-id": message, "svix-timestamp": str(int(now)), "svix-signature": signature}


def event(kind: str, user: str, changed: int) -> Row:
    """A webhook about the test user, who has an address at which nobody can be reached."""
    if kind == "user.deleted":
        data: Row = {"id": user, "object": "user", "deleted": True}
    else:
        address = {
            "id": "idn_nexod_verify",
            "object": "email_address",
            "email_address": f"{user}@nexod.invalid",
            "verification": {"status": "verified", "strategy": "admin"},
        }
        names = {"first_name": "Test", "last_name": "of a deploy"}
        data = {"id": user, "object": "user", **names, "created_at": changed, "updated_at": changed}
        data |= {"primary_email_address_id": address["id"], "email_addresses": [address]}
    return {"object": "event", "type": kind, "data": data}


class Probe:
    """The checks, each a row with `name`, `passed` and, if it failed, `cause`."""

    def __init__(self, given: Facts, asked: Ask = ask, clock: t.Callable[[], float] = time.time) -> None:
        self.given, self.ask, self.clock = given, asked, clock
        self.rows: list[Row] = []
        #: What is no check, but worth knowing.
        self.notes: list[str] = []
        # One that has been removed can't come back: an API has to ignore late messages about it.
        self.user = RESERVED + secrets.token_hex(8)
        #: The API's own id of it.
        self.found: t.Any = None

    def run(self, sign: Sign | None) -> list[Row]:
        if self.given["jwks_url"]:
            self.keys()
        if self.given["secret_keys"]:
            self.secret_keys(self.given["secret_keys"])
        if self.given["token_path"]:
            self.tokens(sign)
        if self.given["webhook_secrets"]:
            self.webhooks(self.given["webhook_secrets"])
        return self.rows

    def row(self, name: str, *, passed: bool, cause: str = "") -> None:
        self.rows.append({"name": name, "passed": passed, "cause": "" if passed else cause})

    def judge(self, name: str, answer: Answer, *, passed: bool) -> None:
        body = " ".join(answer.body.split())[:200]
        said = f"HTTP {answer.status}: {body or answer.reason}" if answer.status else f"no answer: {answer.reason}"
        self.row(name, passed=passed, cause=said)

    def keys(self) -> None:
        answer = self.ask(self.given["jwks_url"], proxies=True)
        document = answer.document if answer.status == 200 else None
        keys = document.get("keys") if isinstance(document, dict) else None
        usable = [key for key in keys or () if isinstance(key, dict) and key.get("kty") == "RSA" and key.get("kid")]
        self.judge(f"Clerk's keys can be read at {self.given['jwks_url']}", answer, passed=bool(usable))

    def secret_keys(self, declared: t.Sequence[str]) -> None:
        """The first is the one that is in use. Another one is the old one, until nothing uses it any more."""
        where, several = f"{self.given['api_url'].rstrip('/')}/v1/instance", len(declared) > 1
        for number, key in enumerate(declared, 1):
            answer = self.ask(where, authorization=f"Bearer {key}", proxies=True)
            if number == 1:
                which = f"secret key 1 of {len(declared)}, which is the one in use" if several else "the secret key"
                self.judge(f"Clerk accepts {which}", answer, passed=answer.status == 200)
            elif answer.status == 200:
                self.notes.append(f"Clerk still accepts secret key {number}")
            elif answer.status == 401:
                self.notes.append(f"Clerk refuses secret key {number}, so no longer declare it")
        if several:
            self.notes.insert(0, f"secret key 1 of {len(declared)} is in use")

    def at(self, path: str) -> str:
        return f"{self.given['url'].rstrip('/')}{path}"

    def tokens(self, sign: Sign | None) -> None:
        where, now = self.at(self.given["token_path"]), self.clock()
        forged = token(self.given, self.user, now, lambda _content: secrets.token_bytes(256))
        for name, headers in (
            ("a request without a token is refused", {}),
            ("a token that Clerk has not signed is refused", {"Authorization": f"Bearer {forged}"}),
        ):
            answer = self.ask(where, headers=headers)
            self.judge(name, answer, passed=answer.status in (401, 403))
        if sign:
            answer = self.ask(where, headers={"Authorization": f"Bearer {token(self.given, self.user, now, sign)}"})
            self.judge("a token of the test key is accepted", answer, passed=answer.status == 200)

    def send(self, secret: str, kind: str, message: str) -> Answer:
        now = self.clock()
        document = event(kind, self.user, int(now * 1000))
        headers = signed(secret, message, document, now)
        return self.ask(self.at(self.given["webhook_path"]), document=document, headers=headers)

    def webhooks(self, declared: t.Sequence[str]) -> None:
        message = f"msg_{self.user}"
        for secret in declared:
            key_of(secret)
        forged = PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()
        answer = self.send(forged, "user.created", f"{message}_0")
        self.judge("a webhook with a wrong signature is refused", answer, passed=answer.status in REFUSALS)
        try:
            answers = [
                self.send(secret, "user.updated" if number > 1 else "user.created", f"{message}_{number}")
                for number, secret in enumerate(declared, 1)
            ]
            for number, answer in enumerate(answers, 1):
                which = f", by secret {number} of {len(declared)}" if len(declared) > 1 else ""
                self.judge(f"a webhook of Clerk is accepted{which}", answer, passed=accepted(answer))
            users = [user_in(answer) for answer in answers if accepted(answer)]
            if users:
                self.created(users[0], declared, message)
        finally:
            self.remove(declared, message)

    def created(self, user: t.Any, declared: t.Sequence[str], message: str) -> None:
        again = self.send(declared[0], "user.created", f"{message}_1")
        same = accepted(again) and user_in(again) in (None, user)
        self.judge("a webhook that is repeated changes nothing", again, passed=same)
        self.found = user
        if self.given["user_path"]:
            answer = self.ask(self.user_url(user))
            self.judge("the user of a webhook is created", answer, passed=user is not None and answer.status == 200)

    def user_url(self, user: t.Any) -> str:
        return self.at(self.given["user_path"].replace("{user_id}", str(user)))

    def remove(self, declared: t.Sequence[str], message: str) -> None:
        """Whatever came before: also where an answer was lost, the user may exist."""
        for number, secret in enumerate(declared, 1):
            answer = self.send(secret, "user.deleted", f"{message}_end_{number}")
            if accepted(answer):
                break
        if self.found is not None and self.given["user_path"]:
            left = self.ask(self.user_url(self.found))
            self.judge("the user of a webhook is removed", left, passed=left.status in (404, 410))


def accepted(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def user_in(answer: Answer) -> t.Any:
    """The API's own id of the user, in its answer to a webhook."""
    document = answer.document
    return document.get("user_id") if isinstance(document, dict) else None


def verdict(rows: t.Sequence[Row], notes: t.Sequence[str] = ()) -> Row:
    """The outcome of all checks, with those that failed as faults."""
    faults = [f"Clerk: check failed: {row['name']} ({row['cause']})" for row in rows if not row["passed"]]
    passed = len(rows) - len(faults)
    says = f"Clerk: {'missed' if faults else 'met'} ({'; '.join([f'{passed} of {len(rows)} checks passed', *notes])})"
    return {"verdict": "missed" if faults else "met", "says": says, "checks": list(rows), "faults": faults}
