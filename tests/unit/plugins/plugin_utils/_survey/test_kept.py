"""How long a survey holds, by what happens after it."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files.packed import pack
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.kept import LONGEST, Kept, host_of

FOUND: dict[str, t.Any] = {"sets": {}}


def kept() -> Kept:
    both = Kept()
    both.keep("a", pack(FOUND), now=0.0)
    both.keep("b", pack(FOUND), now=0.0)
    return both


@pytest.mark.parametrize(
    ("happens", "at", "files", "services"),
    [
        pytest.param(lambda _k: None, 1.0, ["a", "b"], ["a", "b"], id="nothing"),
        pytest.param(lambda k: k.changed("a"), 1.0, ["b"], [], id="a host was changed, or went away"),
        pytest.param(lambda k: k.changed("c"), 1.0, ["a", "b"], [], id="a host without a survey was changed"),
        pytest.param(lambda k: k.clear(), 1.0, [], [], id="something changed that may be anywhere, or a new run"),
        pytest.param(lambda _k: None, LONGEST + 1, [], [], id="too long ago"),
    ],
)
def test_what_still_holds(happens: Callable[[Kept], None], at: float, files: list[str], services: list[str]) -> None:
    hosts = kept()
    happens(hosts)
    assert [host for host in ("a", "b") if hosts.of(host, now=at) is not None] == files
    assert [host for host in ("a", "b") if hosts.of(host, services=True, now=at) is not None] == services


@pytest.mark.parametrize("packed", ["", "nonsense", "aGVsbG8=", pack(FOUND)[:20]])
def test_what_cannot_be_read_is_no_survey(packed: str) -> None:
    hosts = Kept()
    hosts.keep("a", packed)
    assert hosts.of("a") is None


def test_a_second_survey_of_a_changed_host_counts_anew() -> None:
    hosts = kept()
    hosts.changed("a")
    hosts.keep("a", pack(FOUND), now=2.0)
    assert hosts.of("a", services=True, now=3.0) == FOUND


def test_a_delegated_task_is_carried_out_elsewhere() -> None:
    assert host_of(None, {"inventory_hostname": "a"}) == "a"
    assert host_of("b", {"inventory_hostname": "a"}) == "b"


@pytest.mark.parametrize(
    ("happens", "seconds"),
    [
        pytest.param(lambda k: None, 0.0, id="no run has begun here"),
        pytest.param(lambda k: k.changed("a", now=5.0), 0.0, id="no run has begun, but something was changed"),
        pytest.param(lambda k: k.begin(now=2.0), 8.0, id="nothing was changed since it began"),
        pytest.param(lambda k: (k.begin(now=2.0), k.changed("a", now=5.0)), 5.0, id="a host was changed"),
        pytest.param(lambda k: (k.begin(now=2.0), k.clear(now=6.0)), 4.0, id="something was changed anywhere"),
        pytest.param(lambda k: (k.clear(now=6.0), k.begin(now=9.0)), 1.0, id="a new run"),
    ],
)
def test_seconds_without_a_change(happens: Callable[[Kept], object], seconds: float) -> None:
    hosts = Kept()
    happens(hosts)
    assert hosts.unchanged_seconds(now=10.0) == seconds


@pytest.mark.parametrize(
    ("happens", "left"),
    [
        pytest.param(lambda k: None, False, id="nothing keeps surveys"),
        pytest.param(lambda k: k.begin(), True, id="nothing was surveyed"),
        pytest.param(lambda k: (k.begin(), k.keep("a", pack(FOUND))), False, id="the run has surveyed it"),
        pytest.param(lambda k: (k.begin(), k.keep("b", pack(FOUND))), True, id="another host was surveyed"),
        pytest.param(lambda k: (k.begin(), k.keep("a", pack(FOUND), by_role=True)), True, id="a role has surveyed it"),
        pytest.param(lambda k: (k.keep("a", pack(FOUND)), k.begin()), True, id="an earlier run has surveyed it"),
        pytest.param(
            lambda k: (k.begin(), k.keep("a", pack(FOUND)), k.changed("a")), False, id="surveyed, and changed since"
        ),
    ],
)
def test_whether_a_role_surveys_its_host(happens: Callable[[Kept], object], left: bool) -> None:
    hosts = Kept()
    happens(hosts)
    assert hosts.left_to_roles("a") is left
