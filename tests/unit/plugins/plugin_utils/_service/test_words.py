# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines and addresses of services."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._service import addresses, flags


@pytest.mark.parametrize(
    ("given", "dashes", "words"),
    [
        pytest.param({}, "--", [], id="none"),
        pytest.param({"a": 1, "--b": "x y"}, "--", ["--a=1", "--b=x y"], id="values"),
        pytest.param({"a": True, "b": "false"}, "--", ["--a", "--no-b"], id="booleans, one as text"),
        pytest.param({"a": "true", "b": False}, "-", ["-a=true", "-b=false"], id="Go's own flags"),
        pytest.param({"a": [1, 2], "b": None}, "--", ["--a=1", "--a=2", "--b"], id="repeated, and without a value"),
        pytest.param({"a": ""}, "--", ["--a="], id="empty"),
    ],
)
def test_words(given: dict[str, t.Any], dashes: str, words: list[str]) -> None:
    assert flags.words(given, dashes) == words


def test_a_reserved_flag_is_named_once_and_so_is_its_negation() -> None:
    assert len(flags.reserved({"a": 1, "no-a": None, "b": 1}, {"a": "use x"}, "o")) == 2


@pytest.mark.parametrize(
    ("word", "written"),
    [
        pytest.param("--a=b", "--a=b", id="plain"),
        pytest.param("a b", '"a b"', id="a space"),
        pytest.param('100% "$HOME" \\', '"100%% \\"$$HOME\\" \\\\"', id="what systemd would read"),
    ],
)
def test_unit_word(word: str, written: str) -> None:
    assert flags.unit_word(word) == written


def test_no_unit_holds_a_line_break() -> None:
    with pytest.raises(ValueError, match="line break"):
        flags.unit_word("a\nb")


@pytest.mark.parametrize(
    ("address", "prefix", "url"),
    [
        pytest.param("0.0.0.0", "", "http://127.0.0.1:90", id="all addresses"),
        pytest.param("::", "/p/", "http://[::1]:90/p", id="all, IPv6, below a path"),
        pytest.param("10.0.0.1", "/", "http://10.0.0.1:90", id="one address"),
    ],
)
def test_local_url(address: str, prefix: str, url: str) -> None:
    assert addresses.local_url(address, "90", prefix) == url
