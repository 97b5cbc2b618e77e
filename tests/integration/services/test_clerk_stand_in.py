"""`clerk-backend-api` takes the stand-in for Clerk's API: it parses each answer with the vendor's own models."""

from __future__ import annotations

import base64
import json
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._services import clerk_probe
from ansible_collections.nexod.infra.tests.fixtures.services import clerk, client
from ansible_collections.nexod.infra.tests.fixtures.services.running import Services

from .clients import Library, loaded, python_clients

ORIGIN = "https://app.nexod.ai"
CLAIMS = {"role": "{{user.public_metadata.role}}", "nested": {"email": "{{user.primary_email_address}}"}}


@pytest.fixture(scope="module")
def process() -> t.Iterator[subprocess.Popen[str]]:
    with loaded(python_clients() / "bin/python", Path(__file__).with_name("clerk_sdk.py")) as found:
        yield found


@pytest.fixture
def library(services: Services, process: subprocess.Popen[str]) -> Library:
    return Library(process, f"{services.clerk.url}/v1", clerk.TOKEN)


def test_a_changed_instance_is_read_back(library: Library) -> None:
    """204 says nothing: null and an empty list change nothing."""
    library("instance_settings.update", request={"allowed_origins": [ORIGIN]})
    assert library("instance_settings.get")["allowed_origins"] == [ORIGIN]
    for ignored in ([], None):
        library("instance_settings.update", request={"allowed_origins": ignored, "test_mode": True})
        assert library("instance_settings.get")["allowed_origins"] == [ORIGIN]


def test_redirect_urls(library: Library) -> None:
    made = library("redirect_urls.create", request={"url": f"{ORIGIN}/sso-callback"})
    assert library.tried("redirect_urls.create", request={"url": made["url"]})["status"] == 422
    assert library.tried("redirect_urls.create", request={"url": "banana:"})["status"] == 422
    assert library("redirect_urls.get", id=made["id"]) == made
    assert library("redirect_urls.list") == [made]
    assert library("redirect_urls.delete", id=made["id"])["deleted"] is True
    assert library.tried("redirect_urls.get", id=made["id"])["status"] == 404


def test_jwt_templates(services: Services, library: Library) -> None:
    sent: dict[str, t.Any] = {"name": "api", "claims": CLAIMS, "lifetime": 120}
    made = library("jwt_templates.create", request=sent)
    # The library's model of the claims is an object without fields: it neither sends nor returns them.
    assert made["claims"] == {}
    url = f"{services.clerk.url}/v1/jwt_templates/{made['id']}"
    assert client.ask(url, "PATCH", sent, clerk.TOKEN).body["claims"] == CLAIMS
    assert (made["name"], made["lifetime"]) == ("api", 120)
    assert made["allowed_clock_skew"] == 5
    assert library.tried("jwt_templates.create", request=sent)["status"] == 422
    assert client.ask(url, "PATCH", {"name": "api", "claims": {"sub": "me"}}, clerk.TOKEN).status == 422
    changed = library("jwt_templates.update", template_id=made["id"], **sent | {"lifetime": 60})
    assert changed["lifetime"] == 60
    services.clerk.lacks.add("custom signing keys")
    custom = {
        "name": "c",
        "claims": {},
        "custom_signing_key": True,
        "signing_key": "canary",
        "signing_algorithm": "HS256",
    }
    assert library.tried("jwt_templates.create", request=custom)["status"] == 402
    services.clerk.lacks.clear()
    assert "canary" not in json.dumps(library("jwt_templates.create", request=custom))
    assert [each["name"] for each in library("jwt_templates.list")] == ["api", "c"]
    assert library("jwt_templates.delete", template_id=made["id"])["deleted"] is True
    assert library.tried("jwt_templates.get", template_id=made["id"])["status"] == 404


