"""What the probe of PgBouncer reads from the files and the admin console, and which differences it sees."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._postgresql.client import scram_verifier, shared_verifier
from ansible_collections.nexod.infra.tests.fixtures.pgbouncer_probe import load_probe

HOME = "/etc/nexod/pgbouncer/current"


@pytest.fixture(scope="module")
def probe() -> t.Any:
    return load_probe()


def test_reads_the_files(probe: t.Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "pgbouncer.ini").write_text("%include x=y\n\nlisten_port = 6432\n")
    for number in (1, 2):
        (tmp_path / f"process-{number}.ini").write_text(
            f"[peers]\n1 = host=/run/1 port=6432\n[pgbouncer]\n%include x\nunix_socket_dir = /run/{number}\n"
        )
    (tmp_path / "databases.ini").write_text(
        "; a=b\n[databases]\napp = host=10.0.0.1 port=5432 connect_query='SET a = ''b'''"
        "\n[users]\napp = pool_mode=session\n"
    )
    (tmp_path / "settings.ini").write_text("pool_mode = transaction\nstats_users = \n")
    files = probe.read_files(tmp_path)
    assert files.settings == {
        "listen_port": "6432",
        "pool_mode": "transaction",
        "stats_users": "",
        "unix_socket_dir": "/run/1",
    }
    assert files.peers == {"1": {"host": "/run/1", "port": "6432"}}
    assert probe.read_files(tmp_path, "2").settings["unix_socket_dir"] == "/run/2"
    assert probe.places(tmp_path) == [("/run/1", "6432"), ("/run/2", "6432")]
    assert files.reloaded == {"pool_mode", "stats_users"}
    assert files.databases == {"app": {"host": "10.0.0.1", "port": "5432", "connect_query": "SET a = 'b'"}}
    assert files.users == {"app": {"pool_mode": "session"}}


@pytest.mark.parametrize(
    ("key", "value", "shown", "same"),
    [
        ("pool_mode", "session", "session", True),
        ("pool_mode", "session", "transaction", False),
        ("pool_mode", "session", None, False),
        ("unix_socket_mode", "0770", "504", True),
        ("unix_socket_mode", "0770", "511", False),
        ("log_stats", "no", "0", True),
        ("log_stats", "0", "1", False),
        ("server_lifetime", "600.0", "600", True),
        ("server_lifetime", "600", "3600", False),
        ("server_check_query", "", "<empty>", True),
        ("server_reset_query", "", "DISCARD ALL", False),
    ],
)
def test_knows_how_pgbouncer_writes_values(probe: t.Any, key: str, value: str, shown: str | None, same: bool) -> None:
    assert probe.same(key, value, shown) is same


POOL = {"host": "10.0.0.1", "port": "5432", "database": "app", "pool_size": "20", "max_connections": "4"}


@pytest.mark.parametrize(
    ("shown", "fixed", "pools", "found"),
    [
        pytest.param({"pool_mode": "transaction"}, [], {"app": POOL, "pgbouncer": {}}, [], id="as declared"),
        pytest.param(
            {"pool_mode": "session"}, [], {"app": POOL}, ["pool_mode is 'session', not 'transaction'"], id="old setting"
        ),
        pytest.param({}, [], {"app": POOL}, ["pool_mode is 'not known', not 'transaction'"], id="unknown setting"),
        pytest.param({"pool_mode": "transaction"}, [], {}, ["database app is not there"], id="missing"),
        pytest.param(
            {"pool_mode": "transaction"},
            [],
            {"app": {**POOL, "host": "10.0.0.2"}, "gone": POOL},
            ["database app has host '10.0.0.2', not '10.0.0.1'", "database gone is still there"],
            id="moved and stale",
        ),
        pytest.param(
            {"pool_mode": "transaction"},
            [],
            {"app": {**POOL, "max_connections": "9"}},
            ["database app has max_db_connections '9', not '4'"],
            id="another limit",
        ),
        pytest.param(
            {"pool_mode": "transaction"},
            ["pool_mode", "listen_port"],
            {"app": POOL},
            ["pool_mode needs a restart: PgBouncer would ignore it in a reload"],
            id="in the wrong file",
        ),
    ],
)
def test_sees_differences(
    probe: t.Any, shown: dict[str, str], fixed: list[str], pools: dict[str, dict[str, str]], found: list[str]
) -> None:
    line = {"host": "10.0.0.1", "port": "5432", "dbname": "app", "max_db_connections": "4", "connect_query": "SELECT 1"}
    files = probe.Files({"pool_mode": "transaction"}, frozenset({"pool_mode"}), {"app": line}, {})
    assert probe.differences(files, probe.Shown(shown, frozenset(fixed), pools, {})) == found


def test_sees_differences_of_users(probe: t.Any) -> None:
    users = {"app": {"pool_mode": "session", "max_user_connections": "3"}, "gone": {"pool_mode": "session"}}
    shown = probe.Shown({}, frozenset(), {}, {"app": {"name": "app", "pool_mode": ""}})
    assert probe.differences(probe.Files({}, frozenset(), {}, users), shown) == [
        # This version has no column for max_user_connections.
        "user app has pool_mode '', not 'session'",
        "user gone is not there",
    ]


def test_sees_differences_of_peers(probe: t.Any) -> None:
    files = probe.Files({}, frozenset(), {}, {}, {"1": {"host": "/run/1"}, "2": {"host": "/run/2"}})
    shown = probe.Shown({}, frozenset(), {}, {}, {"1": {"host": "/run/x"}, "3": {"host": "/run/3"}})
    assert probe.differences(files, shown) == [
        "peer 1 has host '/run/x', not '/run/1'",
        "peer 2 is not there",
        "peer 3 is still there",
    ]


@pytest.mark.parametrize(
    ("settings", "version", "words"),
    [
        ({"peer_id": "1"}, (1, 18, 0), "peer_id needs PgBouncer 1.19.0, and this host has 1.18.0: with several"),
        ({"peer_id": "1"}, (1, 24, 1), None),
        ({"max_prepared_statements": "100"}, (1, 18, 0), "max_prepared_statements needs PgBouncer 1.21.0"),
        ({"max_prepared_statements": "0"}, (1, 18, 0), None),
        ({"pool_mode": "session"}, (1, 18, 0), None),
        # A version that can't be read is not refused: PgBouncer itself loads the files next.
        ({"peer_id": "1"}, (), None),
    ],
)
def test_refuses_what_the_version_lacks(
    probe: t.Any, settings: dict[str, str], version: tuple[int, ...], words: str | None
) -> None:
    found = probe.lacking(settings, version)
    assert found == [] if words is None else found[0].startswith(words)


def test_whether_others_take_new_clients(probe: t.Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert probe.others_listen({"listen_addr": "0.0.0.0,::", "listen_port": port})
        assert not probe.others_listen({"listen_addr": "", "listen_port": port}), "only Unix sockets, each one's own"
    assert not probe.others_listen({"listen_addr": "127.0.0.1", "listen_port": port})


def test_whether_another_host_takes_new_clients(probe: t.Any, tmp_path: pathlib.Path) -> None:
    assert probe.other_hosts(tmp_path) == [], "a set from before the file was there"
    (tmp_path / "other-hosts").write_text("\n")
    assert probe.other_hosts(tmp_path) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        # This host's PgBouncer had another address.
        config = {"listen_addr": "127.0.0.3", "listen_port": str(server.getsockname()[1])}
        (tmp_path / "other-hosts").write_text("127.0.0.2\n127.0.0.1\n")
        assert probe.taken_over(config, probe.other_hosts(tmp_path))
        assert not probe.taken_over(config, ["127.0.0.2"])
        assert not probe.taken_over(config, [])


@pytest.mark.parametrize(
    ("version", "others", "words"),
    [
        ((1, 26, 1), ["192.0.2.2"], []),
        ((1, 24, 1), ["192.0.2.2"], ["is below 1.25.2"]),
        ((1, 18, 0), [], ["is below 1.25.2"]),
        ((1, 18, 0), ["192.0.2.2"], ["is below 1.25.2", "can't close its port while it serves clients"]),
        ((), ["192.0.2.2"], []),
    ],
)
def test_what_the_version_can_not(
    probe: t.Any, capsys: pytest.CaptureFixture[str], version: tuple[int, ...], others: list[str], words: list[str]
) -> None:
    probe.warn_of_version(version, others)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(words)
    assert all(line.startswith("warning: ") and part in line for line, part in zip(said, words, strict=True))


def made_certificate(folder: pathlib.Path, name: str) -> pathlib.Path:
    words = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={name}"
    files = ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    subprocess.run(["openssl", *words.split(), *files], check=True, capture_output=True)
    return folder / f"{name}.crt"


@pytest.mark.parametrize(
    ("offers", "presents", "peers", "found"),
    [
        pytest.param(b"S", "declared", {}, "", id="the declared one"),
        pytest.param(b"S", "former", {}, "clients get another certificate than the one in", id="the one before"),
        pytest.param(b"N", "declared", {}, "it offers no TLS to clients", id="none"),
        pytest.param(b"N", "declared", {"2": {}}, "", id="of several processes, any would answer"),
    ],
)
def test_which_certificate_clients_get(
    probe: t.Any, tmp_path: pathlib.Path, offers: bytes, presents: str, peers: dict[str, t.Any], found: str
) -> None:
    """PgBouncer reports a reload as successful whatever it does with the certificate."""
    certificates = {name: made_certificate(tmp_path, name) for name in ("declared", "former")}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates[presents], certificates[presents].with_suffix(".key"))

    def serve(server: socket.socket) -> None:
        # The probe ends the connection once it has seen the certificate, or makes none.
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            connection.recv(8)
            connection.sendall(offers)
            if offers == b"S":
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        settings = {"listen_addr": "127.0.0.1", "listen_port": str(server.getsockname()[1])}
        settings["client_tls_cert_file"] = str(certificates["declared"])
        said = probe.other_certificate(probe.Files(settings, frozenset(), {}, {}, peers))
    assert said == [] if not found else said[0].startswith(found)


def test_takes_any_database_where_there_is_a_wildcard(probe: t.Any) -> None:
    files = probe.Files({}, frozenset(), {"*": {"host": "10.0.0.1"}}, {})
    assert probe.differences(files, probe.Shown({}, frozenset(), {"asked_for": POOL}, {})) == []


def test_leaves_out_what_the_throwaway_one_does_differently(probe: t.Any) -> None:
    files = probe.Files({"listen_addr": "::", "pool_mode": "session"}, frozenset(), {}, {})
    shown = probe.Shown({"listen_addr": "", "pool_mode": "session"}, frozenset(), {}, {})
    assert probe.differences(files, shown, ("listen_addr",)) == []


def test_misses_certificates(probe: t.Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.crt").touch()
    # The set itself is not there yet.
    named = {
        "auth_file": f"{HOME}/userlist.txt",
        "server_tls_ca_file": str(tmp_path / "ca.crt"),
        "pool_mode": "session",
    }
    assert probe.missing_files(named, HOME) == []
    assert probe.missing_files({**named, "server_tls_ca_file": "/none"}, HOME) == [
        "server_tls_ca_file: there is no file /none"
    ]


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        (f"%include {HOME}/databases.ini", "%include /tmp/x/databases.ini"),
        (f"auth_file = {HOME}/userlist.txt", "auth_file = /tmp/x/userlist.txt"),
        ("server_tls_ca_file = /etc/nexod/ca/current/ca.crt", None),
        (f"server_tls_ca_file = /srv{HOME}/ca.crt", None),
        ("server_tls_ca_file = /etc/nexod/pgbouncer/currently/ca.crt", None),
    ],
)
def test_moves_the_files_of_this_set_only(probe: t.Any, line: str, moved: str | None) -> None:
    """A CA file in another set was looked for in the throwaway one's folder, and the set refused for its absence."""
    assert probe.moved(line, HOME, "/tmp/x") == (moved or line)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("2026-11-25 15:39:07.213 UTC [2345] LOG process up: PgBouncer 1.18.0", None),
        ("2026-11-25 15:39:07.213 UTC [2345] WARNING something else", None),
        (
            "2026 [2345] ERROR unrecognized setting (/tmp/x/settings.ini:9)",
            "ERROR unrecognized setting (settings.ini:9)",
        ),
        ("2026 [2345] WARNING hba line 2: unknown method", "WARNING hba line 2: unknown method"),
    ],
)
def test_finds_errors_in_the_log(probe: t.Any, line: str, error: str | None) -> None:
    assert probe.logged_errors([line + "\n"], "/tmp/x") == ([error] if error else [])


