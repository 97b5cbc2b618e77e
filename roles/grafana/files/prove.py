# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that Grafana runs the installed version and serves the data sources and dashboards of a file set.

It logs in with the password of the set and, if there is to be one, with the token for annotations.

It writes nothing with NEXOD_CHECK_MODE in its environment. With NEXOD_SURVEY it also asks each data source for an
answer if the set says so: while one is down, the survey does not prove Grafana, so that the role's own tasks look at
the data sources, and wait for them.

Usage: prove.py SET PACKAGE. The address and the account are those of the set, in SET/settle.json, so that a set that
was returned to is proven by its own. Exits with 0, or prints what differs and exits with 1, or with 78
if waiting does not change that.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

Ask = t.Callable[[str], t.Any]

#: What live_service takes for a difference that stays, however long it waits.
IN_VAIN = 78


#: Seconds in which a password that was refused is not tried again: Grafana locks an account after five attempts.
PAUSE = 60.0

#: Seconds that a survey waits for a data source.
SURVEY_WAIT = 4.0

REFUSED = (
    "the administrator's password is refused: somebody has changed it, or five refused attempts have locked the "
    "account for five minutes. A restart of grafana-server sets it again; its log says why if it could not"
)


class FinalError(Exception):
    """A difference that does not go away by itself."""


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def client(url: str, authorization: str, timeout: float = 10) -> Ask:
    """A function that returns the API's answer for a path; no proxy is used between a host and itself."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path: str) -> t.Any:
        request = urllib.request.Request(  # noqa: S310 http, to this host
            url.rstrip("/") + path, headers={"Authorization": authorization}
        )
        with opener.open(request, timeout=timeout) as answer:
            return json.load(answer)

    return ask


def installed_version(package: str) -> str:
    """The version of the Debian package, or nothing where dpkg does not know it."""
    found = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()


def same_version(installed: str, running: str) -> bool:
    """Whether a Debian version is the one that Grafana reports. Debian's has `~` where Grafana's has `-`."""
    plain = installed.rpartition(":")[2].replace("~", "-")
    return plain == running or plain.rpartition("-")[0] == running


def version_differences(ask: Ask, installed: str) -> list[str]:
    """An old process that still runs after its package was replaced; Grafana can be configured to hide its version."""
    running = str(ask("/api/health").get("version") or "")
    if not installed or not running or same_version(installed, running):
        return []
    return [f"version {running} is running, and {installed} is installed"]


def panels_of(dashboard: t.Mapping[str, t.Any]) -> list[tuple[str, list[str]]]:
    """Each panel's title and expressions, which a newer Grafana keeps when it migrates a dashboard."""
    return [
        (str(panel.get("title")), [str(target.get("expr")) for target in panel.get("targets") or []])
        for panel in dashboard.get("panels") or []
    ]


def source_differences(ask: Ask, folder: pathlib.Path) -> list[str]:
    """How the data sources differ from the set; values that Grafana reads from elsewhere are not compared."""
    found = []
    for path in sorted((folder / "provisioning/datasources").glob("*.yml")):
        for source in json.loads(path.read_text(encoding="utf-8"))["datasources"]:
            place = (
                f"uid/{source['uid']}" if source.get("uid") else f"name/{urllib.parse.quote(source['name'], safe='')}"
            )
            served = ask(f"/api/datasources/{place}")
            found += [
                f"data source {source['name']}: {key} is {served.get(key)!r} instead of {source[key]!r}"
                for key in ("name", "type", "url", "isDefault")
                if key in source and "$" not in str(source[key]) and served.get(key) != source[key]
            ]
    return found


def silent_source(ask: Ask, folder: pathlib.Path) -> list[str]:
    """The first data source for which Grafana's own check does not say that it answers.

    A type or a version without such a check is left to nexod.infra.grafana_datasource_health, as is the cause.
    """
    for path in sorted((folder / "provisioning/datasources").glob("*.yml")):
        for source in json.loads(path.read_text(encoding="utf-8"))["datasources"]:
            uid = source.get("uid")
            try:
                known = uid or ask(f"/api/datasources/name/{urllib.parse.quote(source['name'], safe='')}")["uid"]
                said = str(ask(f"/api/datasources/uid/{known}/health").get("status"))
            except urllib.error.HTTPError as error:
                said = f"HTTP {error.code}"
            if said != "OK":
                return [f"data source {source['name']}: {said}"]
    return []


