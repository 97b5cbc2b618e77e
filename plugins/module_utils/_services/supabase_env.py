# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of environment variables for who develops on a Supabase project: its database, its URL and its keys."""

from __future__ import annotations

import os
import pathlib
import re
import tempfile
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.git import is_exposed, real
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.supabase_project import DASHBOARD

HEADER = "# Written by the deploy, which replaces this file: keep variables of your own in another one."
HIDDEN = "********"
MODE = 0o600
#: What Next.js makes part of the pages that every visitor loads begins with it.
PUBLIC = "NEXT_PUBLIC_"
#: Variables by kind of key. A project has both kinds for a while; code reads the one that it was written for.
PUBLIC_KEYS = {"publishable": "SUPABASE_PUBLISHABLE_KEY", "anon": "SUPABASE_ANON_KEY"}
SECRET_KEYS = {"secret": "SUPABASE_SECRET_KEY", "service_role": "SUPABASE_SERVICE_ROLE_KEY"}
#: Of a secret key that is not revealed, only the first letters are shown, with dots or bullets behind them.
WHOLE = re.compile(r"(?!.*\.\.\.)[\x21-\x7e]+")
#: Written without quotes, as not every reader of such files removes them.
PLAIN = re.compile(r"[A-Za-z0-9_./:@,+=%?-]*")
IGNORE = "Add it to .gitignore (and `git rm --cached` it if it is in the repository), or name a file that git ignores."

Row = t.Mapping[str, t.Any]


def kind_of(row: Row) -> str:
    """Of a legacy key its name says what it is, of the others their type; their names are chosen by people."""
    return str(row["type"]) if row.get("type") in ("publishable", "secret") else str(row["name"])


def keys_of(rows: t.Iterable[Row]) -> dict[str, str]:
    """By kind the key that is used: of several, the one that Supabase has created, else the first by name."""
    found: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row["name"] != "default", str(row["name"]))):
        if WHOLE.fullmatch(str(row.get("api_key") or "")):
            found.setdefault(kind_of(row), str(row["api_key"]))
    return found


def variables(
    ref: str, rows: t.Iterable[Row], database_url: str, *, ca_file: str = "", secret_key: bool = False
) -> dict[str, str]:
    """What the file has. Raises InfraError if a key that is needed is not there."""
    keys, page = keys_of(rows), f"{DASHBOARD}/{ref}/settings/api-keys"
    url = {"SUPABASE_URL": f"https://{ref}.supabase.co"}
    public = url | {name: keys[kind] for kind, name in PUBLIC_KEYS.items() if kind in keys}
    secrets = {name: keys[kind] for kind, name in SECRET_KEYS.items() if kind in keys}
    for lacking, what in ((public == url, "publishable"), (secret_key and not secrets, "secret")):
        if lacking:
            raise InfraError(
                "write the environment file of",
                f"project {ref}",
                f"Supabase shows no {what} key of it",
                f"Create one in the dashboard ({page}), then run again.",
            )
    return {
        "DATABASE_URL": database_url,
        **({"PGSSLROOTCERT": ca_file} if ca_file else {}),
        **public,
        **{PUBLIC + name: value for name, value in public.items()},
        **(secrets if secret_key else {}),
    }


def text_of(given: t.Mapping[str, str]) -> str:
    return "".join([f"{HEADER}\n", *(f"{name}={quoted(name, value)}\n" for name, value in given.items())])


def quoted(name: str, value: str) -> str:
    if not value.isprintable():
        raise InfraError("write", name, "its value has a line break or another control character", "Correct the value.")
    return value if PLAIN.fullmatch(value) else '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def read(text: str) -> dict[str, str]:
    """The lines of a file that `text_of` has written, by variable."""
    return {line.partition("=")[0]: line.partition("=")[2] for line in text.splitlines() if not line.startswith("#")}


def diff(before: str, after: str) -> dict[str, str]:
    """Both without any value: which variables are new, changed or gone."""
    old, new = read(before), read(after)
    changed = {name: HIDDEN if old.get(name, value) == value else f"{HIDDEN} (changed)" for name, value in new.items()}
    return {
        "before": "".join(f"{name}={HIDDEN}\n" for name in old),
        "after": "".join(f"{name}={value}\n" for name, value in changed.items()),
    }


class EnvFile:
    """The file at `path`. A link leads to it and stays one."""

    def __init__(self, path: str) -> None:
        self.named, self.path = path, real(path)

    def content(self) -> str:
        """What is there. Raises InfraError for a file that is somebody else's, or that git would commit."""
        if is_exposed(self.named):
            raise InfraError("write", f"the environment file {self.named}", "git does not ignore it", IGNORE)
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:
            text = "?"
        if text and not text.startswith(HEADER):
            raise InfraError(
                "write",
                f"the environment file {self.named}",
                "there is one that no deploy has written, and it would be lost",
                "Move it away, or name another file; applications can read both.",
            )
        return text

    def is_private(self) -> bool:
        return self.path.exists() and self.path.stat().st_mode & 0o777 == MODE

    def write(self, text: str) -> None:
        """All of it or nothing, and at no time readable by others."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}-", dir=self.path.parent)
        scratch = pathlib.Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            scratch.chmod(MODE)
            scratch.replace(self.path)
        finally:
            scratch.unlink(missing_ok=True)


def listed_keys(client: Client, ref: str, *, secret_key: bool) -> list[Row]:
    """The project's keys; secret ones in full only if they are asked for."""
    reveal = "true" if secret_key else None
    return t.cast("list[Row]", client.rows(f"/v1/projects/{ref}/api-keys", reveal=reveal))
