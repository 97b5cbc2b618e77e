# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache as a whole: one server, one found through Sentinel, or the primaries of a cluster, and who serves a key."""

from __future__ import annotations

import binascii
import contextlib
import dataclasses
import math
import re
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._cache import sentinel
from ansible_collections.nexod.infra.plugins.module_utils._cache.address import Target, named
from ansible_collections.nexod.infra.plugins.module_utils._cache.connection import (
    TRANSIENT,
    Connection,
    DeadlineError,
    Refused,
    Unreachable,
    connect,
    fault,
    hello,
    info,
    is_unknown,
    packed,
    role_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

ALL_SLOTS = 16384
MOST_REDIRECTIONS = 5
CLUSTER_RIGHTS = "+cluster|slots +cluster|nodes"


class NobodyThereError(InfraError):
    """Nothing answers at the cache's address; expected in check mode before the cache is installed."""


@dataclasses.dataclass(frozen=True)
class Node:
    """A primary, and the slots that it serves in a cluster."""

    host: str
    port: int
    slots: frozenset[int] | None = None

    @property
    def name(self) -> str:
        return named(self.host, self.port) if self.port else self.host


def key_slot(key: bytes) -> int:
    """The slot of a key in a cluster, by what is in its first pair of braces if there is such."""
    _before, opened, rest = key.partition(b"{")
    tag, closed, _after = rest.partition(b"}")
    return binascii.crc_hqx(tag if opened and closed and tag else key, 0) % ALL_SLOTS


def nodes_of(answer: t.Sequence[t.Any], asked: str) -> list[Node]:
    """The primaries in the reply of `asked` to CLUSTER SLOTS. A node without an address is `asked` itself."""
    slots: dict[tuple[str, int], set[int]] = {}
    for first, last, primary, *_replicas in answer:
        host = (primary[0] or b"").decode() or asked
        slots.setdefault((asked if host == "?" else host, int(primary[1])), set()).update(range(first, last + 1))
    return [Node(host, port, frozenset(found)) for (host, port), found in sorted(slots.items())]


def moves_in(text: str) -> tuple[str, set[tuple[str, str]]]:
    """The identifier of the node that sent this reply to CLUSTER NODES, and its open slots as (source, target)."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8 or "myself" not in words[2].split(","):
            continue
        found = set()
        for word in words[8:]:
            if match := re.fullmatch(r"\[\d+-([<>])-(\w+)\]", word):
                found.add((words[0], match[2]) if match[1] == ">" else (match[2], words[0]))
        return words[0], found
    return "", set()


class Cache:
    """The current primaries of the cache, and connections to them. No wait lasts beyond `ends`."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.clustered = False
        self.ends = math.inf
        self._known: list[tuple[str, int]] = [] if target.sentinels else [(target.host, target.port)]
        if target.unix_socket:
            self._known = [(target.unix_socket, 0)]

    def connection(self, node: Node) -> Connection:
        return connect(self.target, node.host, node.port, ends=self.ends)

    def primaries(self, *, writes: bool = True) -> list[Node]:
        """The current primaries; in a cluster, according to the first node that answers.

        Unless it `writes`, a single replica will do.
        """
        if self.target.sentinels:
            return [self._primary_from_sentinels()]
        errors: list[Unreachable] = []
        for host, port in self._known:
            try:
                nodes = self._primaries_from(host, port, writes=writes)
            except Unreachable as unreachable:
                errors.append(unreachable)
                continue
            if self.clustered:
                self._known = list(dict.fromkeys([*((node.host, node.port) for node in nodes), *self._known]))
            return nodes
        raise errors[0]

    def settled_primaries(self, seconds: float, *, writes: bool = True) -> list[Node]:
        """The primaries, once a server that loads its data or runs a script answers again."""
        until = min(time.monotonic() + seconds, self.ends)
        while True:
            try:
                return self.primaries(writes=writes)
            except Refused as refused:
                if refused.word not in TRANSIENT or time.monotonic() + 0.3 > until:
                    raise
            time.sleep(0.3)

    def _primaries_from(self, host: str, port: int, *, writes: bool) -> list[Node]:
        with contextlib.closing(connect(self.target, host, port, ends=self.ends)) as connection:
            nodes = self._nodes(connection, host)
            if not self.clustered:
                if writes:
                    self._must_be_primary(connection)
                return [Node(host, port)]
        served: set[int] = set().union(*(node.slots or () for node in nodes))
        if len(served) != ALL_SLOTS:
            raise Unreachable(
                f"{ALL_SLOTS - len(served)} of the cluster's {ALL_SLOTS} slots are not served by any node",
                next_step="Examine the cluster with redis-cli --cluster check, and repair it with --cluster fix.",
            )
        return nodes

    def _nodes(self, connection: Connection, host: str) -> list[Node]:
        """The cluster's nodes; none for a single server."""
        mode = {"0": "standalone", "1": "cluster"}.get((info(connection, b"cluster") or {}).get("cluster_enabled", ""))
        mode = mode or hello(connection).get("mode") or ""
        if mode == "sentinel":
            raise InfraError(
                "use",
                self.target.name,
                "it is a Sentinel, not a cache",
                "List it in sentinels and set sentinel_service, or use the port of the cache itself (usual: 6379).",
            )
        nodes: list[Node] = []
        self.clustered = mode == "cluster"
        if mode != "standalone":
            try:
                nodes = nodes_of(connection.ask(b"CLUSTER", b"SLOTS"), host)
            except Refused as refused:
                # Without INFO and HELLO, a single server is recognised by this error. A missing permission is no sign
                # of one: only one node of a cluster would be flushed.
                single = is_unknown(refused) or "cluster support disabled" in str(refused)
                self.clustered = self.clustered or not single
                if self.clustered:
                    raise
        self.clustered = self.clustered or bool(nodes)
        return nodes

    def _must_be_primary(self, connection: Connection) -> None:
        role, primary = role_of(connection)
        if role == "replica":
            raise InfraError(
                "write to",
                self.target.name,
                "it is a read-only replica",
                f"Use its primary: {primary or 'see ROLE or INFO replication'}.",
            )

    def _primary_from_sentinels(self) -> Node:
        answers = sentinel.ask_all(self.target, self.ends)
        sentinel.refuse_hopeless(answers, self.target)
        masters = [(address, votes) for address, votes in sentinel.candidates(answers) if self._is_primary(address)]
        return Node(*sentinel.chosen(masters, answers, self.target.name))

    def _is_primary(self, address: tuple[str, int]) -> bool:
        """Whether the server itself says so. An error is raised if it refuses this client."""
        try:
            with contextlib.closing(connect(self.target, *address, ends=self.ends)) as connection:
                return role_of(connection)[0] in ("master", "")
        except Unreachable:
            return False

    def moves(self, nodes: t.Sequence[Node]) -> set[tuple[str, str]] | None:
        """Between which nodes slots are moving, as (name of the source, of the target); None if it can't be known."""
        names: dict[str, str] = {}
        found: set[tuple[str, str]] = set()
        for node in nodes:
            with contextlib.closing(self.connection(node)) as connection:
                try:
                    text = connection.ask(b"CLUSTER", b"NODES").decode("utf-8", "replace")
                except Refused as refused:
                    if refused.word == "NOPERM" or is_unknown(refused):
                        return None
                    raise
            identifier, moving = moves_in(text)
            names[identifier] = node.name
            found |= moving
        return {(names[one], names[other]) for one, other in found if one in names and other in names}

    def connection_for(self, key: bytes) -> Routed:
        """What is asked about `key`, sent to the primary that serves it."""
        nodes = self.settled_primaries(self.target.timeout)
        slot = key_slot(key) if self.clustered else 0
        node = next(node for node in nodes if node.slots is None or slot in node.slots)
        return Routed(self, node)


class Routed:
    """A connection to a node of a cluster whose redirections are followed."""

    def __init__(self, cache: Cache, node: Node, connection: Connection | None = None) -> None:
        self.cache, self.node = cache, node
        self.connection = connection or cache.connection(node)
        self._others: dict[tuple[str, int], Connection] = {}

    def ask(self, *words: bytes) -> t.Any:
        answer = self.followed(self._asked(self.connection, words), words)
        if isinstance(answer, Refused):
            raise answer
        return answer

    def followed(self, answer: t.Any, words: t.Sequence[bytes], *, own: bool = False) -> t.Any:
        """The reply to `words` from the node that serves the key, after `answer` of this one.

        `own`: this node has the key, so it is asked first to serve it although the slot has not arrived entirely.
        """
        if own and self._moved(answer):
            # On another connection: on this one, replies to other commands may be outstanding.
            found = self._asked(self._other(self.node.host, self.node.port), words, asking=True)
            answer = answer if self._moved(found) else found
        for _redirection in range(MOST_REDIRECTIONS):
            if not isinstance(answer, Refused) or answer.word not in ("MOVED", "ASK"):
                break
            host, _colon, port = str(answer).split()[2].rpartition(":")
            other = self._other(host.strip("[]") or self.node.host, int(port))
            answer = self._asked(other, words, asking=answer.word == "ASK")
        return answer

    def beside(self, commands: t.Sequence[t.Sequence[bytes]]) -> list[t.Any]:
        """The replies to `commands`, sent on another connection to the same node."""
        other = self._other(self.node.host, self.node.port)
        other.send(b"".join(packed(*words) for words in commands))
        answers = [other.read() for _words in commands]
        return [self.followed(answer, words, own=True) for answer, words in zip(answers, commands, strict=True)]

    @staticmethod
    def _moved(answer: t.Any) -> bool:
        return isinstance(answer, Refused) and answer.word == "MOVED"

    @staticmethod
    def _asked(connection: Connection, words: t.Sequence[bytes], *, asking: bool = False) -> t.Any:
        connection.send((packed(b"ASKING") if asking else b"") + packed(*words))
        refused = connection.read() if asking else None
        answer = connection.read()
        return refused if isinstance(refused, Refused) else answer

    def _other(self, host: str, port: int) -> Connection:
        if (host, port) not in self._others:
            self._others[host, port] = self.cache.connection(Node(host, port))
        return self._others[host, port]

    def close(self) -> None:
        for connection in (self.connection, *self._others.values()):
            connection.close()


def rights_of(target: Target, keys: t.Sequence[bytes], commands: str, *, clustered: bool) -> str:
    """The ACL line with the permissions that suffice. An ACL can't contain a space or a quote: `?` replaces them."""
    allowed = frozenset(range(33, 127)) - frozenset(b"\"'")
    globs = ("".join(chr(byte) if byte in allowed else "?" for byte in key) for key in keys)
    shown = "".join(f" ~{glob}" for glob in globs)
    more = f" {CLUSTER_RIGHTS} +asking" if clustered else ""
    more += " +select" if target.db else ""
    return f"ACL SETUSER {target.username or 'default'} resetkeys{shown} -@all {commands}{more}"


@contextlib.contextmanager
def refusals_as_errors(action: str, target: Target, rights: t.Callable[[], str]) -> t.Iterator[None]:
    """Turn the servers' errors into InfraErrors; `rights` returns the ACL line that suffices."""
    try:
        yield
    except Unreachable as unreachable:
        raise nobody(action, target, unreachable) from unreachable
    except DeadlineError as error:
        raise InfraError(
            action, target.name, "it did not answer in time", "Increase the time limit, or check the server."
        ) from error
    except Refused as refused:
        raise fault(action, target, refused, rights) from refused


def nobody(action: str, target: Target, unreachable: Unreachable) -> InfraError:
    kind = NobodyThereError if unreachable.absent else InfraError
    next_step = unreachable.next_step or (
        "Check that the server is up and accepts this host, and whether it requires TLS."
    )
    return kind(action, target.name, str(unreachable).rstrip("."), next_step)