def dashboard_differences(ask: Ask, folder: pathlib.Path) -> list[str]:
    """How the dashboards differ from the set."""
    found = []
    for path in sorted((folder / "dashboards").rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if "spec" in document:
            continue  # The newer resource form is served in another shape than it is written in.
        if not document.get("uid"):
            hits = ask(f"/api/search?type=dash-db&query={urllib.parse.quote(document['title'])}")
            if document["title"] not in [hit.get("title") for hit in hits]:
                found.append(f"dashboard {document['title']!r} is not served")
            continue
        served = ask(f"/api/dashboards/uid/{document['uid']}")["dashboard"]
        if served.get("title") != document["title"] or panels_of(served) != panels_of(document):
            found.append(f"dashboard {document['uid']} differs from {path.name}")
    return found


def token_differences(url: str, settings: t.Mapping[str, t.Any]) -> list[str]:
    """Whether the token for annotations is missing, was revoked or has expired."""
    if not settings.get("account"):
        return []
    place = pathlib.Path(settings["state"]) / "annotations-token"
    try:
        client(url, f"Bearer {place.read_text(encoding='utf-8').strip()}")("/api/annotations?limit=1")
    except FileNotFoundError:
        return [f"the token for annotations is missing ({place})"]
    except urllib.error.HTTPError as error:
        return [f"the token for annotations is refused (HTTP {error.code}): it was revoked or has expired"]
    return []


def plugin_differences(ask: Ask, pinned: t.Mapping[str, str]) -> list[str]:
    """Plugins that Grafana has not loaded: it skips one without a valid signature, and one that does not fit it."""
    if not pinned:
        return []
    loaded = {row.get("id"): (row.get("info") or {}).get("version") for row in ask("/api/plugins?embedded=0")}
    missing = [name for name, version in pinned.items() if loaded.get(name) != version]
    if missing and (refused := refused_plugins(ask, missing)):
        said = ", ".join(f"plugin {name} {pinned[name]} is not loaded: {code}" for name, code in refused.items())
        raise FinalError(
            f"{said}. Grafana loads only plugins that are signed, or that its configuration names as unsigned"
        )
    return [
        f"plugin {name} {version} is not loaded"
        + (
            f", but {loaded[name]} is"
            if loaded.get(name)
            else ": the log of grafana-server says why (signature, version)"
        )
        for name, version in pinned.items()
        if loaded.get(name) != version
    ]


def refused_plugins(ask: Ask, names: t.Container[str]) -> dict[str, str]:
    """Why Grafana has refused plugins, such as signatureMissing; it does so once, when it starts."""
    try:
        errors = ask("/api/plugins/errors")
    except urllib.error.HTTPError:
        return {}
    return {row["pluginId"]: str(row.get("errorCode")) for row in errors if row.get("pluginId") in names}


def recently(marker: pathlib.Path, now: float) -> bool:
    """Whether the password was refused a moment ago."""
    try:
        return 0 <= now - marker.stat().st_mtime < PAUSE
    except OSError:
        return False


def main() -> int:
    """Wiring."""
    folder, package = pathlib.Path(sys.argv[1]), sys.argv[2]
    url, marker, code = "", None, 1
    try:
        settings = json.loads((folder / "settle.json").read_text(encoding="utf-8"))
        url = settings["url"]
        marker = pathlib.Path(settings["refused"])
        password = (folder / "secrets/admin-password").read_text(encoding="utf-8")
        if recently(marker, time.time()):
            raise FinalError(f"{url}: {REFUSED}")
        ask = client(url, basic(settings["user"], password))
        # First what needs no login: one that is refused counts.
        health = ask("/api/health")
        if health.get("database") != "ok":
            raise ValueError(f"its database is {health.get('database')!r}")
        ask("/api/user")
        found = version_differences(ask, installed_version(package)) + token_differences(url, settings)
        pinned = json.loads((folder / "plugins.json").read_text(encoding="utf-8"))["plugins"]
        found += plugin_differences(ask, pinned)
        found += source_differences(ask, folder) + dashboard_differences(ask, folder)
        if settings.get("sources_answer") and os.environ.get("NEXOD_SURVEY") and not found:
            found = silent_source(client(url, basic(settings["user"], password), SURVEY_WAIT), folder)
    except urllib.error.HTTPError as error:
        found = [f"{error.url}: HTTP {error.code}{f': {REFUSED}' if error.code == 401 else ''}"]
        if error.code == 401:
            # Another attempt would be refused too, and count.
            code = IN_VAIN
            if marker and not os.environ.get("NEXOD_CHECK_MODE"):
                marker.touch(mode=0o600)
    except FinalError as error:
        found, code = [str(error)], IN_VAIN
    # Half an answer and another protocol are HTTPException; half a document is a ValueError, an odd one lacks its keys.
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        found = [f"{url}: {error!r}"]
    for difference in found:
        print(difference, file=sys.stderr)  # noqa: T201 the module that runs this shows it
    return code if found else 0


if __name__ == "__main__":
    sys.exit(main())
