# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deploy as an annotation in Grafana: who asks, what is sent, and what became of it."""

from __future__ import annotations

import base64
import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask

NEXT_STEPS = {
    401: "Check the token, or the name and the password of the administrator.",
    403: "Give the service account the permission annotations:create (role Editor), or use the administrator.",
    404: "Check that the URL is Grafana's, with the path that it is served below.",
}
UNREACHABLE = "See that Grafana runs (systemctl status grafana-server on its host) and that the URL is its address."


def authorization(token: str, user: str, password: str) -> str:
    """The header's value: a service account's token comes first."""
    if token:
        return f"Bearer {token}"
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def token_of(file: str) -> str:
    """The token in a file; nothing without one. Raises InfraError where it can't be read."""
    if not file:
        return ""
    try:
        return pathlib.Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InfraError(
            "record the deploy in Grafana with the token in",
            file,
            error.strerror or str(error),
            "Run the stage monitoring: the role grafana creates the token if grafana_annotations_account is set.",
        ) from error


def annotation(began: float, ended: float, tags: t.Sequence[str], text: str) -> dict[str, t.Any]:
    """The region as Grafana wants it: in milliseconds, not ending before it begins; without empty or equal tags."""
    return {
        "time": round(began * 1000),
        "timeEnd": round(max(began, ended) * 1000),
        "tags": list(dict.fromkeys(str(tag) for tag in tags if str(tag))),
        "text": text,
    }


def fault(url: str, answer: Answer) -> InfraError:
    """Why it was not recorded, and what to do. Grafana's own words are short, and hold no secret."""
    document = answer.document
    words = document.get("message") if isinstance(document, dict) else ""
    cause = f"HTTP {answer.status}: {words or answer.reason}" if answer.status else answer.reason
    return InfraError("record the deploy in Grafana at", url, cause, NEXT_STEPS.get(answer.status, UNREACHABLE))


def record(url: str, header: str, document: t.Mapping[str, t.Any], timeout: float) -> int:
    """Send it; the number that Grafana gave it. Raises InfraError where it did not."""
    answer = ask(f"{url.rstrip('/')}/api/annotations", document=document, timeout=timeout, authorization=header)
    found = answer.document
    if answer.status != 200 or not isinstance(found, dict) or not isinstance(found.get("id"), int):
        raise fault(url, answer if answer.status != 200 else Answer(200, answer.body, "its answer is not Grafana's"))
    return int(found["id"])
