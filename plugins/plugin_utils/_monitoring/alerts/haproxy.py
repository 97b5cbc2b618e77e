# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on the entry point, from HAProxy's own metrics (2.6 and newer)."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    CAUSE,
    GRACE,
    Alert,
    Case,
    cases,
    gone,
    gone_cases,
    known,
    series,
)

#: Those that only follow another backend's servers.
OWN = 'proxy!~"api_(alive|websocket)"'
ON = {"job": "haproxy", "instance": "edge-1"}
SERVER = {**ON, "proxy": "api", "server": "api-1"}
UP, DOWN, DRAINED = (series("haproxy_server_status", {**SERVER, "state": state}) for state in ("UP", "DOWN", "DRAIN"))
ACTIVE = series("haproxy_backend_active_servers", {**ON, "proxy": "api"})
LEFT = f"haproxy_backend_active_servers{{{OWN}}}"
WAS_UP = known("haproxy_server_status", f'state="UP", {OWN}')
HOST_GONE = "max by (instance) (up) == 0 and count by (instance) (up) > 1"
SHOW = "On {{ $labels.instance }}: echo 'show stat' | socat - /run/haproxy/admin.sock"


def on_host(node: str) -> dict[str, str]:
    """What is scraped on the host of the server."""
    return {
        series("up", {"job": "api", "instance": "api-1"}): "0x25",
        series("up", {"job": "node", "instance": "api-1"}): node,
    }


ALERTS = (
    Alert(
        name="EntryPointDown",
        expression=gone("up", 'job="haproxy"'),
        component="edge",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="HAProxy on {{ $labels.instance }} does not answer",
        impact="No user reaches the product through this entry point.",
        look=("On {{ $labels.instance }}: systemctl status haproxy; journalctl -u haproxy -n 50",),
        fix=("On {{ $labels.instance }}: systemctl restart haproxy",),
        cases=gone_cases("up", ON),
    ),
    Alert(
        name="NoServerLeft",
        expression=f"{LEFT} == 0 and (max_over_time({LEFT}[{GRACE}]) > 0 or {LEFT} offset {GRACE})",
        component="api",
        severity="page",
        outage=True,
        summary="No server of {{ $labels.proxy }} is left at the entry point {{ $labels.instance }}",
        impact="Users get 503 for every request to it.",
        look=(SHOW, "On the hosts of the group api: curl -si http://127.0.0.1:8000/ready; journalctl -u api -n 50"),
        fix=(
            "Start the API, or what its /ready names as missing.",
            "After a deploy: ansible-playbook nexod.infra.roll_back",
        ),
        cases=(
            Case("was there", {ACTIVE: "2x5 0x20"}, "10m", ({**ON, "proxy": "api"},), before="5m"),
            Case("one is left", {ACTIVE: "2x5 1x20"}, "10m"),
            Case("before the first deploy", {ACTIVE: "0x20"}, "10m"),
        ),
    ),
    Alert(
        name="ServerDown",
        # Neither drained nor in maintenance: a deploy does both. A host that is gone has an alert of its own.
        expression=(
            f'haproxy_server_status{{state="DOWN", {OWN}}} == 1\nand ignoring (state) {WAS_UP}\n'
            f'unless on (server) label_replace({HOST_GONE}, "server", "$1", "instance", "(.+)")'
        ),
        component="api",
        summary="{{ $labels.server }} of {{ $labels.proxy }} fails its health check at {{ $labels.instance }}",
        impact="The other servers do its work. If they are too few, requests become slow.",
        look=("On {{ $labels.server }}: curl -si http://127.0.0.1:8000/ready; journalctl -u api -n 50", SHOW),
        fix=("On {{ $labels.server }}: systemctl restart api",),
        cases=(
            Case("was there", {UP: "1x5 0x20", DOWN: "0x5 1x20"}, "10m", ({**SERVER, "state": "DOWN"},), before="5m"),
            Case("its host is gone", {UP: "1x5 0x20", DOWN: "0x5 1x20", **on_host("0x25")}, "10m"),
            Case(
                "its host is still there",
                {UP: "1x5 0x20", DOWN: "0x5 1x20", **on_host("1x25")},
                "10m",
                ({**SERVER, "state": "DOWN"},),
            ),
            Case("is drained", {UP: "1x5 0x20", DOWN: "0x25"}, "10m"),
            Case("is new and not there yet", {UP: "0x20", DOWN: "1x20"}, "10m"),
            Case("never came", {UP: "0x50", DOWN: "1x50"}, "40m", ({**SERVER, "state": "DOWN"},)),
        ),
    ),
    Alert(
        name="ServerNotUsed",
        # A deploy and a profile do it for minutes. A run that was killed may leave it so, and nothing else reports it.
        expression=f'haproxy_server_status{{state=~"DRAIN|MAINT", {OWN}}} == 1',
        component="api",
        wait="30m",
        summary="{{ $labels.instance }} has not used {{ $labels.server }} of {{ $labels.proxy }} for half an hour",
        impact="The other servers do its work. If one of them fails, too few may be left.",
        look=(SHOW, "Whether a deploy is under way, or was ended before it had verified this instance."),
        fix=(
            "Deploy again, which verifies it and lets it serve: ansible-playbook nexod.infra.deploy",
            "If somebody drained it by hand, ask them.",
        ),
        cases=(
            Case("a killed deploy", {DRAINED: "0x5 1x40"}, "40m", ({**SERVER, "state": "DRAIN"},), before="30m"),
            Case("a deploy", {DRAINED: "0x5 1x10 0x30"}, "40m"),
        ),
    ),
    Alert(
        name="RequestsQueue",
        expression="sum by (instance, proxy) (haproxy_backend_current_queue) > 0",
        component="edge",
        wait="2m",
        keep="2m",
        summary="Requests to {{ $labels.proxy }} wait in the queue of {{ $labels.instance }}",
        impact="They are slow, and fail after the queue's time limit.",
        look=(SHOW,),
        fix=("Add instances of the API, or find what makes them slow.",),
        cases=cases(
            {series("haproxy_backend_current_queue", {**ON, "proxy": "api"}): "3x20"},
            {series("haproxy_backend_current_queue", {**ON, "proxy": "api"}): "0x20"},
            {"instance": "edge-1", "proxy": "api"},
        ),
    ),
    Alert(
        name="EntryPointConnectionsHigh",
        expression="haproxy_process_current_connections > 0.8 * haproxy_process_max_connections",
        component="edge",
        wait="2m",
        summary="HAProxy on {{ $labels.instance }} uses more than 80 % of its connections",
        impact="When none is left, new users wait without an answer.",
        look=(SHOW,),
        fix=("Raise haproxy_max_connections, or find who opens the connections.",),
        cases=cases(
            {
                series("haproxy_process_current_connections", ON): "90x20",
                series("haproxy_process_max_connections", ON): "100x20",
            },
            {
                series("haproxy_process_current_connections", ON): "70x20",
                series("haproxy_process_max_connections", ON): "100x20",
            },
            ON,
        ),
    ),
)
