# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides from the survey of a host that a task would find everything as it should be, and what it would return then.

Each function returns the result of the unchanged task, or None: then the task must be executed on the host. What is
compared and how is the modules' own code, so that both give the same answer.
"""

from __future__ import annotations

import fnmatch
import hashlib
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.nexod.infra.plugins.module_utils._files.archive import digest_of
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import (
    Attributes,
    Entry,
    Found,
    Tree,
    digest,
    plan,
)
from ansible_collections.nexod.infra.plugins.module_utils._files.live_service import units_of
from ansible_collections.nexod.infra.plugins.module_utils._files.proofs import fingerprint, for_instance, get_secrets
from ansible_collections.nexod.infra.plugins.module_utils._files.release import by_version, plan_present

Survey = t.Mapping[str, t.Any]
Result = dict[str, t.Any]


def unchanged_set(survey: Survey, name: str, root: str, state: str, entries: t.Sequence[Entry]) -> Result | None:
    """The set has exactly these files, is marked live or has no service, and no killed run has left anything."""
    if root != survey["root"]:
        return None
    row = survey["sets"].get(name)
    if state == "absent" and row is None:
        return _same(name, root, "", "none")
    if state != "present" or row is None or not row["tidy"] or row["current"] is None:
        return None
    if row["live"] not in (None, row["current"]) or plan(_tree(row["tree"]), entries).changed:
        return None
    # A set that was never marked live asks for a start.
    return _same(name, root, digest(entries), "none" if row["live"] else "restart")


def unchanged_service(survey: Survey, arguments: t.Mapping[str, t.Any]) -> Result | None:
    """Each unit runs, is enabled as asked, and passed these very proofs with its live set in the survey."""
    files, name = arguments.get("files") or {}, str(arguments["name"])
    if arguments.get("state", "started") != "started" or files.get("action") != "none":
        return None
    try:
        enabled, instances = boolean(arguments.get("enabled", True)), arguments.get("instances")
        units = units_of(name, None if instances is None else [str(one) for one in instances])
        asked = {unit: for_instance(arguments.get("proof") or (), unit.partition("@")[2]) for unit in units}
        secret = bool(arguments.get("secrets")) and get_secrets(arguments.get("proof") or ())
        prints = {unit: fingerprint(unit, rows) for unit, rows in asked.items()}
    except (AttributeError, TypeError, ValueError):
        # Not what the module takes: it says so.
        return None
    others = {unit for unit in survey["services"] if unit.startswith(f"{name}@")} - set(units)
    if not units or secret or (instances is not None and others):
        return None
    for unit in units:
        row = survey["services"].get(unit)
        if row is None or (files.get("name"), files.get("root")) != (row["set"], survey["root"]):
            return None
        if row["missing"] is not None or row["enabled"] is not enabled or row["proof"] != prints[unit]:
            return None
    return {"name": name, "changed": False, "action": "none", "steps": [], "seconds": 0.0, "diff": []}


def is_refuted(survey: Survey, arguments: t.Mapping[str, t.Any]) -> bool:
    """Whether the survey found one of these very proofs to fail for good, with the set that the task has."""
    files, unit = arguments.get("files") or {}, str(arguments["name"])
    row = survey["services"].get(unit)
    if row is None or not row.get("final") or files.get("action") != "none" or files.get("name") != row["set"]:
        return False
    try:
        return bool(row["proof"] == fingerprint(unit, arguments.get("proof") or ()))
    except (AttributeError, TypeError, ValueError):
        return False


def is_proven(survey: Survey, unit: str, files: t.Mapping[str, str]) -> bool:
    """Whether the unit runs as its role left it, and its set has each of `files`, a path, with exactly this content."""
    row = survey["services"].get(unit)
    if row is None or row["missing"] is not None:
        return False
    tree = survey["sets"][row["set"]]["tree"] or {}
    wanted = {path: hashlib.sha256(content.encode()).hexdigest() for path, content in files.items()}
    return all(path in tree and tree[path]["attributes"]["sha256"] == digest for path, digest in wanted.items())


def unchanged_release(survey: Survey, arguments: t.Mapping[str, t.Any], content: str) -> Result | None:
    """The release is there with this content, linked as asked, and no unfinished one lies beside it."""
    same = _unchanged_versions(survey, arguments, content)
    name, link = arguments["name"], arguments.get("link")
    if same is None or (link and survey["releases"][name]["links"].get(link) != arguments["version"]):
        return None
    return {**same, "python": f"{same['path']}/bin/python", "built": False}


def unchanged_archive(survey: Survey, arguments: t.Mapping[str, t.Any]) -> Result | None:
    """The version is there, from the pinned archive of one of the architectures: an archive for another is refused."""
    contents = [
        digest_of(arguments["name"], arguments["version"], checksum)
        for checksum in (arguments["checksums"].values() if arguments["state"] == "present" else ())
    ]
    found = (_unchanged_versions(survey, arguments, content) for content in contents)
    same = next((row for row in found if row is not None), None)
    return None if same is None else {**same, "unpacked": False}


def _unchanged_versions(survey: Survey, arguments: t.Mapping[str, t.Any], content: str) -> Result | None:
    if arguments["state"] != "present" or arguments.get("root", "/opt") != survey["applications"]:
        return None
    name, version = arguments["name"], arguments["version"]
    row = survey["releases"].get(name)
    if row is None:
        return None
    steps = plan_present(row["versions"], version, content, keep=arguments["keep"], protected=())
    if steps.changed:
        return None
    return {
        "path": f"{survey['applications']}/{name}/{version}",
        "changed": False,
        "removed": [],
        "installed": sorted(row["versions"], key=by_version),
    }


def listed_sets(survey: Survey, arguments: t.Mapping[str, t.Any]) -> Result | None:
    """The names of the sets that match, if nothing else is asked for."""
    matching, root = arguments.get("matching"), arguments.get("root", "/etc/nexod")
    if not isinstance(matching, str) or root != survey["root"] or {"name", "path"} & arguments.keys():
        return None
    return {"changed": False, "sets": sorted(fnmatch.filter(survey["sets"], matching))}


def are_installed(survey: Survey, packages: t.Iterable[str]) -> bool:
    """Whether all `packages` are completely installed, whatever their version."""
    return all(name in survey["packages"] for name in packages)


def _same(name: str, root: str, files: str, action: str) -> Result:
    return {
        "name": name,
        "root": root,
        "digest": files,
        "action": action,
        "pending": action != "none",
        "on_trial": False,
        "changed": False,
        "diff": [],
        "created": [],
        "updated": [],
        "removed": [],
        "stray_links": [],
        "checked": True,
        "unchecked": [],
    }


def _tree(rows: t.Mapping[str, t.Mapping[str, t.Any]] | None) -> Tree | None:
    if rows is None:
        return None
    return {
        path: Found(Attributes(**row["attributes"]), str(row["on_change"]), bool(row["secret"]))
        for path, row in rows.items()
    }