def test_users(library: Library) -> None:
    for number in range(12):
        library("users.create", email_address=[f"user{number}@nexod.ai"], external_id=f"ext-{number}")
    assert len(library("users.list", request={})) == 10
    assert len(library("users.list", request={"limit": 10, "offset": 10})) == 2
    (found,) = library("users.list", request={"email_address": ["user3@nexod.ai"]})
    assert found["external_id"] == "ext-3"
    assert library("users.count", request={})["total_count"] == 12
    assert library("users.get", user_id=found["id"])["id"] == found["id"]
    assert library.tried("users.create", email_address=["user3@nexod.ai"])["status"] == 422
    assert library("users.delete", user_id=found["id"])["deleted"] is True


def test_a_session_token_is_verified_by_the_public_key(services: Services, library: Library) -> None:
    """As the application does it: without a request to Clerk."""
    options = {"jwt_key": services.clerk.public_pem(), "authorized_parties": [ORIGIN]}
    token = services.clerk.session_token("user_1", ORIGIN)
    found = library("authenticate", token=token, **options)
    assert (found["signed_in"], found["payload"]["sub"]) == (True, "user_1")
    other = library("authenticate", token=token, **{**options, "authorized_parties": ["https://evil.example"]})
    assert (other["signed_in"], other["reason"]) == (False, "TOKEN_INVALID_AUTHORIZED_PARTIES")
    old = library("authenticate", token=services.clerk.session_token("user_1", ORIGIN, exp=1), **options)
    assert (old["signed_in"], old["reason"]) == (False, "TOKEN_EXPIRED")
    assert services.clerk.calls() == []


def test_a_session_token_is_verified_by_the_keys_of_the_api(services: Services, library: Library) -> None:
    options = {"secret_key": clerk.TOKEN, "api_url": services.clerk.url, "authorized_parties": [ORIGIN]}
    token = services.clerk.session_token("user_1", ORIGIN)
    assert library("verify", token=token, **options)["sub"] == "user_1"
    assert [seen.operation for seen in services.clerk.calls()] == ["get_jwks"]
    head, body, signature = token.split(".")
    forged = library.tried("verify", token=f"{head}.{body}.{signature[::-1]}", **options)
    assert forged["error"] == "TokenVerificationError"


def test_the_webhooks_of_the_verification(library: Library) -> None:
    """`clerk_probe` signs as Svix does: its library accepts them, and refuses those of another secret."""
    library.token, other = (f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in (1, 2))
    for kind in ("user.created", "user.updated", "user.deleted"):
        sent = clerk_probe.event(kind, "user_1", 1)
        headers = clerk_probe.signed(library.token, "msg_1", sent, time.time())
        assert library("webhook", body=json.dumps(sent), headers=headers) == "accepted"
        forged = clerk_probe.signed(other, "msg_1", sent, time.time())
        outcome = library.tried("webhook", body=json.dumps(sent), headers=forged)
        assert outcome["error"] == "WebhookVerificationError"


def test_the_keys_of_the_instance(library: Library) -> None:
    assert library("jwks.get_jwks")["keys"][0]["kty"] == "RSA"


def test_who_may_not(library: Library) -> None:
    made = library("redirect_urls.create", request={"url": ORIGIN})
    library.token = clerk.TOKEN_OF_ANOTHER
    assert library("redirect_urls.list") == []
    assert library.tried("redirect_urls.get", id=made["id"])["status"] == 404
    library.token = "sk_test_unknown"
    assert library.tried("redirect_urls.list")["status"] == 401


def test_a_rotated_key_is_accepted_while_both_are_declared(services: Services, library: Library) -> None:
    services.clerk.tokens["sk_test_new"] = "ins_nexod"
    for library.token in (clerk.TOKEN, "sk_test_new"):
        assert library("redirect_urls.list") == []


def test_a_limit(services: Services, library: Library) -> None:
    services.clerk.order("list_redirect_urls", status=429, after=3)
    assert library.tried("redirect_urls.list")["status"] == 429


def test_a_vendor_that_adds_fields(services: Services, library: Library) -> None:
    services.clerk.rearranges = True
    library("jwt_templates.create", request={"name": "api", "claims": CLAIMS})
    assert [each["name"] for each in library("jwt_templates.list")] == ["api"]
