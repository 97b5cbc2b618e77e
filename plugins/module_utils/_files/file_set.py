# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of a role as one set that is swapped at once and can be rolled back.

The set lives in numbered generations below ``ROOT/NAME/generations``; the links `current`,
`previous` and `live` name three of them. A generation is complete before any link names it, and a
link moves by one rename(2), so that at every moment a service sees either all of the old set or
all of the new one, also when the run that changes it is killed.

Links from elsewhere into the set (a unit in ``/etc/systemd/system``) are made after the swap and removed after it. A
run that is killed in between leaves some of them behind: every manifest on disk still names them, and the next run
removes them.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import errno
import fcntl
import fnmatch
import grp
import gzip
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import stat
import tempfile
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run
from ansible_collections.nexod.infra.plugins.module_utils._files import proofs

#: What a service must do to take a change, from least to most.
ACTIONS = ("none", "reload", "restart")
LINKS = ("current", "previous", "live", "returned")
RETURN = "return the file set"
#: What `run` and shells end with for want of a program.
NOT_FOUND = 127
#: What a manifest holds of each file, beside its checksum.
ROW = ("mode", "owner", "group", "on_change", "link", "secret")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
LARGEST_DIFF = 100_000
#: Lines of a new or removed file that a plan shows; of a longer one it shows the size.
LONGEST_WHOLE = 300
DAY = 24 * 3600


@dataclasses.dataclass(frozen=True)
class Attributes:
    """All of a file that is compared: `sha256` (hex) of its content, `mode` (octal text), `owner`, `group`, `link`."""

    sha256: str
    mode: str
    owner: str
    group: str
    link: str | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """One desired file: where (`path`, below the set), its `content`, and what the service must do when it changes.

    `keep_previous` False: where another set has this file otherwise or not at all, that set goes when this one is live.
    """

    path: str
    content: bytes
    mode: str
    owner: str
    group: str
    on_change: str
    link: str | None
    secret: bool
    keep_previous: bool = True

    @property
    def attributes(self) -> Attributes:
        return Attributes(hashlib.sha256(self.content).hexdigest(), self.mode, self.owner, self.group, self.link)

    def row(self) -> dict[str, t.Any]:
        """This file in the manifest."""
        row = {**dataclasses.asdict(self.attributes), "on_change": self.on_change, "secret": self.secret}
        return row if self.keep_previous else {**row, "keep_previous": False}


@dataclasses.dataclass(frozen=True)
class Found:
    """One file as it is on disk; `on_change` and `secret` come from the generation's manifest."""

    attributes: Attributes
    on_change: str
    secret: bool


Tree = t.Mapping[str, Found]


@dataclasses.dataclass(frozen=True)
class Keep:
    """Files that outlast their sets: patterns of their paths, and for how many days after the last set that had them.

    They lie in ``kept`` beside the generations, where what comes and goes with a set is not concerned by them.
    """

    patterns: tuple[str, ...] = ()
    days: int = 0

    def names(self, path: str) -> bool:
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.patterns)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The difference between a tree and the desired entries, by path; `action` is what the service must do."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]
    action: str

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.removed)


def pack(entries: t.Sequence[Entry]) -> str:
    """Entries as one opaque text, sent to the host as a single parameter that is never logged."""
    rows = [{**dataclasses.asdict(e), "content": base64.b64encode(e.content).decode()} for e in entries]
    return base64.b64encode(gzip.compress(json.dumps(rows).encode(), mtime=0)).decode()


def unpack(rendered: str) -> list[Entry]:
    rows = json.loads(gzip.decompress(base64.b64decode(rendered)))
    return [Entry(**{**row, "content": base64.b64decode(row["content"])}) for row in rows]


def strongest(actions: t.Iterable[str]) -> str:
    return max(actions, key=ACTIONS.index, default="none")


