"""cache_flush on a real Redis: hostile names, sessions that survive, refusals that mend."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils import _cache
from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError

if t.TYPE_CHECKING:
    from .conftest import RedisServer

PREFIXES = ["api:", "user:", "cache[1]:"]
HOSTILE = [
    b"api:x session:1",
    b"api:line\nsession:1",
    b"api:'\"`$(reboot)",
    b"api:\xff\x00\xfe",
    b"api:*",
    b"cache[1]:a",
]


def flush(server: RedisServer, *, check: bool = False, batch: int = 100, **changed: t.Any) -> _cache.Flushed:
    parameters: dict[str, t.Any] = {
        "host": server.host,
        "port": server.port,
        "db": 0,
        "username": None,
        "password": server.password,
        "tls": False,
        "ca_cert": None,
        "timeout": 5,
        "prefixes": PREFIXES,
        **changed,
    }
    with _cache.opened(parameters) as client:
        return _cache.flush(client, parameters["prefixes"], ["session:"], batch=batch, check=check)


def fill(server: RedisServer) -> None:
    client = server.client.pipeline(transaction=False)
    for number in range(3000):
        client.set(f"api:{number}", "x", ex=300)
        client.set(f"session:{number}", "somebody", ex=3600)
    for key in HOSTILE:
        client.set(key, "x")
    client.hset("user:1", mapping={"name": "Jane"})
    for key in ("session:a b", "session:\n", "session:api:1", "cache1:other", "apix", "other"):
        client.set(key, "x", ex=3600)
    client.execute()


def test_sessions_survive_and_all_else_asked_for_goes(cache: RedisServer) -> None:
    fill(cache)
    planned = flush(cache, check=True)
    assert planned.deleted == {"api:": 3005, "user:": 1, "cache[1]:": 1}
    assert cache.client.dbsize() == 6000 + len(HOSTILE) + 7

    done = flush(cache)
    assert done.deleted == planned.deleted
    assert (done.kept, done.without_lifetime, done.ended) == (3003, 0, 0)
    assert cache.client.dbsize() == 3003 + 3
    assert all(cache.client.exists(key) for key in ("session:a b", "session:\n", "session:api:1", "cache1:other"))

    assert flush(cache).total == 0


def test_a_session_without_lifetime_is_reported(cache: RedisServer) -> None:
    cache.client.set("session:for ever", "x")
    flushed = flush(cache)
    assert flushed.without_lifetime == 1
    assert "1 keys under session: have no lifetime" in _cache.warnings_of(flushed, ["session:"])[0]


def test_the_least_rights_suffice(cache: RedisServer) -> None:
    cache.client.set("api:1", "x")
    cache.client.acl_setuser(
        "flusher",
        enabled=True,
        reset=True,
        passwords=["+secret"],
        keys=["api:*", "session:*"],
        commands=["+scan", "+unlink", "+pttl", "+ping"],
    )
    assert flush(cache, username="flusher", password="secret", prefixes=["api:"]).total == 1
    cache.client.set("user:1", "x")
    with pytest.raises(InfraError, match="lacks a right"):
        flush(cache, username="flusher", password="secret", prefixes=["user:"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"password": "wr0ng"}, "refuses the account", id="wrong password"),
        pytest.param({"password": None}, "refuses the account", id="no password"),
        pytest.param({"port": 1}, "Check that it is up", id="nobody there"),
        pytest.param({"prefixes": ["s"]}, "reaches keys under the protected", id="prefix of a protected one"),
    ],
)
def test_refused(cache: RedisServer, changed: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InfraError, match=words) as caught:
        flush(cache, **changed)
    assert "wr0ng" not in str(caught.value)
