# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of an environment on AWS, and its endpoints, from the options of the role `provider_aws`.

Each function returns declarations as the module `aws_resources` takes them; a value `@KIND/NAME` refers to another one.
"""

from __future__ import annotations

import ipaddress
import typing as t

Options = t.Mapping[str, t.Any]
Row = dict[str, t.Any]
ANYWHERE = "0.0.0.0/0"
#: Each zone gets a public and a private subnet of this size.
SUBNET_BITS = 24
#: Private subnets follow after this many, so that zones can be added.
PRIVATE_FROM = 128
POSTGRESQL, REDIS = 5432, 6379
#: Of the policy language.
POLICY_VERSION = "2012-10-17"
GIBIBYTE = 1024**3
#: The share of the declared storage below which an alarm is raised; autoscaling begins at the same.
LEAST_FREE = 0.1
AVERAGE: Row = {"statistic": "Average"}
SUM: Row = {"statistic": "Sum"}
BELOW: Row = {"comparison": "LessThanThreshold"}
#: Counters of errors, which AWS leaves out where there is none.
ONLY_WHEN_SEEN: Row = {"missing_data": "notBreaching"}
#: The domain of what has no address yet.
NOT_CREATED = "not-created-yet.invalid"


def row(kind: str, name: str, **properties: t.Any) -> Row:
    return {"kind": kind, "name": name, "properties": properties}


def zone_of(zone: str) -> str:
    """The letter of a zone, by which the resources in it are named: us-east-1a -> a."""
    return zone[-1]


def subnets(options: Options) -> list[tuple[str, str, str, str]]:
    """Of each zone: its name, its letter, the public and the private subnet."""
    blocks = list(ipaddress.ip_network(options["cidr"]).subnets(new_prefix=SUBNET_BITS))
    private = blocks[min(PRIVATE_FROM, len(blocks) // 2) :]
    return [
        (zone, zone_of(zone), str(blocks[number]), str(private[number])) for number, zone in enumerate(options["zones"])
    ]


def network(options: Options) -> list[Row]:
    """The VPC, a public and a private subnet in each zone, and the ways to the Internet and to S3."""
    name = options["prefix"]
    zones = subnets(options)
    # One gateway in the first zone, or one in each.
    letters = [letter for _zone, letter, _public, _private in zones][: options["nat_gateways"]]
    vpc = f"@vpc/{name}"
    rows = [row("vpc", name, cidr=options["cidr"]), row("internet_gateway", name, vpc=vpc)]
    for zone, letter, public, private in zones:
        rows += [
            row("subnet", f"{name}-public-{letter}", vpc=vpc, cidr=public, zone=zone),
            row("subnet", f"{name}-private-{letter}", vpc=vpc, cidr=private, zone=zone),
        ]
    for letter in letters:
        rows += [
            row("elastic_ip", f"{name}-nat-{letter}"),
            row(
                "nat_gateway",
                f"{name}-{letter}",
                subnet=f"@subnet/{name}-public-{letter}",
                address=f"@elastic_ip/{name}-nat-{letter}",
            ),
        ]
    rows.append(
        row(
            "route_table",
            f"{name}-public",
            vpc=vpc,
            subnets=[f"@subnet/{name}-public-{letter}" for _zone, letter, _public, _private in zones],
            routes=[{"to": ANYWHERE, "via": f"@internet_gateway/{name}"}],
        )
    )
    for _zone, letter, _public, _private in zones:
        gateway = letter if letter in letters else (letters or [""])[0]
        rows.append(
            row(
                "route_table",
                f"{name}-private-{letter}",
                vpc=vpc,
                subnets=[f"@subnet/{name}-private-{letter}"],
                routes=[{"to": ANYWHERE, "via": f"@nat_gateway/{name}-{gateway}"}] if gateway else [],
            )
        )
    tables = [f"@route_table/{name}-private-{letter}" for _zone, letter, _public, _private in zones]
    rows.append(row("gateway_endpoint", f"{name}-s3", vpc=vpc, service="s3", route_tables=tables))
    return rows


def private_subnets(options: Options) -> list[str]:
    return [f"@subnet/{options['prefix']}-private-{zone_of(zone)}" for zone in options["zones"]]


def public_subnets(options: Options) -> list[str]:
    return [f"@subnet/{options['prefix']}-public-{zone_of(zone)}" for zone in options["zones"]]


def group(options: Options, part: str) -> str:
    """A reference to the security group of a part."""
    return f"@security_group/{options['prefix']}-{part}"


def security_groups(options: Options) -> list[Row]:
    """What must pass, and nothing else: who may connect to each part, and on which ports."""
    name, vpc, api = options["prefix"], f"@vpc/{options['prefix']}", options["api_port"]
    edge = [80, 443] if options["certificate"] else [80]
    # The hosts, from which Prometheus scrapes each task, are in the private subnets; two groups can't name each other.
    private = [block for _zone, _letter, _public, block in subnets(options)]
    clients = ["hosts"] if options["pooler"] else ["hosts", "api"]
    ways: dict[str, tuple[str, list[tuple[t.Any, str]]]] = {
        "edge": ("The load balancer", [(port, ANYWHERE) for port in edge]),
        "api": ("The API's tasks", [(api, group(options, "edge")), *((api, block) for block in private)]),
        # Hosts reach each other on every port: exporters, Alertmanager, Grafana's data sources.
        "hosts": (
            "Poolers, migration runner, monitoring",
            [(options["pooler_port"], group(options, "api")), ("0-65535", "self")],
        ),
        "database": ("PostgreSQL", [(POSTGRESQL, group(options, part)) for part in clients]),
        "cache": ("Redis", [(REDIS, group(options, part)) for part in ("hosts", "api")]),
    }
    return [
        row(
            "security_group",
            f"{name}-{part}",
            vpc=vpc,
            description=description,
            ingress=[{"ports": port, "from": source} for port, source in rules],
        )
        for part, (description, rules) in ways.items()
    ]


def database(options: Options) -> list[Row]:
    """RDS for PostgreSQL: a primary with standby where asked, and its read replicas."""
    name, version = options["prefix"], options["rds_engine_version"]
    password = {"password": "database"} if options["rds_password"] else {}
    rows = [
        row("rds_subnet_group", name, description="Private subnets", subnets=private_subnets(options)),
        row(
            "rds_parameter_group",
            f"{name}-postgres{version}",
            family=f"postgres{version}",
            description="What migrations and monitoring need",
            parameters=options["rds_parameters"],
        ),
        row(
            "rds_instance",
            name,
            engine_version=str(version),
            instance_class=options["rds_instance_class"],
            database=options["database_name"],
            user=options["rds_user"],
            **password,
            storage_gb=options["rds_storage_gb"],
            storage_max_gb=options["rds_storage_max_gb"],
            storage_type=options["rds_storage_type"],
            multi_az=options["rds_multi_az"],
            backup_days=options["rds_backup_days"],
            encrypted=options["rds_encrypted"],
            public=options["rds_public"],
            deletion_protection=options["rds_deletion_protection"],
            subnet_group=f"@rds_subnet_group/{name}",
            parameter_group=f"@rds_parameter_group/{name}-postgres{version}",
            security_groups=[group(options, "database")],
        ),
    ]
    replicas = [
        row(
            "rds_replica",
            f"{name}-replica-{number}",
            source=f"@rds_instance/{name}",
            instance_class=options["rds_instance_class"],
            public=options["rds_public"],
            security_groups=[group(options, "database")],
        )
        for number in range(1, options["rds_replicas"] + 1)
    ]
    return rows + replicas


def cache(options: Options) -> list[Row]:
    """ElastiCache: a primary, and replicas in other zones that take its place."""
    name, replicas = options["prefix"], options["cache_replicas"]
    token = {"auth_token": "cache"} if options["cache_tls"] else {}
    return [
        row("cache_subnet_group", name, description="Private subnets", subnets=private_subnets(options)),
        row(
            "cache_replication_group",
            name,
            engine=options["cache_engine"],
            engine_version=options["cache_engine_version"],
            node_type=options["cache_node_type"],
            replicas=replicas,
            automatic_failover=replicas > 0,
            multi_az=replicas > 0,
            subnet_group=f"@cache_subnet_group/{name}",
            security_groups=[group(options, "cache")],
            tls=options["cache_tls"],
            **token,
            snapshot_days=options["cache_snapshot_days"],
        ),
    ]


def entry_point(options: Options) -> list[Row]:
    """The load balancer with its listeners, and the group of the API's tasks."""
    name, certificate = options["prefix"], options["certificate"]
    balancer, tasks = f"@load_balancer/{name}.arn", f"@target_group/{name}-api.arn"
    rows = [
        row(
            "load_balancer",
            name,
            subnets=public_subnets(options),
            security_groups=[group(options, "edge")],
            idle_seconds=options["edge_idle_seconds"],
            deletion_protection=options["edge_deletion_protection"],
        ),
        row(
            "target_group",
            f"{name}-api",
            vpc=f"@vpc/{name}",
            port=options["api_port"],
            health_path=options["api_ready_path"],
            drain_seconds=options["api_drain_seconds"],
        ),
    ]
    if certificate:
        rows += [
            row("listener", f"{name}-http", load_balancer=balancer, port=80, to_https=True),
            row(
                "listener",
                f"{name}-https",
                load_balancer=balancer,
                port=443,
                certificate=certificate,
                target_group=tasks,
            ),
        ]
    else:
        rows.append(row("listener", f"{name}-http", load_balancer=balancer, port=80, target_group=tasks))
    return rows


