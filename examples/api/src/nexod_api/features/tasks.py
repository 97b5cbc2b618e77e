"""Tasks: lists are cached responses, api:tasks:{user_id}, forgotten when one of them is written.

Columns are named one by one, so that those of a newer version change nothing here.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, StringConstraints
from sqlalchemy import text

from nexod_api.cache import RESPONSE_SECONDS
from nexod_api.metrics import TASKS_CREATED

router = APIRouter(tags=["tasks"])


class NewTask(BaseModel):
    user_id: int
    title: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class TaskChange(BaseModel):
    done: bool


@router.post("/tasks", status_code=201)
def create(request: Request, task: NewTask) -> dict[str, Any]:
    with request.app.state.engine.begin() as connection:
        user_type = connection.execute(
            text("SELECT user_type FROM users WHERE id = :id"), {"id": task.user_id}
        ).scalar()
        if user_type is None:
            raise HTTPException(404, "no such user")
        row = connection.execute(
            text(
                "INSERT INTO tasks (user_id, title) VALUES (:user_id, :title)"
                " RETURNING id, user_id, title, done, created_at"
            ),
            task.model_dump(),
        )
        created = dict(row.mappings().one())
    TASKS_CREATED.labels(user_type).inc()
    request.app.state.cache.forget(f"api:tasks:{task.user_id}")
    return created


@router.get("/tasks")
def of_user(request: Request, response: Response, user_id: Annotated[int, Query(ge=1)]) -> list[dict[str, Any]]:
    def from_database() -> list[dict[str, Any]]:
        statement = text(
            "SELECT id, user_id, title, done, created_at FROM tasks WHERE user_id = :user_id ORDER BY id DESC LIMIT 100"
        )
        with request.app.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(statement, {"user_id": user_id}).mappings()]

    tasks, hit = request.app.state.cache.remember(f"api:tasks:{user_id}", RESPONSE_SECONDS, from_database)
    response.headers["X-Cache"] = "hit" if hit else "miss"
    return tasks


@router.patch("/tasks/{task_id}")
def change(request: Request, task_id: int, wanted: TaskChange) -> dict[str, Any]:
    statement = text("UPDATE tasks SET done = :done WHERE id = :id RETURNING id, user_id, title, done, created_at")
    with request.app.state.engine.begin() as connection:
        row = connection.execute(statement, {"id": task_id, "done": wanted.done}).mappings().one_or_none()
    if row is None:
        raise HTTPException(404, "no such task")
    request.app.state.cache.forget(f"api:tasks:{row['user_id']}")
    return dict(row)
