# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's whole set of files as one thing that is swapped at once and can be returned.

The set lives in numbered generations below ``ROOT/NAME/generations``; the links `current`,
`previous` and `live` name three of them. A generation is complete before any link names it, and a
link moves by one rename(2), so that at every moment a service sees either all of the old set or
all of the new one, also when the run that changes it is killed.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import fcntl
import grp
import gzip
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

#: What a service must do to take a change, from least to most.
ACTIONS = ("none", "reload", "restart")
LINKS = ("current", "previous", "live", "returned")
LARGEST_DIFF = 100_000
#: Lines of a file that comes or goes: beyond, nobody reads them in a plan.
LONGEST_WHOLE = 300


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
    """One wanted file: where (`path`, below the set), what (`content`) and what a change of it asks of the service."""

    path: str
    content: bytes
    mode: str
    owner: str
    group: str
    on_change: str
    link: str | None
    secret: bool

    @property
    def attributes(self) -> Attributes:
        return Attributes(hashlib.sha256(self.content).hexdigest(), self.mode, self.owner, self.group, self.link)

    def said(self) -> dict[str, t.Any]:
        """The manifest's row of this file."""
        return {**dataclasses.asdict(self.attributes), "on_change": self.on_change, "secret": self.secret}


@dataclasses.dataclass(frozen=True)
class Found:
    """One file as a generation holds it now; `on_change` and `secret` are what its manifest says of it."""

    attributes: Attributes
    on_change: str
    secret: bool


Tree = t.Mapping[str, Found]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What separates a tree from the wanted entries, by path; `action` is what the service must do to take it."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]
    action: str

    @property
    def changed(self) -> bool:
        return bool(self.created or self.updated or self.removed)


def pack(entries: t.Sequence[Entry]) -> str:
    """Entries as one opaque text: they cross to the host as a single parameter that is never logged."""
    rows = [{**dataclasses.asdict(e), "content": base64.b64encode(e.content).decode()} for e in entries]
    return base64.b64encode(gzip.compress(json.dumps(rows).encode(), mtime=0)).decode()


def unpack(rendered: str) -> list[Entry]:
    rows = json.loads(gzip.decompress(base64.b64decode(rendered)))
    return [Entry(**{**row, "content": base64.b64decode(row["content"])}) for row in rows]


def strongest(actions: t.Iterable[str]) -> str:
    return max(actions, key=ACTIONS.index, default="none")


def plan(found: Tree | None, wanted: t.Sequence[Entry]) -> Plan:
    """Steps from `found` (None: nothing there yet) to `wanted`; a first set always asks for a restart."""
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
    """Paths that leave the set, clash, or links to nowhere are the caller's fault: all named at once."""
    faults = []
    seen: set[str] = set()
    for entry in entries:
        parts = pathlib.PurePosixPath(entry.path).parts
        plain = str(pathlib.PurePosixPath(entry.path)) == entry.path
        if not parts or parts[0] == "/" or ".." in parts or not plain:
            faults.append(f'path "{entry.path}" must be relative, plain and inside the set')
        if entry.path in seen:
            faults.append(f'path "{entry.path}" is named twice')
        if any(str(parent) in seen for parent in pathlib.PurePosixPath(entry.path).parents):
            faults.append(f'path "{entry.path}" lies below another file of the set')
        if entry.link is not None and not entry.link.startswith("/"):
            faults.append(f'link "{entry.link}" of "{entry.path}" must be an absolute path')
        if entry.secret and int(entry.mode, 8) & 0o007:
            faults.append(f'secret "{entry.path}" has mode {entry.mode}, readable by everybody')
        seen.add(entry.path)
    if faults:
        raise InfraError("accept the file set", f'"{name}"', "; ".join(faults), "Correct the task's files list.")


