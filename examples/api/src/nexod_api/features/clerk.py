"""Users of Clerk: their session tokens, and the webhooks by which their rows follow Clerk.

Messages are repeated and arrive in any order: each is applied once, and an older one changes nothing.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import sqlalchemy
from fastapi import APIRouter, Cookie, Header, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from sqlalchemy import text

from nexod_api.clerk import RefusedError

router = APIRouter(tags=["clerk"])
MOST_BYTES = 262_144
NOT_CONFIGURED = "Clerk is not configured"


class Verification(BaseModel):
    status: str = ""


class Address(BaseModel):
    id: str
    email_address: str
    verification: Verification | None = None


class User(BaseModel):
    """What is used of Clerk's user; a deleted one has only its id."""

    id: str
    updated_at: int = 0
    first_name: str | None = None
    last_name: str | None = None
    primary_email_address_id: str | None = None
    email_addresses: list[Address] = []

    @property
    def address(self) -> str:
        """The verified primary address. Anybody can enter one: without its proof, it would be the way to its user."""
        for one in self.email_addresses:
            if one.id == self.primary_email_address_id and one.verification and one.verification.status == "verified":
                return one.email_address
        return f"{self.id}@clerk.invalid"

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)[:200] or self.address


class Event(BaseModel):
    type: Literal["user.created", "user.updated", "user.deleted"]
    data: User


class Kind(BaseModel):
    type: str


@router.get("/me")
def me(
    request: Request,
    authorization: Annotated[str, Header()] = "",
    session: Annotated[str, Cookie(alias="__session")] = "",
) -> dict[str, Any]:
    """Whose session token it is, and the row of that user, if Clerk's webhook has reported them."""
    clerk = request.app.state.clerk
    if not clerk.verifies_tokens:
        raise HTTPException(404, NOT_CONFIGURED)
    scheme, _space, token = authorization.partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else session
    if not given:
        raise HTTPException(401, "no session token", {"WWW-Authenticate": "Bearer"})
    try:
        claims = clerk.verify_token(given)
    except RefusedError as error:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, f"the session token is refused: {error}", headers) from None
    with request.app.state.engine.connect() as connection:
        user_id = linked(connection, claims["sub"])
    return {"clerk_id": claims["sub"], "session_id": claims.get("sid"), "user_id": user_id}


@router.post("/webhooks/clerk")
async def webhook(request: Request) -> dict[str, Any]:
    clerk = request.app.state.clerk
    if not clerk.settings.clerk_webhook_secrets:
        raise HTTPException(404, NOT_CONFIGURED)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"more than {MOST_BYTES} bytes")
    try:
        message = clerk.verify_webhook(request.headers, body, time.time())
    except RefusedError as error:
        raise HTTPException(401, f"the webhook is refused: {error}") from None
    try:
        if Kind.model_validate_json(body).type not in {"user.created", "user.updated", "user.deleted"}:
            return {"status": "ignored", "user_id": None}
        event = Event.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_input=False, include_context=False)) from None
    return await run_in_threadpool(receive, request, message, event)


def receive(request: Request, message: str, event: Event) -> dict[str, Any]:
    with request.app.state.engine.begin() as connection:
        # A message at the same time waits here for the transaction.
        new = connection.execute(
            text("INSERT INTO webhook_messages (id) VALUES (:id) ON CONFLICT DO NOTHING RETURNING id"), {"id": message}
        ).one_or_none()
        # Longer than Svix repeats a message.
        connection.execute(text("DELETE FROM webhook_messages WHERE received_at < now() - interval '7 days'"))
        if new is None:
            status, user_id = "known", linked(connection, event.data.id)
        else:
            status, user_id = apply(connection, event)
    # Also of a known message: the process may have ended here the first time.
    if user_id is not None:
        request.app.state.cache.forget(f"user:{user_id}", f"api:tasks:{user_id}")
    return {"status": status, "user_id": user_id}


def linked(connection: sqlalchemy.Connection, clerk_id: str) -> int | None:
    statement = text("SELECT user_id FROM clerk_users WHERE clerk_id = :id")
    found: int | None = connection.execute(statement, {"id": clerk_id}).scalar()
    return found


def apply(connection: sqlalchemy.Connection, event: Event) -> tuple[str, int | None]:
    """What was done, and to whom."""
    user = event.data
    connection.execute(text("INSERT INTO clerk_users (clerk_id) VALUES (:id) ON CONFLICT DO NOTHING"), {"id": user.id})
    known = connection.execute(
        text("SELECT user_id, changed_at, deleted FROM clerk_users WHERE clerk_id = :id FOR UPDATE"), {"id": user.id}
    ).one()
    if event.type == "user.deleted":
        connection.execute(text("UPDATE clerk_users SET deleted = true WHERE clerk_id = :id"), {"id": user.id})
        connection.execute(text("DELETE FROM users WHERE id = :id"), {"id": known.user_id})
        return "deleted", known.user_id
    if known.deleted or known.changed_at > user.updated_at:
        return "older", known.user_id
    values = {"id": known.user_id, "email": user.address, "full_name": user.full_name}
    user_id = known.user_id
    if user_id is None:
        # One who has signed in before has a row by that address.
        user_id = connection.execute(
            text(
                "INSERT INTO users (email, full_name) VALUES (:email, :full_name)"
                " ON CONFLICT (email) DO UPDATE SET full_name = EXCLUDED.full_name RETURNING id"
            ),
            values,
        ).scalar_one()
        # The address was another's at Clerk, and that one's deletion is still to come.
        connection.execute(text("UPDATE clerk_users SET user_id = NULL WHERE user_id = :id"), {"id": user_id})
    else:
        connection.execute(
            text(
                "UPDATE users SET full_name = :full_name, email = CASE WHEN EXISTS"
                " (SELECT FROM users other WHERE other.email = :email AND other.id <> :id) THEN email ELSE :email END"
                " WHERE id = :id"
            ),
            values,
        )
    connection.execute(
        text("UPDATE clerk_users SET user_id = :user_id, changed_at = :changed_at WHERE clerk_id = :id"),
        {"id": user.id, "user_id": user_id, "changed_at": user.updated_at},
    )
    return "created" if known.user_id is None else "updated", user_id
