# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles prometheus, alertmanager and exporters share when they check and write settings. Pure functions."""

from __future__ import annotations

import re
import typing as t

Settings = t.Mapping[str, t.Any]

#: Keys under which Prometheus and Alertmanager take a secret as text.
SECRET_KEYS = frozenset(
    {
        "api_key",
        "api_secret",
        "auth_password",
        "auth_secret",
        "bearer_token",
        "bot_token",
        "client_secret",
        "credentials",
        "opsgenie_api_key",
        "password",
        "routing_key",
        "secret_key",
        "service_key",
        "slack_api_url",
        "smtp_auth_password",
        "smtp_auth_secret",
        "token",
        "user_key",
        "victorops_api_key",
        "wechat_api_secret",
    }
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def leaves(document: t.Any, key: str = "") -> t.Iterator[tuple[str, t.Any]]:
    """Every value of a document that is neither a mapping nor a list, with the key that it lies under."""
    if isinstance(document, t.Mapping):
        for name, value in document.items():
            yield from leaves(value, str(name))
    elif isinstance(document, list | tuple):
        for value in document:
            yield from leaves(value, key)
    else:
        yield key, document


def holds_secret(document: t.Any) -> bool:
    """Whether a secret is written in the document itself, so that no diff may show it."""
    return any(
        (key in SECRET_KEYS and value not in (None, "")) or re.search(r"://[^/@\s]+:[^/@\s]+@", str(value))
        for key, value in leaves(document)
    )


def doubled(kind: str, names: t.Sequence[str]) -> list[str]:
    """A sentence for each name that is there more than once."""
    return [
        f'{kind} "{name}" is defined {names.count(name)} times; give each its own name'
        for name in sorted(set(names))
        if names.count(name) > 1
    ]


def unnamed(option: str, rows: t.Sequence[t.Any], key: str) -> list[str]:
    """A sentence where rows of `option` lack their name."""
    without = sum(1 for row in rows if not (isinstance(row, t.Mapping) and row.get(key)))
    return [f'{option} has {without} without "{key}"; name each'] if without else []


def file_name_faults(option: str, names: t.Iterable[str]) -> list[str]:
    """A sentence for each key of `option` that can't be the name of a file."""
    return [
        f'{option} contains "{name}", which can\'t be the name of a file; use letters, digits, ".", "_" and "-"'
        for name in names
        if not _PLAIN_NAME.fullmatch(str(name))
    ]


def credential_faults(option: str, document: t.Any, folder: str, names: t.Iterable[str]) -> list[str]:
    """A sentence for each file below `folder` that the document names and `option` does not hold."""
    named = {str(value)[len(folder) :] for _key, value in leaves(document) if str(value).startswith(folder)}
    return [
        f'the configuration names the file {folder}{name}, but {option} does not contain "{name}"; add it there'
        for name in sorted(named - {str(name) for name in names})
    ]
