"""Priorities of tasks (from 1.1.0). 1.0.0 knows nothing of the column; its rows get the default, 2."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import text

router = APIRouter(tags=["priorities"])


class Priority(BaseModel):
    # 1 is the most urgent.
    priority: int = Field(ge=1, le=3)


@router.put("/tasks/{task_id}/priority")
def give(request: Request, task_id: int, wanted: Priority) -> dict[str, Any]:
    statement = text("UPDATE tasks SET priority = :priority WHERE id = :id RETURNING id, user_id, title, priority")
    with request.app.state.engine.begin() as connection:
        row = connection.execute(statement, {"id": task_id, "priority": wanted.priority}).mappings().one_or_none()
    if row is None:
        raise HTTPException(404, "no such task")
    return dict(row)


@router.get("/priorities")
def open_tasks(request: Request, user_id: Annotated[int, Query(ge=1)]) -> list[dict[str, Any]]:
    """The user's open tasks, the most urgent first."""
    statement = text(
        "SELECT id, title, priority FROM tasks WHERE user_id = :id AND NOT done ORDER BY priority, id LIMIT 100"
    )
    with request.app.state.engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement, {"id": user_id}).mappings()]
