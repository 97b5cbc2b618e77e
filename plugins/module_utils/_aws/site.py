# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of the module ``s3_site``: what is uploaded in which order, what is removed, and what caches must drop."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import hashlib
import mimetypes
import os
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

#: For files whose name changes with their content.
IMMUTABLE = "public, max-age=31536000, immutable"
INDEX = "index.html"
#: Pages, and what Next.js keeps of a page for a navigation in the browser. Both name files of one release.
PAGES = (".html", ".htm", ".txt")
#: What browsers must know; the tables of Python and of the system differ from one controller to the next.
TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mp4": "video/mp4",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
#: As in Python, without the files of the system.
OTHER_TYPES = mimetypes.MimeTypes()


@dataclasses.dataclass(frozen=True)
class File:
    """A file of the folder: its name as in a URL, where it lies, its checksum, and the headers it is delivered with."""

    name: str
    path: str
    digest: str
    content_type: str
    cache_control: str

    @property
    def row(self) -> dict[str, str]:
        """What the record keeps of it."""
        return {"digest": self.digest, "content_type": self.content_type, "cache_control": self.cache_control}

    @property
    def wave(self) -> int:
        """No file names one that is not there yet: what pages load, the pages, and the first page last."""
        if self.cache_control == IMMUTABLE:
            return 0
        if not self.name.endswith((".html", ".htm")):
            return 1
        return 3 if self.name == INDEX else 2


