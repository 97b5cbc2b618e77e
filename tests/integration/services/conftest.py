"""The stand-ins for the vendors, for the tests of what is built on them and of themselves."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import running

from ..conftest import folder_of_postgres
from ..supabase_database import SupabaseDatabase, running_supabase


@pytest.fixture
def services() -> t.Iterator[running.Services]:
    """`services.sentry` and so on; each starts when it is first asked for."""
    with running.services() as found:
        yield found


@pytest.fixture(scope="session")
def supabase_database() -> t.Iterator[SupabaseDatabase]:
    """A Supabase project's database with its pooler."""
    with folder_of_postgres() as folder, running_supabase(folder) as database:
        yield database
