"""The faults of the lab and the messages that they lead to: the acceptance test of the alerts.

Times: an alert needs what it waits for, a scrape and an evaluation (5 s each in the lab), and Alertmanager's 5 s.
"""

from __future__ import annotations

import shlex

from ansible_collections.nexod.infra.tests.lab.chaos import (
    ON_CALL,
    TEAM,
    Fault,
    Load,
    Message,
    all_of,
    crowded_redis,
    cut_off,
    firewall,
    frozen,
    full_disk,
    full_redis,
    machine_stopped,
    nothing,
    reconnected_redis,
    shell,
    slow_api,
    slow_network,
    stopped,
    used_up_pool,
)

POSTGRESQL, REDIS = "postgresql@15-main.service", "redis-server.service"


#: Faults that are made together, as they have nothing to do with each other.
MINUTES, SLOW, BLIND = "what alerts after minutes", "what is slow", "what is not scraped"
LIMITS = "what reaches a limit"
SPARE, SPARE_FROZEN = "what users do not notice", "what hangs without users noticing"
RULES, ALERTMANAGER = "/etc/nexod/prometheus/current/rules", "/etc/nexod/alertmanager/current/alertmanager.yml"
RULE = "printf 'groups: [{name: chaos, rules: [{record: chaos, expr: up + on () up}]}]'"
CONNECTIONS = "for i in $(seq 97); do sleep 900 | psql -q app & sleep 0.2; done; wait"
LOCK = "SELECT pg_advisory_lock({}); SELECT pg_sleep(0.5); SELECT pg_advisory_lock({})"
DEADLOCKS = (
    "cd /; for i in $(seq 8); do"
    f" runuser -u postgres -- psql -q app -c '{LOCK.format(1, 2)}' &"
    f" runuser -u postgres -- psql -q app -c '{LOCK.format(2, 1)}' & wait; done > /dev/null 2>&1"
)
TRANSACTION = "(echo 'BEGIN; SELECT 1;'; sleep 900) | psql -q app"


def background(name: str, command: str) -> str:
    """Run a shell command as the database's administrator until `end`."""
    return (
        f"systemd-run --collect --unit chaos-{name} -p User=postgres -p WorkingDirectory=/ sh -c {shlex.quote(command)}"
    )


def end(name: str) -> str:
    return f"systemctl stop chaos-{name}"


def page(alert: str, seconds: float = 75, **labels: str) -> Message:
    return Message(alert, ON_CALL, seconds, labels)


def message(alert: str, seconds: float = 105, **labels: str) -> Message:
    return Message(alert, TEAM, seconds, labels)


