# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the module service_resources: a rehearsal where that is asked for, the declaration, and what is pruned."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import Declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Outcome, Policy, Tell
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import services_of
from ansible_collections.nexod.infra.plugins.module_utils._services.awx_owned import may_change, undeclared
from ansible_collections.nexod.infra.plugins.module_utils._services.clerk_issuer import refuse_another
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Services

Given = t.Mapping[str, t.Any]


def applied(given: Given, rows: t.Sequence[Declared], tell: Tell, *, check: bool) -> tuple[Outcome, Services]:
    """The outcome, and the clients by which it came about. `given`: the options of the module."""
    services = services_of(given, rows, check=check or given["rehearse"])
    outcome = with_issuer(given, services, once(given, rows, services, tell))
    if given["rehearse"]:
        organization = organization_of(given)
        refusal = may_change(services["awx"], organization, outcome.changes) if organization else None
        if refusal and not outcome.faults:
            outcome = dataclasses.replace(outcome, faults=[("", refusal)])
        if outcome.faults:
            # Nothing of what was predicted has been done.
            return dataclasses.replace(outcome, changes=[]), services
        if not check:
            services = services_of(given, rows, check=False)
            outcome = once(given, rows, services, tell)
    return outcome, services


def with_issuer(given: Given, services: Services, outcome: Outcome) -> Outcome:
    """With a fault if the issuer of Clerk's tokens, where one is given, is not that of the instance."""
    issuer = str((given.get("clerk") or {}).get("issuer") or "")
    if not issuer:
        return outcome
    try:
        refuse_another(issuer, services.clients.get("clerk"))
    except InfraError as error:
        return dataclasses.replace(outcome, faults=[*outcome.faults, ("issuer of Clerk's tokens", error)])
    return outcome


def organization_of(given: Given) -> str:
    return str((given["awx"] or {}).get("organization") or "")


def once(given: Given, rows: t.Sequence[Declared], services: Services, tell: Tell) -> Outcome:
    """The declaration, then what is no longer declared."""
    policy, organization = Policy(given["environment"], lose=frozenset(given["lose"])), organization_of(given)
    engine = Engine(services, policy, tell)
    outcome = engine.present(rows) if given["state"] == "present" else engine.absent(rows)
    if not given["prune"] or not organization or outcome.faults:
        return outcome
    services.refresh()
    # In check mode, what is to be removed is still there, and is no second removal.
    left = undeclared(services["awx"], organization, outcome.outputs)
    pruned = Engine(services, policy, tell).absent(left)
    return dataclasses.replace(outcome, changes=[*outcome.changes, *pruned.changes], faults=pruned.faults)
