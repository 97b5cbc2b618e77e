# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Grafana whether it serves what a file set holds: each data source and each dashboard, as they are in the set.

Usage: prove.py URL USER SET. Reads the password from SET/secrets/admin-password. Ends with 0, or says what differs.
"""

from __future__ import annotations

import base64
import json
import pathlib
import sys
import typing as t
import urllib.error
import urllib.request


def ask(url: str, authorization: str) -> t.Any:
    """What the API answers; no proxy stands between a host and itself."""
    request = urllib.request.Request(url, headers={"Authorization": authorization})  # noqa: S310 http, to this host
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


def panels_of(dashboard: t.Mapping[str, t.Any]) -> list[tuple[str, list[str]]]:
    """Each panel's title and expressions: what a newer Grafana leaves as it is when it migrates a dashboard."""
    return [
        (str(panel.get("title")), [str(target.get("expr")) for target in panel.get("targets") or []])
        for panel in dashboard.get("panels") or []
    ]


def differences(url: str, authorization: str, folder: pathlib.Path) -> list[str]:
    """What Grafana serves otherwise than the set says."""
    found: list[str] = []
    for path in sorted((folder / "provisioning/datasources").glob("*.yml")):
        for wanted in json.loads(path.read_text(encoding="utf-8"))["datasources"]:
            served = ask(f"{url}/api/datasources/uid/{wanted['uid']}", authorization)
            found += [
                f"data source {wanted['uid']}: {key} is {served.get(key)!r}, not {wanted[key]!r}"
                for key in ("name", "type", "url", "isDefault")
                if served.get(key) != wanted[key]
            ]
    for path in sorted((folder / "dashboards").glob("*.json")):
        wanted = json.loads(path.read_text(encoding="utf-8"))
        served = ask(f"{url}/api/dashboards/uid/{wanted['uid']}", authorization)["dashboard"]
        if served.get("title") != wanted["title"] or panels_of(served) != panels_of(wanted):
            found.append(f"dashboard {wanted['uid']}: what is served is not what {path.name} holds")
    return found


def main() -> int:
    """Wiring."""
    url, user, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    password = (folder / "secrets/admin-password").read_text(encoding="utf-8")
    authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    try:
        found = differences(url.rstrip("/"), authorization, folder)
    except urllib.error.HTTPError as error:
        hint = ""
        if error.code == 401:
            hint = (
                "; Grafana takes the password at its first start only: set it with "
                "`grafana cli admin reset-admin-password --password-from-stdin`"
            )
        found = [f"{error.url}: HTTP {error.code}{hint}"]
    except OSError as error:
        found = [f"{url}: {error}"]
    for difference in found:
        print(difference, file=sys.stderr)  # noqa: T201 the caller shows it
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
