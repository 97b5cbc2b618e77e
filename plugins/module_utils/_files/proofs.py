# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves a service live, recorded beside its file set, so that a survey of the host can prove it again.

Only proofs that are asked at rest are recorded, and never one that needs a secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access

#: Below the home of a set.
FOLDER = "proofs"


@dataclasses.dataclass(frozen=True)
class Record:
    """`rows` proved `unit` while `generation` of its set was live."""

    unit: str
    generation: str
    rows: tuple[dict[str, t.Any], ...]


def canonical(row: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A row of live_service's `proof` with every default in place, whether or not the module has validated it."""
    return {
        "url": None if row.get("url") is None else str(row["url"]),
        "status": int(row.get("status") or 200),
        "command": [str(word) for word in row.get("command") or ()],
        "matches": None if row.get("matches") is None else str(row["matches"]),
        "metrics": {str(name): str(value) for name, value in (row.get("metrics") or {}).items()},
        # A user's name and paths of files on the host: no secret.
        "access": {str(name): str(value) for name, value in (row.get("access") or {}).items() if value},
    }


def access(row: t.Mapping[str, t.Any]) -> Access | None:
    """What the URL of a row is asked with."""
    given = canonical(row)["access"]
    return Access(**given, names=False) if given else None


def environment(check_mode: bool, *, survey: bool = False) -> dict[str, str]:
    """What a command is started with: in check mode it must not write, and this variable shows that.

    For a survey it may check more than what a service is restarted for, as that decides which tasks are needed.
    """
    return {**({"NEXOD_CHECK_MODE": "1"} if check_mode else {}), **({"NEXOD_SURVEY": "1"} if survey else {})}


def at_rest(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The proofs that a service must pass when nothing was done to it: those not reserved for an action."""
    return [canonical(row) for row in rows if not row.get("after")]


def get_secrets(rows: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether a proof at rest gets the secrets: then a survey, which has none, can't ask again."""
    return any(boolean(row.get("secrets", True)) for row in rows if not row.get("after"))


def for_instance(rows: t.Iterable[t.Mapping[str, t.Any]], instance: str) -> list[dict[str, t.Any]]:
    """The proofs of one instance of a template unit, whose name they have as {instance}; of another unit, unchanged."""
    if not instance:
        return [dict(row) for row in rows]

    def named(text: t.Any) -> str:
        return str(text).replace("{instance}", instance)

    return [
        {
            **row,
            "url": None if row.get("url") is None else named(row["url"]),
            "command": [named(word) for word in row.get("command") or ()] or None,
        }
        for row in rows
    ]


def fingerprint(unit: str, rows: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """A name for exactly these proofs of this unit; the controller compares it with the survey's."""
    text = json.dumps([unit, at_rest(rows)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def record(home: pathlib.Path, unit: str, generation: str, rows: t.Iterable[t.Mapping[str, t.Any]]) -> None:
    """Write what proved `unit` below `home`. It only saves time, so a disk that refuses it is no failure."""
    content = {"unit": unit, "generation": generation, "rows": at_rest(rows)}
    if _read(_path(home, unit)) == content:
        return
    with contextlib.suppress(OSError):
        (home / FOLDER).mkdir(mode=0o700, exist_ok=True)
        scratch = _path(home, unit).with_suffix(".new")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        scratch.replace(_path(home, unit))


def drop(home: pathlib.Path, unit: str) -> None:
    """Remove what was recorded of `unit`."""
    with contextlib.suppress(OSError):
        _path(home, unit).unlink()


def recorded(home: pathlib.Path) -> list[Record]:
    """All readable records of the set at `home`."""
    found = [_read(path) for path in sorted((home / FOLDER).glob("*.json"))]
    return [Record(row["unit"], row["generation"], tuple(row["rows"])) for row in found if _whole(row)]


def _path(home: pathlib.Path, unit: str) -> pathlib.Path:
    return home / FOLDER / f"{unit.replace('/', '_')}.json"


def _read(path: pathlib.Path) -> t.Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _whole(row: t.Any) -> bool:
    return isinstance(row, dict) and row.keys() == {"unit", "generation", "rows"} and isinstance(row["rows"], list)
