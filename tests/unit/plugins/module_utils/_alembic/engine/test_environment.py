"""Functions of Alembic's that it does not document: looked for, and missed with the version in the message."""

from __future__ import annotations

import types

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import faults
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine import environment
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.protocol import Fault

ALEMBIC = types.SimpleNamespace(__version__="2.0.0")


def test_an_alembic_that_has_them_passes() -> None:
    environment.require(ALEMBIC, types.SimpleNamespace(_stamp_revs=None), ["_stamp_revs"])


def test_an_alembic_without_them_is_refused_by_version() -> None:
    with pytest.raises(Fault) as caught:
        environment.require(ALEMBIC, types.SimpleNamespace(_upgrade_revs=None), environment.PRIVATE_OF_SCRIPTS)
    event = caught.value.event
    assert (event["kind"], event["missing"]) == ("unsupported_alembic", ["_downgrade_revs", "_stamp_revs"])
    database = {"host": "db", "port": 5432, "name": "app"}
    error = faults.fault(event, faults.Situation("upgrade database", database, "/opt/api/bin/python", {}))
    assert "Alembic 2.0.0 in the environment of /opt/api/bin/python lacks" in str(error)
    assert f"tested with ({environment.TESTED})" in str(error)
