"""The commit of this collection whose workflows a product calls. A commit, because a tag can be moved to another."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "github" / "workflows"
REPOSITORY = "https://github.com/nexod/nexod.infra"
#: What the examples have in the place of a commit.
PLACEHOLDER = "0" * 40
COMMIT = re.compile(r"[0-9a-f]{40}")
#: A call of ours, also from a fork: what is before the commit, the commit, and the version in the comment.
CALL = re.compile(
    r"^(?P<call>\s*uses:\s*['\"]?[\w.-]+/[\w.-]+/\.github/workflows/(?:deliver|remove_previews|roll_back)\.ya?ml@)"
    r"(?P<commit>[^\s'\"#]+)(?P<quote>['\"]?)(?P<rest>[ \t]*(?:#.*)?)$",
    re.MULTILINE,
)
AGAIN = "run `python3 .../nexod.infra/tools/delivery.py pin .github/workflows` in the repository of the product"


class Release(NamedTuple):
    """A commit of this collection. `version` is empty where no tag names it."""

    commit: str
    version: str


def files_of(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])


def pinned(text: str, release: Release) -> str:
    """A workflow in which every call of ours is of that release."""
    said = f" # {release.version}" if release.version else ""
    return CALL.sub(lambda found: f"{found['call']}{release.commit}{found['quote']}{said}", text)


def placeholders(folder: Path) -> Iterator[str]:
    """Each call in the workflows of a product whose commit was never set, as FILE:LINE."""
    for path in files_of(folder):
        text = path.read_text(encoding="utf-8")
        for found in CALL.finditer(text):
            if found["commit"] == PLACEHOLDER:
                yield f"{path}:{text.count(chr(10), 0, found.start('commit')) + 1}"


def refuse_placeholders(folder: Path) -> None:
    """GitHub itself refuses only the workflow that is started: that of a rollback would fail when it is needed."""
    if rows := list(placeholders(folder)):
        raise InfraError(
            "use the workflows in",
            f'"{folder}"',
            f"the commit of nexod.infra is still the placeholder of the example in {', '.join(rows)}",
            f"Set it: {AGAIN}.",
        )


def git(*argv: str, where: Path = ROOT) -> str:
    done = subprocess.run(["git", *argv], cwd=where, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def of_checkout(root: Path = ROOT) -> Release:
    """The release that this checkout is of. An untagged commit may be one that only this machine has."""
    commit = git("rev-parse", "HEAD", where=root) if (root / ".git").exists() else ""
    version = git("describe", "--tags", "--exact-match", "HEAD", where=root) if commit else ""
    if not version:
        cause = f"its commit {commit[:12]} is no release" if commit else "it is no checkout of git"
        fix = "Check a release out (git checkout 1.1.0), or name one: --version 1.1.0, or --commit with 40 digits."
        raise InfraError("find the release of", f'"{root}"', cause, fix)
    return Release(commit, version)


def of_version(version: str, repository: str = REPOSITORY) -> Release:
    """The commit that a tag names at GitHub; of an annotated tag, that which it is about."""
    named = f"refs/tags/{version}"
    rows = [line.split() for line in git("ls-remote", repository, named, f"{named}^{{}}").splitlines()]
    found = {name: commit for commit, name in rows}
    commit = found.get(f"{named}^{{}}") or found.get(named)
    if not commit:
        fix = "Check the version and the connection to GitHub, or name the commit: --commit with 40 digits."
        raise InfraError("find the release", version, f"{repository} has no such tag, or can't be reached", fix)
    return Release(commit, version)


def of_commit(commit: str, version: str = "") -> Release:
    if not COMMIT.fullmatch(commit) or commit == PLACEHOLDER:
        cause = f"{commit!r} is no commit"
        raise InfraError("set the commit of", "the workflows", cause, "Give its 40 hexadecimal digits.")
    return Release(commit, version)


def pin(folder: Path, release: Release) -> list[str]:
    """Add the workflows of the example that are missing, and set the commit in all; what was done, as sentences."""
    done = []
    folder.mkdir(parents=True, exist_ok=True)
    for example in files_of(EXAMPLES):
        if not (folder / example.name).exists():
            shutil.copy(example, folder / example.name)
            done.append(f"added {folder / example.name}")
    for path in files_of(folder):
        text = path.read_text(encoding="utf-8")
        if (new := pinned(text, release)) != text:
            path.write_text(new, encoding="utf-8")
            done.append(f"set {release.commit[:12]} in {path}")
    return done
