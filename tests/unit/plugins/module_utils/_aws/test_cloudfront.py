from __future__ import annotations

import os
import pathlib
import socket
import time
import typing as t

import pytest
from botocore.exceptions import ClientError

from ansible_collections.nexod.infra.plugins.module_utils._aws import cloudfront
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@pytest.mark.parametrize(
    ("paths", "tags", "above", "items"),
    [
        pytest.param(["/b", "/a", "/b"], [], 0, ["/a", "/b"], id="each once"),
        pytest.param(["/a/1", "/a/2", "/b", "/a/*"], [], 0, ["/a/*", "/b"], id="covered"),
        pytest.param(["/*", "/a/*", "/a/b"], [], 0, ["/*"], id="everything"),
        pytest.param(["/a*", "/a"], [], 0, ["/a*"], id="wildcard within a name"),
        pytest.param(["/a/1", "/a/2", "/a/3", "/b/1"], [], 2, ["/a/*", "/b/1"], id="collapsed"),
        pytest.param(["/1", "/2", "/3"], [], 2, ["/1", "/2", "/3"], id="never the root"),
        pytest.param(["/a/1", "/a/2", "/a/3"], [], 3, ["/a/1", "/a/2", "/a/3"], id="too few to collapse"),
        pytest.param(["/a b/ü", "/x?y=1&z=%20"], [], 0, ["/a%20b/%C3%BC", "/x?y=1&z=%20"], id="escaped"),
        pytest.param(["/~user/"], [], 0, ["/%7Euser/"], id="unsafe by RFC 1738"),
        pytest.param(["/100%", "/a%2Gb", "/a%2fb"], [], 0, ["/100%25", "/a%252Gb", "/a%2fb"], id="percent"),
        pytest.param(["/a[1]|{x}^`<>\\"], [], 0, ["/a%5B1%5D%7C%7Bx%7D%5E%60%3C%3E%5C"], id="brackets"),
        pytest.param(["/" + "a" * 3999], ["b" * 256], 0, ["/" + "a" * 3999, "#" + "b" * 256], id="longest"),
        pytest.param([], ["Prices", "#prices", "news"], 0, ["#news", "#prices"], id="tags"),
        pytest.param([], [], 0, [], id="nothing"),
    ],
)
def test_items(paths: list[str], tags: list[str], above: int, items: list[str]) -> None:
    assert cloudfront.plan_items(paths, tags, above) == items


