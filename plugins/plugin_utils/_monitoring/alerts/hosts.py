# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on hosts, from the node exporter."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    CAUSE,
    Alert,
    Case,
    cases,
    series,
    unreachable,
)

ON = {"job": "node", "instance": "host-1"}
ROOT = {**ON, "mountpoint": "/", "device": "/dev/vda", "fstype": "ext4"}
FREE, SIZE = "node_filesystem_avail_bytes", "node_filesystem_size_bytes"
REAL = 'fstype!~"tmpfs|ramfs|squashfs|iso9660"'
AVAILABLE = f"{FREE}{{{REAL}}} / {SIZE}{{{REAL}}}"
UNIT = {**ON, "name": "api.service", "state": "failed"}
CHECK = {**UNIT, "name": "api-migrate@check.service"}
NODE, OTHER = series("up", ON), series("up", {"job": "redis", "instance": "host-1"})
DISK = (
    "On {{ $labels.instance }}: df -h {{ $labels.mountpoint }}; du -xh --max-depth=2 {{ $labels.mountpoint }}"
    " | sort -h | tail",
)
CLEAN = ("On {{ $labels.instance }}: journalctl --vacuum-size=200M; apt-get clean; remove what du shows.",)


def disk(free: str) -> dict[str, str]:
    """A disk of 100 bytes."""
    return {series(FREE, ROOT): free, series(SIZE, ROOT): "100x150"}


