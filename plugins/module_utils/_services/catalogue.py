# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of resources of the vendors, by the names that declarations use."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import Kind
from ansible_collections.nexod.infra.plugins.module_utils._services.kinds import (
    awx,
    awx_jobs,
    clerk,
    sentry,
    sentry_alerts,
    vercel,
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        awx.Credential(),
        awx.CredentialType(),
        awx.ExecutionEnvironment(),
        awx.Inventory(),
        awx.InventorySource(),
        awx.ManagedCredentialType(),
        awx.NotificationTemplate(),
        awx.Organization(),
        awx.Project(),
        awx.Team(),
        awx.User(),
        awx_jobs.JobTemplate(),
        awx_jobs.Node(),
        awx_jobs.Role(),
        awx_jobs.Schedule(),
        awx_jobs.Workflow(),
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
