"""The flush against a server that is a dictionary: what goes, what stays, what is told, and how it ends."""

from __future__ import annotations

import collections
import os
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._cache import address, globs, pacing, server
from ansible_collections.nexod.infra.plugins.module_utils._cache import connection as wire
from ansible_collections.nexod.infra.plugins.module_utils._cache import flush as cache_flush
from ansible_collections.nexod.infra.plugins.module_utils._cache.selection import Filters, read_selection
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

KEYS = {b"api:1", b"api:2", b"user:1", b"session:1", b"session:2 api:", b"other"}
NODE = server.Node("10.0.0.1", 6379)


def commands(data: bytes) -> t.Iterator[list[bytes]]:
    while data:
        head, _end, data = data.partition(b"\r\n")
        words = []
        for _word in range(int(head[1:])):
            size, _end, data = data.partition(b"\r\n")
            words.append(data[: int(size[1:])])
            data = data[int(size[1:]) + 2 :]
        yield words


class Fake(wire.Connection):
    """Answers as Redis does: SCAN in three steps with every key named twice, UNLINK with how many there were."""

    def __init__(self, keys: set[bytes], *, writable: bool, spoils: dict[int, object]) -> None:
        self.keys, self.writable, self.spoils = keys, writable, spoils
        self.ends = 0.0
        self.waiting: collections.deque[t.Any] = collections.deque()

    def send(self, data: bytes) -> None:
        self.waiting.extend(map(self._carried_out, commands(data)))

    def read(self) -> t.Any:
        return self.waiting.popleft()

    def close(self) -> None:
        self.waiting.clear()

    def _carried_out(self, words: list[bytes]) -> t.Any:
        if words[0] == b"SCAN":
            found = sorted(filter(globs.tester(globs.parse(words[3])), self.keys))
            step = int(words[1])
            return [[b"1", found[:3]], [b"2", []], [b"0", found]][step]
        if words[0] == b"UNLINK":
            assert self.writable, "check mode wrote"
            if self.spoils:
                error = self.spoils.pop(min(self.spoils))
                if isinstance(error, wire.Unreachable):
                    raise error
                return error
            gone = self.keys & set(words[1:])
            self.keys -= gone
            return len(gone)
        if words[:2] == [b"CLUSTER", b"NODES"]:
            return b"id 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-16383\n"
        return {b"ASKING": b"OK", b"DBSIZE": len(self.keys), b"INFO": b"used_memory:100\r\n", b"PING": b"PONG"}[
            words[0]
        ]


class FakeCache(server.Cache):
    def __init__(self, keys: set[bytes], *, clustered: bool = False, writable: bool = True, **spoils: object) -> None:
        super().__init__(address.Target("10.0.0.1", 6379))
        self.clustered, self.keys, self.writable = clustered, keys, writable
        self.spoils = {int(name[1:]): what for name, what in spoils.items()}
        self.connections = 0

    def primaries(self, *, writes: bool = True) -> list[server.Node]:
        return [NODE]

    def connection(self, node: server.Node) -> wire.Connection:
        self.connections += 1
        return Fake(self.keys, writable=self.writable, spoils=self.spoils)


def flush(
    cache: FakeCache, prefixes: t.Sequence[str], *, check: bool = False, patterns: t.Sequence[str] = (), **limits: t.Any
) -> cache_flush.Flushed:
    asked = read_selection(prefixes, patterns, ["session:"], waived=False)
    return cache_flush.Flush(cache, asked, pacing.Limits(max_latency_ms=0, **limits), check=check).run()


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize(
    ("prefixes", "patterns", "check", "deleted", "left"),
    [
        pytest.param(["api:", "user:"], [], False, {"api:": 2, "user:": 1}, 3, id="flush"),
        pytest.param(["api:", "user:"], [], True, {"api:": 2, "user:": 1}, 6, id="check mode"),
        pytest.param(["api:", "api:1"], [], True, {"api:": 2, "api:1": 0}, 6, id="check mode, overlapping"),
        pytest.param(["api:", "api:1"], [], False, {"api:": 2, "api:1": 0}, 4, id="overlapping"),
        pytest.param(["user:"], ["[ao]*"], False, {"user:": 1, "[ao]*": 3}, 2, id="pattern"),
        pytest.param(["none:"], [], False, {"none:": 0}, 6, id="nothing there"),
    ],
)
def test_flush(
    prefixes: list[str], patterns: list[str], check: bool, deleted: dict[str, int], left: int, clustered: bool
) -> None:
    cache = FakeCache(set(KEYS), clustered=clustered, writable=not check)
    flushed = flush(cache, prefixes, patterns=patterns, check=check)
    assert (flushed.deleted, len(cache.keys)) == (deleted, left)
    assert (flushed.kept, flushed.complete) == (2, True)


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("keys", "counted", "warned"),
    [
        pytest.param([], True, False, id="an empty cache, as at a first deploy"),
        pytest.param([], False, True, id="not known to be empty, without +dbsize"),
        pytest.param([b"other:1"], True, True, id="keys, none protected"),
        pytest.param([b"api:1"], True, True, id="keys that are all deleted"),
        pytest.param([b"session:1"], True, False, id="a protected key"),
    ],
)
def test_what_protects_no_key_is_warned_about_where_there_are_keys(
    keys: list[bytes], counted: bool, warned: bool, check: bool
) -> None:
    flushed = flush(FakeCache(set(keys)), ["api:"], check=check)
    if not counted:
        flushed.nodes[0].keys[0] = None
    asked = read_selection(["api:"], [], ["session:"], waived=False)
    said = cache_flush.warnings_of(flushed, pacing.Limits(), asked)
    assert any("No key is protected by" in text for text in said) == warned


