# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""clerk_probe against an API that verifies, and against ones that do not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import time
import typing as t

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ansible_collections.nexod.infra.plugins.module_utils._services.clerk_probe import signed

Run = t.Callable[..., dict[str, t.Any]]
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
OLD, NEW = (f"whsec_{base64.b64encode(f'canary of secret {n}'.encode()).decode()}" for n in (1, 2))
NAMES = {
    "keys": "Clerk's keys can be read",
    "none": "a request without a token is refused",
    "forged token": "a token that Clerk has not signed is refused",
    "token": "a token of the test key is accepted",
    "forged": "a webhook with a wrong signature is refused",
    "old": "a webhook of Clerk is accepted, by secret 1 of 2",
    "new": "a webhook of Clerk is accepted, by secret 2 of 2",
    "again": "a webhook that is repeated changes nothing",
    "created": "the user of a webhook is created",
    "removed": "the user of a webhook is removed",
}


class Api:
    """An API that does what it should, but for its `faults`."""

    def __init__(self, faults: frozenset[str]) -> None:
        self.faults = faults
        self.url = ""
        self.users: dict[str, int] = {}
        self.seen: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.secret_keys: set[str] = set()

    def answer(self, method: str, path: str, headers: t.Any, body: bytes) -> tuple[int, object]:
        self.asked.append((method, path))
        if path == "/jwks":
            return (503, "") if "no keys" in self.faults else (200, {"keys": [{"kty": "RSA", "kid": "ins_1"}]})
        if path == "/v1/instance":
            known = headers["Authorization"].removeprefix("Bearer ") in self.secret_keys
            return (200, {}) if known else (401, {"errors": [{"message": "invalid"}]})
        if path == "/me":
            return (200, {}) if "any token" in self.faults or self.is_ours(headers["Authorization"]) else (401, "")
        if path.startswith("/users/"):
            return (200, {}) if int(path.rpartition("/")[2]) in self.users.values() else (404, "")
        if "down" in self.faults:
            return 500, "canary"
        return self.webhook(headers, body)

    def is_ours(self, authorization: str | None) -> bool:
        head, _dot, signature = (authorization or "").removeprefix("Bearer ").rpartition(".")
        try:
            decoded = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
            KEY.public_key().verify(decoded, head.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims = json.loads(base64.urlsafe_b64decode(head.partition(".")[2] + "=="))
        except (InvalidSignature, ValueError):
            return False
        return (claims["iss"], claims["azp"], claims["exp"] > time.time()) == (
            "https://c.example",
            "https://a.example",
            True,
        )

    def webhook(self, headers: t.Any, body: bytes) -> tuple[int, object]:
        secrets = (
            [OLD] if "old secret only" in self.faults else [NEW] if "new secret only" in self.faults else [OLD, NEW]
        )
        content = f"{headers['svix-id']}.{headers['svix-timestamp']}.".encode() + body
        expected = [
            base64.b64encode(
                hmac.new(base64.b64decode(one.removeprefix("whsec_")), content, hashlib.sha256).digest()
            ).decode()
            for one in secrets
        ]
        if "any signature" not in self.faults and headers["svix-signature"].removeprefix("v1,") not in expected:
            return 401, {"detail": "its signature is wrong"}
        sent = json.loads(body)
        user = sent["data"]["id"]
        assert user.startswith("user_nexod_verify_")
        if sent["type"] == "user.deleted":
            if "keeps users" not in self.faults:
                self.users.pop(user, None)
        elif "forgets users" in self.faults:
            return 200, {"user_id": 99}
        elif headers["svix-id"] not in self.seen or "repeats" in self.faults:
            self.users[user] = self.users.get(user, 0) + 7 if "repeats" in self.faults else self.users.get(user, 7)
        self.seen.add(headers["svix-id"])
        return 200, {"user_id": self.users.get(user)}


@contextlib.contextmanager
def running(*faults: str) -> t.Iterator[Api]:
    api = Api(frozenset(faults))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = api.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_arguments: t.Any) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        api.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def options(api: Api) -> dict[str, t.Any]:
    signed = {"test_key": PEM, "issuer": "https://c.example", "origin": "https://a.example"}
    return {"url": api.url, "jwks_url": f"{api.url}/jwks", "webhook_secrets": [OLD, NEW], **signed}


