"""cache_flush on real servers: hostile names, sessions that survive, disturbances, refusals with their next step."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
import typing as t

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nexod.infra.plugins.module_utils._cache import address, info, namespace, pacing, selection
from ansible_collections.nexod.infra.plugins.module_utils._cache import flush as cache_flush
from ansible_collections.nexod.infra.plugins.module_utils._cache import server as cache_server
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .conftest import free_port

if t.TYPE_CHECKING:
    from pathlib import Path

    from .conftest import RedisServer, Servers

PREFIXES = ("api:", "user:", "cache[1]:")
HOSTILE = [
    b"api:x session:1",
    b"api:line\nsession:1",
    b"api:\r\n$7\r\nsession\r\n",
    b"api:'\"`$(reboot)",
    b"api:\xff\x00\xfe",
    b"api:*",
    b"api:{session:1}",
    b"cache[1]:a",
]
NEIGHBOURS = [b"session:a b", b"session:\n", b"session:api:1", b"session:\xff", b"cache1:other", b"apix", b"other"]
MINIMAL = ["+scan", "+unlink", "+info", "+dbsize", "+ping", "+hello"]


def flush(
    server: RedisServer,
    prefixes: t.Sequence[str] = PREFIXES,
    *,
    patterns: t.Sequence[str] = (),
    check: bool = False,
    limits: t.Mapping[str, t.Any] | None = None,
    **target: t.Any,
) -> cache_flush.Flushed:
    """As the module does it."""
    asked = selection.read_selection(prefixes, patterns, ["session:"], waived=False)
    given: dict[str, t.Any] = {
        "host": server.host,
        "port": server.port,
        "password": server.password or None,
        "timeout": 5,
    }
    if {"url", "sentinels", "unix_socket"} & set(target):
        given |= {"host": None, "port": None}
    aim = address.target_of({**given, **target})
    cache = cache_server.Cache(aim)
    with cache_server.refusals_as_errors(cache_flush.ACTION, aim, lambda: cache_flush.rights(cache, asked)):
        return cache_flush.Flush(cache, asked, pacing.Limits(**(limits or {})), check=check).run()


def fill(client: t.Any, count: int, sessions: int) -> None:
    """`count` keys to go, `sessions` to stay, and the hostile ones."""
    for begin in range(0, max(count, sessions), 5000):
        # A cluster's pipeline has no such word; it never is a transaction.
        batch = client.pipeline() if isinstance(client, redis.RedisCluster) else client.pipeline(transaction=False)
        for number in range(begin, begin + 5000):
            if number < count:
                batch.set(f"api:{number}", "x" * 100, ex=300)
            if number < sessions:
                batch.set(f"session:{number}", f"somebody {number}", ex=3600)
        batch.execute()
    for key in (*HOSTILE, *NEIGHBOURS):
        client.set(key, b"\x00" + key, ex=3600)
    client.hset("user:1", mapping={"name": "Jane"})


def sessions_of(client: t.Any) -> dict[bytes, tuple[bytes, bool]]:
    """Each session byte for byte, and whether its lifetime is what was left of it."""
    keys = list(client.scan_iter(match="session:*", count=1000))
    batch = client.pipeline() if isinstance(client, redis.RedisCluster) else client.pipeline(transaction=False)
    for key in keys:
        batch.get(key)
        batch.ttl(key)
    answers = batch.execute()
    return {key: (answers[2 * at], 3300 < answers[2 * at + 1] <= 3600) for at, key in enumerate(keys)}


@pytest.mark.parametrize("engine", ["redis7", "redis8", "valkey"])
def test_sessions_survive_and_all_else_asked_for_goes(servers: Servers, engine: str) -> None:
    server = servers.start(engine=engine)
    fill(server.client, 20_000, 1_000)
    before = sessions_of(server.client)
    planned = flush(server, check=True)
    assert planned.deleted == {"api:": 20_007, "user:": 1, "cache[1]:": 1}
    assert server.client.dbsize() == 20_009 + 1_000 + len(NEIGHBOURS)

    done = flush(server)
    assert done.deleted == planned.deleted
    assert (done.kept, done.complete) == (1_004, True)
    assert server.client.dbsize() == 1_000 + len(NEIGHBOURS)
    after = sessions_of(server.client)
    assert after == before
    assert all(lives for _value, lives in after.values())
    assert all(server.client.exists(key) for key in NEIGHBOURS)
    (row,) = [tally.report() for tally in done.nodes]
    assert row["memory_after"] < row["memory_before"]
    assert row["latency_ms"]["max"] > 0

    assert flush(server).total == 0


@pytest.mark.long
@pytest.mark.parametrize("engine", ["redis7", "redis8", "valkey"])
def test_a_million_keys_beside_fifty_thousand_sessions(servers: Servers, engine: str) -> None:
    server = servers.start(engine=engine)
    fill(server.client, 1_000_000, 50_000)
    before = sessions_of(server.client)
    assert flush(server).deleted["api:"] == 1_000_007
    assert sessions_of(server.client) == before


def test_keys_that_are_written_all_the_while(cache: RedisServer) -> None:
    fill(cache.client, 20_000, 500)
    over = threading.Event()
    written: list[str] = []

    def write() -> None:
        client = redis.Redis(host=cache.host, port=cache.port, password=cache.password)
        while not over.is_set():
            name = f"new:{len(written)}"
            client.set(f"session:{name}", name)
            client.set(f"api:{name}", name)
            written.append(name)
        client.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = flush(cache)
    finally:
        over.set()
        writer.join()
    assert done.deleted["api:"] >= 20_007
    assert cache.client.mget([f"session:{name}" for name in written]) == [name.encode() for name in written]
    assert not cache.client.exists(*(f"api:{number}" for number in range(20_000)))


@pytest.mark.parametrize("engine", ["redis7", "redis8", "valkey"])
def test_what_is_only_counted_is_counted_once_while_the_table_shrinks(servers: Servers, engine: str) -> None:
    """Then SCAN names keys twice."""
    server = servers.start(engine=engine)
    others = [f"other:{number}" for number in range(60_000)]
    server.client.mset(dict.fromkeys(others, "x"))
    server.client.mset({f"{prefix}:{number}": "x" for prefix in ("api", "session") for number in range(1_500)})

    def shrink() -> None:
        with contextlib.closing(redis.Redis(host=server.host, port=server.port)) as client:
            for begin in range(0, len(others), 1_000):
                client.unlink(*others[begin : begin + 1_000])

    shrinker = threading.Thread(target=shrink)
    shrinker.start()
    try:
        while shrinker.is_alive():
            planned = flush(server, ["api:"], check=True)
            assert (planned.total, planned.kept) == (1_500, 1_500)
    finally:
        shrinker.join()


@pytest.mark.parametrize("fields", [200_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_a_large_hash_stalls_nobody(cache: RedisServer, fields: int) -> None:
    script = "for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], i, i) end"
    cache.client.eval(script, 1, "api:large", fields)
    cache.client.config_set("slowlog-log-slower-than", 20_000)
    cache.client.slowlog_reset()
    assert flush(cache).total == 1
    assert cache.client.slowlog_get() == []


def test_a_full_memory_is_no_hindrance(servers: Servers) -> None:
    server = servers.start()
    fill(server.client, 5_000, 100)
    server.client.config_set("maxmemory", server.client.info("memory")["used_memory"] - 1000)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        server.client.set("another", "x")
    assert flush(server).deleted["api:"] == 5_007


def test_bounds(cache: RedisServer) -> None:
    fill(cache.client, 3_000, 10)
    done = flush(cache, limits={"max_keys": 1_000})
    assert (done.total, done.complete) == (1_000, False)
    begun = time.monotonic()
    done = flush(cache, limits={"max_keys_per_second": 2_000})
    assert done.total == 2_009
    assert 0.8 < time.monotonic() - begun < 5
    fill(cache.client, 3_000, 10)
    with pytest.raises(InfraError, match=r"the deadline of 0\.5 s has passed") as caught:
        flush(cache, limits={"max_keys_per_second": 500, "deadline": 0.5})
    assert 0 < t.cast("int", caught.value.facts["deleted_total"]) < 1_000


def during(flush_it: t.Callable[[], cache_flush.Flushed], disturb: t.Callable[[], object]) -> cache_flush.Flushed:
    """The flush, disturbed half a second after it has begun."""
    timer = threading.Timer(0.5, disturb)
    timer.start()
    try:
        return flush_it()
    finally:
        timer.join()


def test_a_connection_that_is_cut(cache: RedisServer) -> None:
    fill(cache.client, 10_000, 100)
    cut = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]
    done = during(
        lambda: flush(cache, limits={"max_keys_per_second": 8_000}), lambda: cache.client.execute_command(*cut)
    )
    assert done.nodes[0].walks == 2
    assert (done.kept, cache.client.dbsize()) == (104, 100 + len(NEIGHBOURS))


def test_a_server_that_goes_away_for_good_is_told_with_what_is_left(servers: Servers) -> None:
    server = servers.start()
    fill(server.client, 10_000, 100)
    assert server.process is not None
    with pytest.raises(
        InfraError, match=r"keys were deleted; not completely walked: 127.0.0.1:\d+. Run it again"
    ) as caught:
        during(lambda: flush(server, limits={"max_keys_per_second": 8_000, "patience": 1}), server.process.kill)
    assert 1_000 < t.cast("int", caught.value.facts["deleted_total"]) < 10_000


@pytest.fixture(scope="module", params=["redis7", "redis8", pytest.param("valkey", marks=pytest.mark.long)])
def cluster(servers: Servers, request: pytest.FixtureRequest) -> list[RedisServer]:
    return servers.cluster(request.param)


@contextlib.contextmanager
def opened(cluster: list[RedisServer]) -> t.Iterator[t.Any]:
    client = redis.RedisCluster(host="127.0.0.1", port=cluster[1].port)
    yield client
    client.close()


def test_cluster(cluster: list[RedisServer]) -> None:
    with opened(cluster) as client:
        fill(client, 20_000, 1_000)
        before = sessions_of(client)
        assert flush(cluster[4], check=True).deleted == {"api:": 20_007, "user:": 1, "cache[1]:": 1}
        done = flush(cluster[4])  # a replica of the cluster knows the primaries
        assert done.deleted == {"api:": 20_007, "user:": 1, "cache[1]:": 1}
        assert sorted(tally.node.port for tally in done.nodes) == sorted(node.port for node in cluster[:3])
        assert all(sum(tally.deleted) > 5_000 for tally in done.nodes)
        assert done.kept == 1_004
        assert sessions_of(client) == before


def test_the_other_modules_know_the_cluster(cluster: list[RedisServer]) -> None:
    found = cache_server.Cache(address.Target(cluster[4].host, cluster[4].port))
    names = [f"{letter}:version" for letter in "abcdef"]
    for node in cluster[:3]:
        node.client.flushall()
    with opened(cluster) as client:
        fill(client, 300, 30)
        for name in names:
            assert namespace.bump(found, name, None, check=True) == (None, "1")
            assert namespace.bump(found, name, None, check=False) == (None, "1")
            assert namespace.bump(found, name, "1.1.0", check=False) == ("1", "1.1.0")
        assert [client.get(name) for name in names] == [b"1.1.0"] * len(names)
        assert len({client.keyslot(name) // 5462 for name in names}) > 1
        seen = info.inspect(found, ["api:", "session:"], ["session:"], sample=0, largest=1)
        assert (seen["prefixes"]["api:"]["keys"], seen["prefixes"]["session:"]["keys"]) == (307, 34)
        # Beside them user:1, cache[1]:a, the three neighbours that are no sessions, and the versions.
        assert (seen["looked_at"], seen["protected_without_lifetime"]) == (307 + 34 + 5 + len(names), 0)


def test_slots_that_move_meanwhile(cluster: list[RedisServer]) -> None:
    """A slot on its way from one primary to the next: what was moved before it was seen is found there."""
    with opened(cluster) as client:
        fill(client, 6_000, 100)
        before = sessions_of(client)
        source, target = cluster[0].client, cluster[1].client
        names = [node.execute_command("CLUSTER MYID").decode() for node in (source, target)]

        def move() -> None:
            for slot in range(40):
                target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[0])
                source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[1])
                while keys := source.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
                    source.execute_command("MIGRATE", "127.0.0.1", cluster[1].port, "", 0, 5000, "KEYS", *keys)
                for node in (target, source):
                    node.execute_command("CLUSTER SETSLOT", slot, "NODE", names[1])

        during(lambda: flush(cluster[2], limits={"max_keys_per_second": 6_000}), move)
        client.nodes_manager.initialize()
        assert not [key for key in client.scan_iter(count=1000) if key.startswith((b"api:", b"user:"))]
        assert sessions_of(client) == before


def test_a_primary_of_the_cluster_that_fails_over(cluster: list[RedisServer]) -> None:
    with opened(cluster) as client:
        fill(client, 9_000, 300)
        before = sessions_of(client)
    for node in cluster[:3]:
        node.client.wait(1, 5000)
    victim = cluster[0].process
    assert victim is not None
    done = during(lambda: flush(cluster[1], limits={"max_keys_per_second": 4_000}), victim.kill)
    with opened(cluster) as client:
        assert not [key for key in client.scan_iter(count=1000) if key.startswith((b"api:", b"user:"))]
        assert sessions_of(client) == before
    assert cluster[3].port in {tally.node.port for tally in done.nodes}
    assert done.kept == len(before)


def test_sentinel_and_a_failover(servers: Servers) -> None:
    primary = servers.start()
    replica = servers.start(f"replicaof 127.0.0.1 {primary.port}")
    watch = [
        f"sentinel monitor cache 127.0.0.1 {primary.port} 2",
        "sentinel down-after-milliseconds cache 700",
        "sentinel failover-timeout cache 4000",
    ]
    sentinels = [servers.start(*watch, sentinel=True) for _one in range(3)]
    ports = [one.port for one in sentinels]
    for one in sentinels:
        # Until they have found one another and the replica.
        servers.until(lambda one=one: len(one.client.sentinel_sentinels("cache")) == 2)
        servers.until(lambda one=one: len(one.client.sentinel_slaves("cache")) == 1)
    fill(primary.client, 8_000, 200)
    before = sessions_of(primary.client)
    primary.client.wait(1, 5000)
    addresses = ["127.0.0.1:1", *(f"127.0.0.1:{port}" for port in ports)]
    through: dict[str, t.Any] = {"host": None, "sentinels": addresses, "sentinel_service": "cache"}
    assert flush(primary, check=True, **through).deleted["api:"] == 8_007
    with pytest.raises(InfraError, match="has no service of that name"):
        flush(primary, **{**through, "sentinel_service": "other"})
    assert primary.process is not None
    done = during(lambda: flush(primary, limits={"max_keys_per_second": 4_000}, **through), primary.process.kill)
    assert [tally.node.port for tally in done.nodes] == [primary.port, replica.port]
    assert not list(replica.client.scan_iter(match="api:*"))
    assert sessions_of(replica.client) == before


def test_a_read_only_replica_is_refused(servers: Servers, cache: RedisServer) -> None:
    replica = servers.start(f"replicaof 127.0.0.1 {cache.port}", f"masterauth {cache.password}")
    for check in (False, True):
        with pytest.raises(InfraError, match=f"read-only replica.\nUse its primary: 127.0.0.1:{cache.port}"):
            flush(replica, check=check)


@pytest.mark.parametrize("engine", ["redis7", "valkey"])
def test_the_rights_that_the_error_names_suffice(servers: Servers, engine: str) -> None:
    server = servers.start(engine=engine)
    account = {"username": "flusher", "password": "secret"}
    keys = ["api:1", "cache[1]:x y", 'a "b:1']
    prefixes = ["api:", "cache[1]:", 'a "b:']

    def refill() -> None:
        for key in (*keys, "session:1"):
            server.client.set(key, "x")

    server.client.execute_command(
        "ACL", "SETUSER", "flusher", "on", ">secret", "resetkeys", "~session:*", "-@all", "+ping"
    )
    refill()
    for more, missing in (("+scan", "'scan'"), ("+unlink", "'unlink'"), ("+info", "key")):
        with pytest.raises(InfraError, match=r"(?is)lacks a permission.*suffice: ACL SETUSER flusher") as caught:
            flush(server, prefixes, **account)
        assert missing in caught.value.cause
        server.client.execute_command("ACL", "SETUSER", "flusher", more)
    line = caught.value.next_step.removeprefix("These permissions suffice: ")
    subprocess.run(["redis-cli", "-p", str(server.port)], input=line + "\n", text=True, check=True, capture_output=True)
    assert sorted(server.client.acl_getuser("flusher")["commands"]) == sorted(MINIMAL)
    refill()
    assert flush(server, prefixes, **account).total == 3
    assert server.client.keys() == [b"session:1"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"password": "wr0ng"}, "rejects the account", id="wrong password"),
        pytest.param({"password": None}, "rejects the account", id="no password"),
        pytest.param({"port": 1}, "Check that the server is up", id="nobody there"),
        pytest.param({"tls": True, "timeout": 1}, "does not use TLS on this port", id="no TLS there"),
        pytest.param({"prefixes": ["s"]}, "matches keys under the protected", id="prefix of a protected one"),
        pytest.param({"patterns": ["[r-t]*"]}, "matches keys under the protected", id="class of a protected one"),
    ],
)
def test_refused(cache: RedisServer, changed: dict[str, t.Any], words: str) -> None:
    cache.client.set("session:1", "x")
    with pytest.raises(InfraError, match=words) as caught:
        flush(cache, **changed)
    assert "wr0ng" not in str(caught.value)
    assert cache.client.dbsize() == 1


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a right and a wrong certificate, each of an authority of its own."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("right", "wrong"):
        words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                 "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{name}.key",
                 "-out", f"{name}.crt"]  # fmt: skip
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return folder


def tls(certificates: Path) -> tuple[int, list[str]]:
    """A port for TLS, and what the server needs for it."""
    port = free_port()
    right = certificates / "right"
    words = [f"tls-port {port}", f"tls-cert-file {right}.crt", f"tls-key-file {right}.key"]
    return port, [*words, f"tls-ca-cert-file {right}.crt", "tls-auth-clients no"]


def test_tls_and_whose_certificate(servers: Servers, certificates: Path) -> None:
    port, settings = tls(certificates)
    secure = servers.start(*settings)
    secure.client.set("api:1", "x")
    url = {"host": None, "url": f"rediss://127.0.0.1:{port}/0"}
    with pytest.raises(InfraError, match="its certificate is not trusted"):
        flush(secure, ca_cert=str(certificates / "wrong.crt"), **url)
    assert flush(secure, ca_cert=str(certificates / "right.crt"), **url).total == 1


@pytest.mark.parametrize("engine", ["redis7", "redis8", "valkey"])
def test_what_a_serverless_elasticache_allows(servers: Servers, certificates: Path, engine: str) -> None:
    """One address that speaks the cluster's protocol over TLS, without CONFIG and DEBUG, to an account of ACL."""
    port, settings = tls(certificates)
    forbidden = ['rename-command CONFIG ""', 'rename-command DEBUG ""', 'rename-command KEYS ""']
    server = servers.start("cluster-enabled yes", "tls-cluster yes", *settings, *forbidden, engine=engine)
    server.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    servers.until(lambda: server.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    rights = ["resetkeys", "~api:*", "-@all", *MINIMAL, "+cluster|slots"]
    server.client.execute_command("ACL", "SETUSER", "flusher", "on", ">secret", *rights)
    for number in range(300):
        server.client.set(f"api:{number}", "x")
        server.client.set(f"session:{number}", "x")
    url = {"host": None, "url": f"rediss://flusher@127.0.0.1:{port}", "ca_cert": str(certificates / "right.crt")}
    done = flush(server, ["api:"], password="secret", **url)
    assert (done.total, done.kept, [tally.node.port for tally in done.nodes]) == (300, 300, [port])
    assert server.client.dbsize() == 300


LETTERS = "ab:[]^-\\*?{} '\"\n\r\x00ü"
words = st.text(alphabet=LETTERS, max_size=6)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    prefixes=st.lists(words, max_size=2),
    patterns=st.lists(words, max_size=2),
    protect=st.lists(words.filter(bool), min_size=1, max_size=2),
    keys=st.lists(st.one_of(words.map(str.encode), st.binary(max_size=6)), min_size=1, max_size=12),
    ends=st.lists(words.map(str.encode), max_size=4),
)
def test_nothing_ever_deletes_a_protected_key(
    cache: RedisServer,
    prefixes: list[str],
    patterns: list[str],
    protect: list[str],
    keys: list[bytes],
    ends: list[bytes],
) -> None:
    try:
        asked = selection.read_selection(prefixes, patterns, protect, waived=False)
    except InfraError:
        return
    cache.client.flushdb()
    there = {*keys, *(prefix + end for prefix in asked.protected_prefixes for end in (*ends, *keys))}
    cache.client.mset(dict.fromkeys(there, b"x"))
    target = address.Target(cache.host, cache.port, password=cache.password)
    cache_flush.Flush(cache_server.Cache(target), asked, pacing.Limits(max_latency_ms=0), check=False).run()
    left = set(cache.client.keys())
    assert {key for key in there if asked.protects(key)} <= left
    # And what was asked for is gone: by the server's own reading of the same globs.
    assert not [
        key for selector in asked.selectors for key in cache.client.keys(selector.glob_text) if not asked.protects(key)
    ]
