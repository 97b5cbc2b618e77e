"""The cache modules as Ansible runs them, on real servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import boto3
import pytest

from .playbook import run_task

if t.TYPE_CHECKING:
    from .conftest import RedisServer, Servers

ROOT = Path(__file__).resolve().parents[2]


def module(name: str, *, check: bool = False, path: str = "", **arguments: t.Any) -> dict[str, t.Any]:
    given = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}}
    done = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.nexod.infra.plugins.modules.{name}"],
        input=json.dumps(given),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, str(ROOT / ".collections"))))},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def reach(server: RedisServer) -> dict[str, t.Any]:
    return {"host": server.host, "port": server.port, "password": server.password}


def test_flush(cache: RedisServer) -> None:
    cache.client.mset({"api:1": "x", "api:2": "x", "session:1": "x"})
    url = f"redis://:{cache.password.replace('@', '%40')}@{cache.host}:{cache.port}/0"
    asked = {"prefixes": ["api:"], "patterns": ["q[12]"], "protect": ["session:"]}
    planned = module("cache_flush", check=True, url=url, **asked)
    assert (planned["changed"], planned["deleted"]) == (True, {"api:": 2, "q[12]": 0})
    done = module("cache_flush", url=url, **asked)
    assert (done["changed"], done["deleted_total"], done["sessions_kept"]) == (True, 2, 1)
    assert done["totals"]["dbsize_after"] == done["nodes"][0]["dbsize_after"] == 1
    assert cache.password not in json.dumps(done)
    assert not module("cache_flush", url=url, **asked)["changed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prefixes": ["api:"]}, "no prefix is given whose keys must be kept"),
        ({"prefixes": ["api:"], "protect": ["session:"], "deadline": "soon"}, "neither a number of seconds nor"),
        ({"patterns": ["*"], "protect": ["session:"]}, "matches keys under the protected"),
    ],
)
def test_flush_refuses(cache: RedisServer, arguments: dict[str, t.Any], words: str) -> None:
    assert words in module("cache_flush", **reach(cache), **arguments)["msg"]


def test_protect_takes_globs_and_warns_of_what_protects_nothing(cache: RedisServer) -> None:
    cache.client.mset({"spring:session:sessions:1": "x", "spring:cache:1": "x", "session:1": "x"})
    asked = {"prefixes": ["spring:"], "protect": ["*session*", "nowhere:"]}
    for check in (True, False):
        done = module("cache_flush", check=check, **reach(cache), **asked)
        assert (done["deleted_total"], done["sessions_kept"]) == (1, 2)
        assert done["protected"] == {"*session*": 2, "nowhere:": 0}
        assert 'No key is protected by "nowhere:"' in str(done["warnings"])
    assert sorted(cache.client.keys()) == [b"session:1", b"spring:session:sessions:1"]


@pytest.mark.parametrize("check", [False, True])
def test_the_floor_of_protected_keys_holds_before_the_first_deletion(cache: RedisServer, check: bool) -> None:
    cache.client.mset({"api:1": "x", "session:1": "x"})
    asked = {"prefixes": ["api:"], "protect": ["session:"]}
    failed = module("cache_flush", check=check, **reach(cache), **asked, minimum_protected=2)
    assert "1 keys are protected, and minimum_protected is 2" in failed["msg"]
    assert cache.client.dbsize() == 2
    assert module("cache_flush", check=check, **reach(cache), **asked, minimum_protected=1)["deleted_total"] == 1


@pytest.mark.parametrize(
    ("filters", "deleted"),
    [
        ({}, ["for an hour", "hash", "for ever", "for a minute"]),
        ({"type": "hash"}, ["hash"]),
        ({"lifetime": "none"}, ["for ever", "hash"]),
        ({"lifetime": "limited"}, ["for a minute", "for an hour"]),
        ({"longer_than": "10m"}, ["for an hour", "for ever", "hash"]),
        ({"longer_than": "10m", "lifetime": "limited"}, ["for an hour"]),
        ({"longer_than": "10m", "type": "string", "lifetime": "none"}, ["for ever"]),
    ],
)
def test_filters_and_the_names_of_what_would_be_deleted(
    cache: RedisServer, filters: dict[str, t.Any], deleted: list[str]
) -> None:
    cache.client.set("api:for a minute", "x", ex=60)
    cache.client.set("api:for an hour", "x", ex=3600)
    cache.client.mset({"api:for ever": "x", "session:1": "x"})
    cache.client.hset("api:hash", mapping={"x": "x"})
    asked = {**reach(cache), "prefixes": ["api:"], "protect": ["session:"], **filters}
    names = sorted(f"api:{name}" for name in deleted)
    planned = module("cache_flush", check=True, **asked)
    assert (sorted(planned["names"]["api:"]), planned["deleted_total"]) == (names, len(names))
    assert len(module("cache_flush", check=True, **asked, names=1)["names"]["api:"]) == 1
    before = set(cache.client.scan_iter())
    assert module("cache_flush", **asked)["deleted_total"] == len(names)
    assert sorted(key.decode() for key in before - set(cache.client.scan_iter())) == names


@pytest.mark.parametrize("name", ["cache_flush", "cache_info", "cache_namespace"])
def test_the_package_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "hiredis.py").write_text('raise ImportError("No module named hiredis")\n')
    asked = {"namespace": "v"} if name == "cache_namespace" else {}
    asked = {"prefixes": ["api:"], "protect": ["session:"]} if name == "cache_flush" else asked
    found = module(name, path=str(tmp_path), host="127.0.0.1", port=1, **asked)
    assert "python3-hiredis" in found["msg"]


def play(folder: Path, arguments: dict[str, t.Any], *flags: str, **task: t.Any) -> tuple[dict[str, t.Any], str]:
    """A flush as a playbook's task: its result, and what the terminal showed."""
    found, said, _everything = run_task(folder, {"nexod.infra.cache_flush": arguments, **task}, *flags)
    return found, said


