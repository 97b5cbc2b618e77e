# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""grafana.ini, dashboards by folder, and the faults in the role's options."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import grafana

BOARD: dict[str, t.Any] = {"uid": "b", "title": "B", "schemaVersion": 39, "panels": []}


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"smtp": {"enabled": True, "port": 25}}, "[smtp]\nenabled = true\nport = 25\n", id="types"),
        pytest.param({"smtp": {"enabled": "false"}}, "[smtp]\nenabled = false\n", id="a boolean as text"),
        pytest.param({"log": {"mode": None, "level": "info"}}, "[log]\nlevel = info\n", id="null leaves a key out"),
        pytest.param(
            {"log": {"level": "info"}, "": {"app_mode": "production"}},
            "app_mode = production\n\n[log]\nlevel = info\n",
            id="keys above the first section",
        ),
        pytest.param({"a": {"b": "c;d #e"}}, '[a]\nb = """c;d #e"""\n', id="no comment begins in a value"),
        pytest.param({"a": {"b": 'say "x"'}}, '[a]\nb = `say "x"`\n', id="quotation marks"),
        pytest.param({"a": {"b": " c "}}, '[a]\nb = """ c """\n', id="outer spaces"),
    ],
)
def test_ini(sections: dict[str, dict[str, t.Any]], text: str) -> None:
    assert grafana.ini(sections) == text


def entries_in(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    (folder / "team").mkdir()
    (folder / "team/one.json").write_text(json.dumps({**BOARD, "uid": "one"}))
    (folder / "team/two.json").write_text(json.dumps({**BOARD, "uid": "two"}))
    (folder / "broken.json").write_text("{")
    (folder / "empty").mkdir()
    return {"base": folder}


def test_dashboards_by_folder(tmp_path: pathlib.Path) -> None:
    entries_in(tmp_path)
    found = grafana.dashboards(
        [
            {"folder": "Team A!", "src": "team"},
            {"folder": "team a", "content": BOARD},
            {"content": json.dumps({**BOARD, "uid": None, "title": "Top of it"})},
            {"folder": "Two", "content": [{**BOARD, "uid": "c"}, {**BOARD, "uid": "d"}]},
        ],
        str(tmp_path),
        "/set/dashboards",
    )
    assert found["faults"] == []
    assert [file["path"] for file in found["files"]] == [
        "dashboards/team-a/one.json",
        "dashboards/team-a/two.json",
        "dashboards/team-a-2/b.json",
        "dashboards/top-level/top-of-it.json",
        "dashboards/two/c.json",
        "dashboards/two/d.json",
    ]
    assert [(row["folder"], row["options"]["path"]) for row in found["providers"]] == [
        ("Team A!", "/set/dashboards/team-a"),
        ("team a", "/set/dashboards/team-a-2"),
        ("", "/set/dashboards/top-level"),
        ("Two", "/set/dashboards/two"),
    ]
    assert len({row["name"] for row in found["providers"]}) == 4


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        pytest.param([{}], "needs either src or content", id="neither"),
        pytest.param([{"src": "team", "content": BOARD}], "needs either src or content", id="both"),
        pytest.param([{"src": "nowhere.json"}], "No such file", id="no such file"),
        pytest.param([{"src": "empty"}], "holds no file *.json", id="an empty folder"),
        pytest.param([{"src": "broken.json"}], "is not JSON", id="not JSON"),
        pytest.param([{"content": "{"}], "Expecting", id="content that is not JSON"),
        pytest.param([{"content": [1]}], "must be a JSON object", id="a list of something else"),
        pytest.param([{"content": {**BOARD, "title": ""}}], "it has no title", id="no title"),
        pytest.param([{"content": {**BOARD, "uid": "a b"}}], "its uid must be", id="uid with a space"),
        pytest.param([{"content": {"title": "x"}}], "it has no schemaVersion", id="no schema version"),
        pytest.param([{"content": {**BOARD, "__inputs": [1]}}], "exported for sharing", id="exported for sharing"),
        pytest.param([{"src": "team"}, {"src": "team/one.json"}], "'one' occurs more than once", id="uid twice"),
        pytest.param(
            [{"content": {**BOARD, "uid": "x-y"}}, {"content": {**BOARD, "uid": "x_y"}}],
            "have the same file name",
            id="equal file names",
        ),
    ],
)
def test_faults_of_dashboards(tmp_path: pathlib.Path, entries: list[dict[str, t.Any]], fault: str) -> None:
    entries_in(tmp_path)
    found = grafana.dashboards(entries, str(tmp_path), "/set")["faults"]
    assert any(fault in text for text in found), found


