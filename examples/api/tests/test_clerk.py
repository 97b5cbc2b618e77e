"""Clerk's session tokens and webhooks, with keys of the test: nothing is asked of Clerk."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import ask
from ansible_collections.nexod.infra.plugins.module_utils._services.clerk_probe import Probe

if TYPE_CHECKING:
    from conftest import Answer, Bench, Release, Server

ORIGIN, ISSUER = "https://app.example.com", "https://clerk.example.com"
KEY, NEXT_KEY, FOREIGN_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3))
OLD_SECRET, NEW_SECRET, FOREIGN_SECRET = (f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in (1, 2, 3))
ADA = "user_ada"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pem(key: rsa.RSAPrivateKey) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def token(key: rsa.RSAPrivateKey = KEY, head: dict[str, Any] | None = None, **claims: Any) -> str:
    """A session token as Clerk signs it; a claim of None is left out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "sub": ADA, "azp": ORIGIN, "sid": "sess_1", "sts": "active", "v": 2}
    body = {**usual, "iat": now, "nbf": now - 10, "exp": now + 60, **claims}
    parts = ({"alg": "RS256", "typ": "JWT", **(head or {})}, {k: v for k, v in body.items() if v is not None})
    content = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    if parts[0]["alg"] == "none":
        return f"{content}."
    if parts[0]["alg"] == "HS256":
        return f"{content}.{encoded(hmac.new(pem(key).encode(), content.encode(), hashlib.sha256).digest())}"
    return f"{content}.{encoded(key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def me(server: Server, given: str) -> Answer:
    return server.ask("GET", "/me", headers={"Authorization": f"Bearer {given}"})


def signature(secret: str, message: str, sent: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, f"{message}.{sent}.".encode() + body, "sha256")).decode()


def user(changed: int = 1, clerk_id: str = ADA, address: str = "ada@example.net", **more: Any) -> dict[str, Any]:
    addresses = [{"id": "idn_1", "email_address": address, "verification": {"status": "verified"}}]
    given = {"primary_email_address_id": "idn_1", "email_addresses": addresses, "first_name": "Ada", "last_name": None}
    return {"id": clerk_id, "object": "user", "updated_at": changed, **given, **more}


class Sender:
    """Svix, which sends Clerk's webhooks."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.number = 0

    def send(
        self,
        kind: str,
        data: dict[str, Any],
        message: str = "",
        secrets: tuple[str, ...] = (OLD_SECRET,),
        age: int = 0,
        **headers: str,
    ) -> Answer:
        self.number += 1
        message = message or f"msg_{id(self)}_{self.number}"
        body = json.dumps({"object": "event", "type": kind, "data": data}).encode()
        sent = int(time.time()) - age
        signed = " ".join(signature(secret, message, sent, body) for secret in secrets)
        usual = {"svix-id": message, "svix-timestamp": str(sent), "svix-signature": signed}
        return self.server.ask("POST", "/webhooks/clerk", body, headers={**usual, **headers})


@contextlib.contextmanager
def keys_at_a_url() -> Iterator[tuple[str, dict[str, rsa.RSAPrivateKey | None], list[str]]]:
    """The URL of a key set, its keys by name (None: it does not answer), and what was asked."""
    keys: dict[str, rsa.RSAPrivateKey | None] = {"first": KEY}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            rows = []
            for name, key in keys.items():
                if key is None:
                    self.send_error(503)
                    return
                numbers = key.public_key().public_numbers()
                row = {"n": encoded(numbers.n.to_bytes(256, "big")), "e": encoded(numbers.e.to_bytes(3, "big"))}
                rows.append({"kid": name, "kty": "RSA", "alg": "RS256", "use": "sig", **row})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": rows}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/.well-known/jwks.json", keys, asked
        finally:
            httpd.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def clerk_server(migrated: Bench, new: Release) -> Iterator[Server]:
    settings = {
        "API_ALLOWED_ORIGINS": ORIGIN,
        # Two while one replaces the other, on one line as in a file of environment variables.
        "CLERK_JWT_KEY": (pem(KEY) + pem(NEXT_KEY)).replace("\n", "\\n"),
        "CLERK_ISSUER": ISSUER,
        "CLERK_AUTHORIZED_PARTIES": f"{ORIGIN}, https://staging.example.com",
        "CLERK_WEBHOOK_SIGNING_SECRET": f"{OLD_SECRET} {NEW_SECRET}",
    }
    with migrated.serve(new, **settings) as running:
        yield running


@pytest.mark.parametrize(("origin", "status"), [(ORIGIN, 200), ("https://evil.example", 400)])
def test_pages_of_another_origin(clerk_server: Server, origin: str, status: int) -> None:
    """A browser asks whether the front end may, before it sends a token."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = clerk_server.ask("OPTIONS", "/me", headers=asked)
    assert (answer.status, answer.headers.get("access-control-allow-origin") == ORIGIN) == (status, status == 200)
    answer = clerk_server.ask("GET", "/health", headers={"Origin": origin})
    assert (answer.headers.get("access-control-allow-origin") == ORIGIN) is (status == 200)


