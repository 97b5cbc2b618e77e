# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provisioning files that the role grafana writes, read as Grafana documents them.

https://grafana.com/docs/grafana/latest/administration/provisioning/. This reader shares nothing with the role or the
stand-in: Grafana ignores a misspelt key in silence, so the stand-in cannot find one.
"""

from __future__ import annotations

import json
import pathlib
import typing as t
import urllib.parse

import pytest
import yaml

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, play, tasks_of

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: nexod.infra.grafana, tasks_from: preflight, public: true}
    - ansible.builtin.debug: {msg: "{{ __grafana_files_common + __grafana_dashboards.files }}"}
"""

Key = tuple[type, bool]
REQUIRED, OPTIONAL = True, False
#: Keys of each kind of entry: their type, and whether Grafana needs them.
SOURCE: dict[str, Key] = {
    "name": (str, REQUIRED),
    "type": (str, REQUIRED),
    "access": (str, OPTIONAL),
    "orgId": (int, OPTIONAL),
    "uid": (str, OPTIONAL),
    "url": (str, OPTIONAL),
    "user": (str, OPTIONAL),
    "database": (str, OPTIONAL),
    "basicAuth": (bool, OPTIONAL),
    "basicAuthUser": (str, OPTIONAL),
    "withCredentials": (bool, OPTIONAL),
    "isDefault": (bool, OPTIONAL),
    "jsonData": (dict, OPTIONAL),
    "secureJsonData": (dict, OPTIONAL),
    "version": (int, OPTIONAL),
    "editable": (bool, OPTIONAL),
}
SOURCES: dict[str, Key] = {
    "apiVersion": (int, REQUIRED),
    "prune": (bool, OPTIONAL),
    "deleteDatasources": (list, OPTIONAL),
    "datasources": (list, OPTIONAL),
}
PROMETHEUS: dict[str, Key] = {
    "httpMethod": (str, OPTIONAL),
    "timeInterval": (str, OPTIONAL),
    "queryTimeout": (str, OPTIONAL),
    "customQueryParameters": (str, OPTIONAL),
    "manageAlerts": (bool, OPTIONAL),
    "prometheusType": (str, OPTIONAL),
    "prometheusVersion": (str, OPTIONAL),
    "cacheLevel": (str, OPTIONAL),
    "disableMetricsLookup": (bool, OPTIONAL),
    "incrementalQuerying": (bool, OPTIONAL),
    "exemplarTraceIdDestinations": (list, OPTIONAL),
    "tlsAuth": (bool, OPTIONAL),
    "tlsAuthWithCACert": (bool, OPTIONAL),
    "tlsSkipVerify": (bool, OPTIONAL),
    "serverName": (str, OPTIONAL),
    "keepCookies": (list, OPTIONAL),
    "timeout": (int, OPTIONAL),
}
PROVIDERS: dict[str, Key] = {"apiVersion": (int, REQUIRED), "providers": (list, OPTIONAL)}
PROVIDER: dict[str, Key] = {
    "name": (str, REQUIRED),
    "orgId": (int, OPTIONAL),
    "folder": (str, OPTIONAL),
    "folderUid": (str, OPTIONAL),
    "type": (str, OPTIONAL),
    "disableDeletion": (bool, OPTIONAL),
    "updateIntervalSeconds": (int, OPTIONAL),
    "allowUiUpdates": (bool, OPTIONAL),
    "options": (dict, REQUIRED),
}
OPTIONS: dict[str, Key] = {"path": (str, REQUIRED), "foldersFromFilesStructure": (bool, OPTIONAL)}


def is_a(value: object, kind: type) -> bool:
    """As YAML has it: a boolean is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def key_faults(where: str, entry: t.Any, keys: dict[str, Key]) -> list[str]:
    """Keys that Grafana does not know, lacks, or cannot read. YAML's `true` is no number, and a number no text."""
    if not isinstance(entry, dict):
        return [f"{where} is no mapping"]
    found = [f"{where}: {key} is unknown" for key in entry if key not in keys]
    found += [f"{where}: {key} is missing" for key, (_kind, needed) in keys.items() if needed and not entry.get(key)]
    return found + [
        f"{where}: {key} is no {kind.__name__}"
        for key, (kind, _needed) in keys.items()
        if key in entry and not is_a(entry[key], kind)
    ]


