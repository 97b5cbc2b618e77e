"""What Clerk signs: session tokens, verified by its public keys, and webhooks, verified by a shared secret.

The keys are given (CLERK_JWT_KEY), so that no request depends on Clerk, or read from CLERK_JWKS_URL. Webhooks are
signed as Svix does, whose library would add a dozen packages for ten lines:
https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jwt

from nexod_api.settings import Settings

KEYS_SECONDS = 300
# A token can name any key: one that is not known makes the keys be read again, but not more often than this.
UNKNOWN_KEY_SECONDS = 10
TIMEOUT_SECONDS = 3
# How old a webhook may be, as its receivers at Svix have it: later, it is a replay.
TOLERANCE_SECONDS = 300
PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)

log = logging.getLogger("uvicorn.error")


class RefusedError(Exception):
    """Not signed by Clerk, or not for us; the text says why."""


class KeysUnknownError(Exception):
    """Clerk's keys could not be read, so that nothing can be said about a token."""


class Keys:
    """The keys at a URL, kept for a while. Those that were read last serve while the URL does not answer."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self.client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT_SECONDS)
        self.clock = clock
        self.known: dict[str, jwt.PyJWK] = {}
        self.read_at: float | None = None
        self.lock = threading.Lock()

    def named(self, name: str) -> jwt.PyJWK:
        with self.lock:
            age = float("inf") if self.read_at is None else self.clock() - self.read_at
            # Not again for each request either while the URL does not answer.
            if age >= KEYS_SECONDS or (name not in self.known and age >= UNKNOWN_KEY_SECONDS):
                self.read()
            if not self.known:
                raise KeysUnknownError(f"{self.url} does not answer with keys")
            if name not in self.known:
                raise RefusedError("it is signed with an unknown key")
            return self.known[name]

    def read(self) -> None:
        try:
            found = self.client.get_jwk_set(refresh=True).keys
        except (ValueError, AttributeError, jwt.PyJWTError) as error:
            log.warning("the keys of Clerk were not read from %s: %s", self.url, error)
        else:
            self.known = {key.key_id: key for key in found if key.key_id and key.key_type == "RSA"}
        self.read_at = self.clock()


class Clerk:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.given = [found.group() for found in PEM.finditer(settings.clerk_jwt_key)]
        self.keys = Keys(settings.clerk_jwks_url) if settings.clerk_jwks_url else None
        for secret in settings.clerk_webhook_secrets:
            signing_key(secret)

    @property
    def verifies_tokens(self) -> bool:
        return bool(self.given or self.keys)

    def verify_token(self, token: str) -> dict[str, Any]:
        """The claims of a session token."""
        refused = RefusedError("no key is declared")
        for key in self.keys_for(token):
            try:
                return self.verify_claims(self.decode(token, key))
            except jwt.InvalidSignatureError:
                refused = RefusedError("its signature is wrong")
            except jwt.PyJWTError as error:
                raise RefusedError(str(error)) from error
        raise refused

    def keys_for(self, token: str) -> Iterator[str | jwt.PyJWK]:
        yield from self.given
        if self.keys:
            try:
                name = jwt.get_unverified_header(token).get("kid", "")
            except jwt.PyJWTError as error:
                raise RefusedError(str(error)) from error
            yield self.keys.named(str(name))

    def decode(self, token: str, key: str | jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            # Never what the token itself names.
            algorithms=["RS256"],
            issuer=self.settings.clerk_issuer or None,
            audience=self.settings.clerk_audience or None,
            leeway=self.settings.clerk_clock_skew_seconds,
            options={"require": ["exp", "iat", "sub"], "verify_aud": bool(self.settings.clerk_audience)},
        )

    def verify_claims(self, claims: dict[str, Any]) -> dict[str, Any]:
        """What is Clerk's own: the origin that asked for the token, and a sign-in that has not ended yet."""
        parties = self.settings.clerk_authorized_parties
        # Native applications have no origin, and their tokens lack it.
        if parties and "azp" in claims and claims["azp"] not in parties:
            raise RefusedError("it is of another origin")
        if claims.get("sts") == "pending":
            raise RefusedError("its sign-in is not complete")
        return claims

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """The id of the message."""
        message, sent, signatures = (headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature"))
        if not message or not signatures or not re.fullmatch(r"[0-9]{1,12}", sent):
            raise RefusedError("it lacks the headers of a webhook")
        if abs(now - int(sent)) > TOLERANCE_SECONDS:
            raise RefusedError("it is too old, or the clocks differ")
        content = f"{message}.{sent}.".encode() + body
        given = [one.removeprefix("v1,").encode() for one in signatures.split() if one.startswith("v1,")]
        for secret in self.settings.clerk_webhook_secrets:
            expected = base64.b64encode(hmac.new(signing_key(secret), content, hashlib.sha256).digest())
            if any(hmac.compare_digest(expected, one) for one in given):
                return message
        raise RefusedError("its signature is wrong")


def signing_key(secret: str) -> bytes:
    text = secret.removeprefix("whsec_").rstrip("=")
    try:
        # Some are shown without their padding.
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        # Without its text.
        raise ValueError("Cannot use a secret of Clerk's webhooks: it is not whsec_ and base64.") from None