@pytest.mark.parametrize(
    ("deadline", "deleted", "words"),
    [pytest.param("1m", 1800, None, id="to its end"), pytest.param("4s", None, "the deadline of 4 s", id="cut off")],
)
def test_a_flush_says_how_far_it_is(
    cache: RedisServer, tmp_path: Path, deadline: str, deleted: int | None, words: str | None
) -> None:
    cache.client.mset({f"api:{number}": "x" for number in range(1800)})
    asked = {"prefixes": ["api:"], "protect": ["session:"], "max_keys_per_second": 300, "deadline": deadline}
    # A file of the caller's own choosing is not written to.
    chosen = tmp_path / "chosen"
    found, said = play(tmp_path, {**reach(cache), **asked, "_internal": {"progress_file": str(chosen)}})
    words_of_it = r"(\d+) % of 1,800 keys: [\d,]+ scanned, ([\d,]+) deleted, \d+ keys/s, \d+ s\n"
    seen = re.search(rf"^\[localhost\] cache_flush: {words_of_it}", said, re.M)
    assert seen, said
    assert 0 < int(seen[1]) < 100
    assert 0 < int(seen[2].replace(",", "")) < 1800
    assert cache.password not in said
    if words is None:
        assert (found["changed"], found["deleted_total"]) == (True, deleted)
    else:
        assert words in found["msg"]
    assert list(Path("/tmp").glob(".nexod-cache_flush-*")) == []
    assert not chosen.exists()


def test_a_flush_in_the_background_and_one_that_is_only_planned(cache: RedisServer, tmp_path: Path) -> None:
    cache.client.mset({"api:1": "x", "session:1": "x"})
    asked = {**reach(cache), "prefixes": ["api:"], "protect": ["session:"]}
    found, _said = play(tmp_path, asked, "--check")
    assert (found["changed"], found["deleted"], cache.client.dbsize()) == (True, {"api:": 1}, 2)
    found, said = play(tmp_path, asked, **{"async": 30, "poll": 1})
    assert (found["deleted_total"], cache.client.keys()) == (1, [b"session:1"])
    assert "cache_flush:" not in said


