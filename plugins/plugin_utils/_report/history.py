# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of all runs, as rows and as a page that links to the report of each."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.plugin_utils._report.document import document
from ansible_collections.nexod.infra.plugins.plugin_utils._report.html import kind_of, title
from ansible_collections.nexod.infra.plugins.plugin_utils._report.markup import Child, el
from ansible_collections.nexod.infra.plugins.plugin_utils._report.parts import (
    Facts,
    badge,
    count,
    moment,
    number,
    section,
    table,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._report.report import duration, selection_text

WORDS = {"ok": "done", "bad": "failed", "plan": "plan", "muted": "unknown"}


class Row(t.TypedDict):
    """One run: `directory` is relative to the folder of all reports, `name` that of its files without their suffix."""

    directory: str
    name: str
    environment: str
    title: str
    kind: str
    selection: str
    started: str
    seconds: float
    version: str
    changed: int
    failed_in: list[str]


def row_of(report: Facts, directory: str, name: str) -> Row:
    """What the list shows of a report."""
    return {
        "directory": directory,
        "name": name,
        "environment": str(report.get("environment") or ""),
        "title": title(report),
        "kind": kind_of(report),
        "selection": selection_text(report),
        "started": str(report["started"]),
        "seconds": number(report.get("seconds")),
        "version": str((report.get("version") or {}).get("after") or ""),
        "changed": len(report.get("changed_hosts") or ()),
        "failed_in": sorted({str(row.get("stage") or "no stage") for row in report.get("failures") or ()}),
    }


def _cells(row: Row) -> list[Child]:
    address = urllib.parse.quote(f"{row['directory']}/{row['name']}.html")
    word = WORDS[row["kind"]] if row["kind"] in WORDS else WORDS["muted"]
    where = f" in {', '.join(row['failed_in'])}" if row["failed_in"] else ""
    selection = el("div", {"class": "small muted"}, el("code", None, row["selection"])) if row["selection"] else None
    return [
        el("time", {"datetime": row["started"], "class": "num"}, moment(row["started"])),
        [el("a", {"href": address}, row["title"]), selection],
        badge(row["kind"] if row["kind"] in WORDS else "muted", word + where),
        row["version"],
        count(row["changed"], "host"),
        el("span", {"class": "num"}, duration(row["seconds"])),
    ]


class Profile(t.TypedDict):
    """The files of a profile, in a directory relative to the folder of all reports."""

    environment: str
    directory: str
    files: list[str]


def _profile_cells(profile: Profile) -> list[Child]:
    links: list[Child] = []
    for file in profile["files"]:
        links += [" ", el("a", {"href": urllib.parse.quote(f"{profile['directory']}/{file}")}, file)]
    return [profile["environment"], profile["directory"].rpartition("/")[2], links]


def history_page(rows: t.Sequence[Row], profiles: t.Sequence[Profile] = ()) -> str:
    """The page, newest run first. The same rows always result in the same page."""
    heads = ["Started", "Run", "Outcome", "Version", "Changed", "Took"]
    environments = dict.fromkeys(row["environment"] or "unnamed environment" for row in rows)
    sections = [
        section(
            name,
            table(
                heads,
                [_cells(row) for row in rows if (row["environment"] or "unnamed environment") == name],
                f"Runs of {name}, newest first",
            ),
        )
        for name in sorted(environments)
    ]
    if profiles:
        heads = ["Environment", "Profile", "Files"]
        cells = [_profile_cells(profile) for profile in profiles]
        sections.append(section("Profiles", table(heads, cells, "Profiles of the API, newest first")))
    return document("History of all runs", el("h1", None, "History of all runs"), sections)