def service(options: Options) -> list[Row]:
    """What the API's tasks need: their cluster, the roles that they and ECS take, and their secrets."""
    name = options["prefix"]
    uploads = f"arn:aws:s3:::{options['uploads_bucket']}/*"
    start = [
        allow("secretsmanager:GetSecretValue", f"@secret/{name}-api.arn"),
        allow("ecr:GetAuthorizationToken", "*"),
        allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            f"@ecr_repository/{options['repository']}.arn",
        ),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:*:*:log-group:/{name}/api:*"),
    ]
    use = [allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], uploads)]
    return [
        row("ecs_cluster", name),
        row("secret", f"{name}-api", value="api"),
        # The role with which ECS starts a task, and that of the application itself.
        task_role(f"{name}-api-execution", start),
        task_role(f"{name}-api", use),
    ]


def allow(actions: str | list[str], resource: str) -> Row:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def task_role(name: str, statements: list[Row]) -> Row:
    policy = {"Version": POLICY_VERSION, "Statement": statements}
    return row("iam_role", name, service="ecs-tasks.amazonaws.com", policies={"tasks": policy})


def storage(options: Options) -> list[Row]:
    """Uploads, images, and the log of the tasks."""
    name = options["prefix"]
    return [
        row("s3_bucket", options["uploads_bucket"], intelligent_tiering=True),
        row("ecr_repository", options["repository"]),
        row("log_group", f"/{name}/api", retention_days=options["log_days"]),
    ]


