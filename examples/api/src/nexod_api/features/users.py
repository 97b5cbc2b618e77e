"""Users: an entity kept under user:{id}, forgotten when it is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy.exc
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, StringConstraints
from sqlalchemy import text

from nexod_api.cache import ENTITY_SECONDS

router = APIRouter(tags=["users"])

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
UserType = Literal["free", "pro", "team", "internal"]


class NewUser(BaseModel):
    email: Email
    full_name: Name
    user_type: UserType = "free"


class UserChange(BaseModel):
    full_name: Name | None = None
    user_type: UserType | None = None


@router.post("/users", status_code=201)
def create(request: Request, user: NewUser) -> dict[str, Any]:
    statement = text(
        "INSERT INTO users (email, full_name, user_type) VALUES (:email, :full_name, :user_type)"
        " RETURNING id, email, full_name, user_type"
    )
    try:
        with request.app.state.engine.begin() as connection:
            return dict(connection.execute(statement, user.model_dump()).mappings().one())
    except sqlalchemy.exc.IntegrityError:
        raise HTTPException(409, "a user with this e-mail address exists") from None


@router.get("/users/{user_id}")
def read(request: Request, response: Response, user_id: int) -> dict[str, Any]:
    def from_database() -> dict[str, Any]:
        statement = text("SELECT id, email, full_name, user_type FROM users WHERE id = :id")
        with request.app.state.engine.connect() as connection:
            row = connection.execute(statement, {"id": user_id}).mappings().one_or_none()
        if row is None:
            raise HTTPException(404, "no such user")
        return dict(row)

    user, hit = request.app.state.cache.remember(f"user:{user_id}", ENTITY_SECONDS, from_database)
    response.headers["X-Cache"] = "hit" if hit else "miss"
    return user


@router.patch("/users/{user_id}")
def change(request: Request, user_id: int, wanted: UserChange) -> dict[str, Any]:
    statement = text(
        "UPDATE users SET full_name = coalesce(:full_name, full_name), user_type = coalesce(:user_type, user_type)"
        " WHERE id = :id RETURNING id, email, full_name, user_type"
    )
    with request.app.state.engine.begin() as connection:
        row = connection.execute(statement, {"id": user_id, **wanted.model_dump()}).mappings().one_or_none()
    if row is None:
        raise HTTPException(404, "no such user")
    request.app.state.cache.forget(f"user:{user_id}")
    return dict(row)