@pytest.mark.parametrize(
    ("which", "getpwnam", "words"),
    [
        (None, None, "pgbouncer is not installed. Install the package first."),
        ("/usr/sbin/pgbouncer", KeyError("postgres"), "there is no account postgres. Reinstall the package pgbouncer."),
    ],
)
def test_says_what_is_not_installed(
    probe: t.Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    which: str | None,
    getpwnam: Exception | None,
    words: str,
) -> None:
    def look_up(name: str) -> t.Any:
        raise getpwnam or AssertionError(name)

    monkeypatch.setattr(probe.shutil, "which", lambda *_, **__: which)
    monkeypatch.setattr(probe.pwd, "getpwnam", look_up)
    assert probe.main("staged", "/none", HOME) == 127
    assert capsys.readouterr().out == f"Cannot check PgBouncer's files: {words}\n"


def test_a_missing_file_is_not_a_missing_program(
    probe: t.Any, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe.main("live", str(tmp_path), "1") == 1
    assert "No such file or directory" in capsys.readouterr().out


def test_rows_are_text_as_in_the_files(probe: t.Any) -> None:
    assert probe.as_text([{"key": "pool_size", "value": 20}, {"key": "user", "value": None}]) == [
        {"key": "pool_size", "value": "20"},
        {"key": "user", "value": ""},
    ]


def test_reads_the_accounts(probe: t.Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "userlist.txt").write_text('"app" "p""w"\n"a ""b""" "SCRAM-SHA-256$4096:x"\n')
    assert probe.read_accounts(tmp_path) == {"app": 'p"w', 'a "b"': "SCRAM-SHA-256$4096:x"}


CLIENTS = [{"user": name, "addr": address} for name, address in [("app", "::1"), ("app", "10.0.0.5"), ("ops", "unix")]]


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("word", "word", True),
        ("word", "other", False),
        ("word", shared_verifier("app", "word"), True),
        (shared_verifier("app", "word"), "word", True),
        ("other", shared_verifier("app", "word"), False),
        (scram_verifier("word"), "word", True),
        # Two verifiers of one password can't be told from those of two.
        (scram_verifier("word"), shared_verifier("app", "word"), False),
        ("SCRAM-SHA-256$broken", "word", False),
    ],
)
def test_a_verifier_is_no_other_password(probe: t.Any, before: str, after: str, same: bool) -> None:
    """The change from a password to its verifier was refused as a new password while clients used the account."""
    assert probe.same_password(before, after) is same


