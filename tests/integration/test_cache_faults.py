"""What went wrong with caches in the field, on real servers: the outcome, and what the error names."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import typing as t

import pytest
import redis

from ansible_collections.nexod.infra.plugins.module_utils._cache import flush as cache_flush
from ansible_collections.nexod.infra.plugins.module_utils._cache import info, namespace, pacing, selection
from ansible_collections.nexod.infra.plugins.module_utils._cache import server as cache_server
from ansible_collections.nexod.infra.plugins.module_utils._cache.address import target_of
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .conftest import free_port

if t.TYPE_CHECKING:
    from pathlib import Path

    from .conftest import RedisServer, Servers

ASKED = selection.read_selection(["api:"], [], ["session:"], waived=False)


def started(given: t.Mapping[str, t.Any], *, check: bool = False, **limits: t.Any) -> cache_flush.Flush:
    cache = cache_server.Cache(target_of({"timeout": 5, **given}))
    return cache_flush.Flush(cache, ASKED, pacing.Limits(**limits), check=check)


def flush(given: t.Mapping[str, t.Any], *, check: bool = False, **limits: t.Any) -> cache_flush.Flushed:
    """As the module does it."""
    found = started(given, check=check, **limits)
    rights = cache_flush.rights
    with cache_server.refusals_as_errors("flush the cache at", found.cache.target, lambda: rights(found.cache, ASKED)):
        return found.run()


def reach(server: RedisServer) -> dict[str, t.Any]:
    return {"host": server.host, "port": server.port, "password": server.password or None}


# --- a cluster whose slots are moving


@pytest.fixture(scope="module", params=["redis7", pytest.param("valkey", marks=pytest.mark.long)])
def cluster(servers: Servers, request: pytest.FixtureRequest) -> list[RedisServer]:
    return servers.cluster(request.param)


@pytest.fixture
def moving(cluster: list[RedisServer]) -> t.Iterator[tuple[RedisServer, RedisServer, t.Callable[[], None]]]:
    """The source and target of slots that are open, with 60 keys on each side, and what moves the rest."""
    source, target = cluster[0], cluster[1]
    slots = range(100, 104)
    names = [node.client.execute_command("CLUSTER MYID").decode() for node in (source, target)]
    for node in cluster[:3]:
        node.client.flushall()
    keys: dict[int, list[bytes]] = {slot: [] for slot in slots}
    number = 0
    while any(len(found) < 30 for found in keys.values()):
        key = b"api:%d" % number
        keys.get(cache_server.key_slot(key), []).append(key)
        number += 1
    for slot, found in keys.items():
        for key in found:
            source.client.set(key, "x")
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[0])
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[1])
        half = found[: len(found) // 2]
        source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *half)

    def move() -> None:
        for slot in slots:
            while rest := source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
                source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *rest)

    yield source, target, move
    for slot in slots:
        for node in (source, target):
            node.client.execute_command("CLUSTER SETSLOT", slot, "STABLE")


def test_a_cluster_with_open_slots_is_flushed_whole_and_inspected(
    cluster: list[RedisServer], moving: tuple[RedisServer, RedisServer, t.Callable[[], None]]
) -> None:
    source, target, _move = moving
    assert source.client.dbsize() > 0 < target.client.dbsize()
    keys = source.client.dbsize() + target.client.dbsize()
    found = cache_server.Cache(target_of(reach(cluster[2])))
    assert info.inspect(found, [], ["api:*"], sample=0, largest=1)["protected_without_lifetime"] == keys
    done = flush(reach(cluster[2]))
    assert (done.total, done.complete, done.moves_unknown) == (keys, True, False)
    assert (source.client.dbsize(), target.client.dbsize()) == (0, 0)
    assert all(tally.moved_keys == tally.stray == 0 for tally in done.nodes)


def test_a_namespace_whose_slot_is_open(
    cluster: list[RedisServer], moving: tuple[RedisServer, RedisServer, t.Callable[[], None]]
) -> None:
    _source, target, _move = moving
    name = target.client.execute_command("CLUSTER GETKEYSINSLOT", 101, 1)[0]
    found = cache_server.Cache(target_of(reach(cluster[2])))
    assert namespace.bump(found, name, "1.1.0", check=False) == ("x", "1.1.0")
    assert namespace.bump(found, name, "1.1.0", check=False) == ("1.1.0", "1.1.0")


def test_keys_that_move_past_the_walk(
    cluster: list[RedisServer], moving: tuple[RedisServer, RedisServer, t.Callable[[], None]]
) -> None:
    """They are moved once the target was walked and before the source is: by the walk of the target itself."""
    source, target, move = moving
    found = started(reach(cluster[2]))
    walked = threading.Event()
    connection = found.cache.connection

    def held(node: cache_server.Node) -> t.Any:
        if node.port == target.port and not walked.is_set():
            opened = connection(node)
            close = opened.close

            def closing() -> None:
                close()
                if not walked.is_set():
                    move()
                    walked.set()

            opened.close = closing  # type: ignore[method-assign]
            return opened
        if node.port == source.port:
            walked.wait(30)
        return connection(node)

    found.cache.connection = held  # type: ignore[method-assign]
    done = found.run()
    assert done.complete
    assert (source.client.dbsize(), target.client.dbsize()) == (0, 0)


def test_a_key_that_was_left_behind_does_not_fail_each_flush(cluster: list[RedisServer]) -> None:
    """Written on a node while it imported the slot, which then stayed where it was."""
    for node in cluster[:3]:
        node.client.flushall()
    owner, other = cluster[0], cluster[1]
    names = [node.client.execute_command("CLUSTER MYID").decode() for node in (owner, other)]
    key = next(b"api:%d" % number for number in range(100_000) if cache_server.key_slot(b"api:%d" % number) == 7)
    other.client.execute_command("CLUSTER SETSLOT", 7, "IMPORTING", names[0])
    with contextlib.closing(redis.Redis(port=other.port, single_connection_client=True)) as client:
        client.execute_command("ASKING")
        client.set(key, "x")
    other.client.execute_command("CLUSTER SETSLOT", 7, "STABLE")
    done = flush(reach(cluster[2]), patience=1)
    assert (done.complete, [tally.stray for tally in done.nodes if tally.stray]) == (True, [1])
    assert "lie on nodes that do not serve their slots" in str(cache_flush.warnings_of(done, pacing.Limits(), ASKED))
    other.client.execute_command("CLUSTER SETSLOT", 7, "IMPORTING", names[0])
    assert flush(reach(cluster[2]), patience=1).total == 1
    other.client.execute_command("CLUSTER SETSLOT", 7, "STABLE")


def test_an_account_that_cannot_see_the_cluster_is_refused(cluster: list[RedisServer]) -> None:
    """Else one of its nodes is taken for all there is."""
    rights = ["on", ">secret", "resetkeys", "~api:*", "-@all", "+scan", "+unlink", "+dbsize", "+ping"]
    for more in ([], ["+hello"], ["+info"], ["+info", "+hello"]):
        for node in cluster:
            node.client.execute_command("ACL", "SETUSER", "flusher", "reset", *rights, *more)
        for check in (True, False):
            with pytest.raises(InfraError) as caught:
                flush({**reach(cluster[0]), "username": "flusher", "password": "secret"}, check=check)
            assert "+cluster|slots +cluster|nodes" in caught.value.next_step
    for node in cluster:
        node.client.execute_command("ACL", "SETUSER", "flusher", "+cluster|slots", "+hello")
    done = flush({**reach(cluster[0]), "username": "flusher", "password": "secret"})
    assert (len(done.nodes), done.complete, done.moves_unknown) == (3, True, True)


def test_a_database_of_a_cluster(cluster: list[RedisServer]) -> None:
    with pytest.raises(InfraError, match=r"it is a cluster, which has only database 0.\nRemove db"):
        flush({**reach(cluster[0]), "db": 3})


def test_slots_that_nobody_serves(servers: Servers) -> None:
    server = servers.start("cluster-enabled yes")
    server.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16000)
    for check in (True, False):
        with pytest.raises(InfraError, match=r"383 of the cluster's 16384 slots are not served.*\n.*--cluster check"):
            flush(reach(server), check=check)


# --- addresses


@pytest.mark.parametrize(
    ("url", "database"),
    [("redis://{}:{}?db=3", 3), ("redis://{}:{}/3", 3), ("redis://{}:{}/", 0), ("redis://{}:{}", 0)],
)
def test_a_url_reaches_the_database_that_it_names(servers: Servers, url: str, database: int) -> None:
    server = servers.start()
    for number in (0, 3):
        with contextlib.closing(redis.Redis(port=server.port, db=number)) as client:
            client.set("api:1", "x")
    assert flush({"url": url.format(server.host, server.port)}).total == 1
    assert set(server.client.info("keyspace")) == {f"db{3 - database}"}


def test_a_unix_socket(servers: Servers, tmp_path: Path) -> None:
    server = servers.start(f"unixsocket {tmp_path}/redis.sock")
    server.client.set("api:1", "x")
    assert flush({"unix_socket": f"{tmp_path}/redis.sock"}, check=True).total == 1
    assert flush({"url": f"unix://{tmp_path}/redis.sock?db=0"}).total == 1
    with pytest.raises(InfraError, match=r"none\.sock: No such file"):
        flush({"unix_socket": f"{tmp_path}/none.sock"})


def test_a_cluster_behind_other_addresses(servers: Servers) -> None:
    """It names addresses that are not reachable from here."""
    server = servers.start("cluster-enabled yes", "cluster-announce-ip 192.0.2.1", "cluster-announce-port 7000")
    server.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    servers.until(lambda: server.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    server.client.set("api:1", "x")
    mapped = {"192.0.2.1:7000": f"127.0.0.1:{server.port}"}
    assert flush({**reach(server), "address_map": mapped}).total == 1


# --- Sentinel


@pytest.fixture(scope="module")
def watched(servers: Servers) -> tuple[RedisServer, list[RedisServer], RedisServer, RedisServer]:
    """A primary, the Sentinels that watch it, one that watches another server, and one that does not know the name."""
    primary, other = servers.start(), servers.start()
    monitor = "sentinel monitor cache 127.0.0.1 {} 2"
    agreed = [servers.start(monitor.format(primary.port), sentinel=True) for _one in range(2)]
    stale = servers.start(monitor.format(other.port), sentinel=True)
    ignorant = servers.start(sentinel=True)
    primary.client.set("api:1", "x")
    other.client.set("api:1", "x")
    return primary, agreed, stale, ignorant


def test_the_majority_of_the_sentinels_decides(
    watched: tuple[RedisServer, list[RedisServer], RedisServer, RedisServer],
) -> None:
    primary, agreed, stale, ignorant = watched
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hanging = f"127.0.0.1:{silent.getsockname()[1]}"
        first = [f"127.0.0.1:{one.port}" for one in (stale, ignorant)]
        sentinels = [*first, hanging, *(f"127.0.0.1:{one.port}" for one in agreed)]
        done = flush({"sentinels": sentinels, "sentinel_service": "cache"}, check=True)
        assert [tally.node.port for tally in done.nodes] == [primary.port]
        with pytest.raises(InfraError, match=r"the Sentinels disagree about the primary.*\nCheck SENTINEL MASTER"):
            flush({"sentinels": [first[0], sentinels[-1]], "sentinel_service": "cache"}, check=True)
        with pytest.raises(InfraError, match="has no service of that name"):
            flush({"sentinels": [first[1]], "sentinel_service": "cache"}, check=True)
        with pytest.raises(InfraError, match=f"{hanging} does not answer"):
            flush({"sentinels": [hanging], "sentinel_service": "cache"})


def test_a_sentinel_s_own_password(servers: Servers, cache: RedisServer) -> None:
    monitor = f"sentinel monitor cache 127.0.0.1 {cache.port} 1"
    one = servers.start(monitor, "requirepass theirs", sentinel=True, password="theirs")
    given = {"sentinels": [f"127.0.0.1:{one.port}"], "sentinel_service": "cache", "password": cache.password}
    for wrong in (None, "wr0ng"):
        with pytest.raises(
            InfraError, match=r"the Sentinel .* it rejects the account.*\nCheck sentinel_username"
        ) as caught:
            flush({**given, "sentinel_password": wrong})
        assert "wr0ng" not in str(caught.value)
    assert flush({**given, "sentinel_password": "theirs"}, check=True).complete


def test_a_sentinel_in_place_of_the_server_and_the_reverse(
    watched: tuple[RedisServer, list[RedisServer], RedisServer, RedisServer],
) -> None:
    primary, agreed, _stale, _ignorant = watched
    with pytest.raises(InfraError, match=r"it is a Sentinel, not a cache.\nList it in sentinels"):
        flush(reach(agreed[0]))
    with pytest.raises(InfraError, match=r"it is not a Sentinel, but a server.\nSet sentinels to the Sentinels"):
        flush({"sentinels": [f"127.0.0.1:{primary.port}"], "sentinel_service": "cache"})


# --- the server changes, hangs, or is busy


def fill(server: RedisServer, count: int) -> None:
    server.client.mset({f"api:{number}": "x" for number in range(count)})
    server.client.set("session:1", "x")


def test_a_primary_that_becomes_a_replica_and_one_again(servers: Servers) -> None:
    server, other = servers.start(), servers.start()
    fill(server, 3_000)

    def demote() -> None:
        server.client.replicaof("127.0.0.1", other.port)

    def promote() -> None:
        server.client.replicaof("no", "one")
        fill(server, 100)

    found = started(reach(server), max_keys_per_second=2_000, patience=30)
    found.report = lambda progress: promote() if "replica" in progress.waiting_for else None
    timer = threading.Timer(0.5, demote)
    timer.start()
    done = found.run()
    timer.join()
    assert done.complete
    assert server.client.keys() == [b"session:1"]


def test_a_primary_that_stays_a_replica_is_reported_with_the_counts(servers: Servers) -> None:
    server, other = servers.start(), servers.start()
    fill(server, 3_000)
    timer = threading.Timer(0.5, lambda: server.client.replicaof("127.0.0.1", other.port))
    timer.start()
    with pytest.raises(InfraError, match=f"(?s)read-only replica.*127.0.0.1:{other.port}.*keys were deleted") as caught:
        flush(reach(server), max_keys_per_second=2_000, patience=1)
    timer.join()
    facts = caught.value.facts
    assert 0 < t.cast("int", facts["deleted_total"]) < 3_000
    assert facts["changed"] is True
    assert facts["complete"] is False
    assert {"deleted", "sessions_kept", "protected", "nodes", "totals", "left"} <= set(facts)


@contextlib.contextmanager
def stopped(server: RedisServer) -> t.Iterator[None]:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("timeout", [5, 600])
def test_the_deadline_holds_if_the_server_stops(servers: Servers, timeout: int) -> None:
    """Without it, the reply is waited for as long as `timeout`: the test would not end."""
    server = servers.start()
    fill(server, 3_000)
    assert server.process is not None
    pid = server.process.pid
    timer = threading.Timer(0.3, lambda: os.kill(pid, signal.SIGSTOP))
    timer.start()
    try:
        with pytest.raises(InfraError, match="the deadline of 1 s has passed") as caught:
            flush({**reach(server), "timeout": timeout}, max_keys_per_second=2_000, deadline=1.0)
    finally:
        timer.join()
        os.kill(pid, signal.SIGCONT)
    assert t.cast("int", caught.value.facts["deleted_total"]) > 0
    with stopped(server), pytest.raises(InfraError, match=r"the deadline of 0\.5 s has passed"):
        flush({**reach(server), "timeout": timeout}, deadline=0.5)


def test_a_script_that_keeps_the_server_busy_is_waited_for(servers: Servers) -> None:
    server = servers.start("lua-time-limit 1")
    fill(server, 100)

    def run() -> None:
        with contextlib.suppress(redis.RedisError), contextlib.closing(redis.Redis(port=server.port)) as client:
            client.eval("while true do end", 0)

    script = threading.Thread(target=run)
    script.start()

    def busy() -> bool:
        try:
            server.client.ping()
        except redis.ResponseError as error:
            return "BUSY" in str(error)
        return False

    servers.until(busy)
    killer = threading.Timer(0.5, server.client.script_kill)
    killer.start()
    try:
        assert flush(reach(server)).total == 100
        assert info.inspect(cache_server.Cache(target_of(reach(server))), [], [], sample=0, largest=0)["keys"] == 1
    finally:
        killer.join()
        script.join()


def test_a_server_without_info(servers: Servers) -> None:
    for more in ([], ['rename-command CLUSTER ""'], ['rename-command HELLO ""']):
        server = servers.start('rename-command INFO ""', *more, ready=False)
        with contextlib.closing(redis.Redis(port=server.port, protocol=2)) as client:
            servers.until(client.ping)
            client.mset({f"api:{number}": "x" for number in range(10)})
        assert flush(reach(server)).total == 10


def test_a_replica_is_inspected(servers: Servers, cache: RedisServer) -> None:
    replica = servers.start(f"replicaof 127.0.0.1 {cache.port}", f"masterauth {cache.password}")
    cache.client.mset({"session:1": "x", "sess:2": "x"})
    cache.client.wait(1, 5000)
    found = cache_server.Cache(target_of({"host": replica.host, "port": replica.port}))
    servers.until(lambda: replica.client.dbsize() == 2)
    seen = info.inspect(found, ["se"], ["session:"], sample=0, largest=0)
    assert (seen["keys"], seen["protected_without_lifetime"]) == (2, 1)


# --- what an error names


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of authorities of their own: `right` for 127.0.0.1, `named` for cache.example."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, alternative in (("right", "IP:127.0.0.1"), ("named", "DNS:cache.example")):
        words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                 "-subj", f"/CN={name}", "-addext", f"subjectAltName={alternative}", "-keyout", f"{name}.key",
                 "-out", f"{name}.crt"]  # fmt: skip
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return folder


def secure(servers: Servers, folder: Path, name: str, clients: str = "no") -> dict[str, t.Any]:
    port = free_port()
    words = [f"tls-port {port}", f"tls-cert-file {folder}/{name}.crt", f"tls-key-file {folder}/{name}.key"]
    servers.start(*words, f"tls-ca-cert-file {folder}/right.crt", f"tls-auth-clients {clients}").client.set(
        "api:1", "x"
    )
    return {"host": "127.0.0.1", "port": port, "tls": True, "ca_cert": f"{folder}/{name}.crt"}


def test_a_certificate_for_another_name(servers: Servers, certificates: Path) -> None:
    given = secure(servers, certificates, "named")
    with pytest.raises(InfraError, match=r"its certificate is for another name: .*\n.*set tls_server_name"):
        flush(given)
    assert flush({**given, "tls_server_name": "cache.example"}).total == 1


def test_a_client_certificate(servers: Servers, certificates: Path) -> None:
    given = secure(servers, certificates, "right", clients="yes")
    with pytest.raises(
        InfraError, match=r"does not accept this client's certificate, or the lack of one.*\nSet client_cert"
    ):
        flush(given)
    mine = {"client_cert": f"{certificates}/right.crt", "client_key": f"{certificates}/right.key"}
    assert flush({**given, **mine}).total == 1
    with pytest.raises(InfraError, match=r"read client_cert .*none.crt with .*: No such file"):
        flush({**given, **mine, "client_cert": f"{certificates}/none.crt"})


def test_a_missing_file_of_authorities(servers: Servers, certificates: Path) -> None:
    given = secure(servers, certificates, "right")
    for path, words in ((f"{certificates}/none.crt", "No such file"), (f"{certificates}/right.key", "no certificate")):
        with pytest.raises(InfraError, match=f"(?i)read ca_cert {path}: .*{words}"):
            flush({**given, "ca_cert": path})


def test_protected_mode(servers: Servers) -> None:
    address = next(
        (line.split()[3].partition("/")[0] for line in addresses() if " inet " in line and " lo " not in line), None
    )
    if address is None:
        pytest.skip("the machine has only the loopback interface")
    server = servers.start(f"bind 127.0.0.1 {address}")
    with pytest.raises(InfraError, match=r"it is in protected mode.*\nSet a password on the server"):
        flush({"host": address, "port": server.port})


def addresses() -> list[str]:
    found = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=False).stdout
    return found.splitlines()


def test_a_database_that_is_not_there(cache: RedisServer) -> None:
    with pytest.raises(InfraError, match=r"it has no database 99.\nCheck db"):
        flush({**reach(cache), "db": 99})


def test_another_protocol(servers: Servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            stream, _address = other.accept()
            with stream:
                stream.recv(100)
                stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InfraError, match="it does not speak the protocol of Redis"):
            flush({"host": "127.0.0.1", "port": other.getsockname()[1]})
        thread.join()
