"""How services are protected: what is written of the options, what the own host asks with, and what is refused."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.plugin_utils._service import bcrypt, web

CANARY = "c4nary-of-the-monitoring"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMII\n-----END EC PRIVATE KEY-----"
FILES = {"tls_certificate_file": "/etc/ssl/own.crt", "tls_key_file": "/etc/ssl/own.key"}
TEXTS = {"tls_certificate": CERTIFICATE, "tls_key": KEY}


def options(**change: t.Any) -> dict[str, t.Any]:
    return {**{f"{part}{end}": "" for part in web.PARTS for end in ("", "_file")}, "web_users": {}, **change}


def test_a_hash_is_the_one_that_other_programs_know() -> None:
    """Made by `htpasswd` and known to every implementation: a vector of OpenBSD's."""
    assert bcrypt._by_library(b"U*U", b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.") in (
        b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        b"",
    )


def test_a_second_run_writes_the_same_hash_and_no_two_hosts_or_users_share_one() -> None:
    one = web.files(
        options(web_users={"ops": CANARY, "prometheus": CANARY}), "prometheus on a", "prometheus", "/set/web"
    )
    assert one == web.files(
        options(web_users={"prometheus": CANARY, "ops": CANARY}), "prometheus on a", "prometheus", "/set/web"
    )
    other = web.files(options(web_users={"ops": CANARY}), "prometheus on b", "prometheus", "/set/web")
    hashes = [
        *json.loads(one[0]["content"])["basic_auth_users"].values(),
        *json.loads(other[0]["content"])["basic_auth_users"].values(),
    ]
    assert len({text[:29] for text in hashes}) == 3
    assert all(text.startswith("$2b$10$") and len(text) == 60 for text in hashes)


def test_without_bcrypt_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcrypt, "_by_library", lambda *_: b"*0")
    monkeypatch.setattr(bcrypt, "_by_package", lambda *_: b"")
    with pytest.raises(AnsibleFilterError, match="install the Python package bcrypt"):
        bcrypt.bcrypt(CANARY, "a host without it")


@pytest.mark.parametrize(
    ("change", "paths", "tls", "access"),
    [
        pytest.param({}, [], {}, {}, id="nothing"),
        pytest.param(
            {"web_users": {"ops": CANARY}},
            ["web/web.yml", "web/access-password", "web/client.yml"],
            {},
            {"user": "ops", "password_file": "/set/web/access-password"},
            id="a password",
        ),
        pytest.param(
            TEXTS,
            ["web/web.yml", "web/server.crt", "web/server.key", "web/client.yml"],
            {"cert_file": "server.crt", "key_file": "server.key"},
            {"ca_file": "/set/web/server.crt"},
            id="TLS from texts",
        ),
        pytest.param(
            {**FILES, "tls_client_ca": CERTIFICATE, "web_users": {"z": CANARY, "a": CANARY}},
            ["web/web.yml", "web/client-ca.crt", "web/access-password", "web/client.yml"],
            {
                "cert_file": "/etc/ssl/own.crt",
                "key_file": "/etc/ssl/own.key",
                "client_auth_type": "RequireAndVerifyClientCert",
                "client_ca_file": "client-ca.crt",
            },
            {
                "user": "a",
                "password_file": "/set/web/access-password",
                "ca_file": "/etc/ssl/own.crt",
                "certificate_file": "/etc/ssl/own.crt",
                "key_file": "/etc/ssl/own.key",
            },
            id="everything, from files",
        ),
    ],
)
def test_what_is_written_and_how_it_is_asked(
    change: dict[str, t.Any], paths: list[str], tls: dict[str, str], access: dict[str, str]
) -> None:
    given = options(**change)
    rows = web.files(given, "prometheus on a", "prometheus", "/set/web")
    assert [row["path"] for row in rows] == paths
    assert all(row.get("secret") or row["path"] == "web/client.yml" for row in rows)
    assert all(row["mode"] == "0400" for row in rows)
    # Only root reads the password as text.
    assert [row.get("owner") for row in rows if CANARY in row["content"]] == [None] * ("password_file" in access)
    if rows:
        assert json.loads(rows[0]["content"]).get("tls_server_config", {}) == tls
    assert web.access(given, "/set/web") == access
    assert "user" not in web.stranger(given, "/set/web")


