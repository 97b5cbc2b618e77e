"""Which keys a prefix or a glob may take: tables, and whatever hypothesis can think of against the protected keys."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.nexod.infra.plugins.module_utils._cache import globs, selection
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.generated import EXAMPLES


@pytest.mark.parametrize(
    ("glob", "key", "matches"),
    [
        (b"api:*", b"api:1", True),
        (b"api:*", b"api:", True),
        (b"api:*", b"apix", False),
        (b"a?c", b"a\xffc", True),
        (b"a?c", b"ac", False),
        (b"*x*y", b"1x2x3y", True),
        (b"*", b"line\nbreak", True),
        (b"[abc]1", b"b1", True),
        (b"[^abc]1", b"b1", False),
        (b"[^abc]1", b"\xfe1", True),
        (b"[a-c]", b"b", True),
        (b"[c-a]", b"b", True),
        (b"[a-]", b"a", None),  # Redis reads a range from a to the bracket, and then finds no end
        (b"[a-]]", b"_", True),  # the same with an end: _ lies between ] and a
        (b"[\\]]", b"]", True),
        (b"[\\a-c]", b"b", False),  # an escaped letter begins no range
        (b"[\\a-c]", b"-", None),
        (b"[^]", b"x", True),
        (b"[]", b"x", False),
        (b"a\\*", b"a*", True),
        (b"a\\*", b"ab", False),
        (b"a\\", b"a\\", True),
        (b"[ab", b"a", None),
        (b"[\x80-\xff]", b"\x90", None),
    ],
)
def test_glob(glob: bytes, key: bytes, matches: bool | None) -> None:
    if glob == b"[\\a-c]" and matches is None:
        matches = True if key in (b"a", b"-", b"c") else matches
    if matches is None:
        with pytest.raises(ValueError, match="class"):
            globs.parse(glob)
    else:
        assert bool(globs.tester(globs.parse(glob))(key)) is matches


@pytest.mark.parametrize(
    ("glob", "reached"),
    [
        ("*", True),
        ("s*", True),
        ("?ession:*", True),
        ("[r-t]ession:1", True),
        ("[^a]ession:*", True),
        ("[^s]ession:*", False),
        ("*:1", True),
        ("*1", True),
        ("session", False),
        ("session:", True),
        ("\\session:x", True),
        ("s[e]ssion[:]*", True),
        ("sessions*", False),
        ("api:*session:*", False),
        ("*session:*", True),
        ("??????:*", False),
        ("????????*", True),
    ],
)
def test_a_pattern_that_could_reach_a_session_is_refused(glob: str, reached: bool) -> None:
    assert globs.reaches(globs.parse(globs.raw(glob)), b"session:") is reached
    if reached:
        with pytest.raises(InfraError, match='matches keys under the protected prefix "session:"'):
            selection.read_selection(["api:"], [glob], ["session:"], waived=False)


@pytest.mark.parametrize("prefix", ["", "s", "session", "session:", "session:abc"])
def test_a_prefix_that_reaches_a_session_is_refused(prefix: str) -> None:
    with pytest.raises(InfraError):
        selection.read_selection(["api:", prefix], [], ["session:"], waived=False)


@pytest.mark.parametrize(
    ("protect", "waived", "refused"),
    [
        ([], False, True),
        ([], True, False),
        (["session:"], True, True),
        (["session:"], False, False),
        ([""], False, True),
    ],
)
def test_protection_is_named_or_waived_by_name(protect: list[str], waived: bool, refused: bool) -> None:
    if refused:
        with pytest.raises(InfraError):
            selection.read_selection(["api:"], [], protect, waived=waived)
    else:
        assert selection.read_selection(["api:"], [], protect, waived=waived).protected_prefixes == tuple(
            map(str.encode, protect)
        )


@pytest.mark.parametrize(
    ("prefixes", "patterns", "asked_for"),
    [
        (["api:"], [], b"api:*"),
        (["cache[1]:"], [], b"cache\\[1\\]:*"),
        (["api:", "user:", "query:"], [], b"[aqu]*"),
        (["app:a:", "app:b:"], [], b"app:[ab]*"),
        (["app:", "app:b:"], [], b"app:*"),
        (["app:"], ["*x"], b"*"),
        (["app:-", "app:]"], [], b"app:[\\-\\]]*"),
        ([], ["a?c"], b"a?c"),
        (["ü"], [], "ü*".encode()),
    ],
)
def test_keys_are_walked_once(prefixes: list[str], patterns: list[str], asked_for: bytes) -> None:
    assert selection.read_selection(prefixes, patterns, [], waived=True).scan == asked_for


def test_a_key_is_the_first_one_s() -> None:
    selectors = selection.read_selection(["api:", "api:1", "b"], ["*"], [], waived=True).selectors
    keys = [b"api:1", b"api:1", b"b", b"c", b"api:\xff"]
    assert globs.assigned(keys, selectors) == [[b"api:1", b"api:1", b"api:\xff"], [], [b"b"], [b"c"]]


# Few letters, so that much of what is drawn meets; with all that globs, shells and protocols take for special.
LETTERS = "ab:[]^-\\*?{} '\"\n\r\x00ü"
words = st.text(alphabet=LETTERS, max_size=8)
keys = st.one_of(words.map(globs.raw), st.binary(max_size=8))
STEADY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def read(prefixes: list[str], patterns: list[str], protect: list[str]) -> selection.Selection | None:
    try:
        return selection.read_selection(prefixes, patterns, protect, waived=False)
    except InfraError:
        return None


@STEADY
@given(
    prefixes=st.lists(words, max_size=2),
    patterns=st.lists(words, max_size=3),
    protect=st.lists(words, min_size=1, max_size=2),
    others=st.lists(keys, max_size=8),
    ends=st.lists(keys, max_size=8),
)
def test_nothing_ever_takes_a_protected_key(
    prefixes: list[str], patterns: list[str], protect: list[str], others: list[bytes], ends: list[bytes]
) -> None:
    asked = read(prefixes, patterns, protect)
    assume(asked is not None)
    assert asked is not None
    protected = [prefix + end for prefix in asked.protected_prefixes for end in (b"", *ends, *others)]
    taken = [key for group in globs.assigned([*others, *ends, *protected], asked.selectors) for key in group]
    assert not [key for key in taken if key.startswith(asked.protected_prefixes)]


def exact(glob: bytes, key: bytes) -> bool:
    """Redis' stringmatchlen, translated line by line: what the server does, to hold the reading here against."""
    while glob and key:
        letter, rest = glob[:1], glob[1:]
        if letter == b"*":
            while rest[:1] == b"*":
                rest = rest[1:]
            return not rest or any(exact(rest, key[at:]) for at in range(len(key)))
        if letter == b"[":
            negated = rest[:1] == b"^"
            rest = rest[negated:]
            found = False
            while True:
                if len(rest) >= 2 and rest[:1] == b"\\":
                    rest = rest[1:]
                    found |= rest[0] == key[0]
                elif rest[:1] == b"]" or not rest:
                    break
                elif len(rest) >= 3 and rest[1:2] == b"-":
                    low, high = sorted((rest[0], rest[2]))
                    rest = rest[2:]
                    found |= low <= key[0] <= high
                else:
                    found |= rest[0] == key[0]
                rest = rest[1:]
            if found == negated:
                return False
        elif letter != b"?":
            if letter == b"\\" and rest:
                letter, rest = rest[:1], rest[1:]
                glob = letter + rest
            if letter != key[:1]:
                return False
            rest = glob[1:]
            glob, key = rest, key[1:]
            if not key:
                return not glob.lstrip(b"*")
            continue
        glob, key = rest[1:] if letter == b"[" else rest, key[1:]
        if not key:
            return not glob.lstrip(b"*")
    return not glob and not key