class FileSet:
    """The set `name` below `root` on this host. Reading never writes; writing is `apply`, `point_to` and `remove`."""

    def __init__(self, name: str, root: str = "/etc/nexod") -> None:
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
        """The generation that `state: previous` means: the one before, or the current one where that return is done."""
        found = self.generation("previous")
        if self._on_trial():
            # The current set never got so far as to be live: before it was what is.
            found = self.generation("live")
        elif found is None and self.generation("returned") is not None:
            found = self.generation("current")
        if found is None:
            raise InfraError(
                "return the file set",
                f'"{self.name}"',
                "no set was live before the current one on this host",
                "Deploy the version that you want by its number instead.",
            )
        return found

    def tree(self, generation: str | None) -> Tree | None:
        """The files of a generation as they are on disk now (a hand's edit shows), or None without one."""
        if generation is None:
            return None
        manifest = self._manifest(generation)
        base = self.home / "generations" / generation
        found = {}
        for path in sorted(p for p in base.rglob("*") if p.is_symlink() or not p.is_dir()):
            relative = path.relative_to(base).as_posix()
            said = manifest.get(relative, {})
            link = said.get("link")
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
            found[relative] = Found(attributes, said.get("on_change", "restart"), said.get("secret", False))
        return found

    def action(self, wanted: t.Sequence[Entry] | None = None) -> str:
        """What separates the service as last proven live from `wanted` (or, without, from the current set)."""
        live = self.tree(self.generation("live"))
        if wanted is not None:
            # A run that was killed before it marked the current set leaves open which of the two the service runs.
            runs = [live, self.tree(self.generation("current"))] if self._on_trial() else [live]
            return strongest(plan(tree, wanted).action for tree in runs)
        current = self.generation("current")
        if current is None or current == self.generation("live"):
            return "none"
        return plan(live, self.entries(current)).action

    def entries(self, generation: str) -> list[Entry]:
        """A generation on disk as wanted entries: what `state: previous` returns to."""
        base = self.home / "generations" / generation
        return [
            Entry(
                path,
                (base / path).read_bytes(),
                said["mode"],
                said["owner"],
                said["group"],
                said["on_change"],
                said["link"],
                said["secret"],
            )
            for path, said in sorted(self._manifest(generation).items())
        ]

    def diff(self, generation: str | None, wanted: t.Sequence[Entry], steps: Plan) -> list[dict[str, str]]:
        """One before/after pair a changed file, in Ansible's form; a secret shows only that it changed."""
        have = self.tree(generation) or {}
        want = {entry.path: entry for entry in wanted}
        rows = []
        for path in sorted(steps.created + steps.updated + steps.removed):
            before, after = have.get(path), want.get(path)
            secret = bool((before and before.secret) or (after and after.secret))
            # Of two versions only the lines that differ are shown; of one, all of them.
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

    def _on_trial(self) -> bool:
        """Whether the current set was swapped in and then neither marked live nor taken back."""
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
            data: dict[str, dict[str, t.Any]] = json.loads(text)
        except (OSError, ValueError):
            # A generation without its manifest was damaged by hand: every file counts as unknown, so it is replaced.
            return {}
        return data

    def _is_ours(self, link: str, path: str) -> bool:
        try:
            return os.readlink(link) == str(self.home / "current" / path)
        except OSError:
            return False

    # -- writing -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        """Hold the set alone; the kernel frees it when this process ends, however it ends."""
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

    def apply(self, wanted: t.Sequence[Entry], checks: t.Sequence[t.Sequence[str]]) -> None:
        """Stage, check and swap to `wanted`; a set that its product refuses leaves no trace."""
        with self.locked():
            self._sweep()
            name = f"{self._next_number():04d}-{digest(wanted)}"
            staged = self.home / "generations" / f".staging-{name}"
            try:
                write_tree(staged, wanted, must_own=True)
                check_staged(self.name, staged, checks)
                manifest = {e.path: e.said() for e in wanted}
                text = json.dumps(manifest, indent=1, sort_keys=True).encode()
                _write(self.home / "generations" / f"{name}.json", text, 0o600)
                os.rename(staged, self.home / "generations" / name)
            except BaseException:
                shutil.rmtree(staged, ignore_errors=True)
                raise
            self._unlink("returned")
            self._swap(name)
            self._sweep()

    def point_to(self, link: str) -> None:
        """Return `current` to the generation that `link` (previous or live) names."""
        with self.locked():
            target = self.previous() if link == "previous" else self.generation(link)
            if target is None:
                raise InfraError(
                    "return the file set",
                    f'"{self.name}"',
                    "no set of it was ever proven live on this host",
                    "Correct what the service complains of and deploy again.",
                )
            current = self.generation("current")
            if current is not None and current != target:
                # Remembered, so that a return that was killed halfway and is asked for again is known to be under way.
                self._link("returned", current)
            self._swap(target)
            if link == "previous":
                self._unlink("previous")

    def mark_live(self) -> bool:
        """Record that the service runs the current set, as proven; True where that is news."""
        with self.locked():
            current, live = self.generation("current"), self.generation("live")
            if current is None or current == live:
                return False
            if live is not None and self.generation("returned") is None:
                self._link("previous", live)
            self._link("live", current)
            self._sweep()
            return True

    def remove(self) -> None:
        """Take the set away with its links, and put back what they had displaced."""
        with self.locked():
            current = self.generation("current")
            for path, said in (self._manifest(current) if current else {}).items():
                if said["link"] and self._is_ours(said["link"], path):
                    os.unlink(said["link"])
                    displaced = self._displaced(said["link"])
                    if displaced.exists():
                        shutil.move(displaced, said["link"])
            shutil.rmtree(self.home)
        with contextlib.suppress(OSError):
            self.home.parent.rmdir()

    def _swap(self, generation: str) -> None:
        before = self.generation("current")
        old = {said["link"]: path for path, said in (self._manifest(before) if before else {}).items() if said["link"]}
        new = {said["link"]: path for path, said in self._manifest(generation).items() if said["link"]}
        self._link("current", generation)
        for link, path in sorted(new.items()):
            if self._is_ours(link, path):
                continue
            if os.path.lexists(link) and not str(_readlink(link)).startswith(f"{self.home}/"):
                self._displaced(link).parent.mkdir(exist_ok=True, mode=0o700)
                shutil.move(link, self._displaced(link))
            os.makedirs(os.path.dirname(link), exist_ok=True)
            _replace_link(str(self.home / "current" / path), link)
        for link, path in sorted(old.items()):
            if link not in new and self._is_ours(link, path):
                os.unlink(link)
                if self._displaced(link).exists():
                    shutil.move(self._displaced(link), link)

    def _displaced(self, link: str) -> pathlib.Path:
        return self.home / "displaced" / link.strip("/").replace("/", "__")

    def _link(self, link: str, generation: str) -> None:
        _replace_link(f"generations/{generation}", str(self.home / link))

    def _unlink(self, link: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.home / link)

    def _next_number(self) -> int:
        names = [p.name for p in (self.home / "generations").iterdir()]
        return max((int(name[:4]) for name in names if name[:4].isdigit()), default=0) + 1

    def _sweep(self) -> None:
        """Remove what no link names: older generations, and what a killed run left half-done."""
        kept = {self.generation(link) for link in LINKS}
        for path in (self.home / "generations").iterdir():
            if path.name.removesuffix(".json") in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def write_tree(base: pathlib.Path, entries: t.Sequence[Entry], must_own: bool) -> None:
    """Write all entries below `base`; `must_own` False (a rehearsal) passes accounts that are not there yet."""
    base.mkdir(mode=0o755)
    for entry in entries:
        path = base / entry.path
        for parent in reversed(path.relative_to(base).parents):
            (base / parent).mkdir(exist_ok=True, mode=0o755)
        _write(path, entry.content, int(entry.mode, 8), _ids(entry, must_own))