def test_check_mode_before_there_is_a_cache() -> None:
    found = module("cache_flush", check=True, host="127.0.0.1", port=1, prefixes=["api:"], protect=["session:"])
    assert (found["changed"], found["deleted"], found["deleted_total"]) == (False, {"api:": 0}, 0)
    assert "Cannot determine yet which keys would be deleted" in str(found["warnings"])


def test_namespace(cache: RedisServer) -> None:
    def bump(**more: t.Any) -> tuple[t.Any, ...]:
        found = module("cache_namespace", **reach(cache), namespace="query:version", **more)
        return found["changed"], found["before"], found["after"]

    assert bump(check=True) == (True, None, "1")
    assert cache.client.dbsize() == 0
    assert bump() == (True, None, "1")
    assert bump() == (True, "1", "2")
    assert bump(version="1.1.0") == (True, "2", "1.1.0")
    assert bump(version="1.1.0") == (False, "1.1.0", "1.1.0")
    assert cache.client.get("query:version") == b"1.1.0"
    cache.client.delete("query:version")
    cache.client.rpush("query:version", "x")
    assert "WRONGTYPE" in module("cache_namespace", **reach(cache), namespace="query:version")["msg"]


def test_info(servers: Servers) -> None:
    server = servers.start()
    for number in range(600):
        server.client.set(f"api:{number}", "x" * 50, ex=300)
    server.client.mset({"session:1": "x", "plain": "x", b"api:\xff\n": "x" * 100_000})
    whole = module("cache_info", host=server.host, port=server.port, sample=0)
    assert (whole["keys"], whole["looked_at"], whole["sampled"]) == (603, 603, False)
    assert {name: row["keys"] for name, row in whole["prefixes"].items()} == {"api:": 601, "session:": 1, "(others)": 1}
    assert whole["protected_without_lifetime"] == 1
    assert whole["largest"][0]["name"] == "api:\\xff\\n"
    assert whole["table"].startswith("prefix ")
    part = module("cache_info", host=server.host, port=server.port, sample=300)
    assert part["sampled"]
    assert 300 <= part["looked_at"] < 603
    assert 550 < part["prefixes"]["api:"]["keys"] <= 603


def test_cloudfront(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "moto-takes-any")
    client = boto3.client("cloudfront", region_name="us-east-1", endpoint_url=aws)
    origins = [{"Id": "o", "DomainName": "pages.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}]
    behaviour = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"}
    distribution = client.create_distribution(
        DistributionConfig={
            "CallerReference": "1",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": origins},
            "DefaultCacheBehavior": behaviour,
        }
    )["Distribution"]["Id"]

    def run(release: str, *, check: bool = False, distribution: str = distribution) -> dict[str, t.Any]:
        paths = ["/a", "/b", "/b", "/static/*", "/static/app.js"]
        given: dict[str, t.Any] = {"distribution_id": distribution, "endpoint_url": aws, "paths": paths}
        return module("cloudfront_invalidation", check=check, release=release, **given)

    planned = run("1.0.0", check=True)
    assert (planned["changed"], planned["items"]) == (True, ["/a", "/b", "/static/*"])
    assert planned["cost"] == {"paths": 3, "usd_at_most": 0.015, "usd_at_least": 0}
    assert client.list_invalidations(DistributionId=distribution)["InvalidationList"]["Quantity"] == 0
    assert run("1.0.0")["changed"]
    again = run("1.0.0")
    assert (again["changed"], again["cost"]["usd_at_most"]) == (False, 0)
    assert run("1.1.0")["changed"]
    assert run("1.0.0", check=True)["changed"]
    assert run("1.0.0")["changed"], "a rollback is a rollout of its own"
    assert not run("1.0.0")["changed"]
    assert client.list_invalidations(DistributionId=distribution)["InvalidationList"]["Quantity"] == 3
    assert "Check distribution_id" in run("1.0.0", distribution="ENONE")["msg"]
