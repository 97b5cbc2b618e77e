"""Values in the types of their specification."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._roles.options import (
    as_specified,
    may_need_cast,
    options_of,
    specified,
)

ROWS = {"type": "list", "elements": "dict", "options": {"port": {"type": "int"}, "name": {"type": "str"}}}


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        pytest.param("30", {"type": "int"}, 30, id="number"),
        pytest.param(30, {"type": "int"}, 30, id="is one"),
        pytest.param("x", {"type": "int"}, "x", id="no number: for the role to refuse"),
        pytest.param(True, {"type": "int"}, True, id="a bool is left to the role"),
        pytest.param("0.5", {"type": "float"}, 0.5, id="fraction"),
        pytest.param("false", {"type": "bool"}, False, id="false"),
        pytest.param("yes", {"type": "bool"}, True, id="yes"),
        pytest.param(0, {"type": "bool"}, False, id="0"),
        pytest.param("", {"type": "bool"}, "", id="empty is neither"),
        pytest.param(15, {"type": "str"}, "15", id="a number for a text"),
        pytest.param(1.5, {}, "1.5", id="text is the default"),
        pytest.param(None, {"type": "int"}, None, id="nothing"),
        pytest.param("a, b", {"type": "list", "elements": "str"}, ["a", "b"], id="list with commas"),
        pytest.param('["a,b"]', {"type": "list"}, ["a,b"], id="list as JSON"),
        pytest.param("[a", {"type": "list"}, "[a", id="no JSON"),
        pytest.param("", {"type": "list"}, [], id="empty list"),
        pytest.param("1,2", {"type": "list", "elements": "int"}, [1, 2], id="elements"),
        pytest.param('{"a": 1}', {"type": "dict"}, {"a": 1}, id="dict as JSON"),
        pytest.param([{"port": "1", "name": 2, "x": "3"}], ROWS, [{"port": 1, "name": "2", "x": "3"}], id="suboptions"),
        pytest.param(["x"], ROWS, ["x"], id="not even a dict"),
        pytest.param("30", {"type": "raw"}, "30", id="raw"),
        pytest.param("30", {"type": "jsonarg"}, "30", id="types that are not cast"),
    ],
)
def test_casts(value: t.Any, spec: dict[str, t.Any], expected: t.Any) -> None:
    found = as_specified(value, spec)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("raw", "spec", "needed"),
    [
        (30, {"type": "int"}, False),
        ("30", {"type": "int"}, True),
        ("{{ x }}", {"type": "int"}, True),
        ("{{ x }}", {"type": "str"}, False),
        (30, {"type": "str"}, True),
        ([{"port": 1}], ROWS, False),
        ([{"port": "1"}], ROWS, True),
        (["{{ x }}"], ROWS, True),
        ([{"port": 1, "x": "1"}], ROWS, False),
        ({"a": "1"}, {"type": "dict"}, False),
        (None, {"type": "int"}, False),
    ],
)
def test_only_what_may_differ_is_cast(raw: t.Any, spec: dict[str, t.Any], needed: bool) -> None:
    assert may_need_cast(raw, spec) is needed


def role(folder: pathlib.Path, **entries: dict[str, t.Any]) -> str:
    (folder / "meta").mkdir(parents=True)
    text = json.dumps({"argument_specs": {name: {"options": options} for name, options in entries.items()}})
    (folder / "meta" / "argument_specs.yml").write_text(text)
    return str(folder)


def test_the_options_of_a_role_and_of_those_that_include_it(tmp_path: pathlib.Path) -> None:
    inner = role(
        tmp_path / "inner", main={"a": {"type": "int", "description": "x"}}, other={"a": {}, "b": {"type": "int"}}
    )
    outer = role(tmp_path / "outer", main={"c": {"type": "int"}, "a": {"type": "str"}})
    assert options_of(inner) == {"a": {"type": "int"}, "b": {"type": "int"}}
    variables = {"role_path": inner, "ansible_parent_role_paths": [outer], "a": "1", "b": "2", "c": "3", "d": "4"}
    overlay = specified(variables)
    assert {name for name in overlay if not name.startswith("__")} == {"a", "b", "c"}
    assert specified({**variables, "a": 1, "b": 2, "c": 3}) == {}


@pytest.mark.parametrize("text", [None, "", "[]", "{", "argument_specs: []"])
def test_a_role_without_a_specification(tmp_path: pathlib.Path, text: str | None) -> None:
    (tmp_path / "meta").mkdir()
    if text is not None:
        (tmp_path / "meta" / "argument_specs.yml").write_text(text)
    assert options_of(str(tmp_path)) == {}
    assert specified({"role_path": str(tmp_path), "a": "1"}) == {}
    assert specified({}) == {}