def alarms(options: Options) -> list[Row]:
    """Alarms on what users notice, from the latency table, and on the limits of database, cache and tasks."""
    name = options["prefix"]
    balancer = {"LoadBalancer": f"@load_balancer/{name}.dimension"}
    targets = {**balancer, "TargetGroup": f"@target_group/{name}-api.dimension"}
    primary, tasks = {"DBInstanceIdentifier": name}, {"ClusterName": name, "ServiceName": "api"}
    # The first node is the primary until a replica takes its place, so each is watched.
    nodes = [f"{name}-{number:03d}" for number in range(1, options["cache_replicas"] + 2)]
    free = int(options["rds_storage_gb"] * GIBIBYTE * LEAST_FREE)
    # Name, namespace, metric, dimensions, threshold, and what else is declared.
    rules: list[tuple[str, str, str, Row, float, Row]] = [
        (
            f"api-p{str(round(one['quantile'] * 100, 3)).removesuffix('.0')}",
            "AWS/ApplicationELB",
            "TargetResponseTime",
            balancer,
            one["alert_seconds"],
            # Without requests there is nothing to be slow.
            {"quantile": f"p{str(round(one['quantile'] * 100, 3)).removesuffix('.0')}", "missing_data": "notBreaching"},
        )
        for one in options["latency_targets"]
        if one["metric"] == "api"
    ]
    rules += [
        ("api-errors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", balancer, 10, {**SUM, **ONLY_WHEN_SEEN}),
        ("edge-errors", "AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", balancer, 10, {**SUM, **ONLY_WHEN_SEEN}),
        ("api-unhealthy", "AWS/ApplicationELB", "UnHealthyHostCount", targets, 0, {"statistic": "Maximum"}),
        ("api-cpu", "AWS/ECS", "CPUUtilization", tasks, 85, AVERAGE),
        ("api-memory", "AWS/ECS", "MemoryUtilization", tasks, 85, AVERAGE),
        ("database-cpu", "AWS/RDS", "CPUUtilization", primary, 80, AVERAGE),
        ("database-storage", "AWS/RDS", "FreeStorageSpace", primary, free, {"statistic": "Minimum", **BELOW}),
        ("database-connections", "AWS/RDS", "DatabaseConnections", primary, options["connections"] * 0.9, AVERAGE),
    ]
    for number in range(1, options["rds_replicas"] + 1):
        replica = {"DBInstanceIdentifier": f"{name}-replica-{number}"}
        rules.append((f"replica-{number}-lag", "AWS/RDS", "ReplicaLag", replica, 30, {"statistic": "Maximum"}))
    for number, node in enumerate(nodes, 1):
        of_node = {"CacheClusterId": node}
        rules += [
            (f"cache-{number}-memory", "AWS/ElastiCache", "DatabaseMemoryUsagePercentage", of_node, 80, AVERAGE),
            (f"cache-{number}-cpu", "AWS/ElastiCache", "EngineCPUUtilization", of_node, 80, AVERAGE),
        ]
    actions = [f"@sns_topic/{name}-alarms.arn"]
    return [
        row("sns_topic", f"{name}-alarms"),
        *(
            row(
                "alarm",
                f"{name}-{rule}",
                namespace=namespace,
                metric=metric,
                dimensions=dimensions,
                threshold=threshold,
                actions=actions,
                ok_actions=actions,
                **more,
            )
            for rule, namespace, metric, dimensions, threshold, more in rules
        ),
    ]


