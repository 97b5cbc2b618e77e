"""Every form of a database URL connects where the messages say, or is refused."""

from __future__ import annotations

import json
import subprocess
import typing as t
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.address import normal_url
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

from .alembic_project import ASYNC_ENV, FIRST, SYNC_ENV, Project
from .conftest import free_port

# What SQLAlchemy passes to each driver for a URL; None if it can't read it.
ORACLE = """
import json, sys
from sqlalchemy.engine import make_url
for line in sys.stdin:
    try:
        url = make_url(json.loads(line))
        answer = url.get_dialect()().create_connect_args(url)[1]
    except Exception as error:
        answer = None
    print(json.dumps(answer, default=str), flush=True)
"""


@pytest.fixture(scope="module")
def arguments_of(application_python: str) -> t.Iterator[t.Callable[[str], t.Any]]:
    with subprocess.Popen(
        [application_python, "-c", ORACLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as oracle:

        def ask(url: str) -> t.Any:
            assert oracle.stdin
            assert oracle.stdout
            oracle.stdin.write(json.dumps(url) + "\n")
            oracle.stdin.flush()
            return json.loads(oracle.stdout.readline())

        yield ask
        assert oracle.stdin
        oracle.stdin.close()


WORD = st.text("ab@:/?#[]%,. &=+", max_size=6)
HOSTS = st.sampled_from(["", "a", "b:1", "::1", "[::1]", "a,b", "/run", "a:1,b:2", "1.2.3.4:x"])
PORTS = st.sampled_from(["", ":1", ":2", ":x", ":1,2", ":"])
PARAMETERS = st.tuples(
    st.sampled_from(["host", "port", "user", "password", "dbname", "database", "sslmode"]),
    st.sampled_from(["a", "b", "a:1", "b:2", "a,b", "1", "2", "1,2", "::1", "/run", "x@y", ""]),
)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    dialect=st.sampled_from(["psycopg", "psycopg2", "asyncpg"]),
    account=st.one_of(st.just(""), st.tuples(WORD, WORD).map(lambda two: f"{two[0]}:{two[1]}@")),
    host=HOSTS,
    port=PORTS,
    name=WORD,
    query=st.lists(PARAMETERS, max_size=3),
    encoded=st.booleans(),
)
def test_a_url_connects_where_it_says_or_is_refused(
    arguments_of: t.Callable[[str], t.Any],
    dialect: str,
    account: str,
    host: str,
    port: str,
    name: str,
    query: list[tuple[str, str]],
    encoded: bool,
) -> None:
    tail = urlencode(query) if encoded else "&".join(f"{key}={value}" for key, value in query)
    url = f"postgresql+{dialect}://{account}{host}{port}/{name}?{tail}"
    try:
        found = read_url(url)
    except InfraError:
        return
    taken = arguments_of(normal_url(url))
    if taken is None:
        return  # refused later, by SQLAlchemy
    hosts, ports = taken.get("host") or "", taken.get("port") or ""
    hosts = hosts if isinstance(hosts, list) else [one for one in str(hosts).split(",") if one]
    ports = ports if isinstance(ports, list) else str(ports).split(",")
    ports = [int(one or 5432) for one in ports] * (max(len(hosts), 1) if len(ports) == 1 else 1)
    if hosts:
        assert found["candidates"] == tuple(zip(hosts, ports, strict=True))
    else:
        assert {one for _host, one in found["candidates"]} == {ports[0]}
    assert found["name"] == (taken.get("dbname") or taken.get("database") or taken.get("user") or "")


def forms(project: Project, **changed: t.Any) -> dict[str, str]:
    """The same database in every form that a URL has."""
    server = project.postgres
    given = {"password": server.password, "name": project.name, **changed}
    account, port = f"owner:{quote(given['password'], safe='')}", server.port
    name, nobody = given["name"], free_port()
    return {
        "host in the query": f"postgresql+psycopg://{account}@/{name}?host=127.0.0.1&port={port}",
        "host and port in the query": f"postgresql+psycopg2://{account}@/{name}?host=127.0.0.1:{port}",
        "socket": f"postgresql+psycopg://{account}@/{name}?host={server.socket}&port={port}",
        "socket, asyncpg": f"postgresql+asyncpg://{account}@/{name}?host={server.socket}&port={port}",
        "the second of two hosts": f"postgresql+psycopg://{account}@/{name}?host=127.0.0.1:{nobody}&host=127.0.0.1:{port}",
        "two hosts before the name": f"postgresql+psycopg://{account}@127.0.0.1,127.0.0.1:{port}/{name}",
        "hostaddr": f"postgresql+psycopg://{account}@nowhere.invalid:{port}/{name}?hostaddr=127.0.0.1",
        "password in the query": f"postgresql+psycopg2://owner@127.0.0.1:{port}/{name}?"
        + urlencode({"password": given["password"]}),
        "postgres://": f"postgres+psycopg://{account}@127.0.0.1:{port}/{name}",
    }


@pytest.mark.parametrize("form", ["host in the query", "socket", "socket, asyncpg", "the second of two hosts"])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"password": "wr0ngwr0ng"}, "Correct the user or the password", id="password"),
        pytest.param({"name": "nowhere"}, "Create the database first", id="no database"),
    ],
)
def test_check_mode_fails_as_a_run_does(project: Project, form: str, changed: dict[str, str], words: str) -> None:
    project.revise(FIRST)
    with pytest.raises(InfraError, match=words) as caught:
        project.upgrade(check=True, url=forms(project, **changed)[form])
    assert "wr0ng" not in str(caught.value.report())


def test_every_form_runs(project: Project) -> None:
    project.revise(FIRST)
    for form, url in forms(project).items():
        project.environment(ASYNC_ENV if "asyncpg" in form else SYNC_ENV % {"options": ""})
        assert project.upgrade(url=url).after == ("0001",), form
        assert project.upgrade(check=True, url=url).before == ("0001",), form


def test_check_mode_before_the_server_is_there_shows_what_is_missing(project: Project) -> None:
    project.revise(FIRST)
    url = f"postgresql+psycopg://owner@/{project.name}?host=/nowhere&port=5432"
    planned = project.upgrade(check=True, url=url)
    assert not planned.inspected
    assert "at /nowhere:5432" in planned.warnings[0]


def test_variables_of_the_caller_do_not_lead_elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.revise(FIRST)
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGSERVICE", "other")
    assert project.upgrade().after == ("0001",)
    with pytest.raises(InfraError, match="Remove PGHOSTADDR"):
        project.upgrade(environment={"PGHOSTADDR": "192.0.2.1"})
