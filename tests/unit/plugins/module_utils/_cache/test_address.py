"""Where a cache is: what the options and the URL say, and that nothing is dropped, guessed or shown."""

from __future__ import annotations

import typing as t
import urllib.parse

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.nexod.infra.plugins.module_utils._cache.address import Target, secrets_of, target_of
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tests.fixtures.generated import EXAMPLES


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"host": "a"}, Target("a", 6379)),
        ({"host": "::1", "port": 1}, Target("::1", 1)),
        ({"url": "redis://a"}, Target("a", 6379)),
        ({"url": "redis://a/"}, Target("a", 6379)),
        ({"url": "VALKEY://a:1/2"}, Target("a", 1, 2)),
        (
            {"url": "rediss://flusher:p%40ss@cache.example:6380/2"},
            Target("cache.example", 6380, 2, "flusher", "p@ss", True),
        ),
        ({"url": "redis://u@[::1]:1", "password": "x"}, Target("::1", 1, 0, "u", "x")),
        ({"url": "redis://:x@a"}, Target("a", 6379, password="x")),
        ({"url": "redis://u:x:y@a"}, Target("a", 6379, username="u", password="x:y")),
        ({"url": "redis://a:6379?db=3"}, Target("a", 6379, 3)),
        ({"url": "redis://a:6379/3?db=3", "db": 3, "port": 6379, "tls": False}, Target("a", 6379, 3)),
        (
            {"url": "rediss://a?ssl_ca_certs=/etc/ca.crt&ssl_cert_reqs=required"},
            Target("a", 6379, tls=True, ca_cert="/etc/ca.crt"),
        ),
        ({"url": "unix:///run/redis.sock?db=2"}, Target("", 6379, 2, unix_socket="/run/redis.sock")),
        ({"unix_socket": "/run/redis.sock"}, Target("", 6379, unix_socket="/run/redis.sock")),
        (
            {"sentinels": ["a:1", "b", "[::1]:2", "::1"], "sentinel_service": "cache"},
            Target("", 6379, sentinels=(("a", 1), ("b", 26379), ("::1", 2), ("::1", 26379)), service="cache"),
        ),
        (
            {"host": "a", "tls": True, "username": "u", "iam_cache": "app", "region": "eu-west-1"},
            Target("a", 6379, username="u", tls=True, iam_cache="app", region="eu-west-1"),
        ),
    ],
)
def test_target(given: dict[str, t.Any], target: Target) -> None:
    assert target_of(given) == target


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "http://a"}, "does not begin with redis://"),
        ({"url": "a:6379"}, "no scheme"),
        ({"url": "redis://"}, "no valid host and port"),
        ({"url": "redis://a:port"}, "no valid host and port"),
        ({"url": "redis://a:"}, "no valid host and port"),
        ({"url": "redis://a:0"}, "not a valid address"),
        ({"url": "redis://a:70000"}, "not a valid address"),
        ({"url": "redis://a%2Fb"}, "no valid host and port"),
        ({"url": "redis://u:secret@a/zero"}, "not the number of a database"),
        ({"url": "redis://a/1/2"}, "not the number of a database"),
        ({"url": "redis://a/-1"}, "not the number of a database"),
        ({"url": "redis://u:sec/ret@a"}, "@ as %40"),
        ({"url": "redis://u:12/secret@a/0"}, "@ as %40"),
        ({"url": "redis://u:sec#ret@a"}, "@ as %40"),
        ({"url": "redis://u:sec?ret@a"}, "@ as %40"),
        ({"url": "redis://u:sec@ret@a"}, "@ as %40"),
        ({"url": "redis://a#secret"}, "contains a #"),
        ({"url": "redis://u:sec%ret@a"}, "a % that begins no escape"),
        ({"url": "redis://u:%ff@a"}, "not UTF-8"),
        ({"url": "redis://u:%0asecret@a"}, "a control character"),
        ({"url": "redis://u:sec ret@a"}, "white space"),
        ({"url": "redis://a\n.example"}, "white space"),
        ({"url": "redis://a\\@b"}, "a backslash"),
        ({"url": "redis://a?socket_timeout=5"}, "not supported (socket_timeout)"),
        ({"url": "redis://a?ssl_cert_reqs=none"}, "not supported (ssl_cert_reqs)"),
        ({"url": "redis://a?password=secret"}, "not supported (password)"),
        ({"url": "redis://a?secret"}, "not supported (of another form)"),
        ({"url": "redis://a?db="}, "not supported (db)"),
        ({"url": "redis://a?db=x"}, "db of the URL is not a number"),
        ({"url": "redis://a?db=1&db=2"}, "twice"),
        ({"url": "redis://a/0?db=3"}, "the option db contradict"),
        ({"url": "redis://a/0", "db": 5}, "the option db contradict"),
        ({"url": "redis://a?db=3", "db": 5}, "the option db contradict"),
        ({"url": "redis://a:1", "port": 2}, "the option port contradict"),
        ({"url": "redis://a", "tls": True}, "the option tls contradict"),
        ({"url": "rediss://a", "tls": False}, "the option tls contradict"),
        ({"url": "redis://u:secret@a", "password": "secret2"}, "the option password contradict"),
        ({"url": "redis://u@a", "username": "v"}, "the option username contradict"),
        ({"url": "unix://a/run/redis.sock"}, "names no socket"),
        ({"url": "unix://"}, "names no socket"),
        ({"url": "redis://a", "ca_cert": "/ca"}, "ca_cert is set, but not tls"),
        ({"host": "a", "ca_cert": "/ca"}, "ca_cert is set, but not tls"),
        ({"host": "a", "client_cert": "/c", "client_key": "/k"}, "client_cert is set, but not tls"),
        ({"host": "a", "tls_server_name": "b"}, "tls_server_name is set, but not tls"),
        ({"host": "a", "iam_cache": "app", "username": "u"}, "in clear text"),
        ({"url": "redis://u@a", "iam_cache": "app"}, "in clear text"),
        ({"host": "a", "iam_serverless": True}, "iam_serverless is set, but not iam_cache"),
        ({"host": "a", "sentinel_password": "secret"}, "sentinel_password is set, but not sentinels"),
        ({"sentinels": ["a"], "sentinel_service": "s", "port": 6379}, "sentinels and port are set"),
        ({"unix_socket": "/s", "port": 1}, "unix_socket and port are set"),
        ({"host": "redis://a"}, "host is not the name"),
        ({"host": "a:6379"}, "host is not the name"),
        ({"host": "10.0.0.1:6379"}, "host is not the name"),
        ({"host": " a"}, "host is not the name"),
        ({"sentinels": ["a:b"], "sentinel_service": "s"}, "sentinels contains an entry"),
        ({"sentinels": [""], "sentinel_service": "s"}, "sentinels contains an entry"),
        ({"host": "a", "address_map": {"b:1": "c:x"}}, "address_map contains an entry"),
        ({"host": "a", "port": 70000}, '"port"'),
        ({"host": "a", "timeout": -1}, '"timeout"'),
        ({"host": "a", "db": -1}, '"db"'),
        ({"host": "a", "password": "secret\ud800"}, "half a character"),
        ({"url": "redis://u:secret\ud800@a"}, "not UTF-8"),
    ],
)
def test_what_is_not_understood_or_contradicts_is_refused(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InfraError) as caught:
        target_of(given)
    assert words in str(caught.value)
    assert not [part for part in ("secret", "sec", "ret@") if part in str(caught.value)]