def declaration(options: Options) -> list[Row]:
    """All resources of an environment. `options`: those of the role `provider_aws`, without the prefix."""
    return [
        *network(options),
        *security_groups(options),
        *database(options),
        *cache(options),
        *entry_point(options),
        *service(options),
        *storage(options),
        *alarms(options),
        *options["more_resources"],
    ]


def known(outputs: t.Mapping[str, Options], key: str, name: str) -> str:
    """An output, or in check mode when it will be known: a host by a name that can never be resolved (RFC 2606)."""
    kind = key.partition("/")[0].replace("_", "-")
    later = f"{kind}.{NOT_CREATED}" if name == "host" else f"(known when {key} is created)"
    return str(outputs.get(key, {}).get(name) or later)


def endpoints(outputs: t.Mapping[str, Options], options: Options) -> Row:
    """The endpoints, from the outputs of the declared resources."""
    name = options["prefix"]
    replicas = [f"rds_replica/{name}-replica-{number}" for number in range(1, options["rds_replicas"] + 1)]
    scheme = "https" if options["certificate"] else "http"
    url = options["api_url"] or f"{scheme}://{known(outputs, f'load_balancer/{name}', 'host')}"
    pooler = {"host": options["pooler"], "port": options["pooler_port"], "name": options["database_name"]}
    return {
        "database": {
            "host": known(outputs, f"rds_instance/{name}", "host"),
            "port": POSTGRESQL,
            "name": options["database_name"],
            "sslmode": options["rds_sslmode"],
        },
        "replicas": [{"host": known(outputs, one, "host"), "port": POSTGRESQL} for one in replicas],
        "pooler": pooler if options["pooler"] else None,
        "cache": {
            "host": known(outputs, f"cache_replication_group/{name}", "host"),
            "port": REDIS,
            "tls": options["cache_tls"],
            "db": 0,
        },
        "api": {"url": url, "instances": [], "service": tasks(outputs, options)},
        "cdn": None,
        "object_store": {
            "bucket": options["uploads_bucket"],
            "endpoint_url": options["endpoint_url"] or f"https://s3.{options['region']}.amazonaws.com",
            "region": options["region"],
        },
    }


def tasks(outputs: t.Mapping[str, Options], options: Options) -> Row:
    """The ECS service that runs the API: what the rollout must know of it."""
    name = options["prefix"]
    return {
        "name": "api",
        "cluster": name,
        "region": options["region"],
        **{name: options[name] for name in ("endpoint_url", "profile") if options[name]},
        "subnets": [known(outputs, one.removeprefix("@"), "id") for one in private_subnets(options)],
        "security_groups": [known(outputs, group(options, "api").removeprefix("@"), "id")],
        "target_group": known(outputs, f"target_group/{name}-api", "arn"),
        "load_balancer": known(outputs, f"load_balancer/{name}", "arn"),
        "execution_role": known(outputs, f"iam_role/{name}-api-execution", "arn"),
        "task_role": known(outputs, f"iam_role/{name}-api", "arn"),
        "log_group": f"/{name}/api",
        "environment_source": known(outputs, f"secret/{name}-api", "arn"),
        "repository": known(outputs, f"ecr_repository/{options['repository']}", "url"),
    }
