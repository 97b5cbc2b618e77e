"""What a user, a browser, a load balancer and Prometheus see of the running API."""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from conftest import Bench, Release, Server


def test_migrations_go_up_with_data_and_back(bench: Bench, old: Release, new: Release) -> None:
    bench.migrate(old, "upgrade", "0003_index_tasks_user")
    bench.sql(
        "INSERT INTO users (email, name) VALUES ('grace.hopper@example.org', NULL), ('ada@example.org', ' Ada  King ')"
    )
    bench.migrate(old, "upgrade", "head")
    assert bench.sql("SELECT full_name FROM users ORDER BY id") == "Grace Hopper\nAda King"
    bench.sql("INSERT INTO tasks (user_id, title) SELECT id, 'urgent: read this' FROM users")
    bench.migrate(new, "upgrade", "head")
    assert bench.sql("SELECT DISTINCT priority FROM tasks") == "1"
    assert bench.sql("SELECT version_num FROM alembic_version") == "0012_task_comments"
    assert bench.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0"
    bench.migrate(new, "downgrade", "base")
    assert bench.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "1"


def test_there_are_eight_revisions_and_then_four_more(bench: Bench, old: Release, new: Release) -> None:
    assert len(bench.migrate(old, "history").splitlines()) == 8
    assert len(bench.migrate(new, "history").splitlines()) == 12


def test_health_ready_and_the_versions_features(server: Server, migrated: Bench, old: Release) -> None:
    health = server.ask("GET", "/health")
    assert (health.status, health.json["version"]) == (200, "1.1.0")
    ready = server.ask("GET", "/ready")
    assert (ready.status, ready.json["checks"]) == (200, {"database": "ok", "redis": "ok"})
    assert "comments" in server.ask("GET", "/").json["features"]
    with migrated.serve(old) as before:
        assert before.ask("GET", "/").json["version"] == "1.0.0"
        assert "comments" not in before.ask("GET", "/").json["features"]
        assert before.ask("GET", "/priorities?user_id=1").status == 404


def test_session_has_its_lifetime_and_outlives_the_release(server: Server, migrated: Bench, old: Release) -> None:
    made = server.ask("POST", "/sessions", {"email": "session@example.org"})
    assert made.status == 201
    key = f"session:{made.json['id']}"
    assert 3500 < int(migrated.redis.ask("TTL", key)) <= 3600
    with migrated.serve(old) as before:
        assert before.ask("GET", f"/sessions/{made.json['id']}").json["user_id"] == made.json["user_id"]
    assert (server.metric("active_users") or 0) >= 1
    assert server.ask("DELETE", f"/sessions/{made.json['id']}").status == 204
    assert server.ask("GET", f"/sessions/{made.json['id']}").status == 404


def test_entity_is_forgotten_when_it_is_written(server: Server, migrated: Bench) -> None:
    user = server.ask("POST", "/users", {"email": "entity@example.org", "full_name": "Old Name"}).json
    path = f"/users/{user['id']}"
    assert [server.ask("GET", path).headers["x-cache"] for turn in range(2)] == ["miss", "hit"]
    assert migrated.redis.ask("EXISTS", f"user:{user['id']}") == "1"
    assert server.ask("PATCH", path, {"full_name": "New Name"}).status == 200
    after = server.ask("GET", path)
    assert (after.headers["x-cache"], after.json["full_name"]) == ("miss", "New Name")
    assert server.ask("POST", "/users", {"email": "entity@example.org", "full_name": "Twice"}).status == 409


def test_tasks_are_counted_by_user_type_and_their_list_is_cached(server: Server, migrated: Bench) -> None:
    user = server.ask("POST", "/users", {"email": "tasks@example.org", "full_name": "T", "user_type": "pro"}).json
    before = server.metric('tasks_created_total{user_type="pro"}')
    assert before == 0, "the series is there before its first event"
    server.ask("GET", f"/tasks?user_id={user['id']}")
    assert 290 < int(migrated.redis.ask("TTL", f"api:tasks:{user['id']}")) <= 300
    task = server.ask("POST", "/tasks", {"user_id": user["id"], "title": "write"}).json
    assert server.metric('tasks_created_total{user_type="pro"}') == 1
    listed = server.ask("GET", f"/tasks?user_id={user['id']}")
    assert (listed.headers["x-cache"], [one["title"] for one in listed.json]) == ("miss", ["write"])
    assert server.ask("PATCH", f"/tasks/{task['id']}", {"done": True}).json["done"] is True
    assert server.ask("PUT", f"/tasks/{task['id']}/priority", {"priority": 1}).json["priority"] == 1
    assert server.ask("POST", f"/tasks/{task['id']}/comments", {"user_id": user["id"], "body": "done"}).status == 201
    assert len(server.ask("GET", f"/tasks/{task['id']}/comments").json) == 1


