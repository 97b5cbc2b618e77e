"""Call clerk-backend-api: each line of standard input is [URL, secret key, operation, arguments], each line of output
its outcome. Three operations are not Clerk's API: `authenticate` verifies the session token of a request by the
public key, as an application does, `verify` with the keys that it reads from the API, and `webhook` with the key as the
endpoint's secret, by the library of Svix, which sends Clerk's webhooks.
"""

from __future__ import annotations

import json
import sys
import typing as t

import httpx
from clerk_backend_api import Clerk
from clerk_backend_api.models import ClerkBaseError
from clerk_backend_api.security import authenticate_request, verify_token
from clerk_backend_api.security.types import AuthenticateRequestOptions, VerifyTokenOptions
from clerk_backend_api.utils import BackoffStrategy, RetryConfig
from svix.webhooks import Webhook

NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False)


def plain(value: t.Any) -> t.Any:
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.model_dump(mode="json", by_alias=True) if hasattr(value, "model_dump") else value


def authenticated(token: str, **options: t.Any) -> dict[str, t.Any]:
    request = httpx.Request("GET", "https://app.nexod.ai/facts", headers={"Authorization": f"Bearer {token}"})
    state = authenticate_request(request, AuthenticateRequestOptions(**options))
    return {"signed_in": state.is_signed_in, "reason": state.reason and state.reason.name, "payload": state.payload}


def outcome(url: str, key: str, operation: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    clerk = Clerk(bearer_auth=key, server_url=url, retry_config=NO_RETRIES)
    try:
        if operation == "authenticate":
            return {"value": authenticated(**arguments)}
        if operation == "webhook":
            Webhook(key).verify(arguments["body"], arguments["headers"])
            return {"value": "accepted"}
        if operation == "verify":
            return {"value": verify_token(arguments.pop("token"), VerifyTokenOptions(**arguments))}
        group, name = operation.split(".")
        return {"value": plain(getattr(getattr(clerk, group), name)(**arguments))}
    except ClerkBaseError as error:
        return {"error": type(error).__name__, "status": error.status_code, "body": error.body, "message": str(error)}
    except Exception as error:
        return {"error": type(error).__name__, "status": 0, "body": "", "message": str(error)}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(outcome(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
