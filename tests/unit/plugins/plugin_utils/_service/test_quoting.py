# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd has to be given so that a program gets what was meant, by table."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._service.quoting import command_line, environment


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        pytest.param(["/bin/api", "serve", "--port", 8000], "/bin/api serve --port 8000", id="plain"),
        pytest.param(["/bin/api", "a b"], '/bin/api "a b"', id="space"),
        pytest.param(["/bin/api", ""], '/bin/api ""', id="empty"),
        pytest.param(["/bin/api", "100%", "$HOME"], '/bin/api "100%%" "$$HOME"', id="specifier and variable"),
        pytest.param(["/bin/api", 'say "hi"', "a\\b"], '/bin/api "say \\"hi\\"" "a\\\\b"', id="quotes"),
        pytest.param(["/bin/api", ";", "'"], '/bin/api ";" "\'"', id="separator"),
    ],
)
def test_command_line(argv: list[object], line: str) -> None:
    assert command_line(argv) == line


@pytest.mark.parametrize("argv", [[], ["api"], ["-/bin/api"], ["+/bin/api"]])
def test_a_program_is_an_absolute_path(argv: list[str]) -> None:
    with pytest.raises(ValueError, match=r"absolute|empty"):
        command_line(argv)


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"B": 1, "A": "x"}, "A=x\nB=1\n", id="sorted"),
        pytest.param({"A": True, "B": False, "C": None}, "A=true\nB=false\nC=\n", id="booleans"),
        pytest.param({"A": 'a "b" $c `d` \\e'}, 'A="a \\"b\\" \\$c \\`d\\` \\\\e"\n', id="quotes"),
        pytest.param({"A": "two\nlines"}, 'A="two\nlines"\n', id="lines"),
        pytest.param({"A": "#no"}, 'A="#no"\n', id="no comment"),
    ],
)
def test_environment(variables: dict[str, object], text: str) -> None:
    assert environment(variables) == text


@pytest.mark.parametrize("variables", ["A=1", {"A-B": 1}, {"1A": 1}, {"A B": 1}, {"A": [1]}, {"A": {"b": 1}}])
def test_refuses_what_systemd_would_leave_out(variables: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not"):
        environment(variables)