@pytest.mark.parametrize(
    ("before", "after", "changeable", "asks", "found"),
    [
        pytest.param({"app": "1"}, {"app": "1"}, [], False, [], id="as before"),
        pytest.param({"app": "1"}, {"app": "1", "app_b": "2"}, [], False, [], id="another account"),
        pytest.param({"idle": "1"}, {}, [], False, [], id="removed, without clients"),
        pytest.param({"idle": "1"}, {"idle": "2"}, [], False, [], id="changed, without clients"),
        pytest.param(
            {"app": "1"},
            {},
            ["app"],
            False,
            ["account app would be removed, and 2 clients use it (10.0.0.5: 1, ::1: 1)"],
            id="removed",
        ),
        pytest.param({"app": "1"}, {}, [], True, [], id="removed from the list, and the server is asked"),
        pytest.param(
            {"app": "1"},
            {"app": "2"},
            ["ops"],
            True,
            ["account app would have another password, and 2 clients use it"],
            id="changed",
        ),
        pytest.param({"ops": "1"}, {"ops": "2"}, ["ops"], False, [], id="changed, as allowed"),
    ],
)
def test_accounts_that_clients_use(
    probe: t.Any, before: dict[str, str], after: dict[str, str], changeable: list[str], asks: bool, found: list[str]
) -> None:
    """The changed password of an account was applied at once, and its clients could not connect again."""
    said = probe.clients_of(probe.lost_accounts(before, after, changeable, asks), CLIENTS)
    assert len(said) == len(found)
    assert all(line.startswith(words) for line, words in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("settings", "databases", "rules", "asks"),
    [
        ("auth_type = scram-sha-256\n", "app = host=h user=app", "", False),
        ("auth_type = hba\n", "app = host=h", "host all all 127.0.0.1/32 scram-sha-256\n", False),
        ("auth_type = hba\n", "app = host=h", "host all all 127.0.0.1/32 pam\n", True),
        ("auth_type = pam\n", "app = host=h", "", True),
        ("auth_type = any\n", "app = host=h", "", True),
        ("auth_user = pooler\n", "app = host=h", "", True),
        ("auth_type = md5\n", "app = host=h auth_user=pooler", "", True),
    ],
)
def test_knows_where_accounts_may_be_that_are_not_listed(
    probe: t.Any, tmp_path: pathlib.Path, settings: str, databases: str, rules: str, asks: bool
) -> None:
    (tmp_path / "pgbouncer.ini").write_text("listen_port = 6432\n")
    (tmp_path / "process-1.ini").write_text("[pgbouncer]\nunix_socket_dir = /run/1\n")
    (tmp_path / "databases.ini").write_text(f"[databases]\n{databases}\n")
    (tmp_path / "settings.ini").write_text(settings)
    (tmp_path / "hba.conf").write_text(rules)
    assert probe.asks_others(tmp_path) is asks


