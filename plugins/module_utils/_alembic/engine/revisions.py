# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a revision's own file says about it."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path


def about(revision: t.Any) -> dict[str, t.Any]:
    return {
        "revision": revision.revision,
        "doc": first_line(revision.doc),
        "down": list(parents_of(revision)),
        "branches": sorted(revision.branch_labels or ()),
        "contract": is_contract(revision),
    }


def described(step: t.Any) -> dict[str, t.Any]:
    """A step of a plan, as it is reported."""
    found = about(step.revision)
    facts = {name: found[name] for name in ("revision", "doc", "contract")}
    return facts if step.is_upgrade else {**facts, "empty": not can_downgrade(step.revision)}


def parents_of(revision: t.Any) -> tuple[str, ...]:
    down = revision.down_revision or ()
    return (down,) if isinstance(down, str) else tuple(down)


def first_line(text: str | None) -> str:
    return text.strip().splitlines()[0] if text and text.strip() else ""


def is_contract(revision: t.Any) -> bool:
    """Whether the revision declares that it removes what older code reads."""
    declared = getattr(revision.module, "contract", False) is True
    return declared or first_line(revision.doc).lower().startswith("contract:")


def can_downgrade(revision: t.Any) -> bool:
    """Whether the downgrade does anything, or the upgrade does nothing either (a merge)."""
    try:
        module = ast.parse(Path(revision.path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return True
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}

    def does_something(name: str) -> bool:
        for node in functions[name].body if name in functions else ():
            if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue
            # `raise NotImplementedError`, or whatever else is raised at once.
            return not isinstance(node, ast.Raise)
        return False

    return does_something("downgrade") or ("upgrade" in functions and not does_something("upgrade"))
