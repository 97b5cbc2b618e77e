"""Whether an issuer of tokens is that of the instance, before anything is changed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import client_of
from ansible_collections.nexod.infra.plugins.module_utils._services.clerk_issuer import refuse_another
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly
from ansible_collections.nexod.infra.tests.fixtures.services import clerk, running

KEYS = Answer(200, '{"keys": [{"kty": "RSA", "kid": "ins_nexod"}]}')
DOWN = Answer(0, "", "Connection refused")


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ([KEYS], ""),
        ([DOWN, Answer(503, ""), KEYS], ""),
        ([DOWN] * 3, "(no answer: Connection refused)"),
        ([Answer(404, "not found")], "(HTTP 404)"),
        ([Answer(200, "<html>")], "(there are none)"),
        ([Answer(200, '{"keys": {}}')], "(there are none)"),
        ([Answer(200, '{"keys": [{"kty": "RSA"}, 1]}')], "(there are none)"),
    ],
)
def test_the_keys_of_an_issuer(answers: list[Answer], cause: str) -> None:
    left, sent = list(answers), []

    def asked(url: str, **how: t.Any) -> Answer:
        sent.append(url)
        assert "authorization" not in how
        return left.pop(0)

    if not cause:
        refuse_another("https://clerk.example.com", None, asked=asked, clock=Instantly())
    else:
        with pytest.raises(InfraError) as refused:
            refuse_another("https://clerk.example.com", None, asked=asked, clock=Instantly())
        assert cause in refused.value.cause
    assert (left, set(sent)) == ([], {"https://clerk.example.com/.well-known/jwks.json"})


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        (clerk.TOKEN, ""),
        (clerk.TOKEN_OF_ANOTHER, "its keys (ins_nexod) are not those of the secret key's instance (ins_another)"),
    ],
)
def test_the_instance_of_an_issuer(services: running.Services, token: str, cause: str) -> None:
    client = client_of("clerk", {"token": token, "url": services.clerk.url}, check=True)
    try:
        refuse_another(services.clerk.url, client)
    except InfraError as error:
        assert error.cause == cause
    else:
        assert not cause
    assert [one.operation for one in services.clerk.calls()] == ["get_public_jwks", "get_jwks"]
