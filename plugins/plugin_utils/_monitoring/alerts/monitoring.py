# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on Prometheus and Alertmanager themselves, and the one that always fires."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, cases, series

PROMETHEUS, ALERTMANAGER = {"job": "prometheus", "instance": "mon-1"}, {"job": "alertmanager", "instance": "mon-1"}
ERRORS = series("prometheus_notifications_errors_total", {**PROMETHEUS, "alertmanager": "http://a"})
JOURNAL = ("On {{ $labels.instance }}: journalctl -u prometheus -n 50",)
ALERTMANAGER_JOURNAL = ("On {{ $labels.instance }}: journalctl -u prometheus-alertmanager -n 50",)

WATCHDOG = Alert(
    name="Watchdog",
    expression="vector(1)",
    component="monitoring",
    severity="none",
    wait="0m",
    summary="Alerting works",
    impact="It always fires. If its receiver no longer gets it, other alerts are not delivered either.",
    look=("The status of Prometheus and Alertmanager on the host of the group monitoring",),
    fix=("systemctl restart prometheus prometheus-alertmanager; then the network to the receiver.",),
    cases=cases({}, {}, {})[:1],
)

#: Only where alerts are to be sent anywhere.
NO_ALERTMANAGER = Alert(
    name="NoAlertmanager",
    expression="prometheus_notifications_alertmanagers_discovered < 1",
    component="monitoring",
    wait="5m",
    summary="Prometheus on {{ $labels.instance }} knows of no Alertmanager",
    impact="No alert reaches anybody. This one is seen only on Prometheus's page /alerts, and as a missing Watchdog.",
    look=JOURNAL,
    fix=("Correct prometheus_alertmanagers or prometheus_alertmanager_configs.",),
    cases=cases(
        {series("prometheus_notifications_alertmanagers_discovered", PROMETHEUS): "0x20"},
        {series("prometheus_notifications_alertmanagers_discovered", PROMETHEUS): "1x20"},
        PROMETHEUS,
    ),
)

