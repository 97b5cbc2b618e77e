"""The faults of the lab and the messages that they lead to: the acceptance test of the alerts.

Times: an alert needs what it waits for, a scrape and an evaluation (5 s each in the lab), and Alertmanager's 5 s.
"""

from __future__ import annotations

import shlex

from ansible_collections.nexod.infra.tests.lab.chaos import (
    CLIENTS,
    ON_CALL,
    TEAM,
    Break,
    Fault,
    Load,
    Message,
    all_of,
    beside_pooler,
    crowded_redis,
    cut_off,
    firewall,
    frozen,
    full_disk,
    full_redis,
    little_memory,
    machine_stopped,
    much_written,
    nothing,
    reconnected_pooler,
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
PROMETHEUS = "/etc/nexod/prometheus/current/prometheus.yml"
RULE = "printf 'groups: [{name: chaos, rules: [{record: chaos, expr: up + on () up}]}]'"
CONNECTIONS = "for i in $(seq 97); do sleep 900 | psql -q app & sleep 0.2; done; wait"
LOCK = "SELECT pg_advisory_lock({}); SELECT pg_sleep(0.5); SELECT pg_advisory_lock({})"
DEADLOCKS = (
    "cd /; for i in $(seq 8); do"
    f" runuser -u postgres -- psql -q app -c '{LOCK.format(1, 2)}' &"
    f" runuser -u postgres -- psql -q app -c '{LOCK.format(2, 1)}' & wait; done > /dev/null 2>&1"
)
HALF_BUILT = (
    "CREATE INDEX chaos ON tasks (done); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chaos'::regclass"
)
#: More than 80 % of the connections of HAProxy, which ends those that ask for nothing.
CROWD = """
import socket, time
def come():
    return socket.create_connection(("127.0.0.1", 80))
crowd = [come() for _ in range(1750)]
while True:
    for number, one in enumerate(crowd):
        try:
            one.sendall(b"GET / HTTP/1.1\\r\\nHost: edge\\r\\n\\r\\n")
            one.recv(65536)
        except OSError:
            crowd[number] = come()
    time.sleep(20)
"""
CHECK = "systemctl start api-migrate@check"
#: PostgreSQL itself ends others after 5 minutes, before there is anything to report.
TRANSACTION = "(echo 'SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT 1;'; sleep 900) | psql -q app"


def background(name: str, command: str, user: str = "postgres") -> str:
    """Run a shell command, as the database's administrator or somebody else, until `end`."""
    options = f"--collect --unit chaos-{name} -p User={user} -p WorkingDirectory=/ -p LimitNOFILE=20000"
    return f"systemd-run {options} sh -c {shlex.quote(command)}"


def end(name: str) -> str:
    return f"systemctl stop chaos-{name}"


def psql(statements: str) -> str:
    """Statements of the database's administrator."""
    return f"cd / && runuser -u postgres -- psql -q app -c {shlex.quote(statements)}"


def edited(path: str, change: str, unit: str) -> Break:
    """A configuration of the monitoring changed by sed, and loaded."""
    saved = f"/run/chaos-{unit}.yml"
    return shell(
        "monitoring-1",
        f"cp -p {path} {saved}; sed -i {shlex.quote(change)} {path};"
        f" ! cmp -s {path} {saved} && systemctl reload {unit}",
        f"cp -p {saved} {path}; systemctl reload {unit}",
    )


def page(alert: str, seconds: float = 75, **labels: str) -> Message:
    return Message(alert, ON_CALL, seconds, labels)


def message(alert: str, seconds: float = 105, **labels: str) -> Message:
    return Message(alert, TEAM, seconds, labels)


DATABASE = (
    Fault("PostgreSQL stopped", stopped("db-1", POSTGRESQL), (page("DatabaseDown", instance="db-1"),)),
    # What it has led to, errors above all, is counted for minutes after its end, and is no news.
    Fault(
        "an outage that ends",
        stopped("db-1", POSTGRESQL),
        (page("DatabaseDown", instance="db-1"),),
        observed=180,
        aftermath=True,
    ),
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
        # Its exporter hangs with it. The API, which says so of the primary, does not read from replicas.
        (message("TargetDown", 135, instance="db-2", job="postgres"),),
        together=SPARE_FROZEN,
    ),
    Fault(
        "a replica that no longer applies what it gets",
        all_of(
            shell("db-2", psql("SELECT pg_wal_replay_pause()"), psql("SELECT pg_wal_replay_resume()")),
            much_written("db-1"),
        ),
        (message("ReplicationLagHigh", 345, instance="db-1", application_name="db_2"),),
        together=MINUTES,
    ),
    Fault(
        "PostgreSQL slow",
        # A seventh of the statements: were all of them slow, most requests would be too, which pages.
        slow_network("db-1", 5432, 0.6, every=14, reconnected=reconnected_pooler),
        (message("DatabaseLatencyP95High", 330),),
    ),
    Fault(
        "an index whose build has not ended",
        all_of(
            shell("pooler-1", "true", CHECK),
            shell("db-1", psql(HALF_BUILT), psql("DROP INDEX chaos")),
            shell("pooler-1", f"{CHECK} || true", "true"),
        ),
        (message("InvalidIndex", 135, instance="pooler-1"),),
        together=LIMITS,
    ),
    Fault(
        "migrations that cannot sign in",
        all_of(
            shell("pooler-1", "true", f"migrate up && {CHECK}"),
            shell("db-1", psql("ALTER ROLE app_owner NOLOGIN"), psql("ALTER ROLE app_owner LOGIN")),
            shell("pooler-1", "migrate up; migrate check; true", "true"),
        ),
        (
            message("MigrationFailed", 165, instance="pooler-1"),
            message("MigrationCheckFailed", 165, instance="pooler-1"),
        ),
        together=BLIND,
    ),
    Fault(
        "replication cut off",
        firewall("db-3", "OUTPUT -p tcp -d 10.213.77.11 --dport 5432 -j REJECT --reject-with tcp-reset"),
        # The primary waits for a minute (wal_sender_timeout) until it counts the replica as gone.
        (message("ReplicaDisconnected", 405, instance="db-1"),),
        together=MINUTES,
    ),
)
POOLER = (
    Fault("PgBouncer stopped", stopped("pooler-1", "pgbouncer@1"), (page("PoolerDown", instance="pooler-1"),)),
    Fault("PgBouncer frozen", frozen("pooler-1", "pgbouncer@1"), (page("PoolerDown", instance="pooler-1"),)),
    Fault(
        "a pool used up",
        used_up_pool,
        (message("PoolerClientsWait", 150, instance="pooler-1"), message("PoolNearLimit", 345, instance="pooler-1")),
        together=SLOW,
    ),
    Fault(
        "more clients than usual at PgBouncer",
        # They take about a minute to come.
        beside_pooler(CLIENTS),
        (message("PoolerClientsNearLimit", 420, instance="pooler-1"),),
        together=SLOW,
    ),
    Fault("the pooler's host cut off", cut_off("pooler-1"), (page("HostDown", instance="pooler-1"),)),
)
CACHE = (
    Fault("Redis stopped", stopped("cache-1", REDIS), (page("CacheDown", instance="cache-1"),)),
    Fault("Redis frozen", frozen("cache-1", REDIS), (page("CacheDown", instance="cache-1"),)),
    Fault(
        "Redis slow",
        slow_network("cache-1", 6379, 0.055, reconnected=reconnected_redis),
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
        "Redis cannot save its data",
        # It saves after 5 minutes in which something has changed, and tries again after 5 seconds.
        shell("cache-1", "chmod 0550 /var/lib/redis", "chmod 0750 /var/lib/redis; sleep 10"),
        (page("CacheRefusesWrites", 390, instance="cache-1"),),
        observed=450,
    ),
    Fault(
        "the memory of Redis used up",
        full_redis,
        (
            message("CacheMemoryHigh", 345, instance="cache-1"),
            message("CacheEvictsKeys", 360, instance="cache-1"),
        ),
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
        "one request in three fails",
        nothing,
        # They are more than 10 soon, too, which is muted.
        (page("ApiErrorsAbove5Percent", 105), page("ApiErrorsAbove100", 165)),
        load=Load(failing=120),
    ),
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
        together=BLIND,
    ),
)
EDGE = (
    Fault("HAProxy stopped", stopped("edge-1", "haproxy"), (page("EntryPointDown", instance="edge-1"),)),
    Fault("HAProxy frozen", frozen("edge-1", "haproxy"), (page("EntryPointDown", instance="edge-1"),)),
    Fault("the entry point's host cut off", cut_off("edge-1"), (page("HostDown", instance="edge-1"),)),
    Fault("the static files' server stopped", stopped("edge-1", "nginx"), (page("NoServerLeft", 105, proxy="static"),)),
    Fault(
        "the way from outside to the entry point cut off",
        firewall("monitoring-1", "OUTPUT -p tcp -d 10.213.77.61 --dport 80 -j REJECT --reject-with tcp-reset"),
        (page("ProbeFailed", 135, job="api_ready"), page("ProbeFailed", 135, job="frontend")),
    ),
    Fault(
        "more connections than usual at the entry point",
        shell("edge-1", background("crowd", f"exec python3 -c {shlex.quote(CROWD)}", "nobody"), end("crowd")),
        (message("EntryPointConnectionsHigh", 165, instance="edge-1"),),
        together=LIMITS,
    ),
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
    Fault(
        "little memory left",
        little_memory("edge-1"),
        (message("MemoryLow", 345, instance="edge-1"),),
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
        "an exporter that no longer sees what it is for",
        shell("grafana-1", "systemctl stop dbus.socket dbus.service", "systemctl start dbus.socket dbus.service"),
        (message("ExporterBlind", 345, instance="grafana-1", job="node"),),
        together=MINUTES,
    ),
    Fault(
        "one of two Alertmanagers gone",
        edited(PROMETHEUS, "s/^      - 127.0.0.1:9093$/&\\n      - 127.0.0.1:9/", "prometheus"),
        (message("NotificationsFail", 465, instance="monitoring-1"),),
        together=MINUTES,
    ),
    Fault(
        "one of two webhooks refuses messages",
        # Of what is sent every minute. Alertmanager itself answers with 404 there.
        edited(
            ALERTMANAGER,
            r"/^- name: watchdog$/,/url:/ s#^  - url: .*#  - url: http://127.0.0.1:9093/none\n&#",
            "prometheus-alertmanager",
        ),
        (message("MessagesFail", 405, instance="monitoring-1", integration="webhook"),),
        together=MINUTES,
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
#: Alerts that no row leads to, each with the reason. Promtool tests their rules like all others.
HOUR, QUARTER = "it looks at an hour or more", "it waits for a quarter of an hour or more"
QUANTILE = "the rule of ApiLatencyP50High with another quantile"
BUCKET = "the application would have to lack a bucket, which the stage verify reports"
NOT_MADE = {
    "ApiLatencyP95High": QUANTILE,
    "ApiLatencyP99High": QUANTILE,
    "ApiLatencyP99BudgetBurns": HOUR,
    "ApiTrafficDropped": HOUR,
    "EdgeTrafficDropped": HOUR,
    "DeadRows": HOUR,
    "DiskFilling": HOUR,
    "ServerNotUsed": QUARTER,
    "KeysWithoutLifetimeGrow": HOUR,
    "CertificateExpiresSoon": HOUR,
    "SchemaDrift": "the API of the lab has no models to compare its schema with",
    "MigrationCheckOverdue": "it looks at more than a day",
    "InodesLow": QUARTER,
    "ReplicationSlotKeepsWal": QUARTER,
    "RulesTooSlow": QUARTER,
    "ApiLatencyP50BucketMissing": BUCKET,
    "ApiLatencyP95BucketMissing": BUCKET,
    "ApiLatencyP99BucketMissing": BUCKET,
    "DatabaseLatencyP95BucketMissing": BUCKET,
    "LcpLatencyP75BucketMissing": BUCKET,
    "RedisLatencyP95BucketMissing": BUCKET,
    "EdgeErrorsAbove100": "what it follows from mutes it: HAProxy itself answers with errors only if no server is left",
    "RequestsQueue": "HAProxy queues requests only if no server is left, which is NoServerLeft",
    "CertificateExpires": "users of the lab come without TLS",
    "CloudwatchNotRead": "the lab has no CloudWatch",
    "TasksNotDiscovered": "the lab has no service of ECS",
    "ClockNotSynchronized": "the clock is that of this machine",
    "OutOfMemoryKill": "the kernel is that of this machine, and may not limit the memory of a host's units",
    "PrometheusStorageFails": "the samples of the lab would be lost, and with them what is to be seen",
    "TransactionNumbersRunOut": "it takes a billion transactions",
    "CacheSaveFailed": "what it leads to mutes it: Redis then refuses writes, which is CacheRefusesWrites",
    "NoAlertmanager": "there is no Alertmanager to send it",
    "NotificationsDropped": "it fires while Alertmanager is gone, which would send it",
    "RecentOutage": "it is sent to no receiver; that it mutes is seen where alerts end after an outage",
    "RecentCause": "it is sent to no receiver; that it mutes is seen where faults are repaired",
    "Watchdog": "it always fires; that it ends is seen where `watchdog_ends` is set",
}
#: Those of `make test`, five faults: of the most telling, those that are over soon.
QUICK = frozenset({"PostgreSQL stopped", SPARE})
