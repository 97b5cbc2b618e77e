# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of resources of the vendors, by the names that declarations use."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Kind
from ansible_collections.nexod.infra.plugins.module_utils._services.kinds import clerk, sentry, sentry_alerts, vercel

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        clerk.Instance(),
        clerk.JwtTemplate(),
        clerk.RedirectUrl(),
        sentry.ClientKey(),
        sentry.Integration(),
        sentry.Ownership(),
        sentry.Project(),
        sentry_alerts.DefaultDetector(),
        sentry_alerts.Detector(),
        sentry_alerts.Workflow(),
        vercel.Domain(),
        vercel.Project(),
        vercel.Variable(),
    )
}
