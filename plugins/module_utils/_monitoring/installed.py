# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an Alertmanager that is being changed is asked: by the files of its set on the host, not by the inventory."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access

#: The set that it reads, and the one that it was last verified with: until it is restarted, it may use either.
LINKS: t.Final = ("current", "live")
#: Files of the set: its URL, and how `amtool` asks it (plugin_utils/_service/web.py).
ADDRESS, CLIENT = "address", "web/client.yml"


@dataclasses.dataclass(frozen=True)
class Door:
    """A URL, and what is needed there."""

    url: str
    access: Access


def doors(home: pathlib.Path, url: str) -> list[Door]:
    """Where the Alertmanager of the set in `home` may be asked, the likeliest first; none if there is no such set.

    `url` is its address where its files do not name one.
    """
    return list(dict.fromkeys(door(home, link, url) for link in LINKS if (home / link).is_dir()))


def door(home: pathlib.Path, link: str, url: str) -> Door:
    """As the files of one of the sets say."""
    folder = home / link
    try:
        client = json.loads(_read(folder / CLIENT) or "{}")
        user, tls = client.get("basic_auth", {}), client.get("tls_config", {})
        address = _read(folder / ADDRESS).strip() or f"{'https' if tls else 'http'}://{url.partition('://')[2]}"
    except (OSError, ValueError, AttributeError) as error:
        next_step = "Deploy the stage monitoring, which writes it again."
        raise InfraError("read how Alertmanager is asked from", f'"{folder}"', str(error), next_step) from error

    def place(path: str) -> str:
        # They name each other by `current`, which may be another set by now.
        prefix = f"{home}/current/"
        return f"{folder}/{path.removeprefix(prefix)}" if path.startswith(prefix) else path

    access = Access(
        user=user.get("username", ""),
        password_file=place(user.get("password_file", "")),
        ca_file=place(tls.get("ca_file", "")),
        certificate_file=place(tls.get("cert_file", "")),
        key_file=place(tls.get("key_file", "")),
        # It is the very certificate of this Alertmanager.
        names=False,
    )
    return Door(address, access)


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