def test_old_code_writes_to_the_new_schema(migrated: Bench, old: Release, server: Server) -> None:
    with migrated.serve(old) as before:
        user = before.ask("POST", "/users", {"email": "overlap@example.org", "full_name": "O"}).json
        assert before.ask("POST", "/tasks", {"user_id": user["id"], "title": "made by 1.0.0"}).status == 201
    assert server.ask("GET", f"/priorities?user_id={user['id']}").json[0]["priority"] == 2


def test_dashboard_is_kept_for_a_minute(server: Server, migrated: Bench) -> None:
    migrated.redis.ask("UNLINK", "query:dashboard:by_user_type")
    assert [server.ask("GET", "/dashboard").headers["x-cache"] for turn in range(2)] == ["miss", "hit"]
    assert 50 < int(migrated.redis.ask("TTL", "query:dashboard:by_user_type")) <= 60


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"name": "LCP", "value": 2400, "id": "v4-1"}', 204, id="as sendBeacon sends it"),
        pytest.param(b'{"name": "CLS", "value": 0.02}', 204, id="a score"),
        pytest.param(b'{"name": "LCP", "value": -1}', 422, id="negative"),
        pytest.param(b'{"name": "evil\\n", "value": 1}', 422, id="unknown name makes no series"),
        pytest.param(b"nonsense", 422, id="not JSON"),
        pytest.param(b"x" * 5000, 413, id="too long"),
    ],
)
def test_web_vitals(server: Server, body: bytes, status: int) -> None:
    assert server.ask("POST", "/web-vitals", body).status == status
    if status == 204 and b"LCP" in body:
        assert server.metric('web_vitals_seconds_bucket{le="2.5",name="LCP"}') == 1
        assert server.metric('web_vitals_seconds_bucket{le="1.8",name="LCP"}') == 0


@pytest.mark.parametrize(
    ("metric", "labels", "boundaries"),
    [
        ("http_request_duration_seconds", 'endpoint="/tasks",{le},method="GET"', [0.1, 0.2, 0.3, 0.5, 1.0, 2.5]),
        ("database_query_duration_seconds", '{le},operation="select"', [0.05, 0.1, 0.25]),
        ("redis_command_duration_seconds", 'command="get",{le}', [0.005, 0.01, 0.025]),
        ("web_vitals_seconds", '{le},name="LCP"', [2.5, 4.0, 6.0]),
        ("web_vitals_seconds", '{le},name="TTFB"', [0.2, 0.5, 0.8]),
    ],
)
def test_targets_and_alert_thresholds_are_bucket_boundaries(
    server: Server, metric: str, labels: str, boundaries: list[float]
) -> None:
    for boundary in boundaries:
        le = f'le="{boundary}"'
        series = f"{metric}_bucket{{{labels.format(le=le)}}}"
        assert server.metric(series) is not None, series


def test_requests_are_counted_under_the_routes_template(server: Server) -> None:
    server.ask("GET", "/users/987654321")
    server.ask("GET", "/no/such/path")
    text = server.ask("GET", "/metrics").body.decode()
    assert 'http_requests_total{endpoint="/users/{user_id}",method="GET",status="404"} 1.0' in text
    assert 'http_requests_total{endpoint="unmatched",method="any",status="404"}' in text
    assert 'http_requests_total{endpoint="/dashboard",method="GET",status="500"} 0.0' in text
    assert 'endpoint="/health"' not in text, "load balancers' questions would hide the users'"
    assert "987654321" not in text


def test_not_ready_but_alive_without_redis(migrated: Bench, new: Release) -> None:
    with migrated.serve(new, API_REDIS_PORT="1") as lonely:
        ready = lonely.ask("GET", "/ready")
        assert (ready.status, ready.json["checks"]["database"]) == (503, "ok")
        assert lonely.ask("GET", "/health").status == 200
        assert lonely.ask("GET", "/dashboard").status == 200, "a cache is allowed to be away"
        assert lonely.ask("POST", "/sessions", {"email": "a@example.org"}).status == 503