def test_what_is_told_of_each_node_and_in_all() -> None:
    flushed = flush(FakeCache(set(KEYS)), ["api:"])
    (row,) = [tally.report() for tally in flushed.nodes]
    assert (row["node"], row["walks"], row["deleted"], row["protected"]) == ("10.0.0.1:6379", 1, 2, 2)
    assert (row["dbsize_before"], row["dbsize_after"], row["memory_before"]) == (6, 4, 100)
    totals = flushed.totals()
    assert {name: totals[name] for name in ("deleted", "protected", "dbsize_after")} == {
        "deleted": 2,
        "protected": 2,
        "dbsize_after": 4,
    }


def test_a_server_that_answers_with_a_protected_key_is_not_obeyed() -> None:
    cache = FakeCache(set(KEYS))
    asked = read_selection(["api:"], [], ["session:"], waived=False)
    wrong = read_selection([], ["*"], [], waived=True).selectors
    object.__setattr__(asked, "selectors", wrong)
    with pytest.raises(InfraError, match="protected key"):
        cache_flush.Flush(cache, asked, pacing.Limits(max_latency_ms=0), check=False).run()
    assert cache.keys >= {b"session:1", b"session:2 api:"}


@pytest.mark.parametrize(
    ("keys", "prefixes", "expected"),
    [
        ([b"api:1", b"session:1"], (b"session:",), True),
        ([b"api:1", b"s"], (b"other:", b"s"), True),
        ([b"api:session:1", b"x session:"], (b"session:",), False),
        ([b"api:ses", b"sion:1"], (b"session:",), False),
        ([b"api:1"], (), False),
        ([], (b"session:",), False),
    ],
)
def test_whether_a_protected_key_is_among_them(keys: list[bytes], prefixes: tuple[bytes, ...], expected: bool) -> None:
    assert cache_flush.any_protected(keys, prefixes) is expected


@pytest.mark.parametrize(
    "spoil",
    [
        wire.Unreachable("the connection was closed"),
        wire.Refused("READONLY You can't write"),
        wire.Refused("LOADING"),
    ],
    ids=["cut", "demoted", "loading"],
)
def test_a_disturbed_walk_begins_anew(spoil: Exception) -> None:
    cache = FakeCache(set(KEYS), _1=spoil)
    flushed = flush(cache, ["api:", "user:"])
    assert (flushed.deleted, flushed.nodes[0].walks, len(cache.keys)) == ({"api:": 2, "user:": 1}, 2, 3)


class Uncountable(FakeCache):
    """The first count of the protected keys is cut off, or comes after the deadline."""

    def __init__(self, error: Exception) -> None:
        super().__init__(set(KEYS))
        self.errors = [error]

    def connection(self, node: server.Node) -> wire.Connection:
        found = super().connection(node)
        send = found.send

        def sending(data: bytes) -> None:
            if b"session" in data and b"SCAN" in data and self.errors:
                raise self.errors.pop()
            send(data)

        found.send = sending  # type: ignore[method-assign]
        return found


@pytest.mark.parametrize(
    ("error", "kept", "walks"),
    [
        pytest.param(wire.Unreachable("the connection was closed"), 2, 2, id="cut: counted again"),
        pytest.param(wire.DeadlineError(), None, 1, id="too late: unknown"),
    ],
)
def test_protected_keys_that_could_not_be_counted_are_not_none(error: Exception, kept: int | None, walks: int) -> None:
    flushed = flush(Uncountable(error), ["api:"])
    assert (flushed.kept, flushed.nodes[0].walks, flushed.complete) == (kept, walks, True)
    asked = read_selection(["api:"], [], ["session:"], waived=False)
    warned = cache_flush.warnings_of(flushed, pacing.Limits(), asked)
    assert ["not counted" in text for text in warned] == ([True] if kept is None else [])