@pytest.mark.parametrize(
    ("paths", "tags", "words"),
    [
        (["a"], [], "does not begin with a slash"),
        (["/a/*/b"], [], "an asterisk before its end"),
        (["#prices"], [], "Move it to tags"),
        (["/" + "a" * 4000], [], "it has 4001 characters, and CloudFront accepts 4000"),
        (["/" + "ü" * 700], [], "it has 4201 characters"),
        (["/\ud800"], [], "half a character"),
        ([], ["a*"], "no wildcards"),
        ([], ["#"], "it is empty"),
        ([], ["a b"], "visible ASCII"),
        ([], ["ü"], "visible ASCII"),
        ([], ["\ud800"], "visible ASCII"),
        ([], ["a,b"], "a comma"),
        ([], ["a" * 257], "it has 257 characters, and CloudFront accepts 256"),
    ],
)
def test_what_cloudfront_would_refuse(paths: list[str], tags: list[str], words: str) -> None:
    with pytest.raises(InfraError) as caught:
        cloudfront.plan_items(paths, tags, 0)
    assert words in str(caught.value)
    assert len(str(caught.value).encode()) < 500


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NoSuchDistribution", "Check distribution_id and the account"),
        ("AccessDenied", "ManageDistributions of delivery.json grants it"),
        ("ExpiredToken", "Sign in again"),
        ("SignatureDoesNotMatch", "AWS does not know these credentials"),
        ("RequestTimeTooSkewed", "Set the clock"),
        ("Throttling", "limits the rate"),
        ("InvalidArgument", "Correct the declaration"),
    ],
)
def test_what_cloudfront_refuses(code: str, words: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateInvalidation")
    found = cloudfront.refused_by_aws(error, '"E1"')
    assert str(found).startswith(f'Cannot invalidate paths of "E1": {code}: no.')
    assert words in str(found)


@pytest.mark.parametrize(
    ("items", "sizes"),
    [
        ([], []),
        ([f"/{number}" for number in range(3000)], [3000]),
        ([f"/{number}" for number in range(6001)], [3000, 3000, 1]),
        ([f"/{number}/*" for number in range(31)], [15, 15, 1]),
    ],
)
def test_batches_keep_the_limits(items: list[str], sizes: list[int]) -> None:
    assert [len(batch) for batch in cloudfront.plan_batches(items)] == sizes


def test_the_reference_is_of_the_content_the_release_the_rollout_and_what_came_before() -> None:
    def reference(release: str, *items: str, distribution: str = "E1", rollout: str = "", previous: str = "") -> str:
        return cloudfront.Rollout(distribution, release, rollout).reference(items, previous)

    assert reference("1", "/a") == reference("1", "/a")
    others = [reference("2", "/a"), reference("1", "/b"), reference("1", "/a", "/b")]
    others += [reference("1", "/a", distribution="E2"), reference("1", "/a", rollout="7")]
    others += [reference("1", "/a", previous="I1")]
    assert len({reference("1", "/a"), *others}) == 7


def test_cost() -> None:
    assert cloudfront.cost(1200) == {"paths": 1200, "usd_at_most": 6.0, "usd_at_least": 1.0}
    assert cloudfront.cost(0)["usd_at_most"] == 0


class Fake:
    """CloudFront with some answers prepared; in check mode a call that writes is a failure of the test."""

    def __init__(self, *, writable: bool = True, busy: int = 0, progress: int = 0) -> None:
        self.writable, self.busy, self.progress = writable, busy, progress
        self.made: list[dict[str, t.Any]] = []
        self.calls = 0

    def list_invalidations(self, **_words: t.Any) -> t.Any:
        return {"InvalidationList": {"Items": [{"Id": one["Id"]} for one in reversed(self.made)]}}

    def get_invalidation(self, Id: str, **_words: t.Any) -> t.Any:  # noqa: N803 - Amazon's names
        one = next(one for one in self.made if one["Id"] == Id)
        self.progress -= 1
        return {"Invalidation": {**one, "Status": "InProgress" if self.progress > 0 else "Completed"}}

    def create_invalidation(self, DistributionId: str, InvalidationBatch: dict[str, t.Any]) -> t.Any:  # noqa: N803
        assert self.writable, "check mode wrote"
        self.calls += 1
        if self.calls <= self.busy:
            raise ClientError({"Error": {"Code": "TooManyInvalidationsInProgress"}}, "CreateInvalidation")
        one = {"Id": f"I{len(self.made)}", "Status": "InProgress", "InvalidationBatch": InvalidationBatch}
        self.made.append(one)
        return {"Invalidation": one}


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudfront.time, "sleep", lambda _seconds: None)


def run(
    fake: Fake, items: list[str], release: str = "1.0.0", rollout: str = "", **options: t.Any
) -> list[dict[str, t.Any]]:
    batches = cloudfront.plan_batches(items)
    asked = cloudfront.Rollout("E1", release, rollout)
    return cloudfront.invalidate(fake, asked, batches, **{"wait": True, "seconds": 60, "check": False, **options})


@pytest.mark.parametrize(
    ("runs", "created"),
    [
        pytest.param(["1.0.0", "1.0.0", "1.1.0"], [True, False, True], id="a second run sends nothing"),
        pytest.param(["1.0.0", "1.1.0", "1.0.0", "1.0.0"], [True, True, True, False], id="rolled back"),
        pytest.param(["1.0.0", "1.1.0", "1.0.0", "1.1.0"], [True] * 4, id="rolled back and out again"),
    ],
)
def test_each_rollout_is_sent_once(runs: list[str], created: list[bool]) -> None:
    fake = Fake()
    assert [run(fake, ["/a"], release)[0]["created"] for release in runs] == created
    references = [one["InvalidationBatch"]["CallerReference"] for one in fake.made]
    assert len(set(references)) == len(references) == sum(created)