def plan(found: Tree | None, wanted: t.Sequence[Entry]) -> Plan:
    """Steps from `found` (None: no set yet) to `wanted`; a first set always requires a restart."""
    have: Tree = found or {}
    want = {entry.path: entry for entry in wanted}
    created = tuple(sorted(want.keys() - have.keys()))
    removed = tuple(sorted(have.keys() - want.keys()))
    updated = tuple(sorted(p for p in want.keys() & have.keys() if want[p].attributes != have[p].attributes))
    if found is None:
        return Plan(created, updated, removed, "restart")
    asked = [want[p].on_change for p in created + updated] + [have[p].on_change for p in removed]
    return Plan(created, updated, removed, strongest(asked))


def digest(entries: t.Iterable[Entry]) -> str:
    """A name for exactly these files: 12 hex digits over every path and its attributes."""
    rows = sorted((e.path, dataclasses.astuple(e.attributes)) for e in entries)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


def refuse_bad_entries(name: str, entries: t.Sequence[Entry]) -> None:
    """Refuse paths that leave the set, paths and links that clash, and open secrets: all of them at once."""
    faults = [] if entries else ["it has no files (state: absent removes a set)"]
    paths = [entry.path for entry in entries]
    links = [entry.link for entry in entries if entry.link is not None]
    for entry in entries:
        if entry.path.startswith("/") or not _is_plain(entry.path):
            faults.append(f'path "{entry.path}" must be relative, plain and inside the set')
        if entry.link is not None and not (entry.link.startswith("/") and _is_plain(entry.link)):
            faults.append(f'link "{entry.link}" of "{entry.path}" must be an absolute, plain path')
        if entry.secret and int(entry.mode, 8) & 0o007:
            faults.append(f'secret "{entry.path}" has mode {entry.mode}, readable by everybody')
    for kind, names, below in (("path", paths, "file"), ("link", links, "link")):
        counts = collections.Counter(names)
        faults += [f'{kind} "{one}" is named twice' for one, count in counts.items() if count > 1]
        nested = [one for one in counts if _parents(one) & counts.keys()]
        faults += [f'{kind} "{one}" lies below another {below} of the set' for one in nested]
    if faults:
        raise InfraError("accept the file set", f'"{name}"', "; ".join(faults), "Correct the task's files list.")


def _is_plain(path: str) -> bool:
    parts = pathlib.PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and str(pathlib.PurePosixPath(path)) == path


def _parents(path: str) -> set[str]:
    return {str(parent) for parent in pathlib.PurePosixPath(path).parents}