@pytest.mark.parametrize(
    ("replies", "walks"),
    [
        pytest.param(["MOVED 1 10.0.0.2:6379"], 1, id="arriving here: asked again here"),
        pytest.param(["MOVED 1 10.0.0.2:6379"] * 2, 1, id="moved: deleted there"),
        pytest.param(["ASK 1 10.0.0.2:6379"], 1, id="leaving: deleted where it arrives"),
        pytest.param(["ASK 1 10.0.0.2:6379", "MOVED 1 10.0.0.3:6379"], 1, id="arrived"),
        pytest.param(["TRYAGAIN"], 2, id="looked for again"),
        pytest.param(["ASK 1 10.0.0.2:6379", "CLUSTERDOWN"], 2, id="not served: looked for again"),
    ],
)
def test_keys_whose_slot_is_moving(replies: list[str], walks: int) -> None:
    spoils = {f"_{number}": wire.Refused(reply) for number, reply in enumerate(replies)}
    cache = FakeCache(set(KEYS), clustered=True, **spoils)
    flushed = flush(cache, ["api:"])
    assert (flushed.deleted, flushed.nodes[0].walks, flushed.complete) == ({"api:": 2}, walks, True)
    assert not [key for key in cache.keys if key.startswith(b"api:")]


class Moving(FakeCache):
    """Two nodes; between the two, keys move when it is worst."""

    def __init__(self) -> None:
        super().__init__(set(), clustered=True)
        self.nodes = [server.Node("a", 1, frozenset(range(8192))), server.Node("b", 1, frozenset(range(8192, 16384)))]
        self.keys_of = {"a": {b"api:1", b"session:1"}, "b": {b"api:2"}}
        self.walked: list[str] = []

    def primaries(self, *, writes: bool = True) -> list[server.Node]:
        return self.nodes

    def moves(self, nodes: t.Sequence[server.Node]) -> set[tuple[str, str]]:
        # It appears on b only after b was walked, and had left a before a was walked.
        if len(self.walked) == 2:
            self.keys_of["b"].add(b"api:1")
        return {("a:1", "b:1")}

    def connection(self, node: server.Node) -> wire.Connection:
        if len(self.walked) < 2:
            self.keys_of["a"].discard(b"api:1")
        self.walked.append(node.host)
        return Fake(self.keys_of[node.host], writable=True, spoils={})


def test_a_key_that_moves_past_the_walk_is_found() -> None:
    cache = Moving()
    flushed = flush(cache, ["api:"])
    assert (cache.keys_of, flushed.complete) == ({"a": {b"session:1"}, "b": set()}, True)


def test_open_slots_are_read_from_both_ends() -> None:
    mine = (
        "{} 10.0.0.1:1@1 myself,master - 0 0 1 connected 0-99 {}\nother 10.0.0.2:1@1 master - 0 0 1 connected [7->-x]"
    )
    assert server.moves_in(mine.format("me", "[5->-you] [6-<-they]")) == ("me", {("me", "you"), ("they", "me")})
    assert server.moves_in(mine.format("me", "")) == ("me", set())
    assert server.moves_in("") == ("", set())


@pytest.mark.parametrize(("key", "slot"), [(b"foo", 12182), (b"{user}:1", 5474), (b"a{}b", 13694), (b"", 0)])
def test_the_slot_of_a_key(key: bytes, slot: int) -> None:
    assert server.key_slot(key) == slot


@pytest.mark.parametrize(
    ("spoil", "limits", "words"),
    [
        (
            wire.Unreachable("the connection was closed"),
            {"patience": 0},
            "the connection was closed.*Run it again once the server answers",
        ),
        (
            wire.Refused("NOPERM no permissions to run 'unlink'"),
            {},
            "lacks a permission.*ACL SETUSER default resetkeys ~api",
        ),
    ],
)
def test_a_flush_that_ends_says_what_is_left(spoil: Exception, limits: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InfraError, match=f"(?s){words}") as caught:
        flush(FakeCache(set(KEYS), _1=spoil, _2=spoil, _3=spoil), ["api:"], **limits)
    assert caught.value.facts["left"] == ["10.0.0.1:6379"]
    assert caught.value.facts["deleted_total"] == 0
    assert caught.value.facts["deleted"] == {"api:": 0}
    assert t.cast("dict[str, t.Any]", caught.value.facts["totals"])["dbsize_before"] == len(KEYS)


