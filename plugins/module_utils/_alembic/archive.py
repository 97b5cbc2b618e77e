# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The migrations inside a release's archive, to plan with on a host that does not have the release yet."""

from __future__ import annotations

import ast
import base64
import graphlib
import io
import tarfile
import typing as t
import zipfile
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


def pack_tree(archive: Path, config: str) -> str:
    """The package that `config` (``package:alembic.ini``) names, as a zip file in base64; empty for a path."""
    package, colon, inside = config.partition(":")
    if not colon:
        return ""
    wanted = f"{package.replace('.', '/')}/{inside}"
    try:
        with tarfile.open(archive) as release:
            for member in release.getmembers():
                stream = release.extractfile(member) if member.name.endswith(".whl") else None
                if stream is None:
                    continue
                with zipfile.ZipFile(io.BytesIO(stream.read())) as wheel:
                    if wanted in wheel.namelist():
                        return packed(wheel, package.partition(".")[0])
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InfraError(
            "read the release", f'"{archive}"', str(error), "Build it first, or correct `archive`."
        ) from error
    return ""


def packed(wheel: zipfile.ZipFile, package: str) -> str:
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as tree:
        for name in sorted(wheel.namelist()):
            if name.startswith(f"{package}/"):
                tree.writestr(name, wheel.read(name))
    return base64.b64encode(small.getvalue()).decode()


def unpack_tree(tree: str, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(tree))) as small:
        small.extractall(folder)  # noqa: S202  packed by us, and zipfile extracts nothing outside the folder


def other_interpreter(python: str) -> str | None:
    """The interpreter of the newest other release in the same folder, whose dependencies are probably the same."""
    home = Path(python).parent.parent.parent
    found = [path for path in home.glob("*/bin/python") if path.exists()]
    return str(max(found, key=lambda path: path.lstat().st_mtime)) if found else None


def history(tree: str) -> list[dict[str, t.Any]]:
    """Every revision of the tree in the order in which an upgrade of an empty database runs them.

    Read from the files' source, because Alembic may not be installed yet.
    """
    found: dict[str, tuple[set[str], str]] = {}
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(tree))) as small:
        for name in sorted(small.namelist()):
            if name.endswith(".py") and "/versions/" in name:
                found.update(revision_in(small.read(name).decode(errors="replace")))
    known = {revision: {name for name in before if name in found} for revision, (before, _doc) in found.items()}
    order = graphlib.TopologicalSorter(known).static_order()
    return [{"revision": revision, "doc": found[revision][1], "seconds": None} for revision in order]


def revision_in(source: str) -> dict[str, tuple[set[str], str]]:
    """Identifier -> (the revisions before it, first line of its docstring); empty if the file is no revision."""
    try:
        module = ast.parse(source)
    except SyntaxError:
        return {}
    names: dict[str, t.Any] = {}
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
                try:
                    names[target.id] = ast.literal_eval(node.value)
                except ValueError:
                    continue
    if not isinstance(names.get("revision"), str):
        return {}
    before: set[str] = set()
    for key in ("down_revision", "depends_on"):
        value = names.get(key) or ()
        before |= {value} if isinstance(value, str) else set(value)
    return {names["revision"]: (before, (ast.get_docstring(module) or "").partition("\n")[0].strip())}