@pytest.mark.parametrize(
    ("change", "flags", "contents", "places", "arguments"),
    [
        pytest.param({}, False, [], {}, [], id="nothing"),
        pytest.param(
            {**FILES, "web_users": {"ops": CANARY}},
            False,
            ["web.yml"],
            {"web.yml": "/s/web.yml", "server.crt": "/etc/ssl/own.crt", "server.key": "/etc/ssl/own.key"},
            ["--web.config.file=${CREDENTIALS_DIRECTORY}/web.yml"],
            id="a web configuration",
        ),
        pytest.param(
            {**TEXTS, "tls_client_ca": CERTIFICATE, "web_users": {"ops": CANARY}},
            True,
            ["server.crt", "server.key", "client-ca.crt"],
            {
                "server.crt": "/s/server.crt",
                "server.key": "/s/server.key",
                "client-ca.crt": "/s/client-ca.crt",
                "access-password": "/s/access-password",
            },
            [
                "-tls-server-cert-file=${CREDENTIALS_DIRECTORY}/server.crt",
                "-tls-server-key-file=${CREDENTIALS_DIRECTORY}/server.key",
                "-tls-server-ca-cert-file=${CREDENTIALS_DIRECTORY}/client-ca.crt",
            ],
            id="the Redis exporter",
        ),
    ],
)
def test_credentials_of_a_unit(
    change: dict[str, t.Any], flags: bool, contents: list[str], places: dict[str, str], arguments: list[str]
) -> None:
    given = options(**change)
    found = web.credentials(given, "exporters on a", "/s", flags=flags)
    assert (list(found[0]), found[1]) == (contents, places)
    assert web.arguments(given, flags=flags) == arguments
    # Neither the unit nor a file that the service reads has a password.
    assert CANARY not in json.dumps([found, arguments])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({**TEXTS, "tls_client_ca": CERTIFICATE, "web_users": {"ops": CANARY}}, [], id="everything"),
        pytest.param(FILES, [], id="files"),
        pytest.param({"tls_certificate": CERTIFICATE}, ["need each other"], id="no key"),
        pytest.param({"tls_key_file": "/k"}, ["need each other"], id="no certificate"),
        pytest.param({**TEXTS, **FILES}, ["exclude each other", "exclude each other"], id="both"),
        pytest.param({"tls_client_ca": CERTIFICATE}, ["needs x_tls_certificate"], id="clients without TLS"),
        pytest.param({**TEXTS, "tls_key": CERTIFICATE}, ["no PRIVATE KEY in PEM"], id="no key in it"),
        pytest.param({**TEXTS, "tls_certificate": "/etc/x.pem"}, ["set x_tls_certificate_file"], id="a path as text"),
        pytest.param({**FILES, "tls_key_file": "own.key"}, ["absolute path"], id="a relative path"),
        pytest.param({"web_users": {"ops": "short"}}, ["12 to 72 bytes"], id="a short password"),
        pytest.param({"web_users": {"ops": ""}}, ["12 to 72 bytes"], id="no password"),
        pytest.param({"web_users": {"ops": "x" * 73}}, ["12 to 72 bytes"], id="bcrypt would cut it"),
        pytest.param({"web_users": {"ops": CANARY + "\n"}}, ["control character"], id="a newline"),
        pytest.param({"web_users": {"a:b": CANARY}}, ['the user "a:b"'], id="a colon"),
    ],
)
def test_faults(change: dict[str, t.Any], words: list[str]) -> None:
    found = web.faults("x", options(**change))
    assert len(found) == len(words)
    for fault, word in zip(found, words, strict=True):
        assert word in fault
        assert CANARY not in fault


@pytest.mark.parametrize(
    ("change", "switched"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"updated": ["web/web.yml"]}, True, id="a password of the Prometheus family"),
        pytest.param({"created": ["secrets/server.crt", "secrets/server.key"]}, True, id="TLS on"),
        pytest.param({"removed": ["secrets/web.yml"], "updated": ["exporter.service"]}, True, id="off"),
        pytest.param({"updated": ["metrics_users", "haproxy.cfg"]}, True, id="HAProxy's metrics"),
        pytest.param({"updated": ["access-password"]}, True, id="HAProxy's password"),
        pytest.param({"updated": ["prometheus.yml"], "created": ["secrets/slack-webhook-url"]}, False, id="others"),
        pytest.param({"updated": ["certificate.pem"]}, False, id="the certificate that users see"),
        pytest.param({"created": ["exporter.service", "secrets/web.yml"]}, False, id="a service that is new"),
        pytest.param({"pending": True}, True, id="what a killed run has left"),
        pytest.param({"pending": True, "updated": ["rules/api.yml"]}, False, id="a change that is known"),
    ],
)
def test_whether_it_is_asked_with_something_else(change: dict[str, t.Any], switched: bool) -> None:
    result = {"created": [], "updated": [], "removed": [], "pending": bool(change), **change}
    assert web.is_switched(result) is switched
    assert web.is_switched({"skipped": True}) is False
