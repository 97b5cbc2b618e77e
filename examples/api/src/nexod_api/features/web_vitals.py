"""What browsers measure: the web-vitals library posts it, Prometheus reads it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field, ValidationError

from nexod_api.metrics import LAYOUT_SHIFT, WEB_VITALS_SECONDS

router = APIRouter(tags=["web vitals"])
MOST_BYTES = 4096


class Vital(BaseModel):
    name: Literal["CLS", "FCP", "INP", "LCP", "TTFB"]
    # Milliseconds, as the library gives them; CLS is a score.
    value: float = Field(ge=0, le=600_000, allow_inf_nan=False)


@router.post("/web-vitals", status_code=204)
async def take(request: Request) -> None:
    """The body is read by hand: navigator.sendBeacon sends JSON as text/plain."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"more than {MOST_BYTES} bytes")
    try:
        vital = Vital.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_input=False, include_context=False)) from None
    if vital.name == "CLS":
        LAYOUT_SHIFT.observe(vital.value)
    else:
        WEB_VITALS_SECONDS.labels(vital.name).observe(vital.value / 1000)
