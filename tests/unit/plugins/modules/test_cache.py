"""The cache modules: what a user gets for wrong options and faults, and that no password is among it."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._cache import connection, server
from ansible_collections.nexod.infra.plugins.module_utils._cache import module as cache_module
from ansible_collections.nexod.infra.plugins.modules import cache_flush, cache_info, cache_namespace

Run = t.Callable[..., dict[str, t.Any]]
URL = "redis://flusher:p%40ssw0rd-1@cache:6379/0"
SECRETS = ("p%40ssw0rd-1", "p@ssw0rd-1")
FLUSH = {"url": URL, "prefixes": ["api:"], "protect": ["session:"]}
EVERY: tuple[tuple[str, dict[str, t.Any]], ...] = (
    ("cache_flush", FLUSH),
    ("cache_info", {"url": URL}),
    ("cache_namespace", {"url": URL, "namespace": "query:version"}),
)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[Exception], None]:
    """Let every connection fail with an exception."""

    def fail(error: Exception) -> None:
        def connection(*_given: t.Any, **_more: t.Any) -> t.Any:
            raise error

        monkeypatch.setattr(server, "connect", connection)

    return fail


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py and hiredis are installed."""
    monkeypatch.setattr(cache_module, "MISSING", None)
    monkeypatch.setattr(cache_flush, "MISSING", None)


def check_error(result: dict[str, t.Any], *texts: str) -> None:
    assert result["failed"]
    error = result["error"]
    assert all(error[name] for name in ("action", "object", "cause", "next_step"))
    assert result["msg"].startswith(f"Cannot {error['action']} {error['object']}: ")
    assert [text for text in texts if text not in result["msg"]] == []
    assert [secret for secret in SECRETS if secret in json.dumps(result)] == []


@pytest.mark.parametrize(
    ("changed", "texts"),
    [
        pytest.param({"protect": []}, ["no prefix is given whose keys must be kept", "protect_nothing"], id="protect"),
        pytest.param({"protect_nothing": True}, ["Remove one of the two options"], id="both"),
        pytest.param({"prefixes": ["s"]}, ['flush prefix "s"', "Nothing was deleted"], id="reaches a protected one"),
        pytest.param({"prefixes": [""]}, ["an empty prefix matches every key"], id="empty"),
        pytest.param({"patterns": ["a[b"]}, ["a class without its closing bracket"], id="pattern"),
        pytest.param({"deadline": "soon"}, ['deadline: "soon"', "5m or 1h"], id="deadline"),
        pytest.param({"patience": "1 week"}, ['patience: "1 week"'], id="patience"),
        pytest.param({"url": "http://u:p%40ssw0rd-1@cache"}, ["does not begin with redis://", "rediss://"], id="url"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_connected(
    run_module: Run, connect: t.Callable[[Exception], None], changed: dict[str, t.Any], texts: list[str]
) -> None:
    connect(AssertionError("connected"))
    check_error(run_module("cache_flush", {**FLUSH, **changed}), *texts)


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.parametrize(
    ("changed", "text"),
    [
        pytest.param({"url": f"{URL}?timeout=5"}, "a parameter that is not supported (timeout)", id="parameter"),
        pytest.param({"db": 5}, "the URL and the option db contradict each other", id="database"),
        pytest.param({"url": f"{URL}?db=3"}, "the URL and the option db contradict each other", id="twice"),
        pytest.param({"port": 6380}, "the URL and the option port contradict each other", id="port"),
        pytest.param({"tls": True}, "the URL and the option tls contradict each other", id="tls"),
        pytest.param({"password": "p@ssw0rd-1x"}, "the option password contradict each other", id="password"),
        pytest.param({"ca_cert": "/ca.crt"}, "ca_cert is set, but not tls", id="certificate without TLS"),
        pytest.param({"iam_cache": "app", "username": "flusher", "region": "eu-west-1"}, "in clear text", id="token"),
        pytest.param({"timeout": -1}, '"timeout": it is -1', id="timeout"),
        pytest.param({"url": "redis://u:p@ssw0rd-1@cache"}, "Encode them (@ as %40", id="raw @"),
        pytest.param({"url": None, "host": "cache:6379"}, "host is not the name", id="host with port"),
    ],
)
def test_what_is_not_understood_is_refused_in_every_module(
    run_module: Run,
    connect: t.Callable[[Exception], None],
    name: str,
    options: dict[str, t.Any],
    changed: dict[str, t.Any],
    text: str,
) -> None:
    connect(AssertionError("connected"))
    given = {key: value for key, value in {**options, **changed}.items() if value is not None}
    check_error(run_module(name, given), text)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        *(
            ("cache_flush", {**FLUSH, option: value}, f'"{option}"')
            for option in ("max_keys_per_second", "max_keys", "minimum_protected", "names", "max_latency_ms")
            for value in (-1, *([float("nan")] if option == "max_latency_ms" else []))
        ),
        ("cache_flush", {**FLUSH, "prefixes": []}, "neither prefixes nor patterns"),
        ("cache_flush", {**FLUSH, "prefixes": ["api:*"]}, "a prefix has no wildcards"),
        ("cache_info", {"url": URL, "sample": -1}, '"sample"'),
        ("cache_info", {"url": URL, "prefixes": ["api:*"]}, "a prefix has no wildcards"),
        ("cache_info", {"url": URL, "protect": ["^session"]}, 'contains "^"'),
        ("cache_warm", {"urls": ["http://127.0.0.1:1/"], "concurrency": 0}, '"concurrency"'),
        ("cloudfront_invalidation", {"distribution_id": "E1", "release": "1"}, "neither paths nor tags"),
        (
            "cloudfront_invalidation",
            {"distribution_id": "E1", "release": "1", "paths": ["/"], "wait_seconds": -1},
            '"wait_seconds"',
        ),
        (
            "cloudfront_invalidation",
            {"distribution_id": "E1", "release": "1", "paths": ["/"], "endpoint_url": "127.0.0.1:5555"},
            "endpoint_url is not the URL of an API",
        ),
    ],
)
def test_a_value_without_sense_is_an_error_and_no_traceback(
    run_module: Run, connect: t.Callable[[Exception], None], name: str, options: dict[str, t.Any], text: str
) -> None:
    connect(AssertionError("connected"))
    check_error(run_module(name, options), text)


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.parametrize(
    ("error", "texts"),
    [
        pytest.param(
            connection.Unreachable("connection refused", absent=True),
            ["connection refused", "Check that"],
            id="unreachable",
        ),
        pytest.param(connection.Refused("WRONGPASS for p@ssw0rd-1"), ["Check username and password"], id="password"),
        pytest.param(
            connection.Refused("NOPERM no 'scan'"), ["lacks a permission", "ACL SETUSER flusher"], id="rights"
        ),
        pytest.param(connection.Refused("TLS unknown authority"), ["Set ca_cert"], id="certificate"),
        pytest.param(FileNotFoundError(2, "No such file", "/nowhere/ca.crt"), ["/nowhere/ca.crt"], id="no file"),
    ],
)
def test_faults_have_a_next_step_and_show_no_password(
    run_module: Run,
    connect: t.Callable[[Exception], None],
    name: str,
    options: dict[str, t.Any],
    error: Exception,
    texts: list[str],
) -> None:
    connect(error)
    check_error(run_module(name, options), "cache:6379", *texts)


def test_check_mode_before_there_is_a_cache(run_module: Run, connect: t.Callable[[Exception], None]) -> None:
    connect(connection.Unreachable("connection refused", absent=True))
    result = run_module("cache_flush", FLUSH, check_mode=True)
    assert (result["changed"], result["deleted"]) == (False, {"api:": 0})
    assert "Cannot determine yet which keys would be deleted: connection refused." in str(result["warnings"])


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_a_missing_client_is_named(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, t.Any]
) -> None:
    for module in (cache_module, cache_flush):
        monkeypatch.setattr(module, "MISSING", "ImportError")
        monkeypatch.setattr(module, "MISSING_NAME", "hiredis (Debian: python3-hiredis)")
    result = run_module(name, options)
    assert "python3-hiredis" in result["msg"]


