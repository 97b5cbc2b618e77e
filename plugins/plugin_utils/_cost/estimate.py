# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an environment costs a month, from the declarations that are deployed. Pure: no file, no network."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.amounts import Part, Row, Span, about, exactly, priced
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.prices import Prices
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.usage import HOURS, Tasks, Usage

Declaration = t.Mapping[str, t.Any]

#: Kinds of resources that have a price.
PRICED: t.Final = frozenset(
    {
        "alarm",
        "cache_replication_group",
        "cloudfront_distribution",
        "ec2_instance",
        "ecr_repository",
        "ecs_cluster",
        "elastic_ip",
        "load_balancer",
        "log_group",
        "nat_gateway",
        "rds_instance",
        "rds_replica",
        "s3_bucket",
        "secret",
    }
)
#: Kinds that AWS charges nothing for.
FREE: t.Final = frozenset(
    {
        "bucket_policy",
        "cache_policy",
        "cache_subnet_group",
        "gateway_endpoint",
        "iam_role",
        "instance_profile",
        "internet_gateway",
        "key_pair",
        "listener",
        "oidc_provider",
        "origin_access_control",
        "rds_parameter_group",
        "rds_subnet_group",
        "response_headers_policy",
        "route_table",
        # The alarms that AWS makes for a policy are not declared, and 10 cents each.
        "scaling_policy",
        "scaling_target",
        "security_group",
        "sns_topic",
        "subnet",
        "target_group",
        "vpc",
    }
)
#: What no row has, for the reader of the estimate.
NOT_PRICED: t.Final = (
    "Clerk, Slack, PagerDuty and GitHub Actions",
    "taxes, AWS Support and domain names",
    "processor credits of burstable instances beyond their baseline",
    "snapshots of ElastiCache, and requests to Secrets Manager, SNS and CloudWatch",
)
#: Members of the inventory's groups whose hosts have a row of their own.
WATCHERS: t.Final = {"monitoring": "Prometheus", "grafana": "Grafana"}


class Declared(t.NamedTuple):
    """What an environment consists of."""

    resources: t.Sequence[Declaration]
    tasks: Tasks | None
    #: Vendor to plan, as the file of prices names it; none where another environment pays.
    plans: t.Mapping[str, str]
    vercel_seats: int = 1
    #: Name and US dollars of what has no price by use.
    fixed: t.Sequence[t.Mapping[str, t.Any]] = ()


def rows_of(declared: Declared, usage: Usage) -> list[Row]:
    """The rows of the estimate, in the order of the page."""
    unknown = sorted({str(one["kind"]) for one in declared.resources} - PRICED - FREE)
    if unknown:
        raise InfraError(
            "estimate the cost of",
            "the declared resources",
            f"there is no way to price the kind {', '.join(unknown)}, and what is unknown is not free",
            "Leave it out of provider_aws_more_resources for the estimate, and add what it costs to cost_fixed.",
        )
    found = _Resources(declared.resources)
    rows = [
        *_api(found, declared.tasks, usage),
        *_balancer(found, usage),
        *_database(found, usage),
        *_replicas(found, usage),
        *_cache(found),
        *_delivery(found, usage),
        *_gateways(found, usage),
        *_hosts(found),
        *_cloudwatch(found, usage),
        *_rest(found, usage),
        *_vendors(declared),
    ]
    return [row for row in rows if row.parts]


class _Resources:
    """The declarations by kind, as properties with their name."""

    def __init__(self, resources: t.Sequence[Declaration]) -> None:
        self._rows = [(str(one["kind"]), {"name": one["name"], **(one.get("properties") or {})}) for one in resources]

    def of(self, kind: str) -> list[dict[str, t.Any]]:
        return [properties for name, properties in self._rows if name == kind]

    def count(self, kind: str) -> int:
        return len(self.of(kind))


def _hourly(what: str, sku: str, count: float = 1) -> Part:
    return Part(what, sku, exactly(count * HOURS))


