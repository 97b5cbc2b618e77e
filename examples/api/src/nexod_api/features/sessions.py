"""Sessions: a Redis key with a lifetime, which each use renews. They outlive releases and cache flushes."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import text

from nexod_api.cache import SESSION_SECONDS
from nexod_api.features.users import Email

router = APIRouter(tags=["sessions"])


class SignIn(BaseModel):
    email: Email


@router.post("/sessions", status_code=201)
def sign_in(request: Request, who: SignIn) -> dict[str, Any]:
    """Signs a user in; one who was never seen before is made (the identity provider has vouched for the address)."""
    with request.app.state.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO users (email, full_name) VALUES (:email, :email) ON CONFLICT (email) DO NOTHING"),
            {"email": who.email},
        )
        user_id = connection.execute(text("SELECT id FROM users WHERE email = :email"), {"email": who.email}).scalar()
    session_id = secrets.token_urlsafe(24)
    session = {"user_id": user_id, "signed_in_at": int(time.time())}
    request.app.state.cache.redis.set(f"session:{session_id}", json.dumps(session), ex=SESSION_SECONDS)
    request.app.state.cache.saw(user_id)
    return {"id": session_id, **session, "seconds": SESSION_SECONDS}


@router.get("/sessions/{session_id}")
def read(request: Request, session_id: str) -> dict[str, Any]:
    kept = request.app.state.cache.redis.getex(f"session:{session_id}", ex=SESSION_SECONDS)
    if kept is None:
        raise HTTPException(404, "no such session, or it has ended")
    session = json.loads(kept)
    request.app.state.cache.saw(session["user_id"])
    return {"id": session_id, **session, "seconds": SESSION_SECONDS}


@router.delete("/sessions/{session_id}", status_code=204)
def sign_out(request: Request, session_id: str) -> None:
    request.app.state.cache.forget(f"session:{session_id}")