class Written(Exception):  # noqa: N818
    """A command that writes was sent."""


class Server(server.Cache):
    """Reads `7` at every key; a write raises."""

    def connection_for(self, key: bytes) -> t.Any:
        return self

    def ask(self, *words: bytes) -> bytes:
        if words[0] not in (b"GET", b"INFO"):
            raise Written(words)
        return b"7"

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("version", "after"), [(None, "8"), ("1.1.0", "1.1.0"), ("7", "7")])
def test_check_mode_of_a_namespace_writes_nothing(
    run_module: Run, monkeypatch: pytest.MonkeyPatch, version: str | None, after: str
) -> None:
    monkeypatch.setattr(cache_namespace, "Cache", Server)
    options = {"host": "cache", "namespace": "v", **({"version": version} if version else {})}
    result = run_module("cache_namespace", options, check_mode=True)
    assert (result["before"], result["after"], result["changed"]) == ("7", after, after != "7")
    if after != "7":
        with pytest.raises(Written):
            run_module("cache_namespace", options)


@pytest.mark.parametrize("seconds", [5, "5", "5s", "100ms"])
def test_warm_takes_a_duration_and_requests_nothing_in_check_mode(run_module: Run, seconds: t.Any) -> None:
    result = run_module("cache_warm", {"urls": ["http://127.0.0.1:1/"], "seconds": seconds}, check_mode=True)
    assert (result["changed"], result["urls"], result["warmed"]) == (False, [], 0)


def test_warm_names_a_wrong_duration_and_warns_of_what_stays_cold(run_module: Run) -> None:
    check_error(run_module("cache_warm", {"urls": ["http://127.0.0.1:1/"], "seconds": "soon"}), 'seconds: "soon"')
    result = run_module("cache_warm", {"urls": ["http://127.0.0.1:1/"], "seconds": "1s"})
    assert result["warmed"] == 0
    assert "http://127.0.0.1:1/ did not answer: it is not warm." in str(result["warnings"])


def test_info_changes_nothing(run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_info, "inspect", lambda *_given, **_more: {"keys": 3})
    result = run_module("cache_info", {"host": "cache"})
    assert (result["changed"], result["keys"]) == (False, 3)