DATABASE = (
    Fault("PostgreSQL stopped", stopped("db-1", POSTGRESQL), (page("DatabaseDown", instance="db-1"),)),
    Fault("PostgreSQL frozen", frozen("db-1", POSTGRESQL), (page("DatabaseDown", instance="db-1"),)),
    Fault("the database's host cut off", cut_off("db-1"), (page("HostDown", instance="db-1"),)),
    Fault(
        "connections of PostgreSQL used up",
        shell("db-1", background("connections", CONNECTIONS), end("connections")),
        (message("DatabaseConnectionsHigh", 165, instance="db-1"),),
        together=MINUTES,
    ),
    Fault(
        "transactions that lock each other out",
        shell("db-1", DEADLOCKS, "true"),
        (message("Deadlocks", 75, instance="db-1"),),
        together=LIMITS,
    ),
    Fault(
        "a transaction left open",
        shell("db-2", background("transaction", TRANSACTION), end("transaction")),
        (message("TransactionOpenTooLong", 400, instance="db-2"),),
        together=MINUTES,
    ),
    Fault(
        "a replica stopped",
        stopped("db-2", POSTGRESQL),
        (message("ReplicaDown", 90, instance="db-2"),),
        together=SPARE,
    ),
    Fault(
        "a replica frozen",
        frozen("db-2", POSTGRESQL),
        (message("ReplicaDown", 90, instance="db-2"),),
        together=SPARE_FROZEN,
    ),
    Fault(
        "replication cut off",
        firewall("db-3", "OUTPUT -p tcp -d 10.213.77.11 --dport 5432 -j REJECT --reject-with tcp-reset"),
        (message("ReplicaDisconnected", 345, instance="db-1"),),
        together=MINUTES,
    ),
)
POOLER = (
    Fault("PgBouncer stopped", stopped("pooler-1", "pgbouncer@1"), (page("PoolerDown", instance="pooler-1"),)),
    Fault("PgBouncer frozen", frozen("pooler-1", "pgbouncer@1"), (page("PoolerDown", instance="pooler-1"),)),
    Fault(
        "a pool used up",
        used_up_pool,
        (message("PoolerClientsWait", 150, instance="pooler-1"),),
        together=LIMITS,
    ),
    Fault("the pooler's host cut off", cut_off("pooler-1"), (page("HostDown", instance="pooler-1"),)),
)
CACHE = (
    Fault("Redis stopped", stopped("cache-1", REDIS), (page("CacheDown", instance="cache-1"),)),
    Fault("Redis frozen", frozen("cache-1", REDIS), (page("CacheDown", instance="cache-1"),)),
    Fault(
        "Redis slow",
        all_of(
            slow_network("cache-1", 6379, 0.055),
            reconnected_redis,
        ),
        (message("RedisLatencyP95High", 330),),
        together=SLOW,
    ),
    Fault(
        "more clients than Redis accepts",
        crowded_redis,
        (page("CacheRejectsConnections", 105, instance="cache-1"),),
        together=LIMITS,
    ),
    Fault(
        "the memory of Redis used up",
        full_redis,
        (message("CacheMemoryHigh", 345, instance="cache-1"),),
        together=MINUTES,
    ),
)
API = (
    Fault("an instance stopped", stopped("api-1", "api"), (message("ServerDown", server="api-1"),), together=SPARE),
    Fault(
        "an instance frozen", frozen("api-1", "api"), (message("ServerDown", server="api-1"),), together=SPARE_FROZEN
    ),
    Fault("every instance stopped", all_of(stopped("api-1", "api"), stopped("api-2", "api")), (page("ApiDown"),)),
    Fault("every instance frozen", all_of(frozen("api-1", "api"), frozen("api-2", "api")), (page("ApiDown"),)),
    Fault(
        "the API slower by 600 ms",
        slow_api("api-1", "api-2"),
        (page("ApiLatencyP50High", 360),),
        together=SLOW,
    ),
    Fault(
        "3 errors a minute",
        nothing,
        (message("ApiErrorsAbove10", 345),),
        load=Load(failing=3),
        together=MINUTES,
    ),
    Fault(
        "30 errors a minute",
        nothing,
        (message("ApiErrorsAbove10", 135), page("ApiErrorsAbove100", 330)),
        # So many that the errors are below 5 % of them.
        load=Load(requests=900, failing=30),
        observed=345,
    ),
)
EDGE = (
    Fault("HAProxy stopped", stopped("edge-1", "haproxy"), (page("EntryPointDown", instance="edge-1"),)),
    Fault("HAProxy frozen", frozen("edge-1", "haproxy"), (page("EntryPointDown", instance="edge-1"),)),
    Fault("the entry point's host cut off", cut_off("edge-1"), (page("HostDown", instance="edge-1"),)),
    Fault("the static files' server stopped", stopped("edge-1", "nginx"), (page("NoServerLeft", 105, proxy="static"),)),
    Fault(
        "the first byte late",
        slow_network("edge-1", 80, 0.7, source="10.213.77.41"),
        (message("TtfbLatencyP75High", 330),),
        together=SLOW,
    ),
    Fault(
        "pages slow in browsers",
        nothing,
        (message("LcpLatencyP75High", 330),),
        load=Load(slow_pages=60),
        together=SLOW,
    ),
)
HOSTS = (
    Fault("a host cut off", cut_off("grafana-1"), (page("HostDown", instance="grafana-1"),), together=SPARE),
    Fault("a host without power", machine_stopped("db-3"), (page("HostDown", instance="db-3"),), together=SPARE_FROZEN),
    Fault("an instance's host without power", machine_stopped("api-2"), (page("HostDown", instance="api-2"),)),
    Fault(
        "a unit that failed",
        shell(
            "db-2",
            "systemd-run --unit chaos-failed --service-type oneshot false || true",
            "systemctl reset-failed chaos-failed",
        ),
        (message("UnitFailed", 345, instance="db-2", name="chaos-failed.service"),),
        together=MINUTES,
    ),
    Fault("a disk full", full_disk("api-2"), (page("DiskAlmostFull", 345, instance="api-2"),), together=MINUTES),
)
#: Rows that need a count above some number are silent then, and nothing pages.
QUIET = (Fault("an hour of low traffic", nothing, (), load=Load(requests=12), observed=3600),)
MONITORING = (
    *(
        Fault(
            f"the exporter of {job} stopped",
            stopped(host, f"prometheus-{job}-exporter"),
            (message("TargetDown", 135, instance=host, job=job),),
            together=together,
        )
        for job, host, together in (
            ("node", "api-1", BLIND),
            ("postgres", "db-1", BLIND),
            ("redis", "cache-1", SPARE),
            ("pgbouncer", "pooler-1", BLIND),
            ("blackbox", "monitoring-1", BLIND),
        )
    ),
    Fault(
        "Grafana stopped",
        stopped("grafana-1", "grafana-server"),
        (message("TargetDown", 135, instance="grafana-1", job="grafana"),),
        together=BLIND,
    ),
    # What breaks alerting is seen only by who expects Watchdog. Alertmanager believes in an alert for 4 minutes.
    Fault("Prometheus stopped", stopped("monitoring-1", "prometheus"), (), observed=380, watchdog_ends=305),
    Fault("Alertmanager stopped", stopped("monitoring-1", "prometheus-alertmanager"), (), observed=80, watchdog_ends=5),
    Fault(
        "the receiver cut off",
        firewall("monitoring-1", "OUTPUT -p tcp --dport 5556 -j REJECT --reject-with tcp-reset"),
        (),
        observed=80,
        watchdog_ends=5,
    ),
    Fault(
        "a rule that cannot be evaluated",
        shell(
            "monitoring-1",
            f"{RULE} > {RULES}/chaos.yml; systemctl reload prometheus",
            f"rm {RULES}/chaos.yml; systemctl reload prometheus",
        ),
        (page("RulesFail", 345, instance="monitoring-1"),),
        together=MINUTES,
    ),
    Fault(
        "a configuration that Prometheus refuses",
        shell(
            "monitoring-1",
            f"echo 'groups: [' > {RULES}/chaos-refused.yml; systemctl reload prometheus || true",
            f"rm {RULES}/chaos-refused.yml; systemctl reload prometheus",
        ),
        (message("PrometheusReloadFailed", 345),),
        together=MINUTES,
    ),
    Fault(
        "a configuration that Alertmanager refuses",
        shell(
            "monitoring-1",
            f"cp -p {ALERTMANAGER} /run/chaos.yml; echo 'chaos: 1' >> {ALERTMANAGER};"
            " systemctl reload prometheus-alertmanager || true",
            f"cp -p /run/chaos.yml {ALERTMANAGER}; systemctl reload prometheus-alertmanager",
        ),
        (message("AlertmanagerReloadFailed", 345),),
        together=MINUTES,
    ),
)
FAULTS: tuple[Fault, ...] = (*DATABASE, *POOLER, *CACHE, *API, *EDGE, *HOSTS, *MONITORING, *QUIET)
#: Those of `make test`, five faults: of the most telling, those that are over soon.
QUICK = frozenset({"PostgreSQL stopped", SPARE})
