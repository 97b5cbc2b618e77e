# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as files: a directory per run, so that no run overwrites the report of another one."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import re
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import from_rows, markdown_of
from ansible_collections.nexod.infra.plugins.plugin_utils._report.history import Profile, Row, history_page, row_of
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import page
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import cost_text, is_incomplete_plan

Facts = t.Mapping[str, t.Any]

LATEST: t.Final = "latest"
INDEX: t.Final = "index"
UNNAMED: t.Final = "unnamed"
#: Where the role profile fetches profiles to: PROFILES/<environment>/<profile>-<host>.
PROFILES: t.Final = "profiles"


def name_of(report: Facts) -> str:
    """What the files are named after: ``deploy``, ``deploy-plan``, ``roll_back``."""
    return Path(str(report["playbook"])).stem + ("-plan" if report["check_mode"] else "")


def directory_name(report: Facts) -> str:
    """``20261125T193422Z-deploy``: sorted by name, runs are sorted by time."""
    started = datetime.datetime.fromisoformat(str(report["started"])).astimezone(datetime.UTC)
    return f"{started:%Y%m%dT%H%M%SZ}-{name_of(report)}"


def environment_name(report: Facts) -> str:
    """The environment as the name of a directory. Preflight refuses odd names, but its report is written too."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", str(report["environment"] or "")).lstrip(".") or UNNAMED


def write(folder: Path, name: str, text: str) -> Path:
    """Write `text` below `folder` in one rename, readable by its owner only: errors may name internals."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    # Half a surrogate pair, as a file's name can hold one, becomes its escape: in JSON that is the same character.
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
    target = folder / name
    Path(temporary).replace(target)
    return target


def as_markdown(report: Facts) -> str:
    """What a pull request shows of a plan."""
    version = report["version"]["after"]
    title = f"Plan: {Path(report['playbook']).stem} {report['environment']}{f' to {version}' if version else ''}"
    faults = [f"{row['stage']} on {row['host']}: {row['message']}" for row in report["failures"]]
    cost = "; ".join(text for text in cost_text(report) if text)
    return markdown_of(title, from_rows(report["changes"]), faults, failed=is_incomplete_plan(report), cost=cost)


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def new_directory(folder: Path, report: Facts) -> Path:
    """Create the run's own directory; a second run of the same second gets a number."""
    above, name = folder / environment_name(report), directory_name(report)
    above.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        target = above / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            target.mkdir()
            return target
    raise AssertionError


def write_report(folder: Path, report: Facts) -> list[Path]:
    """Write the report for people and for programs; the names of the files differ only in their suffix."""
    directory, name = new_directory(folder, report), name_of(report)
    data = write(directory, f"{name}.json", as_json(report))
    shown = [write(directory, f"{name}.html", page(report)), data]
    return [*shown, write(directory, f"{name}.md", as_markdown(report))] if report["check_mode"] else shown


def link_latest(directory: Path) -> None:
    """Let the environment's link ``latest`` name this run, in one rename."""
    temporary = directory.with_name(f".{LATEST}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(directory.name)
    temporary.replace(directory.with_name(LATEST))


def write_history(folder: Path) -> Path:
    """Write the page that lists the runs of all environments.

    The list follows from the directories that are there, so a run that another one has just overlooked is found by
    the next one, and a directory that was deleted disappears from the list.
    """
    known = _known_rows(folder)
    rows = [
        row
        for directory in _run_directories(folder)
        if (row := known.get(str(directory.relative_to(folder))) or _row_in(folder, directory))
    ]
    rows.sort(key=lambda row: (row["started"], row["directory"]), reverse=True)
    write(folder, f"{INDEX}.json", as_json({"format": 1, "runs": rows}))
    return write(folder, f"{INDEX}.html", history_page(rows, _profiles(folder)))


def _run_directories(folder: Path) -> list[Path]:
    environments = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    return [path for above in environments for path in above.iterdir() if path.is_dir() and not path.is_symlink()]


def _profiles(folder: Path) -> list[Profile]:
    """The profiles that are there, newest first; their pictures and pages open in a browser."""
    found = [path for path in folder.glob(f"{PROFILES}/*/*") if path.is_dir() and not path.is_symlink()]
    return [
        {
            "environment": path.parent.name,
            "directory": str(path.relative_to(folder)),
            "files": sorted(file.name for file in path.iterdir() if file.is_file() and not file.name.startswith(".")),
        }
        for path in sorted(found, key=lambda path: path.name, reverse=True)
    ]


def _known_rows(folder: Path) -> dict[str, Row]:
    """The rows of the last list: the report of each earlier run need not be read again."""
    try:
        rows = json.loads((folder / f"{INDEX}.json").read_text(encoding="utf-8"))["runs"]
        return {str(row["directory"]): t.cast("Row", row) for row in rows if row.keys() >= Row.__annotations__.keys()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _row_in(folder: Path, directory: Path) -> Row | None:
    """The row of a run from its report; none for a directory that holds no report."""
    for path in sorted(directory.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            return row_of(json.loads(path.read_text(encoding="utf-8")), str(directory.relative_to(folder)), path.stem)
    return None
