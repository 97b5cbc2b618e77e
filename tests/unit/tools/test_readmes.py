"""The generator of the READMEs: markup, facts of an option, text written by hand, and the check of lint."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nexod.infra.tests.programs import load

ROOT = Path(__file__).resolve().parents[3]
SPEC = """---
argument_specs:
  main:
    short_description: A door
    description: Installs a door.
    options:
      door_state:
        type: str
        default: present
        choices: [present, absent]
        description: [First., "V(absent) removes O(door_locks)."]
      door_locks:
        type: list
        elements: dict
        default: [{name: upper, keys: [brass key, iron key]}, {name: lower, keys: [a wooden key]}]
        description: Its locks.
        options:
          name: {type: str, required: true, description: Name.}
          keys: {type: list, elements: str, description: Keys.}
"""
RENDERED = """# nexod.infra.door

A door.

Installs a door.

{begin}

It opens.

{end}

## Example

```yaml
- hosts: all
  roles: [door]
```

## Variables

### door_state

str; default `present`; one of `present`, `absent`

First.

`absent` removes `door_locks`.

### door_locks

list of dict

Its locks.

Default:

```yaml
door_locks:
- name: upper
  keys:
  - brass key
  - iron key
- name: lower
  keys:
  - a wooden key
```

- `name` (str; required): Name.
- `keys` (list of str): Keys.
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """The generator over a collection of one role."""
    module: types.ModuleType = load(ROOT / "tools" / "readmes.py")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "roles/door/meta").mkdir(parents=True)
    (tmp_path / "examples/roles").mkdir(parents=True)
    (tmp_path / "roles/door/meta/argument_specs.yml").write_text(SPEC)
    (tmp_path / "README.md").write_text("# Collection\n")
    return module


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("C(a b) and V(c)", "`a b` and `c`"),
        ("O(name=x) E(HOME) RV(diff)", "`name=x` `HOME` `diff`"),
        ("M(ansible.builtin.apt), P(nexod.infra.x#filter)", "`ansible.builtin.apt`, `nexod.infra.x`"),
        ("I(one) B(two)", "*one* **two**"),
        (
            "U(https://a.example) L(text, https://b.example) R(text, ref)",
            "<https://a.example> [text](https://b.example) text",
        ),
        ("V(now(\\)) C(f(x\\))", "`now()` `f(x)`"),
        ("C(f(x)) HTTP(S)", "`f(x)` HTTP(S)"),
    ],
)
def test_markup(tool: types.ModuleType, text: str, markdown: str) -> None:
    assert tool.markdown(text) == markdown


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ({"type": "str", "default": ""}, 'str; default `""`'),
        ({"type": "list", "elements": "str", "default": ["*"]}, "list of str; default `['*']`"),
        ({"type": "bool", "default": False}, "bool; default `false`"),
        ({"type": "str", "required": True, "no_log": True}, "str; required; secret"),
        ({"type": "int", "default": 0, "choices": [0, 1]}, "int; default `0`; one of `0`, `1`"),
        ({"type": "str", "default": "x" * 100}, "str"),
    ],
)
def test_facts_of_an_option(tool: types.ModuleType, option: dict[str, Any], line: str) -> None:
    assert tool.facts(option) == line


def test_keeps_the_text_written_by_hand_and_writes_the_rest(
    tool: types.ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "roles/door/README.md"
    readme.write_text(f"# old\n{tool.BEGIN}\nIt opens.\n{tool.END}\n## old_variable\n")
    (tmp_path / "examples/roles/door.yml").write_text("---\n- hosts: all\n  roles: [door]\n")
    before = readme.read_text()
    assert tool.main(check=True) == 1
    assert capsys.readouterr().out == "Out of date, run `make readmes`: roles/door/README.md\n"
    assert readme.read_text() == before
    assert tool.main(check=False) == 0
    assert readme.read_text() == RENDERED.format(begin=tool.BEGIN, end=tool.END)
    assert tool.main(check=True) == 0


def test_a_role_without_readme_gets_one(tool: types.ModuleType, tmp_path: Path) -> None:
    assert tool.main(check=True) == 1
    assert tool.main(check=False) == 0
    assert (tmp_path / "roles/door/README.md").read_text().startswith("# nexod.infra.door\n\nA door.\n")


def test_the_main_readme_lists_roles_and_plugins(tool: types.ModuleType, tmp_path: Path) -> None:
    (tmp_path / "plugins/modules").mkdir(parents=True)
    (tmp_path / "plugins/modules/bell.py").write_text(
        'DOCUMENTATION = r"""\nmodule: bell\nshort_description: Ring C(once)\n"""\nimport absent\n'
    )
    (tmp_path / "plugins/modules/_private.py").write_text("")
    readme = tmp_path / "README.md"
    readme.write_text(f"# Collection\n\n{tool.CONTENTS_BEGIN}\nold\n{tool.CONTENTS_END}\n\n## Support\n")
    assert tool.main(check=True) == 1
    assert tool.main(check=False) == 0
    assert readme.read_text() == (
        f"# Collection\n\n{tool.CONTENTS_BEGIN}\n\n### Roles\n\n| | |\n|---|---|\n"
        "| [door](roles/door/README.md) | A door |\n\n### Modules\n\n| | |\n|---|---|\n| `bell` | Ring `once` |\n\n"
        f"{tool.CONTENTS_END}\n\n## Support\n"
    )
    assert tool.main(check=True) == 0
