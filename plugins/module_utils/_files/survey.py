# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at all that this collection keeps on a host: file sets, services, releases and packages.

It changes nothing. The controller compares it with what the roles ask for, and executes nothing on the host where the
host is as it should be already (plugin_utils/_survey).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run
from ansible_collections.nexod.infra.plugins.module_utils._files import proofs
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import LINKS, NAME, FileSet
from ansible_collections.nexod.infra.plugins.module_utils._files.live_service import (
    PROPERTIES,
    Final,
    Proof,
    Status,
    as_status,
    failing,
)
from ansible_collections.nexod.infra.plugins.module_utils._files.packed import pack
from ansible_collections.nexod.infra.plugins.module_utils._files.release import Releases

#: Seconds that all proofs of a host may take together. What is not asked by then counts as not proven.
BUDGET = 10.0
UNPROVEN = "it was not asked"


def survey(
    root: str = "/etc/nexod",
    applications: str = "/opt",
    packages: str = "/var/lib/dpkg/status",
    *,
    check_mode: bool = False,
) -> dict[str, t.Any]:
    """Sets by name, services by unit, releases by application, and packages with their versions.

    In check mode, the commands that prove services write nothing either.
    """
    homes = sorted(path for path in pathlib.Path(root).glob("*") if path.is_dir() and NAME.fullmatch(path.name))
    sets = {home.name: FileSet(home.name, root) for home in homes}
    return {
        "root": root,
        "sets": {name: as_found(files) for name, files in sets.items()},
        "services": services(sets.values(), check_mode=check_mode),
        "applications": applications,
        "releases": releases(pathlib.Path(applications)),
        "packages": installed(packages),
    }


# -- file sets


def as_found(files: FileSet) -> dict[str, t.Any]:
    """`current`, `live`, and the files of the current set as they are on disk; `tidy` where no run left a rest."""
    current, live = files.generation("current"), files.generation("live")
    tree = files.tree(current)
    return {
        "current": current,
        "live": live,
        "tidy": tidy(files),
        "tree": None if tree is None else {path: dataclasses.asdict(found) for path, found in tree.items()},
    }


def tidy(files: FileSet) -> bool:
    """Whether no killed run left anything: a half-staged set, or a link that it should have removed."""
    kept = {name for link in LINKS if (name := files.generation(link))}
    folder = files.home / "generations"
    there = {path.name.removesuffix(".json") for path in folder.iterdir()} if folder.is_dir() else set()
    return there <= kept and not files.stray_links()


# -- services


def services(
    sets: t.Iterable[FileSet], budget: float = BUDGET, *, check_mode: bool = False
) -> dict[str, dict[str, t.Any]]:
    """By unit: its state, and whether the recorded proof of its live set holds now (`missing` says why it doesn't)."""
    rows = [(files, record) for files in sets for record in proofs.recorded(files.home)]
    facts = facts_of([record.unit for _files, record in rows])
    deadline = time.monotonic() + budget
    return {
        record.unit: judged(files, record, facts.get(record.unit, {}), deadline, check_mode=check_mode)
        for files, record in rows
    }


def judged(
    files: FileSet,
    record: proofs.Record,
    facts: t.Mapping[str, str],
    deadline: float = float("inf"),
    *,
    check_mode: bool = False,
) -> dict[str, t.Any]:
    status = as_status(facts)
    missing = why_unproven(files, record, status, deadline, check_mode=check_mode)
    return {
        "set": files.name,
        "proof": proofs.fingerprint(record.unit, record.rows),
        "enabled": status.enabled,
        "missing": missing,
        "final": isinstance(missing, Final),
    }


def why_unproven(
    files: FileSet, record: proofs.Record, status: Status, deadline: float, *, check_mode: bool = False
) -> str | None:
    """The first reason why the service must be looked at by its own task, or None where it is proven."""
    reasons = {
        "its unit is not active": not status.active,
        "its unit file has changed": status.stale,
        "another set was proven": not record.generation == files.generation("live") == files.generation("current"),
        "its program was replaced while it runs": status.replaced,
    }
    if reason := next((reason for reason, holds in reasons.items() if holds), None):
        return reason
    for row in record.rows:
        if time.monotonic() > deadline:
            return UNPROVEN
        if missing := failing(as_proof(row, check_mode=check_mode), time.time()):
            return missing
    return None


def as_proof(row: t.Mapping[str, t.Any], *, check_mode: bool = False) -> Proof:
    known = proofs.canonical(row)
    return Proof(
        url=known["url"],
        status=known["status"],
        command=tuple(known["command"]),
        environment=proofs.environment(check_mode, survey=True),
        matches=known["matches"],
        metrics=known["metrics"],
        after=frozenset(),
        access=proofs.access(known),
    )


def facts_of(units: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """systemd's properties of all `units` in one call; empty where systemd does not answer."""
    if not units:
        return {}
    shown = run(["systemctl", "show", *units, f"--property={PROPERTIES}"])
    blocks = shown.stdout.strip("\n").split("\n\n")
    if shown.rc != 0 or len(blocks) != len(units):
        return {}
    return dict(zip(units, [parse(block) for block in blocks], strict=True))


def parse(block: str) -> dict[str, str]:
    """KEY=value lines; the lines of a key that comes several times are joined."""
    found: dict[str, str] = {}
    for line in block.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key] = f"{found[key]} {value}" if key in found else value
    return found


# -- releases and packages


def releases(root: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    """By application below `root`: its versions with the digest of their content, and what its links name."""
    found = {}
    for home in sorted(root.glob("*")):
        versions = Releases(home.name, str(root)).installed() if home.is_dir() and not home.is_symlink() else {}
        if any(versions.values()):
            links = {path.name: os.readlink(path) for path in home.iterdir() if path.is_symlink()}
            found[home.name] = {"versions": versions, "links": links}
    return found


def installed(status: str) -> dict[str, str]:
    """Packages of Debian that are completely installed, with their versions; empty where dpkg is not in use."""
    try:
        text = pathlib.Path(status).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = {}
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", block, re.MULTILINE))
        if fields.get("Status") in ("install ok installed", "hold ok installed"):
            found[fields["Package"]] = fields.get("Version", "")
    return found


def try_survey(*, check_mode: bool = False, **where: str) -> tuple[str, str]:
    """The packed survey, or nothing and why: without it every task looks for itself."""
    try:
        return pack(survey(check_mode=check_mode, **where)), ""
    except (OSError, InfraError, ValueError, KeyError, TypeError, AttributeError) as error:
        return "", f"{type(error).__name__}: {error}"