def test_not_ready_but_alive_without_database(migrated: Bench, new: Release) -> None:
    with migrated.serve(new, API_DATABASE_PORT="1") as lonely:
        assert lonely.ask("GET", "/ready").status == 503
        answer = lonely.ask("GET", "/tasks?user_id=4711")
        assert answer.status == 503
        assert b"127.0.0.1" not in answer.body


@pytest.fixture
def pooler(migrated: Bench) -> t.Iterator[int]:
    """Port of a PgBouncer in transaction pooling whose two server connections go from hand to hand."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is missing; install it with: apt-get install pgbouncer")
    folder = Path(tempfile.mkdtemp(prefix="example-api-pgbouncer-"))
    # It refuses to run as root, and its folder is closed to all others.
    folder.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users").write_text('"app" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\napp = host=127.0.0.1 port={migrated.database_port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n"
    )
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    process = subprocess.Popen([program, "-q", folder / "pgbouncer.ini"], cwd="/", stderr=subprocess.DEVNULL, **user)
    time.sleep(0.5)
    try:
        assert process.poll() is None
        yield port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def test_two_pooled_connections_serve_many_at_once(migrated: Bench, new: Release, pooler: int) -> None:
    with (
        migrated.serve(new, API_DATABASE_PORT=str(pooler)) as pooled,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        user = pooled.ask("POST", "/users", {"email": "pooled@example.org", "full_name": "P"}).json
        task = pooled.ask("POST", "/tasks", {"user_id": user["id"], "title": "pooled"}).json

        def write(turn: int) -> int:
            # Committed: psycopg counts towards a prepared statement only what was not rolled back.
            return pooled.ask("PATCH", f"/tasks/{task['id']}", {"done": bool(turn % 2)}).status

        assert set(pool.map(write, range(80))) == {200}


def open_websocket(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return connection


def frame(text: bytes) -> bytes:
    mask = os.urandom(4)
    return bytes([0x81, 0x80 | len(text)]) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))


def test_sigterm_lets_running_requests_end_and_tells_who_waits(migrated: Bench, new: Release) -> None:
    with migrated.serve(new) as leaving, concurrent.futures.ThreadPoolExecutor() as pool:
        socket_open = open_websocket(leaving.port)
        socket_open.sendall(frame(b"hello"))
        assert socket_open.recv(100)[2:] == b"hello"
        # Like a load balancer's own, held open from before.
        kept = http.client.HTTPConnection("127.0.0.1", leaving.port, timeout=5)
        kept.request("GET", "/ready")
        assert kept.getresponse().read()
        running = pool.submit(leaving.ask, "GET", "/slow?seconds=2")
        time.sleep(0.5)
        leaving.process.send_signal(signal.SIGTERM)
        time.sleep(0.25)
        kept.request("GET", "/ready")
        answer = kept.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (503, "draining")
        # Not yet told to go: its client would come straight back.
        socket_open.settimeout(0.05)
        with pytest.raises(TimeoutError):
            socket_open.recv(1)
        socket_open.settimeout(5)
        closing = socket_open.recv(100)
        assert (closing[0], int.from_bytes(closing[2:4], "big")) == (0x88, 1012)
        # The client's answer to the close, as every WebSocket library gives it.
        socket_open.sendall(bytes([0x88, 0x82, 0, 0, 0, 0]) + closing[2:4])
        time.sleep(0.6)
        with pytest.raises(OSError):
            leaving.ask("GET", "/health", timeout=1)
        assert running.result().json["slept"] == 2
        assert leaving.process.wait(5) == 0


def test_drain_has_an_end(migrated: Bench, new: Release) -> None:
    with migrated.serve(new, API_DRAIN_SECONDS="1") as leaving, concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(leaving.ask, "GET", "/slow?seconds=60")
        time.sleep(0.3)
        started = time.monotonic()
        leaving.process.send_signal(signal.SIGTERM)
        assert leaving.process.wait(10) == 0
        assert time.monotonic() - started < 6
        assert running.exception() is not None or running.result().status == 500
