"""What Prometheus reads. Bucket boundaries follow the latency table: a quantile can be judged exactly only at one."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from nexod_api import __version__

USER_TYPES = ("free", "pro", "team", "internal")

# Each target (0.1, 0.3, 0.5), each alert threshold (0.2, 0.5, 1), and values above for the calls of 30 s and more.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60)
# Target 0.05, alert 0.1.
DATABASE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
# Target 0.005, alert 0.01.
REDIS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)
# TTFB: target 0.2, alert 0.5. LCP: target 2.5, alert 4.
VITALS_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 1.8, 2.5, 3, 4, 6, 10)
SHIFT_BUCKETS = (0.01, 0.05, 0.1, 0.15, 0.25, 0.5, 1)

TIMED_VITALS = ("FCP", "INP", "LCP", "TTFB")
DATABASE_OPERATIONS = ("select", "insert", "update", "delete", "other")
REDIS_COMMANDS = ("get", "getex", "set", "unlink", "ping", "zadd", "expire", "zremrangebyscore", "zcard")

REQUESTS = Counter("http_requests_total", "Requests answered.", ["method", "endpoint", "status"])
REQUEST_SECONDS = Histogram(
    "http_request_duration_seconds", "Time to the end of the answer.", ["method", "endpoint"], buckets=REQUEST_BUCKETS
)
ACTIVE_USERS = Gauge(
    "active_users", "Users with a session used in the last five minutes, in all: every instance says the same number."
)
TASKS_CREATED = Counter("tasks_created_total", "Tasks created.", ["user_type"])
DATABASE_SECONDS = Histogram(
    "database_query_duration_seconds",
    "Time of a statement, the way through the pooler included.",
    ["operation"],
    buckets=DATABASE_BUCKETS,
)
REDIS_SECONDS = Histogram(
    "redis_command_duration_seconds", "Time of a command, the network included.", ["command"], buckets=REDIS_BUCKETS
)
WEB_VITALS_SECONDS = Histogram(
    "web_vitals_seconds", "Core web vitals that browsers report, in seconds.", ["name"], buckets=VITALS_BUCKETS
)
LAYOUT_SHIFT = Histogram("web_vitals_layout_shift", "Cumulative layout shift (CLS), a score.", buckets=SHIFT_BUCKETS)
BUILD = Gauge("nexod_api_build_info", "Always 1; the label says which version runs.", ["version"])


def begin_at_zero() -> None:
    """Every label set that can be foreseen exists before its first event: a series born at 20 has an increase of 0."""
    for user_type in USER_TYPES:
        TASKS_CREATED.labels(user_type)
    for operation in DATABASE_OPERATIONS:
        DATABASE_SECONDS.labels(operation)
    for command in REDIS_COMMANDS:
        REDIS_SECONDS.labels(command)
    for name in TIMED_VITALS:
        WEB_VITALS_SECONDS.labels(name)
    BUILD.labels(__version__).set(1)