def _api(found: _Resources, tasks: Tasks | None, usage: Usage) -> list[Row]:
    if not found.count("ecs_cluster") or tasks is None:
        return []
    most = max(tasks.most, tasks.least)
    expected = min(max(usage.tasks or tasks.least, tasks.least), most)
    hours = Span(tasks.least, expected, most).times(usage.task_hours)
    parts = (
        Part(f"tasks of {tasks.cpu / 1024:g} vCPU", "fargate/vcpu", hours.times(tasks.cpu / 1024)),
        Part(f"tasks of {tasks.memory_mb / 1024:g} GB", "fargate/gb", hours.times(tasks.memory_mb / 1024)),
    )
    assumes = f"{tasks.least} to {most} tasks, {expected:g} on average, {usage.task_hours:g} hours each"
    return [Row("ECS tasks", "api", parts, assumes)]


def _balancer(found: _Resources, usage: Usage) -> list[Row]:
    balancers = found.of("load_balancer")
    if not balancers:
        return []
    addresses = sum(len(one.get("subnets") or ()) for one in balancers)
    parts = (
        _hourly("load balancer", "alb/hour", len(balancers)),
        Part("capacity units", "alb/lcu", about(usage.lcus * HOURS * len(balancers), usage.spread)),
        _hourly("public IPv4 addresses", "ipv4/hour", addresses),
        Part("traffic to users", "transfer/internet_gb", about(usage.api_gb, usage.spread)),
    )
    return [
        Row("Load balancer", "api", parts, f"{usage.lcus:g} capacity units on average, {usage.api_gb:g} GB to users")
    ]


def _storage(declared_gb: float, most_gb: float, usage: Usage) -> Span:
    grown = declared_gb + usage.database_growth_gb * usage.months_ahead
    most = max(most_gb, declared_gb)
    # As far as the database is known to grow; autoscaling ends at its limit.
    return Span(declared_gb, min(grown, most), most)


def _database(found: _Resources, usage: Usage) -> list[Row]:
    rows = []
    for one in found.of("rds_instance"):
        kind = "rds_multi_az" if one.get("multi_az") else "rds"
        size, most = one["storage_gb"], one.get("storage_max_gb") or one["storage_gb"]
        parts = (
            _hourly(
                "instance with its standby" if one.get("multi_az") else "instance", f"{kind}/{one['instance_class']}"
            ),
            Part("storage", f"{kind}/storage_{one['storage_type']}", _storage(size, most, usage)),
            Part("snapshots that are kept", "rds/backup", about(usage.snapshots_gb, usage.spread)),
        )
        assumes = (
            f"{size} GB that grow by {usage.database_growth_gb:g} GB a month for {usage.months_ahead:g} months, at most"
            f" {most} GB; {usage.snapshots_gb:g} GB of snapshots"
        )
        rows.append(Row("RDS primary", "database", parts, assumes))
    return rows


def _replicas(found: _Resources, usage: Usage) -> list[Row]:
    replicas = found.of("rds_replica")
    if not replicas:
        return []
    sources = {f"@rds_instance/{one['name']}": one for one in found.of("rds_instance")}
    parts: list[Part] = []
    for one in replicas:
        source = sources.get(str(one.get("source")))
        if source is None:
            fix = "Let the replica's source be a declared rds_instance, or add what it costs to cost_fixed."
            raise InfraError("estimate the cost of", str(one["name"]), "the size of its primary is not declared", fix)
        size, most = source["storage_gb"], source.get("storage_max_gb") or source["storage_gb"]
        parts += [
            _hourly(f"{one['name']}, instance", f"rds/{one['instance_class']}"),
            Part(f"{one['name']}, storage", f"rds/storage_{source['storage_type']}", _storage(size, most, usage)),
        ]
    return [Row("RDS read replicas", "replicas", tuple(parts), "storage as the primary")]