@STEADY
@given(glob=words, key=keys)
def test_a_glob_is_read_as_redis_reads_it(glob: str, key: bytes) -> None:
    assume(key)  # Redis compares nothing with the empty key but the glob "*"
    try:
        places = globs.parse(globs.raw(glob))
    except ValueError:
        return
    assert bool(globs.tester(places)(key)) is exact(globs.raw(glob), key)


@STEADY
@given(glob=words, prefix=words.map(globs.raw), end=keys)
def test_what_matches_under_a_prefix_is_known_to_reach_it(glob: str, prefix: bytes, end: bytes) -> None:
    try:
        places = globs.parse(globs.raw(glob))
    except ValueError:
        return
    if globs.tester(places)(prefix + end):
        assert globs.reaches(places, prefix)


@STEADY
@given(prefixes=st.lists(words, max_size=3), patterns=st.lists(words, min_size=1, max_size=3), key=keys)
def test_the_server_is_asked_for_every_key_that_is_wanted(prefixes: list[str], patterns: list[str], key: bytes) -> None:
    try:
        asked = selection.read_selection(prefixes, patterns, [], waived=True)
    except InfraError:
        assume(False)
        return
    assume(key)
    if any(globs.assigned([key], asked.selectors)):
        assert exact(asked.scan, key)