def repeated(where: str, entries: list[t.Any], key: str) -> list[str]:
    values = [entry[key] for entry in entries if isinstance(entry, dict) and key in entry]
    return [f"{where}: {key} {value} is there twice" for value in sorted({v for v in values if values.count(v) > 1})]


def source_faults(text: str) -> list[str]:
    """What Grafana would refuse or overlook in a file of data sources."""
    document = yaml.safe_load(text)
    found = key_faults("file", document, SOURCES)
    entries = document.get("datasources") or []
    for entry in entries:
        found += key_faults("data source", entry, SOURCE)
        if entry.get("access", "proxy") not in ("proxy", "direct"):
            found.append(f"data source: access is {entry['access']}")
        if entry.get("type") == "prometheus":
            found += key_faults("jsonData", entry.get("jsonData", {}), PROMETHEUS)
            if entry.get("jsonData", {}).get("httpMethod", "POST") not in ("GET", "POST"):
                found.append("jsonData: httpMethod")
            if urllib.parse.urlsplit(entry.get("url", "")).scheme not in ("http", "https"):
                found.append("data source: url has no scheme")
        found += [
            f"secureJsonData: {key}" for key, value in entry.get("secureJsonData", {}).items() if "$__" not in value
        ]
    found += [] if document.get("apiVersion") == 1 else ["file: apiVersion is not 1"]
    found += (
        [] if sum(entry.get("isDefault") is True for entry in entries) <= 1 else ["two data sources are the default"]
    )
    return found + repeated("data source", entries, "name") + repeated("data source", entries, "uid")


def provider_faults(text: str) -> list[str]:
    """What Grafana would refuse or overlook in a file of dashboard providers."""
    document = yaml.safe_load(text)
    found = key_faults("file", document, PROVIDERS)
    entries = document.get("providers") or []
    for entry in entries:
        found += key_faults("provider", entry, PROVIDER) + key_faults("options", entry.get("options"), OPTIONS)
        if entry.get("type", "file") != "file":
            found.append(f"provider: type is {entry['type']}")
        if (entry.get("options") or {}).get("foldersFromFilesStructure") and entry.get("folder"):
            found.append("provider: a folder, and folders from the files")
    found += [] if document.get("apiVersion") == 1 else ["file: apiVersion is not 1"]
    paths = [entry.get("options", {}) for entry in entries]
    return found + repeated("provider", entries, "name") + repeated("options", paths, "path")


def written(folder: pathlib.Path, **variables: t.Any) -> dict[str, str]:
    """The files that the role writes with these options."""
    (folder / "play.yml").write_text(PLAY)
    given = {
        "grafana_package_url": "https://h/grafana.deb",
        "grafana_package_checksum": "sha256:0",
        "grafana_admin_password": "canary",
        "grafana_datasource_url": "http://monitoring:9090",
        "grafana_overview": True,
        **variables,
    }
    done = play("-i", "localhost,", folder / "play.yml", "-e", json.dumps(given), **AS_JSON)
    result = tasks_of(done)[-1]["hosts"]["localhost"]
    assert isinstance(result["msg"], list), result["msg"]
    return {file["path"]: file["content"] for file in result["msg"] if "content" in file}


