# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server is the primary according to the Sentinels: all are asked at the same time, and the majority decides.

One that is partitioned, was just added, or does not know the service must not decide alone, and one that hangs must not
be waited for.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import queue
import threading
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import Target, named
from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import (
    DeadlineError,
    Refused,
    Unreachable,
    connect,
    is_unknown,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

# How long a Sentinel may take. It answers at once, or not.
SECONDS = 3.0

Address = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one Sentinel said: the primary's address, that it has no such service, or an error."""

    sentinel: str
    primary: Address | None = None
    error: Exception | None = None


def candidates(answers: t.Sequence[Answer]) -> list[tuple[Address, int]]:
    """The addresses that were named, each with its number of votes, the most first."""
    votes = collections.Counter(answer.primary for answer in answers if answer.primary)
    return votes.most_common()


def chosen(masters: t.Sequence[tuple[Address, int]], answers: t.Sequence[Answer], name: str) -> Address:
    """The primary among the candidates that are one."""
    if not masters:
        raise Unreachable(_why_none(answers))
    if len(masters) > 1 and masters[0][1] == masters[1][1]:
        places = " and ".join(named(*address) for address, _votes in masters[:2])
        raise Unreachable(
            f"the Sentinels disagree about the primary of {name}: {places}",
            next_step="Check SENTINEL MASTER on each of them, and remove or repair the one that is out of date.",
        )
    return masters[0][0]


def _why_none(answers: t.Sequence[Answer]) -> str:
    named_by = [f"{answer.sentinel} names {named(*answer.primary)}" for answer in answers if answer.primary]
    if named_by:
        return f"{'; '.join(named_by)}, which is not the primary any more, or not yet"
    return "; ".join(f"{answer.sentinel} {answer.error}" for answer in answers if answer.error) or "no Sentinel answers"


def refuse_hopeless(answers: t.Sequence[Answer], target: Target) -> None:
    """Raise what waiting does not change: a name that none of them knows, a wrong password, another kind of server."""
    if any(answer.primary for answer in answers):
        return
    errors = [answer for answer in answers if isinstance(answer.error, Refused)]
    for answer in errors:
        refused = t.cast("Refused", answer.error)
        if refused.word in ("WRONGPASS", "NOAUTH"):
            raise InfraError(
                "ask",
                f"the Sentinel {answer.sentinel}",
                f"it rejects the account: {str(refused).removeprefix('WRONGPASS ')}",
                "Check sentinel_username and sentinel_password; username and password are those of the cache itself.",
            )
        if is_unknown(refused):
            raise InfraError(
                "ask",
                f"the Sentinel {answer.sentinel}",
                "it is not a Sentinel, but a server",
                "Set sentinels to the Sentinels (usual port: 26379), or reach the server itself with host and port.",
            )
    if unknown := [answer.sentinel for answer in answers if answer.error is None]:
        raise InfraError(
            "find", target.name, f"{', '.join(unknown)} has no service of that name", "Check sentinel_service."
        )
    if errors:
        raise t.cast("Refused", errors[0].error)


def ask_all(target: Target, ends: float) -> list[Answer]:
    """The answers until more than half of all Sentinels agree, all have answered, or the time is up."""
    found: queue.Queue[Answer] = queue.Queue()
    limit = min(ends, time.monotonic() + min(SECONDS, target.timeout))
    for address in target.sentinels:
        threading.Thread(target=_ask, args=(target, address, limit, found), daemon=True).start()
    answers: list[Answer] = []
    while len(answers) < len(target.sentinels):
        try:
            answers.append(found.get(timeout=max(0.0, limit - time.monotonic())))
        except queue.Empty:
            break
        leading = candidates(answers)
        if leading and leading[0][1] > len(target.sentinels) / 2:
            break
    else:
        return answers
    if not candidates(answers):
        heard = {answer.sentinel for answer in answers}
        silent = [name for address in target.sentinels if (name := named(*address)) not in heard]
        answers += [Answer(name, error=Unreachable("does not answer")) for name in silent]
    return answers


def _ask(target: Target, address: Address, limit: float, found: queue.Queue[Answer]) -> None:
    name = named(*address)
    try:
        with contextlib.closing(connect(target, *address, sentinel=True, ends=limit)) as connection:
            reply = connection.ask(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", target.service.encode())
    except DeadlineError:
        found.put(Answer(name, error=Unreachable("does not answer")))
    except (Unreachable, Refused, InfraError) as error:
        found.put(Answer(name, error=error))
    else:
        found.put(Answer(name, (reply[0].decode(), int(reply[1])) if reply else None))
