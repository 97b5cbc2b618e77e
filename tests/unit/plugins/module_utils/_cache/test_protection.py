"""What can be written as `protect`, and that no reading of it is left unprotected."""

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.nexod.infra.plugins.module_utils._cache import globs, protection
from ansible_collections.nexod.infra.plugins.module_utils._cache.selection import (
    Selection,
    read_selection,
    selection_faults,
    silent_no_op,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.generated import EXAMPLES


@pytest.mark.parametrize(
    ("entry", "kept", "others"),
    [
        ("session:", [b"session:1", b"session:"], [b"sessio", b"spring:session:1"]),
        ("session:*", [b"session:1", b"session:"], [b"sess:1"]),
        ("*session*", [b"spring:session:sessions:1", b"session"], [b"sess"]),
        ("*:session:", [b"spring:session:1", b"*:session:1"], [b"session:1"]),
        ("cache[12]:", [b"cache1:x", b"cache2:", b"cache[12]:x"], [b"cache3:", b"cache"]),
        ("user[^x]:s", [b"usera:s1", b"user[^x]:s"], [b"userx:s"]),
        ("se??ion:", [b"session:1", b"seXXion:", b"se??ion:"], [b"seion:"]),
        ("\\^session", [b"^session1", b"\\^session"], [b"session"]),
        ("\\ session", [b" session1"], [b"session"]),
        ("cache\\[1\\]:", [b"cache[1]:x"], [b"cache1:x"]),
        ("session\\", [b"session\\1"], [b"session1"]),
        ("{app}:session:", [b"{app}:session:1"], [b"app:session:1"]),
        ("a.session-1_@/#=", [b"a.session-1_@/#=x"], [b"a,session"]),
        ("ü", ["ü1".encode()], [b"u"]),
    ],
)
def test_what_an_entry_keeps(entry: str, kept: list[bytes], others: list[bytes]) -> None:
    found = protection.read_protection(entry)
    assert [key for key in kept if not found.matches(key)] == []
    assert [key for key in others if found.matches(key)] == []


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        ("", "an empty prefix"),
        (" session:", "begins or ends with white space"),
        ("session: ", "begins or ends with white space"),
        ("session:\n", "begins or ends with white space"),
        ("a\tb", "a control character"),
        ("^session:", 'contains "^"'),
        ("session:.*", 'contains ".*"'),
        ("session:$", 'contains "$"'),
        ("(session|token):", 'contains "("'),
        ("session|token", 'contains "|"'),
        ("session:%", 'contains "%"'),
        ("session:,token:", 'contains ","'),
        ("{session,token}:", 'contains ","'),
        ("'session:'", "a quotation mark"),
        ('"session:"', "a quotation mark"),
        ("~session:*", "a key pattern in an ACL"),
        ("!session:", "a negation"),
        ("\\d+:session", "an escape of a regular expression"),
        ("{{ prefix }}", "a template"),
        ("cache[1", "closing bracket"),
        ("[]session", "it matches no key"),
        ("[\x80-ü]", "beyond ASCII"),
        ("session:\ud800", "half a character"),
    ],
)
def test_what_may_have_been_meant_otherwise_is_refused(entry: str, cause: str) -> None:
    with pytest.raises(InfraError) as caught:
        protection.read_protection(entry)
    assert cause in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("prefixes", "patterns", "protect"),
    [
        (["session:1"], [], ["session:*"]),
        (["ses"], [], ["session:*"]),
        ([], ["s*"], ["session:*"]),
        ([], ["*"], ["\\^x"]),
        (["api:"], [], ["*"]),
        (["api:*"], [], ["session:"]),
        (["api?"], [], ["session:"]),
        ([], [], ["session:"]),
        (["\ud800"], [], ["session:"]),
        ([], ["\ud800"], ["session:"]),
    ],
)
def test_a_flush_that_is_refused(prefixes: list[str], patterns: list[str], protect: list[str]) -> None:
    with pytest.raises(InfraError):
        read_selection(prefixes, patterns, protect, waived=False)