@pytest.mark.parametrize(
    ("mapped", "address", "expected"),
    [
        ({"10.0.0.5:7000": "127.0.0.1:17000"}, ("10.0.0.5", 7000), ("127.0.0.1", 17000)),
        ({"10.0.0.5": "bastion"}, ("10.0.0.5", 7000), ("bastion", 7000)),
        ({"10.0.0.5": "bastion", "10.0.0.5:7000": "other:1"}, ("10.0.0.5", 7000), ("other", 1)),
        ({"10.0.0.5": "bastion"}, ("10.0.0.6", 7000), ("10.0.0.6", 7000)),
    ],
)
def test_addresses_are_mapped(mapped: dict[str, str], address: tuple[str, int], expected: tuple[str, int]) -> None:
    assert target_of({"host": "a", "address_map": mapped}).mapped(*address) == expected


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("redis://u:p%40ss@a", {"p%40ss", "p@ss"}),
        ("redis://u:a/b@c", {"a/b", "a", "b"}),
        ("redis://a?password=x", {"x"}),
        ("redis://a", set()),
    ],
)
def test_what_is_hidden(url: str, secrets: set[str]) -> None:
    assert secrets_of({"url": url}) == secrets


STEADY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
PARTS = st.text(alphabet="ab:/?#@%[]\\ \n.=&0123", max_size=6)
AROUND = st.text(alphabet=":/?#@%[]\\ \n.=&4", max_size=3)
PASSWORDS = st.builds("{}QWZ{}".format, AROUND, AROUND)


@STEADY
@example(before="", password="QWZ[", host="", after="0")
@given(before=PARTS, password=PASSWORDS, host=PARTS, after=PARTS)
def test_no_url_shows_its_password_or_leads_elsewhere(before: str, password: str, host: str, after: str) -> None:
    """Either it is refused without a part of the password, or every lenient reader finds the same in it."""
    url = f"redis://{before}:{password}@{host}{after}"
    try:
        target = target_of({"url": url})
    except InfraError as error:
        assert "QWZ" not in str(error)
        return
    assert "QWZ" not in repr(target)
    assert target.password in secrets_of({"url": url})
    read = urllib.parse.urlsplit(url)
    assert (read.hostname, read.port or 6379) == (target.host.lower(), target.port)
    assert urllib.parse.unquote(read.password or "") == target.password
    assert read.netloc.count("@") == url.count("@") == 1


@STEADY
@given(
    user=st.text(min_size=1, max_size=8),
    password=st.text(min_size=1, max_size=8),
    db=st.integers(0, 99),
    form=st.sampled_from(["/{}", "?db={}"]),
)
def test_a_url_that_is_escaped_says_what_was_put_in(user: str, password: str, db: int, form: str) -> None:
    try:
        user_info = ":".join(urllib.parse.quote(text, safe="") for text in (user, password))
        target = target_of({"url": f"redis://{user_info}@cache.example:1{form.format(db)}"})
    except UnicodeEncodeError:
        return
    except InfraError as error:
        assert "control character" in str(error)
        return
    assert target == Target("cache.example", 1, db, user, password)
