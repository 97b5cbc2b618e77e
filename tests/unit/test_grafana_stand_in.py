# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in refuses what Grafana would refuse."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import sys
import typing as t

import pytest

PROGRAM = pathlib.Path(__file__).parents[1] / "fixtures/grafana_stand_in/grafana_stand_in.py"
SOURCE = {"name": "P", "uid": "p", "type": "prometheus", "access": "proxy", "url": "http://h:9090", "isDefault": True}
BOARD = {"uid": "b", "title": "B", "schemaVersion": 39, "panels": [{"id": 1}]}


@pytest.fixture(name="stand_in", scope="module")
def load() -> t.Any:
    spec = importlib.util.spec_from_file_location("grafana_stand_in", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(folder: pathlib.Path, sources: list[t.Any], boards: list[t.Any]) -> list[str]:
    """A set as the role writes it, and the arguments to check it."""
    for name in ("provisioning/datasources", "provisioning/dashboards", "dashboards"):
        (folder / name).mkdir(parents=True)
    (folder / "provisioning/datasources/a.yml").write_text(json.dumps({"apiVersion": 1, "datasources": sources}))
    provider = {
        "name": "n",
        "folder": "f",
        "type": "file",
        "options": {"path": "/etc/nexod/grafana/current/dashboards"},
    }
    (folder / "provisioning/dashboards/a.yml").write_text(json.dumps({"apiVersion": 1, "providers": [provider]}))
    for place, board in enumerate(boards):
        text = board if isinstance(board, str) else json.dumps(board)
        (folder / f"dashboards/{place}.json").write_text(text)
    (folder / "grafana.ini").write_text("[paths]\nprovisioning = /etc/nexod/grafana/current/provisioning\n")
    return ["--config", str(folder / "grafana.ini"), "--set", str(folder), "--check"]


@pytest.mark.parametrize(
    ("sources", "boards", "word"),
    [
        pytest.param([SOURCE], [BOARD], None, id="as the role writes it"),
        pytest.param([{**SOURCE, "type": "promethius"}], [BOARD], "no plugin", id="unknown type"),
        pytest.param(
            [SOURCE, {**SOURCE, "name": "Q", "isDefault": False}], [BOARD], "uid 'p' is there twice", id="uid twice"
        ),
        pytest.param([SOURCE, {**SOURCE, "name": "Q", "uid": "q"}], [BOARD], "Only one datasource", id="two defaults"),
        pytest.param([{**SOURCE, "url": "h:9090"}], [BOARD], "no http or https URL", id="no scheme"),
        pytest.param([SOURCE], ["{"], "cannot be read", id="no JSON"),
        pytest.param([SOURCE], [{**BOARD, "title": ""}], "title cannot be empty", id="no title"),
        pytest.param([SOURCE], [BOARD, {**BOARD, "title": "C"}], "uid 'b' is there twice", id="dashboard twice"),
        pytest.param([SOURCE], [{**BOARD, "panels": [{"id": 1}, {"id": 1}]}], "same id", id="panel twice"),
        pytest.param([SOURCE], [{**BOARD, "schemaVersion": None}], "no classic dashboard", id="another schema"),
    ],
)
def test_check(
    stand_in: t.Any,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    sources: list[t.Any],
    boards: list[t.Any],
    word: str | None,
) -> None:
    assert stand_in.main(write(tmp_path, sources, boards)) == (1 if word else 0)
    assert word is None or word in capsys.readouterr().err


def test_a_missing_folder_is_refused(
    stand_in: t.Any, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write(tmp_path, [SOURCE], [])
    (tmp_path / "dashboards").rmdir()
    assert stand_in.main(arguments) == 1
    assert "is not there" in capsys.readouterr().err