def _cache(found: _Resources) -> list[Row]:
    parts = tuple(
        _hourly("nodes", f"elasticache/{one['engine']}/{one['node_type']}", 1 + one["replicas"])
        for one in found.of("cache_replication_group")
    )
    return [Row("ElastiCache", "cache", parts)]


def _delivery(found: _Resources, usage: Usage) -> list[Row]:
    if not found.count("s3_bucket") and not found.count("cloudfront_distribution"):
        return []
    spread = usage.spread
    parts = [
        Part("storage in S3", "s3/standard", about(usage.uploads_gb, spread)),
        Part("writes in S3", "s3/put", about(usage.s3_thousand_puts, spread)),
        Part("reads in S3", "s3/get", about(usage.s3_thousand_gets, spread)),
    ]
    if any(one.get("intelligent_tiering") for one in found.of("s3_bucket")):
        parts.append(Part("objects that are monitored", "s3/monitoring", about(usage.uploads_thousand_objects, spread)))
    assumes = f"{usage.uploads_gb:g} GB of uploads"
    if found.count("cloudfront_distribution"):
        parts += [
            Part("traffic to users", "cloudfront/gb", about(usage.cdn_gb, spread)),
            Part("requests", "cloudfront/million_requests", about(usage.cdn_million_requests, spread)),
        ]
        assumes += f", {usage.cdn_gb:g} GB and {usage.cdn_million_requests:g} million requests at CloudFront"
    return [Row("S3 and CloudFront", "delivery", tuple(parts), f"{assumes}; free allowances are not subtracted")]


def _gateways(found: _Resources, usage: Usage) -> list[Row]:
    gateways = found.count("nat_gateway")
    if not gateways:
        return []
    parts = (
        _hourly("gateways", "nat/hour", gateways),
        _hourly("public IPv4 addresses", "ipv4/hour", found.count("elastic_ip")),
        Part("traffic", "nat/gb", about(usage.nat_gb, usage.spread)),
    )
    return [Row("NAT gateways", "network", parts, f"{usage.nat_gb:g} GB through them")]


def _hosts(found: _Resources) -> list[Row]:
    rows: dict[str, list[Part]] = {}
    for one in found.of("ec2_instance"):
        groups = one.get("groups") or ()
        name = next((WATCHERS[group] for group in groups if group in WATCHERS), "Other hosts")
        parts = rows.setdefault(name, [])
        parts += [
            _hourly(f"{one['name']}, instance", f"ec2/{one['type']}"),
            Part(f"{one['name']}, volume", "ebs/gp3", exactly(one["root_gb"])),
        ]
        if one.get("public_address"):
            parts.append(_hourly(f"{one['name']}, public IPv4 address", "ipv4/hour"))
    return [
        Row(name, name.lower().replace("other ", ""), tuple(rows[name]))
        for name in (*WATCHERS.values(), "Other hosts")
        if name in rows
    ]


def _cloudwatch(found: _Resources, usage: Usage) -> list[Row]:
    if not found.count("log_group") and not found.count("alarm"):
        return []
    kept = max((one.get("retention_days") or 30 for one in found.of("log_group")), default=0) / 30
    alarms = found.count("alarm")
    parts = [Part("alarms", "cloudwatch/alarm", exactly(alarms))] if alarms else []
    if found.count("log_group"):
        parts += [
            Part("logs that arrive", "logs/ingested", about(usage.logs_gb, usage.spread)),
            Part("logs that are kept", "logs/stored", about(usage.logs_gb * kept, usage.spread)),
        ]
    return [Row("CloudWatch", "cloudwatch", tuple(parts), f"{usage.logs_gb:g} GB of logs a month")]