def check_staged(name: str, staged: pathlib.Path, checks: t.Sequence[t.Sequence[str]], rehearsal: bool = False) -> bool:
    """Let the product's own program judge the staged set.

    Returns False where a rehearsal finds no such program yet; raises InfraError with the program's words otherwise.
    """
    complete = True
    for check in checks:
        argv = [word.replace("{staged}", str(staged)) for word in check]
        result = run(argv, cwd=str(staged), timeout=60)
        if result.rc == 127 and rehearsal:
            complete = False
        elif result.rc == 127:
            raise InfraError(
                "check the file set",
                f'"{name}"',
                f"the program {argv[0]} is not on this host",
                "Install the package that brings it before this task.",
            )
        elif result.rc != 0:
            program = pathlib.PurePath(argv[0]).name
            raise InfraError(
                "accept the file set",
                f'"{name}"',
                f"{program} refuses it (rc {result.rc})",
                "Correct what it names; the running set was not touched.",
                detail=result.output.replace(str(staged), "").strip(),
            )
    return complete


def rehearse(name: str, entries: t.Sequence[Entry], checks: t.Sequence[t.Sequence[str]]) -> bool:
    """Check `entries` in a scratch folder that is gone afterwards: what check mode does instead of staging."""
    with tempfile.TemporaryDirectory(prefix="nexod-rehearsal-") as folder:
        staged = pathlib.Path(folder) / "set"
        write_tree(staged, entries, must_own=False)
        return check_staged(name, staged, checks, rehearsal=True)


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
            "Install the package that makes the account before this task, or name another owner or group.",
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
