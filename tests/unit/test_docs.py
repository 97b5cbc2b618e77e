"""The documentation names what exists: links lead somewhere, and the map of the code has every folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")])


def how_tos() -> list[str]:
    return (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split("## How to add")[1:]


def test_there_are_pages() -> None:
    assert len(PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)", text)]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_the_map_has_every_folder_of_code() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    folders = [
        path.name
        for kind in ("module_utils", "plugin_utils")
        for path in (ROOT / "plugins" / kind).glob("_*")
        if path.is_dir() and path.name != "__pycache__"
    ]
    assert [name for name in folders if f"`{name}`" not in text] == []


def test_each_how_to_names_at_most_five_files() -> None:
    lengths = [len(re.findall(r"^\| `", text, re.MULTILINE)) for text in how_tos()]
    assert len(lengths) == 7
    assert min(lengths) > 0
    assert max(lengths) <= 5


def test_the_how_tos_name_what_exists() -> None:
    """`<name>` stands for the new thing: of such a file, the folder above the placeholder exists."""
    files = [name for text in how_tos() for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)]
    folders = {name: name.partition("<")[0].rpartition("/")[0] for name in files}
    assert [name for name, folder in folders.items() if not (ROOT / folder).is_dir()] == []
    assert [name for name in files if "<" not in name and not (ROOT / name).is_file()] == []
