from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import (
    database_url,
    read_url,
    redacted,
    secrets_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

DATABASE = {"host": "db", "port": 5432, "name": "app", "user": "owner", "password": "p@:/%w", "sslmode": "prefer"}


@pytest.mark.parametrize(
    ("changed", "driver", "url"),
    [
        pytest.param(
            {}, "psycopg", "postgresql+psycopg://owner:p%40%3A%2F%25w@db:5432/app?sslmode=prefer", id="escaped"
        ),
        pytest.param(
            {"password": None}, "psycopg2", "postgresql+psycopg2://owner@db:5432/app?sslmode=prefer", id="peer"
        ),
        pytest.param(
            {"host": "::1", "password": "x"},
            "asyncpg",
            "postgresql+asyncpg://owner:x@[::1]:5432/app?ssl=prefer",
            id="v6",
        ),
    ],
)
def test_database_url(changed: dict[str, t.Any], driver: str, url: str) -> None:
    assert database_url({**DATABASE, **changed}, driver) == url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql+psycopg://owner:p%40%2Fw@db:6000/app?sslmode=prefer", ("db", 6000, "app")),
        ("postgresql://owner:sl/ash@db/app", ("db", 5432, "app")),
        ("postgresql+asyncpg://owner@[::1]:5433/a%20b", ("::1", 5433, "a b")),
        ("postgresql:///app?host=/run/postgresql", ("/run/postgresql", 5432, "app")),
        ("postgres://owner@db", ("db", 5432, "owner")),
    ],
)
def test_urls_are_read_as_sqlalchemy_does(url: str, place: tuple[str, int, str]) -> None:
    found = read_url(url)
    assert (found["host"], found["port"], found["name"]) == place


@pytest.mark.parametrize("url", ["s3cret", "mysql://owner:s3cret@db/app", "postgresql:/owner:s3cret@db"])
def test_what_is_no_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InfraError) as caught:
        read_url(url)
    assert "s3cret" not in str(caught.value.report())


def test_every_form_of_the_password_is_blanked_and_names_stay() -> None:
    url = "postgresql://owner:p%40ss@db/app"
    secrets = secrets_of(url)
    event = {"detail": f"at {url}: p@ss, p%40ss, p%%40ss", "revision": "p@ss", "statements": [{"sql": "x p@ss"}]}
    assert redacted(event, secrets) == {
        "detail": "at ********: ********, ********, ********",
        "revision": "p@ss",
        "statements": [{"sql": "x ********"}],
    }