@pytest.mark.parametrize(
    ("databases", "logins", "found"),
    [
        pytest.param(["a", "b", "*"], {"app": None}, [("app", "a"), ("app", "b")], id="every pool"),
        pytest.param(["a", "b"], {"app": ["b"]}, [("app", "b")], id="those that it uses"),
        pytest.param(["a"], {"app": None, "ops": ["pgbouncer"]}, [("app", "a"), ("ops", "pgbouncer")], id="console"),
        pytest.param(["a", "*"], {"app": ["other"]}, [("app", "other")], id="through the wildcard"),
        pytest.param(["forced"], {"app": None, "ops": None}, [("app", "forced")], id="one pool for all accounts"),
        pytest.param(["a"], {"former": None, "app": []}, [], id="another password in a set that is returned to"),
    ],
)
def test_logs_in_through_every_pool(
    probe: t.Any, databases: list[str], logins: dict[str, list[str] | None], found: list[tuple[str, str]]
) -> None:
    lines = {name: {"host": "h", **({"user": "reader"} if name == "forced" else {})} for name in databases}
    files = probe.Files({}, frozenset(), lines, {})
    accounts = {"app": shared_verifier("app", "word"), "ops": "word", "former": "other"}
    given = {name: {"password": "word", "databases": names} for name, names in logins.items()}
    assert [way[:2] for way in probe.ways(files, accounts, given)] == found


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[9] LOG S-0x5: app/app@10.0.0.1:5432 closing because: login failed (age=0s)", None),
        ("[9] WARNING C-0x5: app/app@unix(8):6432 pooler error: login failed", None),
        (
            '[9] WARNING S-0x5: app/app@10.0.0.1:5432 server login failed: FATAL no "x"',
            'server login failed: FATAL no "x"',
        ),
        (
            "[9] WARNING TLS handshake error: certificate verify failed",
            "TLS handshake error: certificate verify failed",
        ),
        ("[9] ERROR S-0x5: app/app@h:1 cannot do SCRAM authentication", "cannot do SCRAM authentication"),
    ],
)
def test_takes_the_reason_from_the_log(probe: t.Any, line: str, reason: str | None) -> None:
    assert probe.reasons(f"2026-11-27 02:40:00.000 UTC {line}\n") == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("failure", "before", "fault", "note"),
    [
        pytest.param(("password authentication failed", False), None, "VALID UNTIL", "", id="other verifier"),
        pytest.param(("connection refused", True), None, "correct its address", "", id="down, never served"),
        pytest.param(("connection refused", True), "10.0.0.2", "correct its address", "", id="down, another one"),
        pytest.param(("connection refused", True), "10.0.0.1", "", "does not take", id="down, the same one"),
        pytest.param(("FATAL: sorry, too many clients already", False), None, "", "busy", id="full"),
        pytest.param(('FATAL: database "app" does not exist', False), None, "Correct what it reports", "", id="other"),
    ],
)
def test_a_login_that_fails_names_the_next_step(
    probe: t.Any, failure: tuple[str, bool], before: str | None, fault: str, note: str
) -> None:
    """A server that was down before is no reason to refuse a change; one that refuses an account is."""

    def files(host: str) -> t.Any:
        return probe.Files({}, frozenset(), {"app": {"host": host, "port": "5432"}}, {})

    failed = {probe.Way("app", "app", "word"): probe.Failure(*failure)}
    faults, notes = probe.explained(failed, files("10.0.0.1"), before and files(before))
    for said, words in ((faults, fault), (notes, note)):
        assert len(said) == bool(words)
        assert all(words in line and line.startswith("account app can't log in") for line in said)
    assert "word" not in " ".join(faults + notes).replace("password", "")


