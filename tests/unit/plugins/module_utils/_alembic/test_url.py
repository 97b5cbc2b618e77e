from __future__ import annotations

import typing as t
from urllib.parse import quote, quote_plus, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import (
    database_url,
    place,
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
        pytest.param(
            {"host": "/run/postgresql", "password": "x"},
            "psycopg",
            "postgresql+psycopg://owner:x@/app?host=%2Frun%2Fpostgresql&port=5432&sslmode=prefer",
            id="socket",
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
        ("postgresql+psycopg://owner:p%40ss@/app?host=db&port=6000", ("db", 6000, "app")),
        ("postgresql+psycopg://owner@/app?host=db:6000", ("db", 6000, "app")),
        ("postgresql+psycopg://owner@db/app?hostaddr=192.0.2.1", ("192.0.2.1", 5432, "app")),
        ("postgresql+psycopg://owner@/app?host=a:1&host=b:2", ("a", 1, "app")),
        ("postgresql+psycopg://owner@/?dbname=app&host=::1", ("::1", 5432, "app")),
        ("postgresql+psycopg://@db/?user=owner", ("db", 5432, "owner")),
    ],
)
def test_urls_are_read_as_sqlalchemy_does(url: str, place: tuple[str, int, str]) -> None:
    found = read_url(url)
    assert (found["host"], found["port"], found["name"]) == place


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql:///app?host=/run/postgresql", '"app" at /run/postgresql:5432'),
        ("postgresql://owner@/app?host=a:1&host=b:2", '"app" at a:1, b:2'),
        ("postgresql://owner@/app?host=a,b&port=1,2", '"app" at a:1, b:2'),
        ("postgresql://owner@/app?host=a,b&port=6000", '"app" at a:6000, b:6000'),
        ("postgresql+psycopg://owner@a,b:6000/app", '"app" at a:6000, b:6000'),
        ("postgresql://owner@[::1]/app", '"app" at [::1]:5432'),
        ("postgresql:///app", '"app" at the default host'),
    ],
)
def test_messages_name_every_host(url: str, shown: str) -> None:
    assert place(read_url(url)) == shown


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("s3cret", "Write it as postgresql", id="no URL"),
        pytest.param("mysql://owner:s3cret@db/app", "Write it as postgresql", id="another database"),
        pytest.param("postgresqlx://owner:s3cret@db/app", "Write it as postgresql", id="no dialect"),
        pytest.param("postgresql:/owner:s3cret@db", "Write it as postgresql", id="one slash"),
        pytest.param("postgresql://owner:s3@cret@db/app", "@ as %40", id="@ in the password"),
        pytest.param("postgresql://owner:x@s3cret/y@db/app", "@ as %40", id="@ before a slash"),
        pytest.param("postgresql://owner:x@s3cret?y@db/app", "@ as %40", id="@ before a question mark"),
        pytest.param("postgresql://own@s3cret:x@db/app", "@ as %40", id="@ in the user"),
        pytest.param("postgresql://own/s3cret@db/app", "@ as %40", id="slash in the user"),
        pytest.param("postgresql://owner:s3cret", "port is not a number", id="no host"),
        pytest.param("postgresql://owner@db:s3cret/app", "port is not a number", id="words for a port"),
        pytest.param("postgresql://owner:s3cret@db:0/app", "from 1 to 65535", id="port 0"),
        pytest.param("postgresql://owner:s3cret@db:99999/app", "from 1 to 65535", id="port too large"),
        pytest.param("postgresql://owner:s3cret@a:1,b:2/app", r"\?host=HOST1:5432&host=HOST2", id="libpq's hosts"),
        pytest.param("postgresql+asyncpg://owner:s3cret@a,b/app", r"\?host=HOST1:5432", id="asyncpg's hosts"),
        pytest.param("postgresql://owner:s3cret@db/app?host=other", "host twice", id="two hosts"),
        pytest.param("postgresql://owner:s3cret@db:1/app?port=2", "port twice", id="two ports"),
        pytest.param("postgresql://owner:s3cret@db/app?dbname=other", "database twice", id="two names"),
        pytest.param("postgresql://owner:s3cret@db/app?user=other", "user twice", id="two users"),
        pytest.param("postgresql://owner:s3cret@db/app?password=s3cret2", "password twice", id="two passwords"),
        pytest.param("postgresql://owner@/app?host=a:1&host=b:2&port=3", "two ways", id="two ways"),
        pytest.param("postgresql://owner@/app?host=a,b,c&port=1,2", "as many ports", id="ports missing"),
        pytest.param("postgresql://db/app?service=s3cret", "parameter service", id="service"),
        pytest.param("postgresql://db/app?dsn=password%3Ds3cret", "parameter dsn", id="dsn"),
        pytest.param("postgresql://owner:s3cret@db/app\n", "line break", id="line break"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_and_not_shown(url: str, words: str) -> None:
    with pytest.raises(InfraError, match=words) as caught:
        read_url(url)
    assert "s3cret" not in str(caught.value.report())


TEXT = st.text(min_size=1, max_size=12)
QUERY_KEYS = ["host", "port", "user", "password", "dbname", "hostaddr", "sslpassword", "application_name", "service"]


@given(TEXT, TEXT, TEXT, st.lists(st.tuples(st.sampled_from(QUERY_KEYS), TEXT), max_size=3), st.booleans())
def test_no_form_of_a_url_shows_its_password(
    user: str, password: str, name: str, query: list[tuple[str, str]], encoded: bool
) -> None:
    secret = f"s3cret{password}s3cret"
    written = quote(secret, safe="") if encoded else secret
    url = f"postgresql+psycopg://{user}:{written}@db/{name}?" + urlencode([*query, ("sslpassword", secret)])
    try:
        found, secrets = read_url(url), secrets_of(url)
    except InfraError as error:
        assert "s3cret" not in str(error.report())
        return
    assert "s3cret" not in place(found)
    for form in (secret, unquote(written), written, quote(secret, safe=" +"), quote_plus(secret), url):
        assert "s3cret" not in redacted({"detail": f"at {form}!"}, secrets)["detail"]


@given(TEXT, TEXT, TEXT)
def test_a_url_of_the_inventory_connects_where_the_inventory_says(user: str, password: str, name: str) -> None:
    found = read_url(database_url({**DATABASE, "user": user, "password": password, "name": name}, "psycopg"))
    assert (found["host"], found["port"], found["name"]) == ("db", 5432, name)


def test_every_form_of_the_password_is_blanked_and_names_stay() -> None:
    url = "postgresql://owner:p%40ss@db/app"
    secrets = secrets_of(url)
    event = {"detail": f"at {url}: p@ss, p%40ss, p%%40ss", "revision": "p@ss", "statements": [{"sql": "x p@ss"}]}
    assert redacted(event, secrets) == {
        "detail": "at ********: ********, ********, ********",
        "revision": "p@ss",
        "statements": [{"sql": "x ********"}],
    }