ALERTS = (
    WATCHDOG,
    Alert(
        name="PrometheusReloadFailed",
        expression="prometheus_config_last_reload_successful == 0",
        component="monitoring",
        wait="5m",
        summary="Prometheus on {{ $labels.instance }} refused its configuration",
        impact="It runs with the previous one; after a restart it would not run at all.",
        look=("promtool check config /etc/nexod/prometheus/current/prometheus.yml", *JOURNAL),
        fix=("Correct what the check names, and deploy the stage monitoring.",),
        cases=cases(
            {series("prometheus_config_last_reload_successful", PROMETHEUS): "0x20"},
            {series("prometheus_config_last_reload_successful", PROMETHEUS): "1x20"},
            PROMETHEUS,
        ),
    ),
    Alert(
        name="RulesFail",
        expression="sum by (instance, rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
        component="monitoring",
        severity="page",
        wait="5m",
        keep="5m",
        summary="Prometheus on {{ $labels.instance }} cannot evaluate rules of {{ $labels.rule_group }}",
        impact="The alerts of these rules cannot fire: an outage would be missed.",
        look=("The page /rules of Prometheus, which shows the error", *JOURNAL),
        fix=("Correct the rule, often a label that is there twice; deploy the stage monitoring.",),
        cases=cases(
            {series("prometheus_rule_evaluation_failures_total", {**PROMETHEUS, "rule_group": "g"}): "0+1x20"},
            {series("prometheus_rule_evaluation_failures_total", {**PROMETHEUS, "rule_group": "g"}): "4x20"},
            {"instance": "mon-1", "rule_group": "g"},
        ),
    ),
    Alert(
        name="RulesTooSlow",
        expression="sum by (instance, rule_group) (increase(prometheus_rule_group_iterations_missed_total[15m])) > 0",
        component="monitoring",
        wait="15m",
        summary="Prometheus on {{ $labels.instance }} skips evaluations of {{ $labels.rule_group }}",
        impact="Alerts come late.",
        look=("The page /rules of Prometheus, which shows the time of each rule",),
        fix=("Give the host more CPU, or raise prometheus_evaluation_interval_seconds.",),
        cases=cases(
            {series("prometheus_rule_group_iterations_missed_total", {**PROMETHEUS, "rule_group": "g"}): "0+1x40"},
            {series("prometheus_rule_group_iterations_missed_total", {**PROMETHEUS, "rule_group": "g"}): "4x40"},
            {"instance": "mon-1", "rule_group": "g"},
            at="30m",
        ),
    ),
    Alert(
        name="NotificationsFail",
        expression="increase(prometheus_notifications_errors_total[5m]) > 0",
        component="monitoring",
        # Longer than the window: Alertmanager is restarted, or refuses Prometheus until that has its new password.
        wait="6m",
        keep="5m",
        summary="Prometheus on {{ $labels.instance }} cannot send alerts to {{ $labels.alertmanager }}",
        impact="Notifications may not be delivered.",
        look=("curl -sS {{ $labels.alertmanager }}", *JOURNAL),
        fix=("On the host of Alertmanager: systemctl restart prometheus-alertmanager",),
        cases=(
            *cases(
                {ERRORS: "0+1x20"},
                {ERRORS: "3x20"},
                {**PROMETHEUS, "alertmanager": "http://a"},
            ),
            Case("failed for a moment", {ERRORS: "0x3 2 4x20"}, "10m"),
        ),
    ),
    Alert(
        name="NotificationsDropped",
        expression="increase(prometheus_notifications_dropped_total[5m]) > 0",
        component="monitoring",
        # Longer than the window: what is dropped while Alertmanager is restarted is sent again a minute later.
        wait="6m",
        keep="10m",
        summary="Prometheus on {{ $labels.instance }} has dropped alerts that it could not send",
        impact="Notifications were lost.",
        look=("The page /alerts of Prometheus", *JOURNAL),
        fix=("Start Alertmanager: systemctl restart prometheus-alertmanager",),
        cases=cases(
            {series("prometheus_notifications_dropped_total", PROMETHEUS): "0+1x20"},
            {series("prometheus_notifications_dropped_total", PROMETHEUS): "3x20"},
            PROMETHEUS,
        ),
    ),
    Alert(
        name="PrometheusStorageFails",
        expression=(
            "increase(prometheus_tsdb_compactions_failed_total[3h]) > 0\n"
            "or increase(prometheus_tsdb_reloads_failures_total[3h]) > 0\n"
            "or increase(prometheus_tsdb_wal_corruptions_total[3h]) > 0"
        ),
        component="monitoring",
        wait="10m",
        summary="Prometheus on {{ $labels.instance }} cannot read or compact its samples",
        impact="Samples may be lost, and its disk fills.",
        look=("On {{ $labels.instance }}: df -h /var/lib/prometheus", *JOURNAL),
        fix=(
            "Free disk space. A block that the journal names as corrupt can be moved away while Prometheus is stopped.",
        ),
        cases=cases(
            {series("prometheus_tsdb_compactions_failed_total", PROMETHEUS): "0x5 1x40"},
            {series("prometheus_tsdb_compactions_failed_total", PROMETHEUS): "2x40"},
            PROMETHEUS,
        ),
    ),
    Alert(
        name="AlertmanagerReloadFailed",
        expression="alertmanager_config_last_reload_successful == 0",
        component="monitoring",
        wait="5m",
        summary="Alertmanager on {{ $labels.instance }} refused its configuration",
        impact="It runs with the previous one; after a restart it would not run at all.",
        look=("amtool check-config /etc/nexod/alertmanager/current/alertmanager.yml", *ALERTMANAGER_JOURNAL),
        fix=("Correct what the check names, and deploy the stage monitoring.",),
        cases=cases(
            {series("alertmanager_config_last_reload_successful", ALERTMANAGER): "0x20"},
            {series("alertmanager_config_last_reload_successful", ALERTMANAGER): "1x20"},
            ALERTMANAGER,
        ),
    ),
    Alert(
        name="MessagesFail",
        expression="sum by (instance, integration) (increase(alertmanager_notifications_failed_total[5m])) > 0",
        component="monitoring",
        wait="5m",
        keep="5m",
        summary="Alertmanager on {{ $labels.instance }} cannot deliver messages by {{ $labels.integration }}",
        impact="Recipients that only this integration reaches get no notifications.",
        look=ALERTMANAGER_JOURNAL,
        fix=("Renew the webhook URL or key that the journal names, or open the way to the service.",),
        cases=cases(
            {series("alertmanager_notifications_failed_total", {**ALERTMANAGER, "integration": "slack"}): "0+1x20"},
            {series("alertmanager_notifications_failed_total", {**ALERTMANAGER, "integration": "slack"}): "3x20"},
            {"instance": "mon-1", "integration": "slack"},
        ),
    ),
)
