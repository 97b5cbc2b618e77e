# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an API serves: alive, ready, at its version, and with the sessions it had."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import time
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Answer, ask

Facts = t.Mapping[str, t.Any]
Ask = t.Callable[..., Answer]


def value_in(document: object, key: str) -> object:
    """The value of `key` in an answer; a dot leads into a mapping (``build.version``). None without one."""
    if not isinstance(document, dict):
        return None
    if key in document:
        return document[key]
    first, dot, rest = key.partition(".")
    return value_in(document.get(first), rest) if dot else None


def fault_of(url: str, answer: Answer, version: str | None, key: str = "version") -> str | None:
    """What is wrong with one answer; None where nothing is. `version` is compared where one is wanted."""
    if answer.status == 0:
        return f"{url} does not answer: {answer.reason}"
    if answer.status != 200:
        return f"{url} answers HTTP {answer.status}: {' '.join(answer.body.split())[:300] or answer.reason}"
    if not version or not key:
        return None
    runs = value_in(answer.document, key)
    if runs is None:
        return f'{url} names no version (its answer has no key "{key}"), and {version} should run'
    return None if str(runs) == version else f"{url} runs version {runs or 'unknown'}, not {version}"


def faults(parameters: Facts, asked: Ask = ask) -> list[str]:
    """Everything wrong with any of the URLs, each asked at each of the paths."""
    version, key = parameters["version"], parameters.get("version_key", "version")
    versioned = parameters.get("version_paths") or parameters["paths"]
    found = []
    for url in parameters["urls"]:
        for path in dict.fromkeys([*parameters["paths"], *versioned]):
            asks = f"{url.rstrip('/')}{path}"
            found.append(fault_of(asks, asked(asks), version if path in versioned else None, key))
    return [fault for fault in found if fault]


def until_right(
    faults_now: t.Callable[[], list[str]],
    subject: tuple[str, str],
    next_step: str,
    seconds: float,
    pause: float = 1.0,
) -> None:
    """Wait until nothing is wrong; or raise with all that still is. `subject`: action and object."""
    end = time.monotonic() + seconds
    while wrong := faults_now():
        if time.monotonic() >= end:
            raise InfraError(*subject, "\n".join(f"- {line}" for line in wrong), next_step, faults=wrong)
        time.sleep(pause)


def serving(parameters: Facts, asked: Ask = ask, pause: float = 1.0) -> None:
    """Wait until every URL serves; raises with all that is still wrong when the time is over."""
    until_right(
        lambda: faults(parameters, asked),
        ("verify the release at", ", ".join(parameters["urls"])),
        "Read its log on the host (journalctl -u UNIT), fix it, or roll back (nexod.infra.roll_back).",
        parameters["wait_seconds"],
        pause,
    )


def traffic(
    url: str, paths: t.Sequence[str], requests: int, concurrency: int, *, seconds: float = 120, asked: Ask = ask
) -> dict[str, dict[str, int]]:
    """Send `requests` requests over the `paths` in turn; by path, how often each status came (`"0"`: no answer).

    After `seconds` no further one is sent: a release that is slow is judged by fewer.
    """
    asks = [paths[number % len(paths)] for number in range(requests)]
    counts: dict[str, dict[str, int]] = {}
    end = time.monotonic() + seconds

    def status(path: str) -> str:
        return str(asked(f"{url.rstrip('/')}{path}").status) if time.monotonic() < end else ""

    with concurrent.futures.ThreadPoolExecutor(max(1, concurrency)) as pool:
        for path, seen in zip(asks, pool.map(status, asks), strict=True):
            if seen:
                by_status = counts.setdefault(path, {})
                by_status[seen] = by_status.get(seen, 0) + 1
    return counts


def failing(url: str, counts: t.Mapping[str, t.Mapping[str, int]], ratio: float) -> list[str]:
    """The paths of which more than `ratio` of the requests were not answered with a status from 200 to 399."""
    said = []
    for path, statuses in counts.items():
        bad = {status: number for status, number in statuses.items() if not 200 <= int(status) < 400}
        failures, total = sum(bad.values()), sum(statuses.values())
        if failures > ratio * total:
            shown = ", ".join(f"{'no answer' if s == '0' else f'HTTP {s}'}: {n}" for s, n in sorted(bad.items()))
            said.append(f"{url.rstrip('/')}{path}: {failures} of {total} requests failed ({shown})")
    return said