def test_other_paths_of_the_release_in_between_do_not_hide_the_rollback() -> None:
    fake = Fake()
    sent = [run(fake, [path], release)[0]["created"] for path, release in (("/a", "1"), ("/b", "2"), ("/a", "1"))]
    assert sent == [True, True, True]
    assert [run(fake, [path], "1")[0]["created"] for path in ("/c", "/a", "/c")] == [True, False, False]


def test_a_named_rollout_is_found_behind_those_of_others() -> None:
    fake = Fake()
    given = [("1", "7"), ("2", "8"), ("other", ""), ("1", "7"), ("1", "9")]
    assert [run(fake, ["/a"], *one)[0]["created"] for one in given] == [True, True, True, False, True]


def test_a_rollback_after_more_invalidations_than_are_compared() -> None:
    fake = Fake()
    run(fake, ["/a"], "1.0.0")
    for number in range(cloudfront.LOOKED_AT + 1):
        run(fake, ["/b"], f"2.{number}")
    assert run(fake, ["/a"], "1.0.0")[0]["created"]
    assert not run(fake, ["/a"], "1.0.0")[0]["created"]


def test_check_mode_writes_nothing() -> None:
    rows = run(Fake(writable=False), ["/a"], check=True)
    assert [(row["created"], row["id"]) for row in rows] == [(True, None)]


def test_waits_for_room_and_for_completion() -> None:
    fake = Fake(busy=2, progress=3)
    assert run(fake, ["/a"])[0]["status"] == "Completed"
    assert fake.calls == 3
    with pytest.raises(InfraError, match="none ended in time"):
        run(Fake(busy=99), ["/a"], seconds=0)
    with pytest.raises(InfraError, match="is still InProgress"):
        run(Fake(), ["/a"], seconds=0)
    assert run(Fake(), ["/a"], seconds=0, wait=False)[0]["status"] == "InProgress"


@pytest.mark.parametrize(
    ("environment", "options", "words"),
    [
        ({}, {"endpoint_url": "cloudfront.example"}, "endpoint_url is not the URL of an API"),
        ({}, {"endpoint_url": "htp://cloudfront.example"}, "endpoint_url is not the URL of an API"),
        ({}, {"profile": "nobody"}, "The config profile \\(nobody\\) could not be found.\nCheck the name"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, {}, "the AWS credentials are incomplete"),
        ({"AWS_SECRET_ACCESS_KEY": "canary"}, {}, "there are no AWS credentials"),
    ],
)
def test_what_is_wrong_with_address_and_credentials_is_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    environment: dict[str, str],
    options: dict[str, str],
    words: str,
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    given = {"profile": None, "region": None, "endpoint_url": "http://127.0.0.1:1", **options}
    with pytest.raises(InfraError, match=words) as caught, cloudfront.opened("E1", 5, **given) as client:
        client.list_invalidations(DistributionId="E1")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("waits_in", ["the API", "anything else"])
def test_the_time_limit_holds_against_what_never_answers(monkeypatch: pytest.MonkeyPatch, waits_in: str) -> None:
    """The connection is accepted and never answered; without the limit botocore waits a minute, several times."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setattr(cloudfront, "LEAST_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        given = {"profile": None, "region": None, "endpoint_url": endpoint}
        with (
            pytest.raises(InfraError, match=r"no answer within 0\.2 s"),
            cloudfront.opened("E1", 0, **given) as client,
        ):
            if waits_in == "the API":
                client.list_invalidations(DistributionId="E1")
            # Not signal.pause(): a signal just before it would be waited for again, and never come.
            while True:
                time.sleep(0.05)
