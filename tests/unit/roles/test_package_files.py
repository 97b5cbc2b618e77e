# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In place of each configuration file of a package that no service reads stands a notice that names the real one."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.filter.package_file_notice import FilterModule

ROOT = pathlib.Path(__file__).resolve().parents[3]

#: What Debian's packages (Grafana's: its own) bring and our units do not read.
UNREAD = {
    "roles/prometheus/tasks/configure.yml": ["/etc/prometheus/prometheus.yml", "/etc/default/prometheus"],
    "roles/alertmanager/tasks/configure.yml": [
        "/etc/prometheus/alertmanager.yml",
        "/etc/default/prometheus-alertmanager",
    ],
    "roles/exporters/tasks/configure.yml": ["/etc/default/prometheus-{{ item }}-exporter"],
    "roles/exporters/vars/main.yml": ["/etc/prometheus/blackbox.yml"],
    "roles/pgbouncer/tasks/configure.yml": [
        "/etc/pgbouncer/pgbouncer.ini",
        "/etc/pgbouncer/userlist.txt",
        "/etc/default/pgbouncer",
    ],
    "roles/haproxy/vars/main.yml": ["/etc/haproxy/haproxy.cfg", "/etc/default/haproxy"],
    "roles/redis/tasks/configure.yml": ["/etc/redis/redis.conf", "/etc/default/redis-server"],
    "roles/grafana/vars/main.yml": ["/etc/grafana/grafana.ini"],
    "roles/frontend/tasks/configure.yml": [
        "/etc/nginx/nginx.conf",
        "/etc/nginx/sites-available/default",
        "/etc/default/nginx",
    ],
}


def notices(value: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every entry of a file set below `notices/`."""
    if isinstance(value, dict):
        if str(value.get("path", "")).startswith("notices/"):
            yield value
        for below in value.values():
            yield from notices(below)
    elif isinstance(value, list):
        for below in value:
            yield from notices(below)


@pytest.mark.parametrize("file", UNREAD)
def test_a_notice_stands_in_the_place_of_what_is_not_read(file: str) -> None:
    found = list(notices(yaml.safe_load((ROOT / file).read_text())))
    assert [entry["link"] for entry in found] == UNREAD[file]
    # It restarts nothing: neither when it is new, nor when it changes.
    assert {entry["on_change"] for entry in found} == {"none"}
    role = file.split("/")[1]
    for entry in found:
        real, named = re.findall(r"'([^']+)'", entry["content"])[0], f"package_file_notice('{role}'"
        assert real.startswith(("/etc/nexod/", "/etc/systemd/system/"))
        assert named in entry["content"]


def test_no_other_file_has_notices() -> None:
    files = [path for folder in ("tasks", "vars") for path in (ROOT / "roles").glob(f"*/{folder}/*.yml")]
    found = {str(path.relative_to(ROOT)) for path in files if list(notices(yaml.safe_load(path.read_text())))}
    assert found == set(UNREAD)


@pytest.mark.parametrize("include", ["", "include /etc/nexod/x;"])
def test_the_notice_is_comments_that_name_the_file(include: str) -> None:
    text = FilterModule().filters()["package_file_notice"](
        "/etc/nexod/prometheus/current/prometheus.yml", "prometheus", include
    )
    assert text.endswith("\n")
    assert "/etc/nexod/prometheus/current/prometheus.yml" in text
    assert "nexod.infra.prometheus" in text
    rest = [line for line in text.splitlines() if not line.startswith("# ")]
    assert rest == ([include] if include else [])
