"""The part of file_set on the controller: sources, modes, refusals, and options that were given as text."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, unpack

Action = t.Callable[..., t.Any]
ROOT = pathlib.Path(__file__).resolve().parents[4]
TYPED = ROOT / "tests" / "fixtures" / "roles" / "typed"


def entries(action: Action, *rows: dict[str, t.Any], **variables: t.Any) -> dict[str, Entry]:
    result, calls = action("file_set", {"name": "a", "files": list(rows)}, variables)
    assert not result.get("failed"), result
    return {entry.path: entry for entry in unpack(calls[0]["_internal"]["rendered"])}


def test_sources_and_their_modes(action: Action, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "files" / "scripts"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "below" / "run.sh").chmod(0o755)
    (folder / "plain").write_text("p")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{{ word }} {{ more }}\n")
    found = entries(
        action,
        {"path": "s", "src": "scripts"},
        {"path": "one.sh", "src": "scripts/below/run.sh"},
        {"path": "secret.sh", "src": "scripts/below/run.sh", "secret": True},
        {"path": "fixed.sh", "src": "scripts/below/run.sh", "mode": "640"},
        {"path": "t", "template": "t.j2", "vars": {"more": "there"}},
        {"path": "c", "content": "text", "secret": True},
        word="hello",
    )
    modes = {path: entry.mode for path, entry in found.items()}
    assert modes == {
        "s/below/run.sh": "0755",
        "s/plain": "0644",
        "one.sh": "0755",
        "secret.sh": "0700",
        "fixed.sh": "0640",
        "t": "0644",
        "c": "0600",
    }
    assert found["t"].content == b"hello there\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param({"path": "f"}, "0 sources", id="no source"),
        pytest.param({"path": "f", "content": "x", "src": "y"}, "2 sources", id="two sources"),
        pytest.param({"path": "f", "src": "nowhere"}, 'Cannot find "nowhere"', id="no such file"),
        pytest.param({"path": "f", "content": "x", "mode": "rw"}, "not octal", id="mode"),
        pytest.param({"path": "../f", "content": "x"}, "inside the set", id="path"),
    ],
)
def test_faults_of_a_row(action: Action, row: dict[str, t.Any], words: str) -> None:
    result, calls = action("file_set", {"name": "a", "files": [row]})
    assert (result["failed"], calls) == (True, [])
    assert words in result["msg"]
    assert result["error"]["next_step"]


def test_a_file_that_can_t_be_read_is_named(action: Action, tmp_path: pathlib.Path) -> None:
    (tmp_path / "files" / "loop").mkdir(parents=True)
    (tmp_path / "files" / "f").symlink_to("f")
    result, _calls = action("file_set", {"name": "a", "files": [{"path": "f", "src": str(tmp_path / "files" / "f")}]})
    assert result["failed"]
    assert str(tmp_path) in result["msg"]


@pytest.mark.parametrize("files", [None, []])
def test_present_needs_files(action: Action, files: list[t.Any] | None) -> None:
    given = {"name": "a"} if files is None else {"name": "a", "files": files}
    with pytest.raises(Exception, match="files") as caught:
        result, calls = action("file_set", given)
        assert calls == []
        raise RuntimeError(result["msg"])
    assert caught.value


@pytest.mark.parametrize("state", ["previous", "absent"])
def test_other_states_need_no_files(action: Action, state: str) -> None:
    _result, calls = action("file_set", {"name": "a", "state": state})
    defaults = {"check": [], "secrets": {}, "keep_files": [], "keep_days": 30, "plan": False}
    assert calls == [{"name": "a", "root": "/etc/nexod", "state": state, **defaults}]


def play(tmp_path: pathlib.Path, *extra: str, inventory: str = "localhost ansible_connection=local\n") -> pathlib.Path:
    """Run the role of options of each type; returns the folder of its set."""
    (tmp_path / "hosts").write_text(inventory)
    (tmp_path / "play.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "roles": [str(TYPED)]}]), encoding="utf-8"
    )
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts"), str(tmp_path / "play.yml")]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "ANSIBLE_CONFIG"},
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = subprocess.run(
        [*argv, "-e", f"typed_root={tmp_path}/sets", *extra],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / "sets" / "typed" / "current"


AS_TEXT = {
    "typed_size": "30",
    "typed_ratio": "0.25",
    "typed_on": "true",
    "typed_off": "false",
    "typed_names": "b,c",
    "typed_given": "7",
}


def test_options_given_as_text_have_their_types_in_templates_and_content(tmp_path: pathlib.Path) -> None:
    rows = [{"name": "b", "port": "80", "tls": "yes"}, {"name": "c", "port": "{{ typed_size }}", "tls": "no"}]
    extra = [word for name, value in AS_TEXT.items() for word in ("-e", f"{name}={value}")]
    current = play(tmp_path, *extra, "-e", json.dumps({"typed_rows": rows, "typed_text": 5}))
    assert (current / "typed.ini").read_text().splitlines() == [
        "size 31 double 60",
        "ratio 0.5",
        "on",
        "text 5",
        "names b+c",
        "row b 81 tls",
        "row c 31",
        "clients 8",
        "optional none",
    ]
    assert json.loads((current / "typed.json").read_text()) == {
        "size": 30,
        "on": True,
        "rows": [{"name": "b", "port": 80, "tls": True}, {"name": "c", "port": 30, "tls": False}],
    }


def test_options_of_an_ini_inventory_have_their_types(tmp_path: pathlib.Path) -> None:
    given = "".join(f"{name}={value}\n" for name, value in AS_TEXT.items())
    current = play(tmp_path, inventory=f"[all]\nlocalhost ansible_connection=local\n[all:vars]\n{given}")
    assert (current / "typed.ini").read_text().startswith("size 31 double 60\nratio 0.5\non\ntext A\n")
