# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts, from the node exporter."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.boards.panels import (
    Board,
    Line,
    Panel,
    Query,
    Section,
)

# File systems that outlive the host's start and can be written to.
DISKS = '{<node>, fstype!~"tmpfs|ramfs|iso9660|squashfs", mountpoint!~"/etc/.+"}'
INTERFACES = '{<node>, device!~"lo|veth.*"}'

PROCESSOR = (
    Panel(
        "CPU",
        "Fraction of each host's processor time that was used.",
        "percentunit",
        (
            Query(
                '1 - avg by (instance) (rate(node_cpu_seconds_total{<node>, mode="idle"}[<rate>]))',
                "{{instance}}",
            ),
        ),
        (Line(0.9, "red"),),
    ),
    Panel(
        "Load for each core",
        "Processes that run or wait, divided by the number of cores. Above 1, some wait.",
        "short",
        (
            Query(
                "node_load5{<node>} / on (environment, instance)"
                ' count by (environment, instance) (node_cpu_seconds_total{<node>, mode="idle"})',
                "{{instance}}",
            ),
        ),
        (Line(1, "orange"),),
    ),
    Panel(
        "Pressure",
        "Fraction of the time in which some process waited for processor, disk or memory (Linux's PSI).",
        "percentunit",
        tuple(
            Query(f"rate(node_pressure_{kind}_waiting_seconds_total{{<node>}}[<rate>])", f"{{{{instance}}}} {kind}")
            for kind in ("cpu", "io", "memory")
        ),
    ),
)

MEMORY = (
    Panel(
        "Memory",
        "Fraction of each host's memory that is in use.",
        "percentunit",
        (Query("1 - node_memory_MemAvailable_bytes{<node>} / node_memory_MemTotal_bytes{<node>}", "{{instance}}"),),
        (Line(0.9, "red"),),
    ),
    Panel(
        "Processes ended for lack of memory",
        "Processes that the kernel ended, per second.",
        "ops",
        (Query("rate(node_vmstat_oom_kill{<node>}[<rate>])", "{{instance}}"),),
    ),
)

DISK = (
    Panel(
        "Disk space",
        "Fraction of each file system that is in use.",
        "percentunit",
        (
            Query(
                f"1 - node_filesystem_avail_bytes{DISKS} / node_filesystem_size_bytes{DISKS}",
                "{{instance}} {{mountpoint}}",
            ),
        ),
        (Line(0.85, "orange"), Line(0.95, "red")),
    ),
    Panel(
        "Disk time",
        "Fraction of the time in which each disk was busy.",
        "percentunit",
        (Query("rate(node_disk_io_time_seconds_total{<node>}[<rate>])", "{{instance}} {{device}}"),),
    ),
    Panel(
        "Disk traffic",
        "Bytes per second read and written.",
        "Bps",
        (
            Query("sum by (instance) (rate(node_disk_read_bytes_total{<node>}[<rate>]))", "{{instance}} read"),
            Query("sum by (instance) (rate(node_disk_written_bytes_total{<node>}[<rate>]))", "{{instance}} written"),
        ),
    ),
)

NETWORK = (
    Panel(
        "Network traffic",
        "Bytes per second received and sent.",
        "Bps",
        (
            Query(
                f"sum by (instance) (rate(node_network_receive_bytes_total{INTERFACES}[<rate>]))",
                "{{instance}} received",
            ),
            Query(
                f"sum by (instance) (rate(node_network_transmit_bytes_total{INTERFACES}[<rate>]))",
                "{{instance}} sent",
            ),
        ),
    ),
    Panel(
        "Network errors",
        "Packets per second that were damaged or dropped.",
        "pps",
        (
            Query(
                f"sum by (instance) (rate(node_network_receive_errs_total{INTERFACES}[<rate>])"
                f" + rate(node_network_receive_drop_total{INTERFACES}[<rate>]))",
                "{{instance}} received",
            ),
            Query(
                f"sum by (instance) (rate(node_network_transmit_errs_total{INTERFACES}[<rate>])"
                f" + rate(node_network_transmit_drop_total{INTERFACES}[<rate>]))",
                "{{instance}} sent",
            ),
        ),
    ),
)

HEALTH = (
    Panel(
        "Uptime",
        "Time since each host was started.",
        "s",
        (Query("time() - node_boot_time_seconds{<node>}", "{{instance}}"),),
    ),
    Panel(
        "Clock",
        "By how much each clock differs from the one of Prometheus, with the time that a scrape takes.",
        "s",
        # The exporter's own estimate (node_timex_*) is missing, as its unit may not make that system call.
        (Query("abs(node_time_seconds{<node>} - timestamp(node_time_seconds{<node>}))", "{{instance}}"),),
    ),
    Panel(
        "Open files",
        "Fraction of the file handles that are in use.",
        "percentunit",
        (Query("node_filefd_allocated{<node>} / node_filefd_maximum{<node>}", "{{instance}}"),),
    ),
)

HOSTS = Board(
    "hosts",
    "Hosts",
    "Processor, memory, disk and network of every host.",
    ("node",),
    (
        Section("Processor", PROCESSOR),
        Section("Memory", MEMORY),
        Section("Disk", DISK),
        Section("Network", NETWORK),
        Section("Health", HEALTH),
    ),
)