@pytest.mark.parametrize(
    ("listen", "lost"),
    [
        ("", []),
        ("0.0.0.0", []),
        ("*", []),
        ("0.0.0.0,::1", ["::1"]),
        ("10.0.0.1, 127.0.0.1", ["10.0.0.1", "127.0.0.1"]),
        ("localhost", []),
    ],
)
def test_misses_addresses_that_another_program_has(probe: t.Any, listen: str, lost: list[str]) -> None:
    """PgBouncer 1.18 ran on with nothing but its Unix socket, and the role reported success."""
    said = probe.deaf({"listen_addr": listen, "listen_port": "6432"}, {"0.0.0.0"})
    assert [line.split()[5] for line in said] == [f"{address}:6432:" for address in lost]


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_finds_what_a_process_listens_on(probe: t.Any, family: int, address: str) -> None:
    with socket.socket(family) as one:
        one.bind((address, 0))
        one.listen()
        port = one.getsockname()[1]
        assert probe.listeners(os.getpid(), port) == {address}
    assert probe.listeners(os.getpid(), port) == set()


@pytest.mark.parametrize(
    ("version", "stored", "refused"),
    [
        ((1, 24, 1), "SCRAM-SHA-256$4096:x", False),
        ((1, 25, 2), "SCRAM-SHA-256$4096:x", True),
        ((1, 25, 2), "word", False),
        ((1, 26, 0), "SCRAM-SHA-256$4096:x", False),
        ((), "SCRAM-SHA-256$4096:x", False),
    ],
)
def test_refuses_verifiers_where_pgbouncer_loses_keys(
    probe: t.Any, version: tuple[int, ...], stored: str, refused: bool
) -> None:
    assert bool(probe.loses_keys({"app": stored}, version)) is refused