def given(**changes: t.Any) -> dict[str, t.Any]:
    """Options without a fault, with changes."""
    return {
        "grafana_package_url": "",
        "grafana_package_checksum": "",
        "grafana_package_path": __file__,
        "grafana_repository": {},
        "grafana_version": "",
        "grafana_admin_password": True,
        "grafana_external_url": "",
        "grafana_ini": {},
        "grafana_secrets": [],
        "grafana_environment": {},
        "grafana_plugins": [],
        "grafana_login_form": True,
        "grafana_anonymous_access": False,
        "grafana_oauth": [],
        **{f"grafana_smtp_{name}": "" for name in ("host", "user", "password", "from_address")},
        "grafana_smtp_port": 587,
        "grafana_smtp_from_name": "Grafana",
        "grafana_smtp_starttls": "mandatory",
        "datasources": [],
        "credentials": "/run/credentials/g.service",
        "os_family": "",
        **changes,
    }


PIN = {"id": "grafana-clock-panel", "version": "2.1.8", "checksum": "sha256:" + "0" * 64, "url": "https://h/clock.zip"}
SOURCE: dict[str, t.Any] = {"name": "P", "type": "prometheus", "url": "http://h:9090", "uid": "p"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="the least"),
        pytest.param({"os_family": "Debian"}, id="known to be Debian"),
        pytest.param({"grafana_package_path": "", "grafana_repository": {"url": "https://x"}}, id="a repository"),
        pytest.param({"grafana_package_path": "", "grafana_archive": {"version": "12.0.2"}}, id="an archive"),
        pytest.param({"grafana_archive": {"mirror": "https://x"}}, id="a mirror that is not used"),
        pytest.param(
            {"grafana_package_path": "", "grafana_package_url": "https://x", "grafana_package_checksum": "sha256:0"},
            id="a URL",
        ),
        pytest.param({"grafana_external_url": "https://h/grafana/"}, id="below a path"),
        pytest.param(
            {"grafana_ini": {"users": {"password_hint": "x"}, "auth": {"oauth_token": True}}}, id="no secrets"
        ),
        pytest.param(
            {
                "grafana_ini": {"smtp": {"password": "$__file{/run/credentials/g.service/smtp}"}},
                "grafana_secrets": ["smtp"],
            },
            id="a secret by reference",
        ),
        pytest.param({"datasources": [SOURCE, {**SOURCE, "name": "Q", "uid": "q"}]}, id="two sources"),
        pytest.param({"grafana_plugins": [PIN, {**PIN, "id": "b", "url": "", "path": __file__}]}, id="two plugins"),
        pytest.param({"grafana_ini": {"plugins": {"plugin_admin_enabled": True}}}, id="plugins by hand"),
        pytest.param({"datasources": [{"name": "D", "type": "postgres", "url": "db:5432"}]}, id="host and port"),
        pytest.param({"datasources": [{**SOURCE, "url": "$__env{URL}"}]}, id="a URL from the environment"),
    ],
)
def test_no_faults(changes: dict[str, t.Any]) -> None:
    assert grafana.faults(given(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"grafana_package_path": ""}, "give grafana_package_url with", id="no package"),
        pytest.param({"grafana_repository": {"url": "x"}}, "give only one of", id="two sources"),
        pytest.param({"grafana_archive": {"version": "12.0.2"}}, "give only one of", id="a package and an archive"),
        pytest.param({"grafana_package_path": "/nowhere.deb"}, "is not a file on the controller", id="no such package"),
        pytest.param(
            {"grafana_package_path": "", "grafana_package_url": "https://x"}, "give grafana_package_checksum", id="sum"
        ),
        pytest.param({"grafana_version": "1"}, "applies to grafana_repository only", id="version of a file"),
        pytest.param(
            {"grafana_package_path": "", "grafana_repository": {"key": "x"}},
            "give grafana_repository its url",
            id="url",
        ),
        pytest.param({"grafana_admin_password": False}, "give grafana_admin_password", id="no password"),
        pytest.param({"os_family": "RedHat"}, "this host is RedHat", id="another distribution"),
        pytest.param({"grafana_external_url": "h:3000"}, "is not an http or https URL", id="no scheme"),
        pytest.param({"grafana_external_url": "http://h/?a"}, "no query", id="a query"),
        pytest.param({"grafana_ini": {"smtp": 1}}, "section 'smtp' must hold", id="no section"),
        pytest.param({"grafana_ini": {"server": {"http_port": 1}}}, "is set by grafana_port", id="the role's own"),
        pytest.param({"grafana_ini": {"paths": {"data": "/x"}}}, "is fixed", id="a path"),
        pytest.param({"grafana_ini": {"server": {"protocol": "https"}}}, "plain HTTP", id="TLS"),
        pytest.param({"grafana_ini": {"a": {"b": [1]}}}, "must be a single value", id="a list"),
        pytest.param({"grafana_ini": {"a": {"b": "x\ny"}}}, "must have one line", id="two lines"),
        pytest.param({"grafana_ini": {"smtp": {"password": "x"}}}, "is a secret", id="a password"),
        pytest.param({"grafana_secrets": ["a/b"]}, "the name 'a/b' must be", id="name of a secret"),
        pytest.param({"grafana_plugins": [{**PIN, "checksum": ""}]}, "it is not pinned", id="no checksum"),
        pytest.param({"grafana_plugins": [{**PIN, "checksum": "md5:0"}]}, "it is not pinned", id="a weak checksum"),
        pytest.param({"grafana_plugins": [{**PIN, "version": "latest"}]}, "is not one version", id="any version"),
        pytest.param({"grafana_plugins": [{**PIN, "id": "../x"}]}, "the id must be", id="an id that is a path"),
        pytest.param({"grafana_plugins": [PIN, PIN]}, "occurs more than once", id="a plugin twice"),
        pytest.param({"grafana_plugins": [{**PIN, "path": "/x"}]}, "either url or path", id="two archives"),
        pytest.param({"grafana_plugins": [{**PIN, "url": "clock.zip"}]}, "is not an http", id="a plugin's URL"),
        pytest.param(
            {"grafana_plugins": [{**PIN, "url": "", "path": "/nowhere.zip"}]}, "is not a file", id="no such archive"
        ),
        pytest.param({"grafana_ini": {"plugins": {"preinstall": "x"}}}, "use grafana_plugins", id="installed at start"),
        pytest.param(
            {"grafana_plugins": [PIN], "grafana_ini": {"plugins": {"plugin_admin_enabled": True}}},
            "plugins.plugin_admin_enabled is set by grafana_plugins",
            id="two who install plugins",
        ),
        pytest.param({"grafana_secrets": ["admin-password"]}, "is the role's own", id="the role's secret"),
        pytest.param(
            {"datasources": [{**SOURCE, "secureJsonData": {"x": "$__file{/run/credentials/g.service/y}"}}]},
            "'y' is referred to and is not in grafana_secrets",
            id="a secret that is not given",
        ),
        pytest.param({"grafana_environment": {"A-B": "x"}}, "not the name of an environment variable", id="variable"),
        pytest.param({"grafana_environment": {"A": "x\ny"}}, "must have one line", id="variable of two lines"),
        pytest.param({"datasources": [{"url": "http://h"}]}, "has no name", id="no name"),
        pytest.param({"datasources": [{**SOURCE, "url": "h:9090"}]}, "is not an http or https URL", id="source's URL"),
        pytest.param({"datasources": [{**SOURCE, "uid": "a b"}]}, "must be 1 to 40", id="source's uid"),
        pytest.param(
            {"datasources": [{**SOURCE, "secureJsonData": {"x": "y"}}]}, "is in plain text", id="a secret in plain text"
        ),
        pytest.param({"datasources": [SOURCE, SOURCE]}, "name 'P' occurs more than once", id="source twice"),
        pytest.param(
            {"datasources": [{**SOURCE, "isDefault": "true"}, {"name": "Q", "type": "loki", "isDefault": True}]},
            "more than one data source has isDefault",
            id="two defaults",
        ),
    ],
)
def test_faults(changes: dict[str, t.Any], fault: str) -> None:
    found = grafana.faults(given(**changes))
    assert any(fault in text for text in found), found


def test_a_secret_is_never_part_of_a_fault() -> None:
    options = given(
        grafana_ini={"smtp": {"password": "canary"}},
        datasources=[{**SOURCE, "secureJsonData": {"token": "canary"}}],
        grafana_environment={"A": "canary\n"},
    )
    assert "canary" not in " ".join(grafana.faults(options))
