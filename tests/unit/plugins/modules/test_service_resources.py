"""service_resources as Ansible runs it: accounts that can't be used, and the issuer of Clerk's tokens."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import clerk, running

Run = t.Callable[..., dict[str, t.Any]]
VARIABLE = {
    "kind": "vercel_variable",
    "name": "KEY",
    "properties": {"project": "app", "key": "KEY", "secret": "clerk", "targets": ["preview"]},
}
INSTANCE = {"kind": "clerk_instance", "name": "a", "properties": {"allowed_origins": ["https://a.example"]}}


def test_a_token_that_is_empty_explains_secrets_that_are(run_module: Run) -> None:
    """The front end's variable has the secret key: what is missing is that, not an entry of `secrets`."""
    given = {"environment": "staging", "resources": [VARIABLE, INSTANCE], "secrets": {"clerk": ""}}
    accounts = {"clerk": {"token": ""}, "vercel": {"token": "canary"}}
    said = run_module("service_resources", {**given, **accounts}, check_mode=True)
    assert said["failed"]
    assert said["msg"] == (
        "Cannot use Clerk: CLERK_SECRET_KEY is empty.\n"
        "Export CLERK_SECRET_KEY. A new token: dashboard.clerk.com, API keys."
    )


@pytest.mark.parametrize(
    ("resources", "token", "requests", "cause"),
    [
        pytest.param([INSTANCE], clerk.TOKEN, {"clerk": 2}, "", id="of the instance"),
        pytest.param([], "", {}, "", id="nothing is declared, and the issuer is asked"),
        pytest.param([INSTANCE], clerk.TOKEN_OF_ANOTHER, {}, "its keys (ins_nexod) are not those", id="another's"),
        # What every request fails for is reported once.
        pytest.param([INSTANCE], "sk_test_canary", {}, "HTTP 401", id="a token that is wrong"),
    ],
)
def test_the_issuer_of_clerk_s_tokens(
    services: running.Services,
    run_module: Run,
    resources: list[t.Any],
    token: str,
    requests: dict[str, int],
    cause: str,
) -> None:
    account = {"token": token, "url": services.clerk.url, "issuer": services.clerk.url}
    given = {"environment": "staging", "resources": resources, "clerk": account}
    said = run_module("service_resources", given, check_mode=True)
    assert services.clerk.writes() == []
    if not cause:
        assert said["requests"] == requests
        return
    (problem,) = said["problems"]
    assert cause in problem["cause"]
    assert "sk_test_canary" not in str(said)
