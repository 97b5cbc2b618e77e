"""Declarations of all kinds and changes of their properties: those of the tests of each kind, put together."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import Row
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import CloudFront, ElastiCache, Scaling
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws import (
    test_cache,
    test_delivery,
    test_hosts,
    test_identity,
    test_kinds,
    test_scaling,
)

MODULES = (test_kinds, test_cache, test_identity, test_scaling, test_delivery, test_hosts)
SECRETS = {**test_cache.SECRETS, **test_identity.SECRETS}
#: What is declared together, so that a run is short: between them, all kinds.
PARTS: dict[str, list[Row]] = {
    "network": [row for row in test_kinds.ALL if row[0] not in ("alarm", "sns_topic") and "rds" not in row[0]],
    "database": [
        row
        for row in test_kinds.ALL
        if "rds" in row[0] or row[0] in ("alarm", "sns_topic", "vpc", "subnet", "security_group")
    ],
    "cache": test_cache.ROWS,
    "identity": test_identity.ROWS,
    "scaling": test_scaling.ROWS,
    "delivery": test_delivery.ROWS,
    "hosts": test_hosts.ROWS,
}


#: Making a client takes longer than most tests.
CLIENTS: dict[str, t.Any] = {}


@contextlib.contextmanager
def empty_account() -> t.Iterator[None]:
    stand_ins = {"elasticache": ElastiCache(), "cloudfront": CloudFront(), "application-autoscaling": Scaling()}
    clients = {**CLIENTS, **stand_ins}
    with pytest.MonkeyPatch.context() as patch, emulated_aws(patch):
        patch.setattr(aws_resources, "CLIENTS", clients)
        test_hosts.release_image(0)
        test_identity.make_policies()
        yield
    CLIENTS.update({name: one for name, one in clients.items() if name not in stand_ins})


def everything() -> list[Row]:
    return list({row[:2]: row for part in PARTS.values() for row in part}.values())


def changes_of(module: t.Any) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """The rows of a module's test of each property."""
    (mark,) = module.test_each_property_is_changed_and_changed_back.pytestmark
    names, rows = mark.args
    for row in rows:
        given = dict(zip(names, row.values, strict=True))
        yield given.get("key") or module.KEY, given["value"]


def rows_of(module: t.Any) -> list[Row]:
    return list(getattr(module, "ALL", None) or module.ROWS)
