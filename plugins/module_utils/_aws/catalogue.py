# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of resources, by the names that declarations use."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._aws.kinds import (
    balancing,
    cache,
    containers,
    delivery,
    hosts,
    identity,
    network,
    notification,
    rds,
    routing,
    storage,
)
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        network.Vpc(),
        network.Subnet(),
        network.SecurityGroup(),
        routing.InternetGateway(),
        routing.ElasticIp(),
        routing.NatGateway(),
        routing.RouteTable(),
        routing.GatewayEndpoint(),
        balancing.LoadBalancer(),
        balancing.TargetGroup(),
        balancing.Listener(),
        rds.SubnetGroup(),
        rds.ParameterGroup(),
        rds.Instance(),
        rds.Replica(),
        cache.CacheSubnetGroup(),
        cache.ReplicationGroup(),
        identity.Role(),
        identity.InstanceProfile(),
        identity.OidcProvider(),
        identity.Secret(),
        containers.Cluster(),
        containers.ScalingTarget(),
        containers.ScalingPolicy(),
        delivery.OriginAccessControl(),
        delivery.CachePolicy(),
        delivery.ResponseHeadersPolicy(),
        delivery.Distribution(),
        hosts.Instance(),
        hosts.KeyPair(),
        storage.Bucket(),
        storage.BucketPolicy(),
        storage.LogGroup(),
        storage.Repository(),
        notification.Topic(),
        notification.Alarm(),
    )
}