def settle_paths(url: str, paths: t.Sequence[str], seconds: float, asked: Ask = ask, pause: float = 0.5) -> None:
    """Wait until each path is answered, at most `seconds`: an entry point finds a new server up only a moment later.

    Raises nothing: what still fails then is judged, and counted, by the traffic.
    """
    end = time.monotonic() + seconds
    waiting = list(paths)
    while waiting := [path for path in waiting if not 200 <= asked(f"{url.rstrip('/')}{path}").status < 400]:
        if time.monotonic() >= end:
            return
        time.sleep(pause)


def totals(counts: t.Mapping[str, t.Mapping[str, int]]) -> dict[str, int]:
    """How often each status came, whatever the path."""
    found: dict[str, int] = {}
    for statuses in counts.values():
        for status, number in statuses.items():
            found[status] = found.get(status, 0) + number
    return found


def remembered(path: Path, url: str, now: float) -> dict[str, t.Any]:
    """The session that an earlier run has left and that must still live; empty where there is none such."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict) or kept.get("url") != url or now >= float(kept.get("until", 0)) or not kept.get("id"):
        return {}
    return kept


def remember(path: Path, content: Facts) -> None:
    """Keep a session for the next run, readable by its owner only: who has it is signed in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(dict(content), stream)
    temporary.replace(path)


@dataclasses.dataclass(frozen=True)
class SignIn:
    """How a session is made: the JSON that is sent, and where in the answer its id and its lifetime in seconds are."""

    request: Facts
    id_key: str = "id"
    lifetime_key: str = "seconds"


def canary(url: str, path: Path, sign_in: SignIn, version: str | None, asked: Ask = ask) -> tuple[str, bool]:
    """Look after the session that an earlier run signed in, and leave one for the next.

    Returns `kept` or `new`, and whether that earlier run saw the same `version`.
    Reading a session renews it, so that only a canary that should have lived all the time is asked for again.
    """
    now = time.time()
    session = remembered(path, url, now)
    if session:
        answer = asked(f"{url}/{session['id']}")
        if answer.status == 404:
            path.unlink(missing_ok=True)
            raise InfraError(
                "find the canary session at",
                url,
                "an earlier run signed in, and its session has not expired but is gone",
                "Users were signed out too: find out what deleted the sessions (cache_flush keeps what it protects).",
            )
    else:
        answer = asked(url, document=dict(sign_in.request))
    document = answer.document
    name = value_in(document, sign_in.id_key)
    if answer.status not in (200, 201) or not name:
        missing = f'no "{sign_in.id_key}" in its answer' if answer.status in (200, 201) else ""
        raise InfraError(
            "use a session at",
            url,
            missing or answer.reason or f"HTTP {answer.status}: {answer.body[:300]}",
            "Read the log of the API, and compare what signs in and the keys of the answer with the options session_*.",
        )
    seconds = value_in(document, sign_in.lifetime_key)
    # A minute less than it lives: the two clocks are not the same.
    until = now + (seconds if isinstance(seconds, (int, float)) else 3600) - 60
    remember(path, {"id": name, "until": until, "url": url, "version": version})
    return ("kept" if session else "new"), bool(session) and session.get("version") == version


def probe(parameters: Facts) -> dict[str, t.Any]:
    """Everything the module returns: serving, then the canary, then traffic, whose answers are judged each time."""
    begun = time.monotonic()
    serving(parameters)
    seconds = round(time.monotonic() - begun, 3)
    session, known = "none", False
    if parameters["session_url"]:
        request = parameters["session_request"] or {"email": "canary@nexod.invalid"}
        sign_in = SignIn(request, parameters["session_id_key"], parameters["session_lifetime_key"])
        file = Path(parameters["session_file"])
        session, known = canary(parameters["session_url"], file, sign_in, parameters["version"])
    usual, at_first = parameters["traffic_requests"], parameters.get("traffic_new_version_requests") or 0
    requests = usual if known else max(usual, at_first)
    url, paths = parameters["urls"][0], parameters["traffic_paths"]
    if requests:
        settle_paths(url, paths, parameters["wait_seconds"])
    seconds_of_traffic = parameters.get("traffic_seconds") or 120
    counts = traffic(url, paths, requests, parameters["traffic_concurrency"], seconds=seconds_of_traffic)
    wrong = failing(url, counts, parameters.get("traffic_maximum_error_ratio", 0.0))
    if wrong:
        raise InfraError(
            "verify the release at",
            url,
            "\n".join(f"- {line}" for line in wrong),
            "Read the log of the API (journalctl -u UNIT) and of what it depends on, fix it, or roll back.",
            faults=wrong,
        )
    sent = sum(totals(counts).values())
    return {"answers": totals(counts), "paths": counts, "requests": sent, "seconds": seconds, "session": session}
