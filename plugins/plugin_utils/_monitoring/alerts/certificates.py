# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts on certificates, from the blackbox exporter; silent where nothing is probed by TLS."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.alerts.alert import Alert, Case, series

PROBED = {"job": "frontend", "instance": "https://e/"}
EXPIRY = series("probe_ssl_earliest_cert_expiry", PROBED)
LEFT = "probe_ssl_earliest_cert_expiry - time()"
LOOK = ("openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -dates -issuer",)
FIX = ("Renew it (certbot renew, or the role's option of the certificate) and deploy the stage that installs it.",)


ALERTS = (
    Alert(
        name="CertificateExpiresSoon",
        expression=f"{LEFT} < 14 * 86400",
        component="probe",
        wait="1h",
        summary="The certificate of {{ $labels.instance }} expires within 14 days",
        impact="After that, browsers refuse to connect. Its automatic renewal, if any, has failed.",
        look=LOOK,
        fix=FIX,
        cases=(
            Case("in 10 days", {EXPIRY: "864000x90"}, "80m", (PROBED,)),
            Case("in 20 days", {EXPIRY: "1728000x90"}, "80m"),
        ),
    ),
    Alert(
        name="CertificateExpires",
        expression=f"{LEFT} < 3 * 86400",
        component="probe",
        severity="page",
        wait="10m",
        summary="The certificate of {{ $labels.instance }} expires within 3 days",
        impact="After that, browsers refuse to connect.",
        look=LOOK,
        fix=FIX,
        cases=(
            Case("in 2 days", {EXPIRY: "172800x30"}, "20m", (PROBED,)),
            Case("in 10 days", {EXPIRY: "864000x30"}, "20m"),
        ),
    ),
)
