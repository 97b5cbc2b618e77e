# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pin versions in a lock file, by the sums that upstream publishes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import tempfile
import typing as t
import urllib.error

import yaml
from ansible.module_utils.urls import open_url

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import translated
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files.archive import filled_in, shown
from ansible_collections.nexod.infra.plugins.module_utils._files.release import VERSION, by_version
from ansible_collections.nexod.infra.plugins.plugin_utils._software.lock import SHA256

Document = dict[str, t.Any]
Fetch = t.Callable[[str], str]
#: No list of sums is longer.
LARGEST = 1 << 20
HEADER = """\
---
# The archives that roles may install: for each version the sha256 that upstream publishes, by architecture. A version
# that is not here is refused. Written by the playbook nexod.infra.pin_versions, which reads them from `sums`:
#   ansible-playbook nexod.infra.pin_versions -e '{"pin": {"prometheus": "3.5.0"}}'
"""


def fetched(url: str) -> str:
    """A list of sums. Raises InfraError where it can't be had."""
    next_step = "Check the version, and that this machine reaches the address (curl -I); or set pin_mirror."
    try:
        with open_url(url, timeout=30, http_agent="nexod.infra") as answer:
            return str(answer.read(LARGEST).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        cause = f"the server answers {error.code} {error.reason}"
        raise InfraError("read the sums at", shown(url), cause, next_step) from error
    except OSError as error:
        raise InfraError("read the sums at", shown(url), str(getattr(error, "reason", error)), next_step) from error


def sum_in(text: str, file: str) -> str:
    """The sha256 of `file` in a list as sha256sum writes it, or in a text that is one sum alone; empty without."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    if len(rows) == 1 and len(rows[0]) == 1:
        rows[0].append(file)
    found = [row[0].lower() for row in rows if len(row) == 2 and row[1].lstrip("*").removeprefix("./") == file]
    return found[0] if len(found) == 1 and SHA256.fullmatch(found[0]) else ""


def pins_of(name: str, version: str, row: Document, arches: t.Sequence[str], fetch: Fetch) -> Document:
    """The checksums of one version by architecture, from upstream."""
    what = f"{name} {version}"
    if not VERSION.fullmatch(version) or version == "latest":
        raise InfraError("pin", what, "that is no version", "Give the exact version, such as 3.5.0.")
    if not row.get("url") or not row.get("sums"):
        cause = "the lock file has no `url` and `sums` for it"
        raise InfraError("pin", what, cause, "Add them to the lock file, as the other programs have them.")
    texts: dict[str, str] = {}
    found = {}
    for arch in arches:
        sums = filled_in(str(row["sums"]), version, arch)
        file = os.path.basename(filled_in(str(row["url"]), version, arch))
        if sums not in texts:
            texts[sums] = fetch(sums)
        if not (value := sum_in(texts[sums], file)):
            cause = f"{shown(sums)} has no sha256 for {file}"
            next_step = (
                "Check the version and `url` of the lock file, or leave this architecture out (pin_architectures)."
            )
            raise InfraError("pin", f"{what} for {arch}", cause, next_step)
        found[arch] = value
    return found


def pinned(
    lock: Document,
    wanted: t.Mapping[str, t.Any],
    arches: t.Sequence[str],
    *,
    prune: bool = False,
    fetch: Fetch = fetched,
) -> Document:
    """The lock file's content with the `wanted` versions, by program one or a list. Other pins are not touched.

    Raises InfraError where upstream has another sum than the one that is pinned: a release does not change.
    """
    result: Document = {name: {**row, "versions": dict(row.get("versions") or {})} for name, row in lock.items()}
    for name, given in wanted.items():
        if name not in result:
            known = ", ".join(sorted(result))
            raise InfraError(
                "pin", name, f"the lock file knows {known}", "Correct the name, or add its `url` and `sums`."
            )
        versions = [str(version) for version in (given if isinstance(given, list) else [given])]
        row = result[name]
        for version in versions:
            before = row["versions"].get(version) or {}
            place = {**row, **({"url": before["url"]} if "url" in before else {})}
            after = pins_of(name, version, place, arches, fetch)
            refuse_other_sums(f"{name} {version}", before, after)
            row["versions"][version] = {**before, **after}
        kept = row["versions"].items()
        row["versions"] = {
            version: dict(sorted(pins.items()))
            for version, pins in sorted(kept, key=lambda item: by_version(item[0]))
            if not prune or version in versions
        }
    return result


def refuse_other_sums(what: str, before: t.Mapping[str, str], after: t.Mapping[str, str]) -> None:
    for arch, value in after.items():
        if before.get(arch, value) != value:
            cause = f"upstream publishes {value}, but {before[arch]} is pinned"
            next_step = (
                "A release does not change: find out why, before you remove the pin from the lock file and run again."
            )
            raise InfraError("pin", f"{what} for {arch}", cause, next_step)


def rendered(lock: Document) -> str:
    """The text of a lock file."""
    # Text of playbooks is of a type of Ansible's own, which YAML does not know.
    plain = json.loads(json.dumps(lock))
    text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=False, width=1000, allow_unicode=True)
    return HEADER + re.sub(r"'", '"', text)


def write(path: pathlib.Path, text: str) -> None:
    """One rename: whoever reads it meanwhile reads a whole one."""
    with translated("write the lock file", f'"{path}"', str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(scratch, path.stat().st_mode & 0o777 if path.exists() else 0o644)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
