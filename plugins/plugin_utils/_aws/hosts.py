# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: instances of EC2 for poolers, migration runner, Prometheus and Grafana, and how they are reached."""

from __future__ import annotations

import re

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import (
    Options,
    Row,
    allow,
    group,
    place,
    policies,
    row,
    zone_of,
)

#: Types of instances with processors of ARM: t4g.small, m7gd.large, and the first of them.
GRAVITON = re.compile(r"[a-z]+\d+g[a-z]*\.|a1\.")
#: What Session Manager needs, and nothing else.
SESSIONS = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
#: Debian's images come without the agent. By Python, which cloud-init needs anyway: not every image has curl. A gateway
#: that has just been created may not answer yet, and dpkg may be in use by the first boot.
FIRST_START = """\
#!/bin/sh
set -eu
agent=/var/tmp/amazon-ssm-agent.deb
fetch='import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])'
until python3 -c "$fetch" {url} "$agent"; do sleep 5; done
until dpkg --install "$agent"; do sleep 5; done
systemctl enable --now amazon-ssm-agent
"""


def hosts(options: Options) -> list[Row]:
    """The declared hosts, with the role that lets Session Manager in, and their key where one is given."""
    if not options["hosts"]:
        return []
    name, key = options["prefix"], options["hosts_public_key"]
    profiles = sorted({profile_of(options, host) for host in options["hosts"]})
    return [
        *(one for profile in profiles for one in role(options, profile)),
        *([row("key_pair", f"{name}-hosts", public_key=key)] if key else []),
        *(instance(options, host) for host in options["hosts"]),
    ]


def profile_of(options: Options, host: Options) -> str:
    """The role of a host, and its instance profile: that of Prometheus finds tasks and reads metrics."""
    return f"{options['prefix']}-{'monitoring' if 'monitoring' in (host.get('groups') or ()) else 'hosts'}"


def role(options: Options, profile: str) -> list[Row]:
    cluster = options["prefix"]
    tasks = [
        # AWS can limit the list of all tasks by its cluster only.
        allow("ecs:ListTasks", "*", ArnEquals={"ecs:cluster": f"@ecs_cluster/{cluster}.arn"}),
        allow("ecs:DescribeTasks", f"arn:aws:ecs:{place(options)}:task/{cluster}/*"),
    ]
    # None of them can be limited to resources.
    metrics = [allow(["cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "tag:GetResources"], "*")]
    own: Row = {}
    if profile.endswith("-monitoring"):
        own = {"policies": {**policies("discovery", tasks), **policies("metrics", metrics)}}
    return [
        row("iam_role", profile, service="ec2.amazonaws.com", managed_policies=[SESSIONS], **own),
        row("instance_profile", profile, role=f"@iam_role/{profile}.name"),
    ]


def instance(options: Options, host: Options) -> Row:
    """A host. Its name in the inventory is its tag Name, which has to be unique within the environment only."""
    name, public = options["prefix"], bool(host.get("public"))
    zone = zone_of(host.get("zone") or options["zones"][0])
    return row(
        "ec2_instance",
        host["name"],
        image=host.get("image") or options["hosts_image"],
        type=host["type"],
        subnet=f"@subnet/{name}-{'public' if public else 'private'}-{zone}",
        security_groups=[group(options, "hosts")],
        instance_profile=f"@instance_profile/{profile_of(options, host)}.name",
        key=f"@key_pair/{name}-hosts.name" if options["hosts_public_key"] else "",
        public_address=public,
        root_gb=host.get("root_gb") or 20,
        groups=list(host.get("groups") or ()),
        user_data=FIRST_START.format(url=agent_url(options, host)),
    )


def agent_url(options: Options, host: Options) -> str:
    region, version = options["region"], options["hosts_agent_version"]
    # The image may be an AMI, whose name says nothing.
    machine = "arm64" if GRAVITON.match(host["type"]) else "amd64"
    return f"https://s3.{region}.amazonaws.com/amazon-ssm-{region}/{version}/debian_{machine}/amazon-ssm-agent.deb"
