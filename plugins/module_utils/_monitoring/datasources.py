# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether each data source answers when Grafana itself asks it, with the credentials that Grafana has for it."""

from __future__ import annotations

import dataclasses
import time
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer

ACTION = "verify the data sources of Grafana at"
NEXT_STEPS = {
    401: "Run the role grafana, which sets the administrator's password.",
    403: "Check that the account is Grafana's administrator.",
}
#: Types that answer this query, where a version of Grafana has no check of the type's own.
QUERIES = {"prometheus": "api/v1/query?query=1%2B1"}
PAUSE = 1.0

#: path -> answer
Ask = t.Callable[[str], Answer]


@dataclasses.dataclass(frozen=True)
class Health:
    """`state` is V(ok), V(error), or V(unknown) where Grafana has no way to check the type."""

    name: str
    state: str
    message: str

    def row(self) -> dict[str, str]:
        return dataclasses.asdict(self)


def health(ask: Ask, source: t.Mapping[str, t.Any], url: str) -> Health:
    """One data source. Raises InfraError where Grafana answers nothing at all, or refuses the account."""
    name, kind = str(source["name"]), str(source["type"])
    uid, answer = _uid_of(ask, source)
    if not uid:
        _refuse(answer, url)
        return Health(name, "error", f"Grafana does not have it (HTTP {answer.status})")
    answer = ask(f"/api/datasources/uid/{uid}/health")
    _refuse(answer, url)
    judged = judge(answer)
    if judged is None and kind in QUERIES:
        judged = judge_query(ask(f"/api/datasources/proxy/uid/{uid}/{QUERIES[kind]}"))
    state, message = judged or ("unknown", f"this Grafana cannot check data sources of the type {kind}")
    return Health(name, state, message)


def _uid_of(ask: Ask, source: t.Mapping[str, t.Any]) -> tuple[str, Answer]:
    if source.get("uid"):
        return str(source["uid"]), Answer(200, "")
    answer = ask(f"/api/datasources/name/{urllib.parse.quote(str(source['name']), safe='')}")
    document = answer.document
    return (str(document.get("uid") or "") if answer.status == 200 and isinstance(document, dict) else ""), answer


def judge(answer: Answer) -> tuple[str, str] | None:
    """What Grafana's own check says: 200 with OK, or 400 with the reason. None where it has none for the type."""
    document = answer.document if isinstance(answer.document, dict) else {}
    message = str(document.get("message") or answer.reason or f"HTTP {answer.status}")
    # Without a check of its own a plugin is Not Found in older versions and Not Implemented in newer ones.
    if answer.status in {404, 501} and "data source" not in message.lower() and "datasource" not in message.lower():
        return None
    if answer.status == 200 and document.get("status") == "OK":
        return "ok", message
    return "error", message


def judge_query(answer: Answer) -> tuple[str, str]:
    """What the data source itself says to a query that Grafana passes on."""
    document = answer.document if isinstance(answer.document, dict) else {}
    if answer.status == 200 and document.get("status") == "success":
        return "ok", "it answers a query"
    return "error", str(document.get("message") or document.get("error") or answer.reason or f"HTTP {answer.status}")


def _refuse(answer: Answer, url: str) -> None:
    if answer.status == 0:
        raise InfraError(ACTION, url, answer.reason, "See that Grafana runs: systemctl status grafana-server.")
    if answer.status in NEXT_STEPS:
        raise InfraError(ACTION, url, f"HTTP {answer.status}", NEXT_STEPS[answer.status])


def wait_healthy(ask: Ask, sources: t.Sequence[t.Mapping[str, t.Any]], url: str, timeout: float) -> list[Health]:
    """All of them; those that do not answer are asked again until the time is up."""
    deadline = time.monotonic() + timeout
    found = [health(ask, source, url) for source in sources]
    while any(row.state == "error" for row in found) and time.monotonic() < deadline:
        time.sleep(min(PAUSE, max(0.0, deadline - time.monotonic())))
        found = [
            health(ask, source, url) if row.state == "error" else row
            for source, row in zip(sources, found, strict=True)
        ]
    return found


def fault(rows: t.Sequence[Health], url: str) -> InfraError | None:
    """Every data source that does not answer, in one error."""
    bad = [f"{row.name}: {row.message.rstrip('.')}" for row in rows if row.state == "error"]
    if not bad:
        return None
    return InfraError(
        ACTION,
        url,
        "; ".join(bad),
        "Check from Grafana's host that its URL answers and that Grafana has the right credentials and CA for it, then "
        "run again. To go on without it, set grafana_datasource_health to warn.",
    )
