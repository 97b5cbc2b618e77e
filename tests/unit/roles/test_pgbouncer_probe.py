"""What the probe that PgBouncer's set carries reads from the files, and which differences it sees."""

from __future__ import annotations

import importlib.util
import pathlib
import typing as t

import pytest

HERE = pathlib.Path(__file__).resolve()
PROBE = next(p for p in HERE.parents if (p / "galaxy.yml").is_file()) / "roles" / "pgbouncer" / "files" / "probe.py"


@pytest.fixture(scope="module")
def probe() -> t.Any:
    spec = importlib.util.spec_from_file_location("pgbouncer_probe", PROBE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reads_the_files(probe: t.Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "pgbouncer.ini").write_text("%include x=y\n[pgbouncer]\nlisten_port = 6432\n")
    (tmp_path / "databases.ini").write_text("; a=b\n[databases]\napp = host=10.0.0.1 port=5432 dbname=app\n")
    (tmp_path / "settings.ini").write_text("pool_mode = transaction\nstats_users = \n")
    settings, databases = probe.read_files(tmp_path)
    assert settings == {"listen_port": "6432", "pool_mode": "transaction", "stats_users": ""}
    assert databases == {"app": {"host": "10.0.0.1", "port": "5432", "dbname": "app"}}


POOL = {"host": "10.0.0.1", "port": "5432", "database": "app"}


@pytest.mark.parametrize(
    ("shown", "pools", "found"),
    [
        pytest.param({"pool_mode": "transaction"}, {"app": POOL, "pgbouncer": {}}, [], id="as declared"),
        pytest.param(
            {"pool_mode": "session"}, {"app": POOL}, ["pool_mode is 'session', not 'transaction'"], id="old setting"
        ),
        pytest.param({}, {"app": POOL}, ["pool_mode is 'not known', not 'transaction'"], id="unknown setting"),
        pytest.param({"pool_mode": "transaction"}, {}, ["database app is not there"], id="missing"),
        pytest.param(
            {"pool_mode": "transaction"},
            {"app": {**POOL, "host": "10.0.0.2"}, "gone": POOL},
            ["database app has host '10.0.0.2', not '10.0.0.1'", "database gone is still there"],
            id="moved and stale",
        ),
    ],
)
def test_sees_differences(
    probe: t.Any, shown: dict[str, str], pools: dict[str, dict[str, str]], found: list[str]
) -> None:
    wanted = {"app": {"host": "10.0.0.1", "port": "5432", "dbname": "app"}}
    assert probe.differences({"pool_mode": "transaction"}, wanted, shown, pools) == found


def test_misses_certificates(probe: t.Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.crt").touch()
    named = {"auth_file": "/none", "server_tls_ca_file": str(tmp_path / "ca.crt"), "pool_mode": "session"}
    assert probe.missing_files(named) == []
    assert probe.missing_files({**named, "server_tls_ca_file": "/none"}) == [
        "server_tls_ca_file: there is no file /none"
    ]