def _rest(found: _Resources, usage: Usage) -> list[Row]:
    # RDS keeps a password that it generates in Secrets Manager.
    generated = sum(not one.get("password") for one in found.of("rds_instance"))
    secrets = found.count("secret") + generated
    parts = [Part("secrets", "secret", exactly(secrets))] if secrets else []
    if found.count("ecr_repository"):
        parts.append(Part("images", "ecr/gb", about(usage.images_gb, usage.spread)))
    if found.count("rds_instance"):
        parts.append(Part("traffic between zones", "transfer/zone_gb", about(usage.zone_gb, usage.spread)))
    return [
        Row(
            "Secrets, images, traffic between zones",
            "rest",
            tuple(parts),
            f"{usage.images_gb:g} GB of images, {usage.zone_gb:g} GB between zones",
        )
    ]


def _vendors(declared: Declared) -> list[Row]:
    rows = []
    for vendor in ("vercel", "sentry", "supabase"):
        if plan := declared.plans.get(vendor):
            seats = declared.vercel_seats if f"{vendor}/{plan}" == "vercel/pro" else 1
            part = Part(f"plan {plan}", f"{vendor}/{plan}", exactly(seats))
            rows.append(Row(vendor.capitalize(), vendor, (part,), "use beyond the plan's allowance is not priced"))
    return rows


def estimate(declared: Declared, usage: Usage, prices: Prices, region: str) -> dict[str, t.Any]:
    """The whole estimate, as the module returns it."""
    if declared.resources and region != prices.region:
        raise InfraError(
            "estimate the cost with",
            f'"{prices.path}"',
            f"its prices are of {prices.region or 'no region'}, and the environment is in {region}",
            f"Name a file with the prices of {region} (cost_prices_file).",
        )
    total, rows = exactly(0), []
    for row in rows_of(declared, usage):
        usd, shown = priced(row, prices)
        total = total.plus(usd)
        rows.append(shown)
    for one in declared.fixed:
        usd = exactly(float(one["usd"]))
        total = total.plus(usd)
        assumes = str(one.get("source") or "a fixed sum of the inventory")
        rows.append({"name": one["name"], "group": "fixed", "assumes": assumes, "usd": usd.rounded(), "parts": []})
    if not rows:
        raise InfraError(
            "estimate the cost of",
            "this environment",
            "nothing in it has a price",
            "Its hosts are the inventory's own: name what they cost in cost_fixed.",
        )
    skus = {part["sku"]: part["verified"] for row in rows for part in row["parts"]}
    unverified = sorted(sku for sku, verified in skus.items() if not verified)
    return {
        "rows": rows,
        "total": total.rounded(),
        "dated": prices.dated.isoformat(),
        "prices": len(skus),
        "unverified": unverified,
        "not_priced": list(NOT_PRICED),
    }


def compared(rows: t.Sequence[t.Mapping[str, t.Any]], stated: t.Mapping[str, float]) -> list[dict[str, t.Any]]:
    """Each stated figure beside the rows of its group, and the groups that were not stated."""
    groups: dict[str, float] = {}
    for row in rows:
        groups[row["group"]] = groups.get(row["group"], 0.0) + row["usd"]["expected"]
    names = [*stated, *(name for name in groups if name not in stated)]
    found = []
    for name in names:
        said, ours = stated.get(name), groups.get(name)
        found.append(
            {
                "group": name,
                "stated_usd": None if said is None else float(said),
                "estimated_usd": None if ours is None else round(ours, 2),
                "difference_usd": None if said is None or ours is None else round(ours - float(said), 2),
            }
        )
    return found


def lines_of(
    environment: str, found: t.Mapping[str, t.Any], difference: float | None, than: str = "the last estimate"
) -> list[str]:
    """The estimate as a person reads it at the end of a run."""
    total = found["total"]
    sums = f"about {total['expected']:,.2f} US$ a month, from {total['min']:,.2f} to {total['max']:,.2f}"
    change = "" if difference is None else f", {difference:+,.2f} against {than}"
    return [
        f"{environment}: {sums}{change}",
        *(f"{row['usd']['expected']:>10,.2f}  {row['name']}" for row in found["rows"]),
    ]