class FileSet:
    """The set `name` below `root` on this host.

    Only `apply`, `remove_stray_links`, `point_to`, `mark_live` and `remove` write.
    """

    def __init__(self, name: str, root: str = "/etc/nexod") -> None:
        # An empty name would be the folder of all sets, which `remove` would delete.
        if not NAME.fullmatch(name):
            raise InfraError(
                "use the file set's name",
                f'"{name}"',
                "it can't be a folder's name",
                "Use letters, digits and . _ -, such as prometheus.",
            )
        self.name = name
        self.home = pathlib.Path(root) / name

    # -- reading -----------------------------------------------------------------------------------

    def generation(self, link: str) -> str | None:
        """The generation that `link` names, or None where the link is missing or dangling."""
        path = self.home / link
        try:
            target = os.readlink(path)
        except OSError:
            return None
        return pathlib.PurePosixPath(target).name if path.is_dir() else None

    def previous(self) -> str:
        """The generation that `state: previous` means: the one before, or the current one if that was done already."""
        found = self.generation("previous")
        if self.on_trial():
            # The current set was never proven: the one before it is the live one.
            found = self.generation("live")
        elif found is None and self.generation("returned") is not None:
            found = self.generation("current")
        if found is None:
            raise self._no_return("no set was live before the current one on this host")
        return found

    def _no_return(self, cause: str) -> InfraError:
        return InfraError(RETURN, f'"{self.name}"', cause, "Deploy the version that you want by its number instead.")

    def tree(self, generation: str | None) -> Tree | None:
        """The files of a generation as they are on disk now (manual edits show), or None without one."""
        if generation is None:
            return None
        manifest = self._manifest(generation)
        base = self.home / "generations" / generation
        found = {}
        for path in sorted(p for p in base.rglob("*") if p.is_symlink() or not p.is_dir()):
            relative = path.relative_to(base).as_posix()
            row = manifest.get(relative, {})
            link = row.get("link")
            if link is not None and not self._is_ours(link, relative):
                link = f"{link} (not ours)"
            facts = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b"(not a regular file)"
            attributes = Attributes(
                hashlib.sha256(content).hexdigest(),
                f"{stat.S_IMODE(facts.st_mode):04o}",
                _account(pwd.getpwuid, facts.st_uid),
                _account(grp.getgrgid, facts.st_gid),
                link,
            )
            found[relative] = Found(attributes, row.get("on_change", "restart"), row.get("secret", False))
        return found

    def action(self, wanted: t.Sequence[Entry]) -> str:
        """What the service must do to run `wanted`, compared with the set that it was last proven to run."""
        live = self.tree(self.generation("live"))
        # A run that was killed before it marked the current set leaves open which of the two the service runs.
        runs = [live, self.tree(self.generation("current"))] if self.on_trial() else [live]
        return strongest(plan(tree, wanted).action for tree in runs)

    def entries(self, generation: str) -> list[Entry]:
        """A generation on disk as desired entries: what `state: previous` returns to."""
        base = self.home / "generations" / generation
        manifest = self._manifest(generation)
        if not manifest:
            raise self._no_return(f"the list of its files ({base}.json) is missing or damaged")
        found = []
        for path, row in sorted(manifest.items()):
            try:
                content = (base / path).read_bytes()
            except OSError as error:
                raise self._no_return(f"{base / path} can't be read: {error.strerror}") from error
            known = {key: row[key] for key in ROW}
            found.append(Entry(path, content, **known, keep_previous=row["keep_previous"]))
        return found

    def stray_links(self) -> list[str]:
        """Links into the set that a killed run should have removed: an older manifest names them, the current doesn't.

        Files that such a link displaced, and that were not put back yet, count too.
        """
        current = self.generation("current")
        named = self._links(current) if current else {}
        older = [path.stem for path in self._manifests() if path.stem != current]
        links = {link for generation in older for link in self._links(generation)} - named.keys()
        return sorted(link for link in links if self._points_here(link) or self._awaits_return(link))

    def diff(self, generation: str | None, wanted: t.Sequence[Entry], steps: Plan) -> list[dict[str, str]]:
        """One before/after pair for each changed file, in Ansible's form; a secret shows only that it changed."""
        have = self.tree(generation) or {}
        want = {entry.path: entry for entry in wanted}
        rows = []
        for path in sorted(steps.created + steps.updated + steps.removed):
            before, after = have.get(path), want.get(path)
            secret = bool((before and before.secret) or (after and after.secret))
            # Of two versions Ansible shows the lines that differ; of one, all of them.
            whole = before is None or after is None
            old = _shown(self._content(generation, path), before.attributes, secret, whole) if before else ""
            rows.append(
                {
                    "before_header": f"{self.home}/current/{path}" if before else "(absent)",
                    "after_header": f"{self.home}/current/{path}" if after else "(absent)",
                    "before": old,
                    "after": _shown(after.content, after.attributes, secret, whole, new=True) if after else "",
                }
            )
        return rows

    def on_trial(self) -> bool:
        """Whether the current set was swapped in and then neither marked live nor returned."""
        current, live = self.generation("current"), self.generation("live")
        return live is not None and current not in (None, live) and self.generation("returned") is None

    def _content(self, generation: str | None, path: str) -> bytes:
        try:
            return (self.home / "generations" / str(generation) / path).read_bytes()
        except OSError as error:
            return f"(unreadable: {error.strerror})".encode()

    def _manifest(self, generation: str) -> dict[str, dict[str, t.Any]]:
        try:
            text = (self.home / "generations" / f"{generation}.json").read_text(encoding="utf-8")
            return {
                path: {key: row[key] for key in ROW}
                | {"sha256": row.get("sha256"), "keep_previous": row.get("keep_previous", True)}
                for path, row in json.loads(text).items()
            }
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
            # A generation without its manifest was damaged by hand: every file counts as unknown, so it is replaced.
            return {}

    def _manifests(self) -> list[pathlib.Path]:
        return sorted((self.home / "generations").glob("*.json"))

    def _links(self, generation: str) -> dict[str, str]:
        """Links from elsewhere to files of a generation: where each lies, and the path of its file."""
        return {row["link"]: path for path, row in self._manifest(generation).items() if row["link"]}

    def _points_here(self, link: str) -> bool:
        return (_readlink(link) or "").startswith(f"{self.home}/")

    def _awaits_return(self, link: str) -> bool:
        return not os.path.lexists(link) and os.path.lexists(self._displaced(link))

    def _is_ours(self, link: str, path: str) -> bool:
        return _readlink(link) == str(self.home / "current" / path)

    # -- writing -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        """Lock the set; the kernel releases it when this process ends, however it ends."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o755)
        (self.home / "generations").mkdir(exist_ok=True, mode=0o755)
        with open(self.home / ".lock", "w", encoding="utf-8") as lock:
            os.chmod(lock.fileno(), 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise InfraError(
                    "change the file set",
                    f'"{self.name}"',
                    "another run is changing it on this host",
                    "Wait for it, then run again.",
                ) from error
            yield

    def apply(
        self,
        wanted: t.Sequence[Entry],
        checks: t.Sequence[t.Sequence[str]],
        environment: t.Mapping[str, str] | None = None,
        keep: Keep | None = None,
    ) -> None:
        """Stage, check and swap to `wanted`; a set that its product refuses leaves no trace."""
        with self.locked():
            self._sweep()
            name = f"{self._next_number():04d}-{digest(wanted)}"
            staged = self.home / "generations" / f".staging-{name}"
            try:
                write_tree(staged, wanted, must_own=True)
                check_staged(self.name, staged, checks, environment)
                manifest = {e.path: e.row() for e in wanted}
                text = json.dumps(manifest, indent=1, sort_keys=True).encode()
                _write(self.home / "generations" / f"{name}.json", text, 0o600)
                os.rename(staged, self.home / "generations" / name)
            except BaseException:
                shutil.rmtree(staged, ignore_errors=True)
                raise
            # Before the swap: whoever has read the set before asks for its files at any time.
            self._keep([self.generation("current"), name], keep or Keep())
            self._unlink("returned")
            self._swap(name)
            self._sweep()

    def point_to(self, link: str) -> None:
        """Return `current` to the generation that `link` (previous or live) names."""
        with self.locked():
            target = self.previous() if link == "previous" else self.generation(link)
            if target is None:
                raise InfraError(
                    RETURN,
                    f'"{self.name}"',
                    "no set of it was ever proven live on this host",
                    "Correct what the service complains of and deploy again.",
                )
            if not self._manifest(target):
                # Swapped to, it would lose the links to its files, the unit's among them.
                raise self._no_return(f"the list of its files ({target}.json) is missing or damaged")
            current = self.generation("current")
            if current is not None and current != target:
                # Recorded, so that a return that was killed halfway is known to be under way when it is repeated.
                self._link("returned", current)
            self._swap(target)
            if link == "previous":
                self._unlink("previous")

    def mark_live(self) -> bool:
        """Record that the service was proven to run the current set; True if that was not recorded before."""
        with self.locked():
            current, live = self.generation("current"), self.generation("live")
            if current is None:
                return False
            news = current != live
            if news and live is not None and self.generation("returned") is None:
                self._link("previous", live)
            if news:
                self._link("live", current)
            dropped = [link for link in ("previous", "returned") if self._superseded(self.generation(link), current)]
            for link in dropped:
                self._unlink(link)
            if news or dropped:
                self._sweep()
            return news

    def _superseded(self, generation: str | None, current: str) -> bool:
        """Whether a generation must not be kept beside the current one: see `Entry.keep_previous`."""
        if generation in (None, current):
            return False
        have = self._manifest(str(generation))
        alone = {path: row["sha256"] for path, row in self._manifest(current).items() if not row["keep_previous"]}
        return any(have.get(path, {}).get("sha256") != sha256 for path, sha256 in alone.items())

    def remove_stray_links(self) -> None:
        """Finish what a killed run left: see `stray_links`."""
        with self.locked():
            for link in self.stray_links():
                self._remove_link(link)

    def remove(self) -> None:
        """Remove the set and its links, and put back what they had displaced."""
        with self.locked():
            for link in sorted({link for path in self._manifests() for link in self._links(path.stem)}):
                if self._points_here(link) or self._awaits_return(link):
                    self._remove_link(link)
            shutil.rmtree(self.home)
        with contextlib.suppress(OSError):
            self.home.parent.rmdir()

    def _swap(self, generation: str) -> None:
        self._link("current", generation)
        for link, path in sorted(self._links(generation).items()):
            if self._is_ours(link, path):
                continue
            if os.path.lexists(link) and not self._points_here(link):
                self._displaced(link).parent.mkdir(exist_ok=True, mode=0o700)
                shutil.move(link, self._displaced(link))
            os.makedirs(os.path.dirname(link), exist_ok=True)
            _replace_link(str(self.home / "current" / path), link)
        for link in self.stray_links():
            self._remove_link(link)

    def _keep(self, generations: t.Iterable[str | None], keep: Keep) -> None:
        """Keep the files that `keep` names of these generations from now on, and remove those whose time is over."""
        base, now = self.home / "kept", time.time()
        for generation in generations if keep.days else ():
            folder = self.home / "generations" / str(generation)
            for path in sorted(folder.rglob("*")) if generation else ():
                relative = path.relative_to(folder)
                if path.is_file() and not path.is_symlink() and keep.names(relative.as_posix()):
                    _link_file(path, base, relative)
                    os.utime(base / relative, (now, now))
        # Folders after what is in them.
        for path in sorted(base.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif not keep.names(path.relative_to(base).as_posix()) or path.lstat().st_mtime <= now - keep.days * DAY:
                path.unlink()

    def _remove_link(self, link: str) -> None:
        """Remove a link into the set; what it had displaced takes its place in one rename, on one file system."""
        displaced = self._displaced(link)
        if not os.path.lexists(displaced):
            os.unlink(link)
            return
        try:
            os.replace(displaced, link)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # shutil.move would follow the link, and write into the set.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)
            shutil.move(displaced, link)

    def _displaced(self, link: str) -> pathlib.Path:
        return self.home / "displaced" / link.strip("/").replace("/", "__")

    def _link(self, link: str, generation: str) -> None:
        _replace_link(f"generations/{generation}", str(self.home / link))

    def _unlink(self, link: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.home / link)

    def _next_number(self) -> int:
        numbers = [path.name.partition("-")[0] for path in (self.home / "generations").iterdir()]
        return max((int(number) for number in numbers if number.isdigit()), default=0) + 1

    def _sweep(self) -> None:
        """Remove what no link names: older generations, and what a killed run left unfinished."""
        # Before the manifests that name them are removed.
        for link in self.stray_links():
            self._remove_link(link)
        kept = {self.generation(link) for link in LINKS}
        for path in (self.home / "generations").iterdir():
            if path.name.removesuffix(".json") in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def links_as_diff(links: t.Iterable[str]) -> list[dict[str, str]]:
    """Links that are removed, in Ansible's form."""
    before = "(link to a file that left the set)\n"
    return [{"before_header": link, "after_header": "(absent)", "before": before, "after": ""} for link in links]


def write_tree(base: pathlib.Path, entries: t.Sequence[Entry], must_own: bool) -> None:
    """Write all entries below `base`; `must_own` False (a rehearsal) ignores accounts that do not exist yet."""
    base.mkdir(mode=0o755)
    for entry in entries:
        path = base / entry.path
        for parent in reversed(path.relative_to(base).parents):
            (base / parent).mkdir(exist_ok=True, mode=0o755)
        _write(path, entry.content, int(entry.mode, 8), _ids(entry, must_own))


def check_staged(
    name: str,
    staged: pathlib.Path,
    checks: t.Sequence[t.Sequence[str]],
    environment: t.Mapping[str, str] | None = None,
    rehearsal: bool = False,
) -> list[str]:
    """Have the product's own program check the staged set; raises InfraError with its output where it refuses.

    A program that is missing, or that ends with 127 as a shell does for want of another one, can't judge yet. In a
    rehearsal that is no fault: returned is what is missing, in words.
    """
    unchecked = []
    given = proofs.environment(rehearsal) | dict(environment or {})
    for check in checks:
        argv = [word.replace("{staged}", str(staged)) for word in check]
        program = pathlib.PurePath(argv[0]).name
        result = run(argv, cwd=str(staged), timeout=60, environment=given)
        detail = "" if result.missing else result.output.replace(str(staged), "").strip()
        if result.rc == NOT_FOUND:
            absent = f"the program {argv[0]} is not" if result.missing else f"a program that {program} needs is not"
            if rehearsal:
                unchecked.append(detail or f"{absent} on this host yet")
                continue
            raise InfraError(
                "check the file set",
                f'"{name}"',
                f"{absent} on this host",
                "Install the package that provides it before this task; the running set was not touched.",
                detail=detail,
            )
        if result.rc != 0:
            raise InfraError(
                "accept the file set",
                f'"{name}"',
                f"{program} refuses it (rc {result.rc})",
                "Correct what it names; the running set was not touched.",
                detail=detail,
            )
    return unchecked


def rehearse(
    name: str,
    entries: t.Sequence[Entry],
    checks: t.Sequence[t.Sequence[str]],
    environment: t.Mapping[str, str] | None = None,
) -> list[str]:
    """Check `entries` in a scratch folder that is removed afterwards: what check mode does instead of staging."""
    with tempfile.TemporaryDirectory(prefix="nexod-rehearsal-") as folder:
        staged = pathlib.Path(folder) / "set"
        write_tree(staged, entries, must_own=False)
        return check_staged(name, staged, checks, environment, rehearsal=True)


def _ids(entry: Entry, must_own: bool) -> tuple[int, int]:
    try:
        return pwd.getpwnam(entry.owner).pw_uid, grp.getgrnam(entry.group).gr_gid
    except KeyError as error:
        if not must_own:
            return os.getuid(), os.getgid()
        raise InfraError(
            "write the file",
            f'"{entry.path}"',
            f"there is no account {entry.owner}:{entry.group} on this host",
            "Install the package that creates the account before this task, or name another owner or group.",
        ) from error


def _write(path: pathlib.Path, content: bytes, mode: int, ids: tuple[int, int] | None = None) -> None:
    # Made 0600 first, so that a secret is at no moment readable by others.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        if ids is not None and ids != (os.getuid(), os.getgid()):
            os.fchown(handle, *ids)
        os.fchmod(handle, mode)
        file.flush()
        os.fsync(handle)


def _replace_link(target: str, link: str) -> None:
    scratch = f"{link}.nexod-new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    os.symlink(target, scratch)
    os.replace(scratch, link)


def _link_file(source: pathlib.Path, base: pathlib.Path, relative: pathlib.Path) -> None:
    """A second name for a file, below `base`, in the place of whatever has that name."""
    for folder in [base / parent for parent in reversed(relative.parents)]:
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True, mode=0o755)
    target = base / relative
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    scratch = target.with_name(f"{target.name}.nexod-new")
    scratch.unlink(missing_ok=True)
    os.link(source, scratch)
    os.replace(scratch, target)
    # Where both were names of one file already, the kernel has done nothing.
    scratch.unlink(missing_ok=True)


def _readlink(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _account(look_up: t.Callable[[int], t.Any], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def _shown(content: bytes, attributes: Attributes, secret: bool, whole: bool, new: bool = False) -> str:
    link = f" <- {attributes.link}" if attributes.link else ""
    facts = f"# {attributes.owner}:{attributes.group} {attributes.mode}{link}"
    if secret:
        return f"{facts}\n(secret{', new value or attributes' if new else ''})\n"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = f"(binary, {len(content)} bytes, sha256 {attributes.sha256[:12]})\n"
    if len(text) > LARGEST_DIFF or (whole and text.count("\n") > LONGEST_WHOLE):
        text = f"({len(content)} bytes, sha256 {attributes.sha256[:12]})\n"
    return f"{facts}\n{text}"