#: What was published, by name: the headers and the checksum as uploaded, `seen`, by which S3 shows that nobody has
#: changed the object since, and `since`, if the folder has it no longer.
Rows = t.Mapping[str, t.Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Record:
    """What earlier runs have published. `pending`: paths that caches may still have, since the run `rollout`."""

    rows: Rows = dataclasses.field(default_factory=dict)
    pending: tuple[str, ...] = ()
    rollout: str = ""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one run does.

    `unused`: since when the folder lacks a file that is kept. `paths`: what caches must drop, for this `rollout`.
    """

    uploads: tuple[File, ...]
    removals: tuple[str, ...]
    unused: t.Mapping[str, str]
    newly_unused: tuple[str, ...]
    paths: tuple[str, ...]
    rollout: str
    #: Files that should have got another name with their other content.
    renamed_not: tuple[str, ...]

    @property
    def changes(self) -> bool:
        return bool(self.uploads or self.removals or self.newly_unused or self.paths)

    @property
    def waves(self) -> list[list[File]]:
        numbers = sorted({file.wave for file in self.uploads})
        return [[file for file in self.uploads if file.wave == number] for number in numbers]


def content_type(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()
    found = TYPES.get(ending) or OTHER_TYPES.guess_type(f"x{ending}")[0] or "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def is_immutable(name: str, patterns: t.Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern.lstrip("/")) for pattern in patterns)


def checksum(path: str) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as opened:
        while block := opened.read(1 << 20):
            found.update(block)
    return found.hexdigest()


@dataclasses.dataclass(frozen=True)
class Caching:
    """The headers Cache-Control: `pages`, `others`, and the patterns of the files whose name changes with them."""

    pages: str
    others: str
    immutable: tuple[str, ...] = ()

    def header(self, name: str) -> str:
        if is_immutable(name, self.immutable):
            return IMMUTABLE
        return self.pages if name.lower().endswith(PAGES) else self.others


def read_folder(folder: str, caching: Caching) -> list[File]:
    """All files below a folder."""
    if not os.path.isdir(folder):
        raise refused(folder, "there is no such folder", "Build the front end first, or correct source.")
    found = []
    for place, folders, names in os.walk(folder, onerror=raised):
        for name in folders:
            if os.path.islink(path := os.path.join(place, name)):
                raise refused(folder, f"{path} is a link to a folder", "Copy the folder there instead.")
        for path in (os.path.join(place, name) for name in names):
            name = os.path.relpath(path, folder).replace(os.sep, "/")
            if not can_be_path(name):
                shown = name.encode(errors="backslashreplace").decode()
                raise refused(
                    folder, f"{shown} can't be the path of a URL", "Rename it, in UTF-8 and without asterisk."
                )
            found.append(File(name, path, checksum(path), content_type(name), caching.header(name)))
    if not found:
        raise refused(folder, "it contains no file", "Build the front end first, or correct source.")
    return sorted(found, key=lambda file: file.name)


def can_be_path(name: str) -> bool:
    """Whether CloudFront can invalidate it: an asterisk would stand for others, half a character for nothing."""
    return "*" not in name and name == name.encode(errors="ignore").decode()


def raised(error: OSError) -> t.NoReturn:
    raise error


def refused(folder: str, cause: str, next_step: str) -> InfraError:
    return InfraError("publish the files of", folder, cause, next_step)


def plan(
    files: t.Sequence[File],
    stored: t.Mapping[str, str],
    record: Record,
    *,
    immutable: t.Sequence[str],
    keep_days: int,
    now: datetime.datetime,
) -> Plan:
    """What makes the bucket, whose objects are `stored` by name and mark, as the folder is.

    An object that the record does not know is replaced if the folder has a file of its name, and else left alone.
    """
    uploads = tuple(file for file in files if {**file.row, "seen": stored.get(file.name)} != lasting(record, file.name))
    gone = sorted((record.rows.keys() & stored.keys()) - {file.name for file in files})
    since = {name: record.rows[name].get("since") or now.isoformat(timespec="seconds") for name in gone}
    unused = {
        name: since[name]
        for name in gone
        if is_immutable(name, immutable)
        and now - datetime.datetime.fromisoformat(since[name]) < datetime.timedelta(days=keep_days)
    }
    removals = tuple(name for name in gone if name not in unused)
    replaced = [file.name for file in uploads if file.name in stored]
    paths = tuple(sorted({*paths_of([*replaced, *removals]), *record.pending}))
    # A run that only continues another one finds the invalidations that that one has sent.
    continued = not uploads and not removals
    return Plan(
        uploads=uploads,
        removals=removals,
        unused=unused,
        newly_unused=tuple(name for name in unused if "since" not in record.rows[name]),
        paths=paths,
        rollout=record.rollout if continued and record.rollout else now.isoformat(),
        renamed_not=tuple(file.name for file in uploads if file.wave == 0 and other_content(record, file)),
    )


def lasting(record: Record, name: str) -> dict[str, str]:
    """What was published under a name, whether the folder has had it all the time or has it again."""
    return {key: value for key, value in record.rows.get(name, {}).items() if key != "since"}


def other_content(record: Record, file: File) -> bool:
    return record.rows.get(file.name, {}).get("digest", file.digest) != file.digest


def paths_of(names: t.Iterable[str]) -> list[str]:
    """Paths of URLs. The distribution delivers the first page as / as well, and keeps that apart."""
    found = {f"/{name}".replace("%", "%25") for name in names}
    return sorted(found | ({"/"} if f"/{INDEX}" in found else set()))


def published(
    files: t.Sequence[File], stored: t.Mapping[str, str], record: Record, unused: t.Mapping[str, str]
) -> Rows:
    """The rows of the record after a publication."""
    kept = {name: {**record.rows[name], "since": unused[name]} for name in unused}
    return {**kept, **{file.name: {**file.row, "seen": stored.get(file.name, "")} for file in files}}


def diff_of(plan: Plan, record: Record, keep_days: int) -> dict[str, str]:
    """What changes in the bucket, a line for each file."""

    def line(name: str, row: t.Mapping[str, str]) -> str:
        return f"{name} {row['digest'][:12]} ({row['cache_control']})\n"

    before = {name: line(name, record.rows[name]) for name in plan.removals}
    before |= {one.name: line(one.name, record.rows[one.name]) for one in plan.uploads if one.name in record.rows}
    after = {file.name: line(file.name, file.row) for file in plan.uploads}
    for name in plan.newly_unused:
        before[name] = line(name, record.rows[name])
        after[name] = f"{before[name].rstrip()} no longer in the folder, kept for {keep_days} days\n"
    return {
        "before": "".join(before[name] for name in sorted(before)),
        "after": "".join(after[name] for name in sorted(after)),
    }


def result_of(plan: Plan, files: t.Sequence[File], stored: t.Mapping[str, str], *, delivered: bool) -> dict[str, t.Any]:
    """What the module returns of a plan, the same in check mode."""
    rows = "\n".join(f"{file.name} {file.row}" for file in files)
    return {
        "created": [file.name for file in plan.uploads if file.name not in stored],
        "updated": [file.name for file in plan.uploads if file.name in stored],
        "removed": list(plan.removals),
        "unused": list(plan.newly_unused),
        "invalidated": list(plan.paths) if delivered else [],
        "digest": hashlib.sha256(rows.encode()).hexdigest()[:16],
    }