@pytest.mark.parametrize(
    ("faults", "failed"),
    [
        ((), []),
        (("no keys",), ["keys"]),
        (("any token",), ["none", "forged token"]),
        (("any signature",), ["forged"]),
        # One half of a rotation.
        (("new secret only",), ["old", "again"]),
        (("old secret only",), ["new"]),
        (("repeats",), ["again", "created"]),
        (("forgets users",), ["created"]),
        (("keeps users",), ["removed"]),
        (("down",), ["forged", "old", "new"]),
    ],
)
def test_each_fault_fails_its_own_check(run_module: Run, faults: tuple[str, ...], failed: list[str]) -> None:
    with running(*faults) as api:
        result = run_module("clerk_probe", options(api))
    found = {row["name"].partition(" at http")[0]: row["passed"] for row in result["checks"]}
    assert [name for name, passed in found.items() if not passed] == [NAMES[one] for one in failed]
    assert result["verdict"] == ("missed" if failed else "met")
    assert len(result["faults"]) == len(failed)
    if not failed:
        assert list(found) == list(NAMES.values())
        assert result["says"] == "Clerk: met (10 of 10 checks passed)"
    assert api.users == {} or "keeps users" in faults
    assert [one for one in (OLD, NEW, PEM) if one in json.dumps(result)] == []


def test_a_signature_is_that_of_the_vendors_library() -> None:
    """Signed by the library svix 2.9.1, also with the padding left out."""
    sent = {"test": 2432232314}
    for secret in ("whsec_MfKQ9r8GKYqTwUPD8ILPZIo2LaLaSw==", "whsec_MfKQ9r8GKYqTwUPD8ILPZIo2LaLaSw"):
        headers = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", sent, 1614265330.9)
        assert headers["svix-signature"] == "v1,ycrBnQSdMfrPtr3c829tMkKNLs7sG4EUsl1WMhToQic="
        assert headers["svix-timestamp"] == "1614265330"


@pytest.mark.parametrize(
    ("declared", "accepted", "passed", "says"),
    [
        (["sk_new"], {"sk_new"}, True, "1 of 1 checks passed)"),
        (["sk_new"], set(), False, "0 of 1 checks passed)"),
        (
            ["sk_new", "sk_old"],
            {"sk_new", "sk_old"},
            True,
            "; secret key 1 of 2 is in use; Clerk still accepts secret key 2)",
        ),
        (["sk_new", "sk_old"], {"sk_new"}, True, "; Clerk refuses secret key 2, so no longer declare it)"),
        (["sk_old", "sk_new"], {"sk_new"}, False, "; Clerk still accepts secret key 2)"),
    ],
)
def test_the_secret_keys_of_a_rotation(
    run_module: Run, declared: list[str], accepted: set[str], passed: bool, says: str
) -> None:
    with running() as api:
        api.secret_keys = accepted
        given = {"url": api.url, "token_path": "", "api_url": f"{api.url}/", "secret_keys": declared}
        result = run_module("clerk_probe", given)
    assert [row["passed"] for row in result["checks"]] == [passed]
    assert says in result["says"]
    assert [one for one in declared if one in json.dumps(result)] == []


def test_only_what_is_declared(run_module: Run) -> None:
    with running() as api:
        result = run_module(
            "clerk_probe", {"url": api.url, "token_path": "", "webhook_secrets": [OLD], "user_path": ""}
        )
    assert [row["name"] for row in result["checks"]] == [
        NAMES["forged"],
        "a webhook of Clerk is accepted",
        NAMES["again"],
    ]
    assert api.users == {}


def test_check_mode_sends_nothing(run_module: Run) -> None:
    with running() as api:
        result = run_module("clerk_probe", options(api), check_mode=True)
    assert (api.asked, result["verdict"], result["faults"]) == ([], "not enough data", [])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            {"webhook_secrets": ["whsec_canary!"]},
            "Cannot use a secret of Clerk's webhooks: it is not whsec_ and base64",
        ),
        ({"test_key": "canary"}, "Cannot use the test key: it is no private RSA key"),
    ],
)
def test_a_secret_that_is_none(run_module: Run, wrong: dict[str, t.Any], says: str) -> None:
    with running() as api:
        result = run_module("clerk_probe", {**options(api), **wrong})
    assert says in result["msg"]
    assert "canary" not in json.dumps({name: value for name, value in result.items() if name != "invocation"})
    assert not any(method == "POST" for method, _path in api.asked)
