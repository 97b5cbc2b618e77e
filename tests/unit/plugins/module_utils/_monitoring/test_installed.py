"""How an Alertmanager is asked whose files may be newer than what it runs with."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.http_client import Access
from ansible_collections.nexod.infra.plugins.module_utils._monitoring.installed import Door, doors

#: What `access` of plugin_utils/_service/web.py gives amtool, with the folder of the sets as {home}.
PROTECTED = {
    "basic_auth": {"username": "ops", "password_file": "{home}/current/web/access-password"},
    "tls_config": {"ca_file": "{home}/current/web/server.crt"},
}
GIVEN = {"tls_config": {"ca_file": "/etc/ssl/own.crt", "cert_file": "/etc/ssl/own.crt", "key_file": "/etc/ssl/own.key"}}
URL = "http://127.0.0.1:9093"


def asked(link: str, url: str) -> Door:
    """Who is asked with PROTECTED."""
    files = {"password_file": f"{link}/web/access-password", "ca_file": f"{link}/web/server.crt"}
    return Door(url, Access(user="ops", names=False, **files))


OPEN = Access(names=False)
OWN = Access(ca_file="/etc/ssl/own.crt", certificate_file="/etc/ssl/own.crt", key_file="/etc/ssl/own.key", names=False)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        pytest.param({}, [], id="no Alertmanager"),
        pytest.param({"current": (None, "")}, [Door(URL, OPEN)], id="never verified, without an address"),
        pytest.param({"current": (None, URL), "live": (None, URL)}, [Door(URL, OPEN)], id="unprotected"),
        pytest.param(
            {"current": (PROTECTED, "https://127.0.0.1:9094/am"), "live": (None, URL)},
            [asked("{home}/current", "https://127.0.0.1:9094/am"), Door(URL, OPEN)],
            id="protected from now on, at another port",
        ),
        pytest.param(
            {"current": (None, URL), "live": (PROTECTED, "")},
            [Door(URL, OPEN), asked("{home}/live", "https://127.0.0.1:9093")],
            id="unprotected from now on, the set before without an address",
        ),
        pytest.param({"current": (GIVEN, "https://a")}, [Door("https://a", OWN)], id="files of the host"),
    ],
)
def test_ways_to_ask(
    sets: dict[str, tuple[dict[str, t.Any] | None, str]], expected: list[Door], tmp_path: pathlib.Path
) -> None:
    home = str(tmp_path)
    for link, (client, address) in sets.items():
        (tmp_path / link / "web").mkdir(parents=True)
        if client is not None:
            (tmp_path / link / "web/client.yml").write_text(json.dumps(client).replace("{home}", home))
        if address:
            (tmp_path / link / "address").write_text(f"{address}\n")
    assert repr(doors(tmp_path, URL)) == repr(expected).replace("{home}", home)


@pytest.mark.parametrize("text", ["basic_auth:", "[]"])
def test_a_damaged_file(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "current/web").mkdir(parents=True)
    (tmp_path / "current/web/client.yml").write_text(text)
    with pytest.raises(InfraError, match="Deploy the stage monitoring"):
        doors(tmp_path, URL)
