# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify what the migrations need beside the files of their set: account, folder, links to the metrics, squawk.

Reads installed.json, which lies beside it. Exits with 0, or prints what differs and exits with 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import pwd
import sys
import typing as t


def differences(wanted: t.Mapping[str, t.Any]) -> list[str]:
    """What is not as `wanted`: the names of an account, a folder and a program, and links with their targets."""
    account, folder, squawk = wanted["account"], wanted["folder"], wanted["squawk"]
    found = []
    try:
        identity = pwd.getpwnam(account).pw_uid
    except KeyError:
        return [f"the account {account} does not exist"]
    if folder and not (os.path.isdir(folder) and os.stat(folder).st_uid == identity):
        found.append(f"{folder} is not a folder of {account}")
    for path, target in wanted["links"].items():
        if not os.path.islink(path) or os.readlink(path) != target:
            found.append(f"{path} is not a link to {target}")
    if squawk and digest(pathlib.Path(squawk)) != wanted["squawk_digest"]:
        found.append(f"{squawk} is not the program that was installed")
    return found


def digest(path: pathlib.Path) -> str:
    """The file's content as the filter file_digest names it; empty where it can't be read or executed."""
    if not os.access(path, os.R_OK | os.X_OK):
        return ""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def main() -> int:
    wanted = json.loads(pathlib.Path(__file__).with_name("installed.json").read_text(encoding="utf-8"))
    found = differences(wanted)
    for difference in found:
        print(difference, file=sys.stderr)  # noqa: T201 the module that runs this shows it
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