@pytest.mark.parametrize(
    ("variables", "sources", "providers"),
    [
        pytest.param({}, 1, 1, id="the least"),
        pytest.param({"grafana_datasource_url": "", "grafana_overview": False}, 0, 0, id="nothing to provision"),
        pytest.param(
            {
                "grafana_datasource_url": "https://monitoring:9090",
                "grafana_datasource_user": "grafana",
                "grafana_datasource_password": "canary",
                "grafana_datasource_ca": "PEM",
                "grafana_datasource_tls_certificate": "PEM",
                "grafana_datasource_tls_key": "canary",
            },
            1,
            1,
            id="a protected Prometheus",
        ),
        pytest.param(
            {
                "grafana_scrape_interval_seconds": "30",
                "grafana_overview_sources": ["api", "node"],
                "grafana_datasources": [
                    {
                        "name": "Logs",
                        "uid": "logs",
                        "type": "loki",
                        "url": "http://h:3100",
                        "secureJsonData": {
                            "basicAuthPassword": "$__file{/run/credentials/grafana-server.service/loki}",
                        },
                    }
                ],
                "grafana_secrets": {"loki": "canary"},
                "grafana_dashboards": [
                    {"folder": "Team", "content": {"uid": "t", "title": "T", "schemaVersion": 39, "panels": []}},
                ],
            },
            2,
            2,
            id="with data sources and dashboards of its own, and a number as text",
        ),
    ],
)
def test_what_the_role_writes_is_what_grafana_documents(
    tmp_path: pathlib.Path, variables: dict[str, t.Any], sources: int, providers: int
) -> None:
    files = written(tmp_path, **variables)
    source_file = files["provisioning/datasources/datasources.yml"]
    provider_file = files["provisioning/dashboards/dashboards.yml"]
    assert source_faults(source_file) == []
    assert provider_faults(provider_file) == []
    assert len(yaml.safe_load(source_file)["datasources"]) == sources
    # Data sources that are no longer declared go, and dashboards do with their files.
    assert yaml.safe_load(source_file)["prune"] is True
    entries = yaml.safe_load(provider_file)["providers"]
    assert len(entries) == providers
    assert not any(entry["disableDeletion"] for entry in entries)
    homes = [f"{entry['options']['path'].partition('/nexod-grafana/')[2]}/" for entry in entries]
    boards = [path for path in files if path.startswith("dashboards/")]
    # Every dashboard is in the folder of exactly one provider, and every provider has one.
    assert all(sum(path.startswith(home) for home in homes) == 1 for path in boards)
    assert all(any(path.startswith(home) for path in boards) for home in homes)


GOOD_SOURCE = {"name": "P", "type": "prometheus", "url": "http://h:9090"}
GOOD_PROVIDER = {"name": "a", "options": {"path": "/a"}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, "", id="as documented"),
        pytest.param({"acess": "proxy"}, "acess is unknown", id="misspelt"),
        pytest.param({"name": ""}, "name is missing", id="no name"),
        pytest.param({"isDefault": "true"}, "isDefault is no bool", id="a boolean as text"),
        pytest.param({"orgId": True}, "orgId is no int", id="a boolean as a number"),
        pytest.param({"access": "server"}, "access is server", id="an access that there is not"),
        pytest.param({"url": "h:9090"}, "url has no scheme", id="no scheme"),
        pytest.param({"jsonData": {"timeinterval": "15s"}}, "timeinterval is unknown", id="misspelt below"),
        pytest.param({"jsonData": {"timeInterval": 15}}, "timeInterval is no str", id="a number as an interval"),
        pytest.param({"secureJsonData": {"password": "x"}}, "secureJsonData: password", id="a secret in the file"),
    ],
)
def test_the_reader_of_data_sources(changes: dict[str, t.Any], fault: str) -> None:
    found = source_faults(yaml.safe_dump({"apiVersion": 1, "datasources": [{**GOOD_SOURCE, **changes}]}))
    assert any(fault in text for text in found) if fault else found == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, "", id="as documented"),
        pytest.param({"allowUIUpdates": True}, "allowUIUpdates is unknown", id="misspelt"),
        pytest.param({"options": {}}, "options is missing", id="no path"),
        pytest.param({"options": {"folder": "/a"}}, "path is missing", id="another path"),
        pytest.param({"type": "git"}, "type is git", id="another type"),
        pytest.param({"disableDeletion": "no"}, "disableDeletion is no bool", id="a boolean as text"),
        pytest.param(
            {"folder": "A", "options": {"path": "/a", "foldersFromFilesStructure": True}},
            "folders from the files",
            id="two ways to name folders",
        ),
    ],
)
def test_the_reader_of_providers(changes: dict[str, t.Any], fault: str) -> None:
    found = provider_faults(yaml.safe_dump({"apiVersion": 1, "providers": [{**GOOD_PROVIDER, **changes}]}))
    assert any(fault in text for text in found) if fault else found == []


def test_names_are_unique() -> None:
    sources = {"apiVersion": 1, "datasources": [{**GOOD_SOURCE, "isDefault": True}, {**GOOD_SOURCE, "isDefault": True}]}
    assert source_faults(yaml.safe_dump(sources)) == [
        "two data sources are the default",
        "data source: name P is there twice",
    ]
    providers = {"apiVersion": 2, "providers": [GOOD_PROVIDER, GOOD_PROVIDER]}
    assert len(provider_faults(yaml.safe_dump(providers))) == 3
