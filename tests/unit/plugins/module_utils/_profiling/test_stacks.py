# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as counted functions, shares and words, and two profiles compared."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._profiling import flame_graph, stacks

APP = "/opt/api/1.0.0/lib/python3.13/site-packages/nexod_api"
SITE = "/opt/api/1.1.0/lib/python3.13/site-packages"
RAW = f"""
main ({APP}/app.py:3);slow ({APP}/app.py:9) 60
main ({APP}/app.py:3);slow ({APP}/app.py:10) 20
main ({APP}/app.py:4);execute ({SITE}/sqlalchemy/engine.py:5);wait ({SITE}/psycopg/waiting.py:7) 15
main ({APP}/app.py:5);JSONEncoder.encode (/usr/lib/python3.13/json/encoder.py:200) 5
"""


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("f (/a/b.py:3)", stacks.Frame("f", "/a/b.py", 3)),
        ("<module> (x (1).py:3)", stacks.Frame("<module> (x (1).py:3)", "")),
        ("memcpy (libc.so.6)", stacks.Frame("memcpy", "libc.so.6")),
        ("0x7f00", stacks.Frame("0x7f00", "")),
    ],
)
def test_a_frame_is_read_as_py_spy_writes_it(text: str, frame: stacks.Frame) -> None:
    assert stacks.parsed(text) == frame
    assert str(frame) == text


@pytest.mark.parametrize(
    ("path", "short"),
    [
        (f"{APP}/app.py", "nexod_api/app.py"),
        ("/usr/lib/python3/dist-packages/yaml/reader.py", "yaml/reader.py"),
        ("/usr/lib/python3.13/json/encoder.py", "json/encoder.py"),
        ("/usr/lib/python3.13/lib-dynload/_json.so", "_json.so"),
        ("/srv/shop/src/shop/app.py", "shop/app.py"),
        ("app.py", "app.py"),
        ("", ""),
    ],
)
def test_a_file_is_named_without_the_folder_it_is_installed_in(path: str, short: str) -> None:
    assert stacks.short_file(path) == short


def test_the_functions_are_counted() -> None:
    profile = stacks.from_raw(RAW)
    rows = stacks.functions(profile)
    assert profile.samples == 100
    assert [(row["function"], row["own"], row["total"]) for row in rows][:3] == [
        ("slow (nexod_api/app.py)", 80, 80),
        ("wait (psycopg/waiting.py)", 15, 15),
        ("JSONEncoder.encode (json/encoder.py)", 5, 5),
    ]
    first = stacks.by_total(rows)[0]
    assert (first["function"], first["own_share"], first["total_share"]) == ("main (nexod_api/app.py)", 0.0, 100.0)


def test_a_function_that_calls_itself_counts_once() -> None:
    (row,) = stacks.functions(stacks.from_raw("f (a.py:1);f (a.py:2);f (a.py:2) 4\n"))
    assert (row["own"], row["total"]) == (4, 4)


def test_the_kinds_are_shares_of_samples() -> None:
    found = stacks.kinds(stacks.from_raw(RAW))
    assert {kind: part for kind, part in found.items() if part} == {"database": 15.0, "JSON": 5.0}


@pytest.mark.parametrize("line", ["main", "main 3x", "f (a.py:1) -3", " 3"])
def test_what_is_no_stack_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is no stack"):
        stacks.from_raw(f"f (a.py:1) 1\n{line}\n")


@pytest.mark.parametrize("text", ["{}", "[]", '{"shared": {"frames": []}, "profiles": [{"samples": [[0]]}]}', "null"])
def test_what_is_no_speedscope_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no speedscope file"):
        stacks.from_speedscope(text)


def test_speedscope_becomes_raw_and_is_read_again() -> None:
    frames = [{"name": "main", "file": f"{APP}/app.py", "line": 3}, {"name": "a;b", "file": None, "line": None}]
    threads = [{"samples": [[0, 1], [0], []]}, {"samples": [[0, 1]]}]
    profile = stacks.from_speedscope(json.dumps({"shared": {"frames": frames}, "profiles": threads}))
    assert profile.raw() == f"main ({APP}/app.py:3) 1\nmain ({APP}/app.py:3);a:b 2\n"
    assert stacks.from_raw(profile.raw()).samples == 3


def test_the_words_name_the_slow_function_first_and_how_rough_they_are() -> None:
    text = stacks.words(stacks.from_raw(RAW), seconds=2, rate=100, gil=41.5)
    assert text[:3] == [
        "100 samples in 2 s at 100 Hz: 0.50 threads were active on average.",
        "Below 200 samples, shares are rough. Profile for longer, or under more load.",
        "Own time: 80 % in slow (nexod_api/app.py)",
    ]
    assert "The GIL was held 41.5 % of the time." in text
    assert text[-1].startswith("Samples with a module of: database 15 %, cache 0 %, JSON 5 %")
    (nothing,) = stacks.words(stacks.Profile({}), seconds=2, rate=100)
    assert "the process waited" in nothing


