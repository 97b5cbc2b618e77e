# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on Redis, from its exporter."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import (
    CAUSE,
    Alert,
    cases,
    down,
    down_cases,
    series,
)

ON = {"job": "redis", "instance": "cache-1"}
DATABASE = {**ON, "db": "db0"}
REFUSED = {**ON, "err": "MISCONF"}
CLI = "On {{ $labels.instance }}, with the password in REDISCLI_AUTH: redis-cli "
FREE = "Free disk space or memory. Redis tries again by itself, every 5 seconds while there is something to save."

ALERTS = (
    Alert(
        name="CacheDown",
        expression=down("redis_up", "redis"),
        component="cache",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="Redis on {{ $labels.instance }} does not answer",
        impact="Users are signed out, as sessions cannot be read. Requests go to the database without a cache.",
        look=("On {{ $labels.instance }}: systemctl status redis-server; journalctl -u redis-server -n 50",),
        fix=("On {{ $labels.instance }}: systemctl restart redis-server",),
        cases=down_cases("redis_up", "redis", {"instance": "cache-1"}),
    ),
    Alert(
        name="CacheMemoryHigh",
        expression="redis_memory_used_bytes > 0.9 * (redis_memory_max_bytes > 0)",
        component="cache",
        wait="5m",
        summary="Redis on {{ $labels.instance }} uses more than 90 % of its memory",
        impact="Soon, it removes keys or refuses writes, depending on maxmemory-policy.",
        look=(CLI + "INFO memory", CLI + "--bigkeys"),
        fix=("Flush a cache layer: ansible-playbook nexod.infra.flush_cache", "Or raise redis_memory_mb."),
        cases=(
            *cases(
                {series("redis_memory_used_bytes", ON): "95x20", series("redis_memory_max_bytes", ON): "100x20"},
                {series("redis_memory_used_bytes", ON): "80x20", series("redis_memory_max_bytes", ON): "100x20"},
                ON,
            ),
            *cases(
                {series("redis_memory_used_bytes", ON): "95x20", series("redis_memory_max_bytes", ON): "100x20"},
                {series("redis_memory_used_bytes", ON): "95x20", series("redis_memory_max_bytes", ON): "0x20"},
                ON,
            ),
        ),
    ),
    Alert(
        name="CacheEvictsKeys",
        expression="increase(redis_evicted_keys_total[5m]) > 0",
        component="cache",
        wait="5m",
        keep="10m",
        summary="Redis on {{ $labels.instance }} removes keys to free memory",
        impact="Cached entries are lost; with a policy that is not limited to volatile keys, sessions too.",
        # CONFIG GET would need a right that the account has not.
        look=(CLI + "INFO stats", CLI + "INFO memory, which shows maxmemory_policy"),
        fix=("Raise redis_memory_mb, or give cached entries a shorter lifetime.",),
        cases=cases(
            {series("redis_evicted_keys_total", ON): "0+5x20"}, {series("redis_evicted_keys_total", ON): "50x20"}, ON
        ),
    ),
    Alert(
        name="CacheRejectsConnections",
        expression="increase(redis_rejected_connections_total[5m]) > 0",
        component="cache",
        severity="page",
        summary="Redis on {{ $labels.instance }} rejects connections",
        impact="Requests of the rejected clients fail.",
        look=(CLI + "INFO clients", CLI + "CLIENT LIST"),
        fix=("End the clients that leak connections, or raise maxclients.",),
        cases=cases(
            {series("redis_rejected_connections_total", ON): "0+1x20"},
            {series("redis_rejected_connections_total", ON): "7x20"},
            ON,
        ),
    ),
    Alert(
        name="KeysWithoutLifetimeGrow",
        # The exporter counts keys by database, not by prefix: a session that lost its lifetime is one of them.
        expression="delta(redis_db_keys[6h]) - delta(redis_db_keys_expiring[6h]) > 1000",
        component="cache",
        wait="30m",
        summary="{{ $labels.db }} of {{ $labels.instance }} has 1,000 more keys without a lifetime than 6 hours ago",
        impact="They are never removed: sessions that do not end, or a cache that fills the memory.",
        look=(CLI + "--scan | head -100 | xargs -n 1 redis-cli TTL, which shows -1 for a key without a lifetime",),
        fix=("Set a lifetime where the application writes these keys (SET key value EX seconds).",),
        cases=cases(
            {series("redis_db_keys", DATABASE): "0+20x110", series("redis_db_keys_expiring", DATABASE): "0x110"},
            {series("redis_db_keys", DATABASE): "0+20x110", series("redis_db_keys_expiring", DATABASE): "0+20x110"},
            DATABASE,
            at="100m",
        ),
    ),
    Alert(
        name="CacheRefusesWrites",
        # The error of stop-writes-on-bgsave-error, and of an append-only file that cannot be written.
        expression='increase(redis_errors_total{err="MISCONF"}[2m]) > 0',
        component="cache",
        severity="page",
        wait=CAUSE,
        outage=True,
        summary="Redis on {{ $labels.instance }} refuses writes, as it could not save its data to disk",
        impact="Users cannot sign in. As PING is refused too, no instance of the API may be ready.",
        look=("On {{ $labels.instance }}: journalctl -u redis-server -n 50; df -h /var/lib/redis",),
        fix=(FREE,),
        cases=cases(
            {series("redis_errors_total", REFUSED): "0+20x20"}, {series("redis_errors_total", REFUSED): "7x20"}, REFUSED
        ),
    ),
    Alert(
        name="CacheSaveFailed",
        expression="redis_rdb_last_bgsave_status == 0",
        component="cache",
        wait="5m",
        summary="Redis on {{ $labels.instance }} could not save its data to disk",
        impact="A restart loses sessions since the last save.",
        look=("On {{ $labels.instance }}: journalctl -u redis-server -n 50; df -h /var/lib/redis",),
        fix=(FREE,),
        cases=cases(
            {series("redis_rdb_last_bgsave_status", ON): "0x20"},
            {series("redis_rdb_last_bgsave_status", ON): "1x20"},
            ON,
        ),
    ),
)