ALERTS = (
    Alert(
        name="HostDown",
        # A host that runs nothing but its exporter is left to TargetDown: it may be only the exporter that is gone.
        expression=f"{unreachable('node')} and on (instance) count by (instance) (up) > 1",
        component="host",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="{{ $labels.instance }} answers no scrape",
        impact="All that runs on it is down, or Prometheus cannot reach it.",
        look=("ping {{ $labels.instance }}; ssh {{ $labels.instance }} uptime", "The console of the machine"),
        fix=("Start the machine, or repair the network to it. Then deploy: its services start by themselves.",),
        cases=(
            Case("all is gone", {NODE: "1x5 0x60", OTHER: "1x5 0x60"}, "10m", (ON,), before="5m"),
            Case("nothing else is known of it", {NODE: "1x5 0x60"}, "10m"),
            Case("only its exporter is gone", {NODE: "1x5 0x60", OTHER: "1x60"}, "10m"),
            Case("is new and not there yet", {NODE: "0x60", OTHER: "0x60"}, "10m"),
            Case("never came", {NODE: "0x60", OTHER: "0x60"}, "35m", (ON,)),
        ),
    ),
    Alert(
        name="DiskFilling",
        # Over 6 hours, so that a deploy is no trend, and only where less than 40 % is left.
        expression=(
            f"predict_linear({FREE}{{{REAL}}}[6h], 12 * 3600) < 0\n"
            f"and {AVAILABLE} < 0.4\nand {FREE}{{{REAL}}} offset 1h"
        ),
        component="host",
        wait="30m",
        summary="{{ $labels.mountpoint }} of {{ $labels.instance }} will be full within 12 hours",
        impact="A full disk stops databases and logs.",
        look=DISK,
        fix=CLEAN,
        cases=(
            Case("fills", disk("100-0.6x150"), "2h15m", (ROOT,)),
            Case("fills, but much is left", disk("100-0.6x150"), "90m"),
            Case("a deploy wrote a lot", disk("45x100 35x50"), "2h15m"),
        ),
    ),
    Alert(
        name="DiskAlmostFull",
        expression=f"{AVAILABLE} < 0.05",
        component="host",
        severity="page",
        wait="5m",
        summary="{{ $labels.mountpoint }} of {{ $labels.instance }} has less than 5 % left",
        impact="A full disk stops databases and logs.",
        look=DISK,
        fix=CLEAN,
        cases=(
            Case("is almost full", disk("4x20"), "10m", (ROOT,)),
            Case("has space", disk("10x20"), "10m"),
        ),
    ),
    Alert(
        name="InodesLow",
        expression=f"node_filesystem_files_free{{{REAL}}} < 0.05 * (node_filesystem_files{{{REAL}}} > 0)",
        component="host",
        wait="15m",
        summary="{{ $labels.mountpoint }} of {{ $labels.instance }} has less than 5 % of its inodes left",
        impact="Without an inode no file can be created, however much space is left.",
        look=("On {{ $labels.instance }}: df -i; du --inodes -x {{ $labels.mountpoint }} | sort -n | tail",),
        fix=("Remove the many small files that du shows.",),
        cases=cases(
            {series("node_filesystem_files_free", ROOT): "1x30", series("node_filesystem_files", ROOT): "100x30"},
            {series("node_filesystem_files_free", ROOT): "50x30", series("node_filesystem_files", ROOT): "100x30"},
            ROOT,
        ),
    ),
    Alert(
        name="MemoryLow",
        expression="node_memory_MemAvailable_bytes < 0.08 * node_memory_MemTotal_bytes",
        component="host",
        wait="5m",
        summary="{{ $labels.instance }} has less than 8 % of its memory left",
        impact="The kernel may end a process, such as the database.",
        look=("On {{ $labels.instance }}: systemd-cgtop -m -n 1; ps aux --sort=-rss | head",),
        fix=("Restart what leaks, or give the host more memory.",),
        cases=cases(
            {
                series("node_memory_MemAvailable_bytes", ON): "5x20",
                series("node_memory_MemTotal_bytes", ON): "100x20",
            },
            {
                series("node_memory_MemAvailable_bytes", ON): "50x20",
                series("node_memory_MemTotal_bytes", ON): "100x20",
            },
            ON,
        ),
    ),
    Alert(
        name="OutOfMemoryKill",
        expression="increase(node_vmstat_oom_kill[10m]) > 0",
        component="host",
        wait="0m",
        summary="The kernel of {{ $labels.instance }} ended a process for lack of memory",
        impact="A service was interrupted; systemd has probably restarted it.",
        look=("On {{ $labels.instance }}: journalctl -k -g 'out of memory|oom-kill' -n 20",),
        fix=("Give it more memory (MemoryMax of its unit, or the host), or find its leak.",),
        cases=cases(
            {series("node_vmstat_oom_kill", ON): "0x15 1x20"}, {series("node_vmstat_oom_kill", ON): "3x40"}, ON
        ),
    ),
    Alert(
        name="ClockNotSynchronized",
        expression=(
            "node_timex_sync_status == 0 and node_timex_maxerror_seconds >= 16\nor abs(node_timex_offset_seconds) > 0.5"
        ),
        component="host",
        wait="10m",
        summary="The clock of {{ $labels.instance }} is not synchronized",
        impact="Sessions, certificates and graphs are wrong by the difference.",
        look=("On {{ $labels.instance }}: timedatectl timesync-status; chronyc tracking",),
        fix=("On {{ $labels.instance }}: systemctl restart systemd-timesyncd, and open UDP port 123 to its server.",),
        cases=cases(
            {series("node_timex_sync_status", ON): "0x20", series("node_timex_maxerror_seconds", ON): "16x20"},
            {series("node_timex_sync_status", ON): "1x20", series("node_timex_maxerror_seconds", ON): "0.1x20"},
            ON,
        ),
    ),
    Alert(
        name="UnitFailed",
        # Only with --collector.systemd, which environments have (roles/exporters/meta/environment.yml). A service that
        # has an alert of its own is that one's (inhibition.py).
        # The check of the schema fails where it finds something: its own alerts say what (migrations.py).
        expression='node_systemd_unit_state{state="failed", name!~".+-migrate@check[.]service"} == 1',
        component="host",
        wait="5m",
        summary="{{ $labels.name }} on {{ $labels.instance }} has failed",
        impact="What the unit does is not done.",
        look=(
            "On {{ $labels.instance }}: systemctl status {{ $labels.name }}; journalctl -u {{ $labels.name }} -n 50",
        ),
        fix=("On {{ $labels.instance }}: systemctl restart {{ $labels.name }}",),
        cases=(
            *cases(
                {series("node_systemd_unit_state", UNIT): "1x20"},
                {series("node_systemd_unit_state", UNIT): "0x20"},
                UNIT,
            ),
            Case("has alerts of its own", {series("node_systemd_unit_state", CHECK): "1x20"}, "20m"),
        ),
    ),
)
