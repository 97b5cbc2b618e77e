# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences in Alertmanager: made, kept long enough, and ended, each known by its author and its matchers."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access, Answer, ask
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.times import seconds_of, text_of

Row = t.Mapping[str, t.Any]
Asked = t.Callable[..., Answer]
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NEXT_STEPS = {
    401: "Give user and password, or password_file, as in its web configuration.",
    404: "Check that the URL is Alertmanager's, with the path that it is served below.",
}
UNREACHABLE = (
    "See that Alertmanager runs (systemctl status prometheus-alertmanager on its host) and that the URL is its address."
)


def faults(matchers: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """Why these matchers are none, or would silence everything."""
    found = [f"{name!r} is not the name of a label" for name in matchers if not LABEL.fullmatch(name)]
    found += [f"{name} has no value" for name, values in matchers.items() if not [one for one in values if one]]
    return found if matchers else ["there is no matcher, which would silence everything"]


def matcher(name: str, values: t.Sequence[str]) -> dict[str, t.Any]:
    """One of Alertmanager's matchers: the label has one of the values."""
    chosen = sorted(set(values))
    plain = len(chosen) == 1
    value = chosen[0] if plain else "|".join(re.escape(one) for one in chosen)
    return {"name": name, "value": value, "isRegex": not plain, "isEqual": True}


@dataclasses.dataclass(frozen=True)
class Silence:
    """What is silenced (values by label), by whom, why, and until when, in seconds since 1970."""

    matchers: t.Mapping[str, t.Sequence[str]]
    author: str
    comment: str
    begins: float
    ends: float

    def document(self, replaced: str = "") -> dict[str, t.Any]:
        """As Alertmanager takes it; `replaced` is the id of the one that it stands for from now on."""
        return {
            **({"id": replaced} if replaced else {}),
            "matchers": [matcher(name, values) for name, values in sorted(self.matchers.items())],
            "startsAt": text_of(self.begins),
            "endsAt": text_of(self.ends),
            "createdBy": self.author,
            "comment": self.comment,
        }

    def is_that(self, row: Row) -> bool:
        """Whether a silence of Alertmanager is this one."""

        def known(one: Row) -> tuple[t.Any, ...]:
            return (one["name"], one["value"], bool(one["isRegex"]), one.get("isEqual", True))

        own = sorted(map(known, self.document()["matchers"]))
        return row["createdBy"] == self.author and sorted(map(known, row["matchers"])) == own


class Alertmanager:
    """The Alertmanager at `url`."""

    def __init__(self, url: str, access: Access | None = None, asked: Asked = ask) -> None:
        self._url, self._access, self._asked = url, access, asked

    def active(self, silence: Silence) -> list[Row]:
        """Those of its silences that are this one and have not ended, the one that ends last first."""
        document = self._ask("read the silences of Alertmanager at", "silences")
        try:
            rows = [row for row in document if row["status"]["state"] != "expired" and silence.is_that(row)]
            return sorted(rows, key=lambda row: seconds_of(row["endsAt"]), reverse=True)
        except (KeyError, TypeError, ValueError) as error:
            cause = f"its answer is not a list of silences: {str(document)[:200]}"
            raise InfraError("read the silences of Alertmanager at", self._url, cause, UNREACHABLE) from error

    def keep(self, silence: Silence, *, check: bool = False) -> tuple[bool, str]:
        """Make it, or let it last longer; whether that was necessary, and its id."""
        found = self.active(silence)
        if found and seconds_of(found[0]["endsAt"]) >= silence.ends:
            return False, str(found[0]["id"])
        if check:
            return True, str(found[0]["id"]) if found else ""
        replaced = str(found[0]["id"]) if found else ""
        made = self._ask("silence alerts in Alertmanager at", "silences", document=silence.document(replaced))
        return True, str(made["silenceID"]) if isinstance(made, dict) and "silenceID" in made else ""

    def end(self, silence: Silence, *, later: bool = False, check: bool = False) -> bool:
        """End it, at once or `later`, when the given one ends; whether there was one that lasts longer."""
        found = self.active(silence)
        if later:
            found = [row for row in found if seconds_of(row["endsAt"]) > silence.ends]
        for row in [] if check else found:
            if later:
                # Alertmanager shortens a silence whose beginning is the same.
                shortened = dataclasses.replace(silence, begins=seconds_of(row["startsAt"]))
                document = shortened.document(str(row["id"]))
                self._ask("shorten a silence in Alertmanager at", "silences", document=document)
            else:
                self._ask("end a silence in Alertmanager at", f"silence/{row['id']}", method="DELETE")
        return bool(found)

    def _ask(self, action: str, path: str, **more: t.Any) -> t.Any:
        answer = self._asked(f"{self._url.rstrip('/')}/api/v2/{path}", access=self._access, **more)
        if answer.status != 200:
            words = answer.document if isinstance(answer.document, str) else ""
            cause = f"HTTP {answer.status}: {words or answer.reason}" if answer.status else answer.reason
            raise InfraError(action, self._url, cause, NEXT_STEPS.get(answer.status, UNREACHABLE))
        return answer.document