@pytest.fixture
def sender(clerk_server: Server) -> Sender:
    return Sender(clerk_server)


NOW = int(time.time())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({}, None, id="as Clerk signs it"),
        pytest.param({"key": NEXT_KEY}, None, id="by the next key"),
        pytest.param({"azp": "https://staging.example.com"}, None, id="of the other origin"),
        pytest.param({"azp": None}, None, id="of a native application"),
        pytest.param({"aud": "anybody"}, None, id="of a template with an audience, and none is required"),
        pytest.param({"nbf": NOW + 3}, None, id="within the clock skew"),
        pytest.param({"key": FOREIGN_KEY}, "signature is wrong", id="by a foreign key"),
        pytest.param({"exp": NOW - 60}, "expired", id="expired"),
        pytest.param({"exp": None}, "exp", id="without an end"),
        pytest.param({"nbf": NOW + 600}, "not yet valid", id="not yet valid"),
        pytest.param({"iat": NOW + 600}, "not yet valid", id="issued later"),
        pytest.param({"iss": "https://clerk.evil.example"}, "ssuer", id="of another instance"),
        pytest.param({"iss": None}, "iss", id="of no instance"),
        pytest.param({"azp": "https://evil.example"}, "another origin", id="of another origin"),
        pytest.param({"sts": "pending"}, "not complete", id="sign-in not complete"),
        pytest.param({"sub": None}, "sub", id="of nobody"),
        pytest.param({"head": {"alg": "none"}}, "alg", id="not signed"),
        pytest.param({"head": {"alg": "HS256"}}, "alg", id="signed with the public key as a secret"),
    ],
)
def test_session_tokens(clerk_server: Server, given: dict[str, Any], says: str | None) -> None:
    answer = me(clerk_server, token(**given))
    if says is None:
        assert (answer.status, answer.json["clerk_id"], answer.json["session_id"]) == (200, ADA, "sess_1")
    else:
        assert answer.status == 401
        assert says in answer.json["detail"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_is_in_the_header_or_in_the_cookie(clerk_server: Server) -> None:
    assert clerk_server.ask("GET", "/me", headers={"Cookie": f"__session={token()}"}).status == 200
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer nonsense"}):
        assert clerk_server.ask("GET", "/me", headers=headers).status == 401


def test_keys_at_a_url(migrated: Bench, new: Release) -> None:
    with keys_at_a_url() as (url, keys, asked), migrated.serve(new, CLERK_JWKS_URL=url) as server:
        issuer = url.removesuffix("/.well-known/jwks.json")
        keys["first"] = None
        answers = [me(server, token(iss=issuer, head={"kid": "first"})).status for _ in range(3)]
        assert (answers, len(asked)) == ([503] * 3, 1), "the keys are not known, and not asked for by every request"
    with keys_at_a_url() as (url, keys, asked), migrated.serve(new, CLERK_JWKS_URL=url) as server:
        issuer = url.removesuffix("/.well-known/jwks.json")
        assert [me(server, token(iss=issuer, head={"kid": "first"})).status for _ in range(3)] == [200] * 3
        assert me(server, token(head={"kid": "first"})).status == 401, "the issuer follows from the URL"
        unknown = [me(server, token(NEXT_KEY, {"kid": f"made up {n}"}, iss=issuer)).status for n in range(20)]
        assert (set(unknown), len(asked)) == ({401}, 1), "nobody makes the API ask Clerk again and again"
        assert me(server, token(iss=issuer)).status == 401, "which key is not said"


KEYS = """
import json, sys
from nexod_api.clerk import Keys, KeysUnknownError, RefusedError
now = 0
keys = Keys(sys.argv[1], clock=lambda: now)
for line in sys.stdin:
    now, name = json.loads(line)
    try:
        print(keys.named(name).key_id, flush=True)
    except (KeysUnknownError, RefusedError) as error:
        print(type(error).__name__, flush=True)
"""


def test_a_key_that_clerk_rotates(new: Release) -> None:
    with keys_at_a_url() as (url, keys, asked):
        argv = [new.venv / "bin" / "python", "-c", KEYS, url]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(argv, cwd="/", stderr=subprocess.DEVNULL, **pipes) as process:

            def named(now: int, name: str) -> str:
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps([now, name]) + "\n")
                process.stdin.flush()
                return process.stdout.readline().strip()

            assert (named(0, "first"), len(asked)) == ("first", 1)
            keys["second"] = NEXT_KEY
            assert (named(5, "second"), len(asked)) == ("RefusedError", 1)
            assert (named(11, "second"), len(asked)) == ("second", 2)
            keys["second"] = None
            assert (named(400, "first"), len(asked)) == ("first", 3), "while Clerk is away, the last ones serve"
            assert (named(401, "first"), len(asked)) == ("first", 3)
            del keys["first"]
            keys["second"] = NEXT_KEY
            assert (named(800, "first"), named(800, "second")) == ("RefusedError", "second")
            process.stdin.close()  # type: ignore[union-attr]


