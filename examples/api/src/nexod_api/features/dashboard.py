"""The dashboard: an expensive query, its result kept for a minute under query:dashboard:*."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import text

from nexod_api.cache import QUERY_SECONDS

router = APIRouter(tags=["dashboard"])

QUERY = text(
    "SELECT u.user_type, count(DISTINCT u.id) AS users, count(t.id) AS tasks, count(t.id) FILTER (WHERE t.done) AS done"
    " FROM users u LEFT JOIN tasks t ON t.user_id = u.id GROUP BY u.user_type ORDER BY u.user_type"
)


@router.get("/dashboard")
def dashboard(request: Request, response: Response) -> list[dict[str, Any]]:
    def from_database() -> list[dict[str, Any]]:
        with request.app.state.engine.connect() as connection:
            return [dict(row) for row in connection.execute(QUERY).mappings()]

    rows, hit = request.app.state.cache.remember("query:dashboard:by_user_type", QUERY_SECONDS, from_database)
    response.headers["X-Cache"] = "hit" if hit else "miss"
    return rows