def test_the_deadline_and_the_most_keys() -> None:
    with pytest.raises(InfraError, match="the deadline of 1e-06 s has passed"):
        flush(FakeCache(set(KEYS)), ["api:"], deadline=1e-6)
    with pytest.raises(InfraError, match="0 keys would be deleted so far"):
        flush(FakeCache(set(KEYS), writable=False), ["api:"], deadline=1e-6, check=True)
    cache = FakeCache(set(KEYS))
    flushed = flush(cache, ["api:"], max_keys=1)
    assert (flushed.total, flushed.complete, len(cache.keys)) == (1, False, 5)
    assert (
        cache_flush.warnings_of(
            flushed, pacing.Limits(max_keys=1), read_selection(["api:"], [], ["session:"], waived=False)
        )
        != []
    )


@pytest.mark.parametrize(
    ("count", "milliseconds", "then"),
    [(400, 6.0, 200), (15, 6.0, 10), (10, 60.0, 10), (200, 0.5, 205), (10, 0.5, 11), (250, 0.1, 250), (200, 4.0, 200)],
)
def test_count_follows_the_latency(count: int, milliseconds: float, then: int) -> None:
    assert pacing.next_count(count, milliseconds, 5.0) == then


def test_latency_is_told_within_five_percent() -> None:
    latency = pacing.Latency()
    for number in range(1, 1001):
        latency.add(number / 100)
    found = latency.report()
    assert found is not None
    assert found["p50"] == pytest.approx(5, rel=0.05)
    assert found["p99"] == pytest.approx(9.9, rel=0.05)
    assert found["max"] == 10


def test_keys_are_told_apart_from_the_last_ones_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "REMEMBERED", 4)
    found = pacing.Distinct()
    assert found.new([b"1", b"2", b"1"]) == 2
    assert found.new([b"2", b"3", b"4"]) == 2
    assert found.new([b"4", b"5", b"5"]) == 1
    for number in range(6, 1000):
        assert found.new([b"%d" % number, b"%d" % (number - 3)]) == 1
    assert len(found) == 999
    assert len(found._now) + len(found._before) <= 2 * 4


def test_nodes_of_a_cluster() -> None:
    answer = [
        [0, 5, [b"10.0.0.1", 7000, b"id"], [b"10.0.0.4", 7003, b"id"]],
        [6, 9, [b"", 7001, b"id"]],
        [10, 11, [b"10.0.0.1", 7000, b"id"]],
    ]
    assert server.nodes_of(answer, "seed") == [
        server.Node("10.0.0.1", 7000, frozenset({0, 1, 2, 3, 4, 5, 10, 11})),
        server.Node("seed", 7001, frozenset({6, 7, 8, 9})),
    ]


def test_rights_are_in_the_server_s_own_words() -> None:
    target = address.Target("a", 1, username="flusher")
    line = server.rights_of(target, [b"api:*", b'a "b*'], cache_flush.COMMANDS, clustered=True)
    assert line.removesuffix(" +cluster|slots +cluster|nodes +asking") == (
        "ACL SETUSER flusher resetkeys ~api:* ~a??b* -@all +scan +unlink +info +dbsize +ping +hello"
    )


def test_a_token_of_iam() -> None:
    credentials = pytest.importorskip("botocore.credentials").Credentials("AKIA", "secret", "session")
    target = address.Target("host", 6379, username="flusher", iam_cache="app", iam_serverless=True, region="eu-west-1")
    token = wire.iam_token(target, credentials)
    assert token.startswith("app/?Action=connect&User=flusher&ResourceType=ServerlessCache&X-Amz-Algorithm=AWS4-HMAC")
    assert "eu-west-1%2Felasticache%2Faws4_request" in token
    assert "X-Amz-Expires=900" in token
    assert "secret" not in token


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "there are no AWS credentials"), ({"AWS_ACCESS_KEY_ID": "AKIA"}, "the AWS credentials are incomplete")],
)
def test_missing_credentials_of_iam_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, environment: dict[str, str], words: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    target = address.Target("host", 6379, username="flusher", tls=True, iam_cache="app", region="eu-west-1")
    with pytest.raises(InfraError, match=words):
        wire.iam_token(target)


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        (Filters(), [-1, 0, 5_000]),
        (Filters(lifetime="none"), [-1]),
        (Filters(lifetime="limited"), [0, 5_000]),
        (Filters(longer_than=1), [-1, 5_000]),
        (Filters(lifetime="limited", longer_than=1), [5_000]),
    ],
)
def test_filters_by_lifetime(filters: Filters, passing: list[int]) -> None:
    assert [lifetime for lifetime in (-2, -1, 0, 5_000) if filters.passes(lifetime)] == passing


def test_the_diff_names_no_key() -> None:
    flushed = cache_flush.Flushed({"api:": 2, "user:": 0}, [], 1.0, kept=4, complete=True)
    assert cache_flush.as_diff(flushed, "cache")["before"] == "api: 2 keys\n"