# Signed by the library svix 2.9.1.
SVIX = """
import sys
from nexod_api.clerk import Clerk
from nexod_api.settings import Settings
clerk = Clerk(Settings.read({"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_MfKQ9r8GKYqTwUPD8ILPZIo2LaLaSw"}))
headers = {
    "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "svix-timestamp": "1614265330",
    "svix-signature": "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,ycrBnQSdMfrPtr3c829tMkKNLs7sG4EUsl1WMhToQic=",
}
print(clerk.verify_webhook(headers, b'{"test": 2432232314}', 1614265330 + int(sys.argv[1])))
"""


@pytest.mark.parametrize(("later", "accepted"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_what_the_vendors_own_library_signs(new: Release, later: int, accepted: bool) -> None:
    argv = [new.venv / "bin" / "python", "-c", SVIX, str(later)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    assert (done.stdout.strip() == "msg_p5jXN8AQM9LWM0D4loKWxJek") is accepted, done.stderr
    assert accepted or "too old" in done.stderr


def test_a_secret_that_is_none_stops_the_start_and_is_not_shown(new: Release, bench: Bench) -> None:
    argv = [new.venv / "bin" / "nexod-api", "serve", "--port", "1"]
    environment = bench.environment(CLERK_WEBHOOK_SIGNING_SECRET="whsec_canary!")
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, cwd="/", timeout=30)
    assert done.returncode != 0
    assert "it is not whsec_ and base64" in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("given", "status"),
    [
        pytest.param({}, 200, id="by the old secret"),
        pytest.param({"secrets": (NEW_SECRET,)}, 200, id="by the new secret"),
        pytest.param({"secrets": (FOREIGN_SECRET, NEW_SECRET)}, 200, id="one of several signatures"),
        pytest.param({"age": 290}, 200, id="within five minutes"),
        pytest.param({"secrets": (FOREIGN_SECRET,)}, 401, id="by a foreign secret"),
        pytest.param({"age": 310}, 401, id="too old"),
        pytest.param({"age": -310}, 401, id="of the future"),
        pytest.param({"svix-id": "msg_other"}, 401, id="of another message"),
        pytest.param({"svix-timestamp": "1_0"}, 401, id="without a time"),
        pytest.param({"svix-signature": ""}, 401, id="without a signature"),
        pytest.param({"svix-signature": "v1a,AAAA v2,é"}, 401, id="signatures of another kind"),
    ],
)
def test_signatures_of_webhooks(sender: Sender, given: dict[str, Any], status: int) -> None:
    headers = {name: given.pop(name) for name in list(given) if name.startswith("svix-")}
    answer = sender.send("session.created", {"id": "sess_1"}, **given, **headers)
    assert answer.status == status
    assert status != 200 or answer.json["status"] == "ignored"


def test_a_webhook_that_was_changed_on_its_way(clerk_server: Server) -> None:
    body, sent = b'{"type": "user.deleted", "data": {"id": "user_1"}}', int(time.time())
    headers = {
        "svix-id": "msg_1",
        "svix-timestamp": str(sent),
        "svix-signature": signature(OLD_SECRET, "msg_1", sent, body),
    }
    assert (
        clerk_server.ask("POST", "/webhooks/clerk", body.replace(b"user_1", b"user_2"), headers=headers).status == 401
    )
    assert clerk_server.ask("POST", "/webhooks/clerk", b"x" * 300_000, headers=headers).status == 413


def rows(bench: Bench) -> str:
    return bench.sql("SELECT email || ' ' || full_name FROM users WHERE email LIKE '%@example.net' ORDER BY email")


def test_a_user_follows_clerk(migrated: Bench, sender: Sender, clerk_server: Server) -> None:
    before = sender.server.ask("POST", "/users", {"email": "ada@example.net", "full_name": "Signed in before"}).json
    made = sender.send("user.created", user(), "msg_created")
    assert made.json == {"status": "created", "user_id": before["id"]}
    assert me(clerk_server, token()).json["user_id"] == before["id"]
    assert rows(migrated) == "ada@example.net Ada"
    clerk_server.ask("GET", f"/users/{before['id']}")
    changed = user(3, address="ada.king@example.net", last_name="King")
    assert sender.send("user.updated", changed).json["status"] == "updated"
    assert rows(migrated) == "ada.king@example.net Ada King"
    assert clerk_server.ask("GET", f"/users/{before['id']}").json["full_name"] == "Ada King", "not from the cache"
    # Each again, and an older one that comes late.
    assert sender.send("user.created", user(), "msg_created").json == {"status": "known", "user_id": before["id"]}
    assert sender.send("user.updated", user(2)).json["status"] == "older"
    assert rows(migrated) == "ada.king@example.net Ada King"
    gone = sender.send("user.deleted", {"id": ADA, "object": "user", "deleted": True}, "msg_deleted")
    assert gone.json == {"status": "deleted", "user_id": before["id"]}
    again = sender.send("user.deleted", {"id": ADA, "object": "user", "deleted": True}, "msg_deleted")
    assert again.json == {"status": "known", "user_id": None}
    assert clerk_server.ask("GET", f"/users/{before['id']}").status == 404, "not from the cache"
    assert sender.send("user.updated", user(9)).json["status"] == "older", "a late message creates nobody again"
    assert rows(migrated) == ""
    assert me(clerk_server, token()).json["user_id"] is None


def test_an_update_that_comes_first_creates_the_user(migrated: Bench, sender: Sender) -> None:
    assert sender.send("user.updated", user(5, "user_first", "first@example.net")).json["status"] == "created"
    assert sender.send("user.created", user(4, "user_first", "late@example.net")).json["status"] == "older"
    assert sender.send("user.deleted", {"id": "user_first"}).json["status"] == "deleted"
    assert rows(migrated) == ""


def test_an_address_without_proof_is_not_the_way_to_its_user(migrated: Bench, sender: Sender) -> None:
    victim = sender.server.ask("POST", "/users", {"email": "victim@example.net", "full_name": "Victim"}).json["id"]
    data = user(1, "user_thief", "victim@example.net")
    data["email_addresses"][0]["verification"] = {"status": "unverified"}
    thief = sender.send("user.created", data).json["user_id"]
    assert thief not in {None, victim}
    # Another's address stays another's, and is no error that Svix would repeat for days.
    assert sender.send("user.updated", user(2, "user_thief", "victim@example.net")).json["user_id"] == thief
    assert rows(migrated) == "victim@example.net Victim"
    sender.send("user.deleted", {"id": "user_thief"})
    assert migrated.sql(f"DELETE FROM users WHERE id = {victim} RETURNING email") == "victim@example.net"


def test_an_address_that_has_gone_to_another_user(migrated: Bench, sender: Sender) -> None:
    first = sender.send("user.created", user(1, "user_a", "moved@example.net")).json["user_id"]
    assert sender.send("user.created", user(2, "user_b", "moved@example.net")).json["user_id"] == first
    assert sender.send("user.deleted", {"id": "user_a"}).json == {"status": "deleted", "user_id": None}
    assert rows(migrated) == "moved@example.net Ada"
    assert sender.send("user.deleted", {"id": "user_b"}).json["user_id"] == first


def test_what_is_signed_and_makes_no_sense(sender: Sender) -> None:
    assert sender.send("user.created", {"object": "user"}).status == 422


def test_without_settings_there_is_no_clerk(server: Server) -> None:
    assert me(server, token()).status == 404
    assert Sender(server).send("user.created", user()).status == 404
    assert server.ask("GET", "/ready").status == 200


class Probed:
    """What the collection's verification asks of an API, and the rows of its test user after each request."""

    def __init__(self, server: Server, bench: Bench, **more: Any) -> None:
        self.server, self.bench, self.rows = server, bench, list[str]()
        self.given: dict[str, Any] = {
            "url": f"http://127.0.0.1:{server.port}",
            "jwks_url": "",
            "token_path": "/me",
            "issuer": ISSUER,
            "origin": ORIGIN,
            "audience": "",
            "webhook_path": "/webhooks/clerk",
            "webhook_secrets": [OLD_SECRET, NEW_SECRET],
            "user_path": "/users/{user_id}",
            "secret_keys": [],
            **more,
        }

    def ask(self, url: str, **more: Any) -> Any:
        answer = ask(url, **more)
        self.rows.append(self.bench.sql("SELECT email FROM users WHERE email LIKE 'user\\_nexod\\_verify\\_%'"))
        return answer

    def failed(self, key: rsa.RSAPrivateKey | None) -> list[str]:
        sign = None if key is None else lambda content: key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        return [row["name"] for row in Probe(self.given, self.ask).run(sign) if not row["passed"]]


def test_the_verification_of_a_deploy_accepts_this_api(clerk_server: Server, migrated: Bench) -> None:
    """The user of its webhook is in the database meanwhile, and not afterwards; the token is verified offline."""
    with keys_at_a_url() as (url, _keys, _asked):
        probed = Probed(clerk_server, migrated, jwks_url=url)
        assert probed.failed(KEY) == []
    assert any(row.startswith("user_nexod_verify_") and row.endswith("@nexod.invalid") for row in probed.rows)
    assert probed.rows[-1] == ""


def test_the_verification_of_a_deploy_names_what_this_api_refuses(clerk_server: Server, migrated: Bench) -> None:
    probed = Probed(clerk_server, migrated, webhook_secrets=[FOREIGN_SECRET])
    assert probed.failed(FOREIGN_KEY) == [
        "a token of the test key is accepted",
        "a webhook of Clerk is accepted",
    ]
    assert set(probed.rows) == {""}


def test_the_verification_of_a_deploy_of_an_api_without_clerk(server: Server, migrated: Bench) -> None:
    probed = Probed(server, migrated, webhook_secrets=[OLD_SECRET])
    assert "a webhook of Clerk is accepted" in probed.failed(None)
    assert set(probed.rows) == {""}
