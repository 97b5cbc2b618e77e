"""Comments on tasks (from 1.1.0)."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy.exc
from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, StringConstraints
from sqlalchemy import text

router = APIRouter(tags=["comments"])


class NewComment(BaseModel):
    user_id: int
    body: Annotated[str, StringConstraints(min_length=1, max_length=5000)]


@router.post("/tasks/{task_id}/comments", status_code=201)
def create(request: Request, task_id: int, comment: NewComment) -> dict[str, Any]:
    statement = text(
        "INSERT INTO task_comments (task_id, user_id, body) VALUES (:task_id, :user_id, :body)"
        " RETURNING id, task_id, user_id, body, created_at"
    )
    try:
        with request.app.state.engine.begin() as connection:
            return dict(connection.execute(statement, {"task_id": task_id, **comment.model_dump()}).mappings().one())
    except sqlalchemy.exc.IntegrityError:
        raise HTTPException(404, "no such task or user") from None


@router.get("/tasks/{task_id}/comments")
def of_task(request: Request, task_id: int) -> list[dict[str, Any]]:
    statement = text("SELECT id, user_id, body, created_at FROM task_comments WHERE task_id = :id ORDER BY id")
    with request.app.state.engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement, {"id": task_id}).mappings()]