def test_a_glob_leaves_out_the_keys_that_it_matches() -> None:
    asked = read_selection(["spring:"], [], ["*session*"], waived=False)
    keys = [b"spring:session:sessions:1", b"spring:cache:1"]
    assert [key for key in keys if not any(protects(key) for protects in asked.protected_globs)] == [b"spring:cache:1"]


def test_every_fault_is_named() -> None:
    found = list(selection_faults(["s", "api:*"], ["[a"], ["session:", "^x"], waived=False))
    assert [fault.object for fault in found] == ['"^x"', '"api:*"', '"[a"', '"s"']


@pytest.mark.parametrize(
    ("prefixes", "patterns", "expected"),
    [([" api:"], [], "white space"), (["cache[1]:"], [], "literally"), (["api:"], [], ""), ([], ["q[12]"], "")],
)
def test_what_may_have_matched_nothing_by_mistake(prefixes: list[str], patterns: list[str], expected: str) -> None:
    (selector,) = read_selection(prefixes, patterns, ["session:"], waived=False).selectors
    assert expected in silent_no_op(selector)
    assert bool(expected) == bool(silent_no_op(selector))


# Few letters, so that much of what is drawn meets, with everything that means something somewhere.
ENTRIES = st.text(alphabet="ab:*?[]^$|().+,;%~!\\'\" \n{}-", max_size=7)
KEYS = st.text(alphabet="ab:*?[]^$|.,% {}-", max_size=7).map(str.encode)
STEADY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def readings(entry: str) -> t.Iterator[t.Callable[[bytes], object]]:
    """What a person may have meant with `entry`: the keys that they believe to be safe."""

    def prefix(text: str) -> t.Callable[[bytes], object]:
        return lambda key: bool(text) and key.startswith(text.encode())

    # As it stands; without what surrounds it; each part of a list.
    yield prefix(entry)
    yield prefix(entry.strip())
    yield prefix(entry.strip("'\"^~!$% "))
    yield from (prefix(part) for part in re.split(r"[,;|]", entry))
    yield from (prefix(entry.strip("^$").removesuffix(end)) for end in (".*", ".+", "%", "*"))
    # As Redis reads it: in full, and as the beginning of a key.
    for text in (entry, entry + "*"):
        try:
            yield globs.tester(globs.parse(text.encode()))
        except ValueError:
            continue


def taken(asked: Selection, keys: t.Sequence[bytes]) -> set[bytes]:
    """The keys that a flush would delete."""
    left = [key for key in keys if not any(protects(key) for protects in asked.protected_globs)]
    return {key for group in globs.assigned(left, asked.selectors) for key in group}


@STEADY
@given(
    entries=st.lists(ENTRIES, min_size=1, max_size=2),
    prefixes=st.lists(st.text(alphabet="ab:[]", min_size=1, max_size=3), max_size=2),
    patterns=st.lists(st.text(alphabet="ab:*?[]", min_size=1, max_size=4), max_size=2),
    keys=st.lists(KEYS, min_size=1, max_size=8),
    ends=st.lists(KEYS, max_size=3),
)
def test_nothing_that_can_be_written_as_protect_fails_open(
    entries: list[str], prefixes: list[str], patterns: list[str], keys: list[bytes], ends: list[bytes]
) -> None:
    try:
        asked = read_selection(prefixes, patterns, entries, waived=False)
    except InfraError:
        assume(False)
        return
    there = [*keys, *(entry.encode() + end for entry in entries for end in ends)]
    deleted = taken(asked, there)
    meant = [read for entry in entries for read in readings(entry)]
    assert [key for key in deleted if any(read(key) for read in meant)] == []


@STEADY
@given(entry=ENTRIES, key=KEYS, end=KEYS)
def test_every_protected_key_is_counted(entry: str, key: bytes, end: bytes) -> None:
    """SCAN is asked for a superset of what is protected."""
    try:
        asked = Selection((), (protection.read_protection(entry),))
    except InfraError:
        assume(False)
        return
    for one in (key, entry.encode() + end):
        if asked.protects(one) and one:
            assert globs.tester(globs.parse(asked.scan_protected))(one)
