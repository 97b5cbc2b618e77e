# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of a program."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._host import software

EXEC = "{ path=/usr/bin/prometheus ; argv[]=/usr/bin/prometheus --storage.tsdb.path=/d ; ignore_errors=no ; pid=0 }"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        pytest.param(["p", "--storage.tsdb.path=/d"], "/d", id="with an equals sign"),
        pytest.param(["p", "--storage.tsdb.path", "/d", "-x"], "/d", id="as two words"),
        pytest.param(["p", "--storage.tsdb.path"], "", id="without its value"),
        pytest.param(["p"], "", id="not there"),
    ],
)
def test_option_value(words: list[str], value: str) -> None:
    assert software.option_value(words, "storage.tsdb.path") == value


def test_parse_exec() -> None:
    assert software.parse_exec(EXEC) == ["/usr/bin/prometheus", "--storage.tsdb.path=/d"]
    assert software.parse_exec("") == []


def test_automatic_packages() -> None:
    text = "Package: promtool\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: vim\nAuto-Installed: 0\n"
    assert software.parse_automatic(text) == {"promtool"}


def test_software_of_a_host(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian 13"\n')
    data = tmp_path / "data"
    (data / "wal").mkdir(parents=True)
    options = {
        "unit": "",
        "programs": ["/usr/bin/p"],
        "packages": ["promtool"],
        "data_option": "",
        "data_dirs": [str(data), str(tmp_path)],
        "data_signs": ["wal"],
        "accounts": ["root", "no-such-account"],
        "version_of": [str(tmp_path / "p"), "/no/such/program"],
    }
    (tmp_path / "p").write_text('#!/bin/sh\necho "p, version 2.53.3+ds1 (branch: x)" >&2\n')
    (tmp_path / "p").chmod(0o755)
    assert software.software(options, tmp_path) == {
        "distribution": {"id": "debian", "codename": "trixie", "name": "Debian 13"},
        "missing_programs": ["/usr/bin/p"],
        "automatic_packages": [],
        "missing_accounts": ["no-such-account"],
        "versions": {str(tmp_path / "p"): "2.53.3+ds1", "/no/such/program": ""},
        "unit": None,
        "data_dir": "",
        "data_dirs_in_use": [str(data)],
    }