def raw(slow: int, rest: int) -> stacks.Profile:
    return stacks.from_raw(f"main (a.py:1);slow (a.py:2) {slow}\nmain (a.py:1);rest (a.py:3) {rest}\n")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (raw(100, 900), raw(400, 600), "slow (a.py): own time 10 -> 40 % (+30.0), total 10 -> 40 % (+30.0)"),
        (raw(400, 600), raw(100, 900), "slow (a.py): own time 40 -> 10 % (-30.0), total 40 -> 10 % (-30.0)"),
        (raw(100, 900), raw(110, 890), "No function's share differs by more than chance explains."),
        (raw(100, 900), raw(1, 99), "1000 samples before, 100 after. Not enough data: both need 200. "),
        (stacks.Profile({}), raw(1, 999), "0 samples before, 1000 after. Not enough data: both need 200. "),
    ],
)
def test_two_profiles_are_compared_as_far_as_chance_allows(
    before: stacks.Profile, after: stacks.Profile, said: str
) -> None:
    assert any(line.startswith(said) for line in stacks.compared(before, after)), stacks.compared(before, after)


def test_the_same_function_of_two_releases_is_compared() -> None:
    first = stacks.from_raw(f"f ({SITE}/shop/a.py:1) 500\n")
    second = stacks.from_raw("f (/opt/api/2.0.0/lib/python3.11/site-packages/shop/a.py:9) 300\n")
    (row,) = stacks.compare(first, second)
    assert (row["own_before"], row["own_after"], row["certain"]) == (100.0, 100.0, False)


def test_the_flame_graph_is_xml_without_scripts_whatever_the_names_are() -> None:
    odd = stacks.Profile({(stacks.Frame("<script>\x00&", "/a/b.py", 1), stacks.Frame("g" * 400, "", 0)): 3})
    text = flame_graph.svg(odd, "a & b")
    tree = ET.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert names == {"svg", "rect", "text", "g", "title"}
    assert "&lt;script&gt;�&amp; (a/b.py): 3 samples, 100 %" in text


def test_a_deep_stack_is_drawn_and_a_narrow_one_left_out() -> None:
    deep = tuple(stacks.Frame(f"f{number}", "", 0) for number in range(2000))
    text = flame_graph.svg(stacks.Profile({deep: 9999, (stacks.Frame("rare", "", 0),): 1}), "deep")
    assert "f1999" in text
    assert "rare" not in text
    assert flame_graph.svg(stacks.Profile({}), "none").endswith("</svg>\n")


LOOP = "<module> (/opt/api/bin/api:6);run (/usr/lib/python3.13/asyncio/runners.py:7)"
SERVED = f"""
{LOOP};handle ({APP}/app.py:9);read ({APP}/app.py:20) 40
{LOOP};handle ({APP}/app.py:9);write ({APP}/app.py:30) 40
{LOOP};handle ({APP}/app.py:10) 10
{LOOP};EpollSelector.select (/usr/lib/python3.13/selectors.py:4) 10
"""


def test_functions_that_only_call_one_other_are_not_what_takes_the_time() -> None:
    profile = stacks.from_raw(SERVED)
    assert stacks.passing(profile) == {"<module> (bin/api)", "run (asyncio/runners.py)"}
    text = stacks.words(profile, seconds=1, rate=100)
    assert [line for line in text if line.startswith("Total time")] == [
        "Total time: 90 % in handle (nexod_api/app.py)",
        "Total time: 40 % in read (nexod_api/app.py)",
        "Total time: 40 % in write (nexod_api/app.py)",
    ]


def test_a_function_that_calls_itself_passes_nothing_on_to_itself() -> None:
    walk = f"walk ({APP}/app.py:9)"
    assert stacks.passing(stacks.from_raw(f"{walk};{walk};{walk} 60\n{walk};leaf ({APP}/app.py:12) 40\n")) == set()


def test_waiting_is_not_listed_as_work() -> None:
    text = stacks.words(stacks.from_raw(SERVED), seconds=1, rate=100)
    assert "Waiting: 10 % in functions that wait, such as for a socket." in text
    assert not any("select (selectors.py)" in line for line in text)


@pytest.mark.parametrize(
    ("function", "waits"),
    [
        ("EpollSelector.select (selectors.py)", True),
        ("select (selectors.py)", True),
        ("Condition.wait (threading.py)", True),
        ("wait_epoll (psycopg/waiting.py)", True),
        ("Queue.get (queue.py)", True),
        ("select (sqlalchemy/sql/selectable.py)", False),
        ("Thread.run (threading.py)", False),
        ("waiter (nexod_api/app.py)", False),
    ],
)
def test_what_waits(function: str, waits: bool) -> None:
    assert bool(stacks.WAITS.fullmatch(function)) is waits


def test_a_comparison_lists_a_difference_once() -> None:
    slower = SERVED + f"{LOOP};handle ({APP}/app.py:9);read ({APP}/app.py:20);planted ({APP}/app.py:99) 60\n"
    before, after = (stacks.from_raw(text.replace("0\n", "00\n")) for text in (SERVED, slower))
    assert [line.partition(" (")[0] for line in stacks.compared(before, after)[1:4]] == ["planted", "read", "write"]
    assert not any("<module>" in line for line in stacks.compared(before, after))
