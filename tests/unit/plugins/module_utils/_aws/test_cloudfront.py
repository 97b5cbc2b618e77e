from __future__ import annotations

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
        pytest.param([], ["Prices", "#prices", "news"], 0, ["#news", "#prices"], id="tags"),
        pytest.param([], [], 0, [], id="nothing"),
    ],
)
def test_items(paths: list[str], tags: list[str], above: int, items: list[str]) -> None:
    assert cloudfront.plan_items(paths, tags, above) == items


@pytest.mark.parametrize(("paths", "tags"), [(["a"], []), (["/a/*/b"], []), ([], ["a*"]), ([], ["#"]), ([], ["a b"])])
def test_what_cloudfront_would_not_understand(paths: list[str], tags: list[str]) -> None:
    with pytest.raises(InfraError):
        cloudfront.plan_items(paths, tags, 0)


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
    assert [len(batch.items) for batch in cloudfront.plan_batches("E1", "1.0.0", items)] == sizes


def test_the_reference_is_of_the_content_and_the_release() -> None:
    def reference(*words: str) -> str:
        return cloudfront.plan_batches(words[0], words[1], words[2:])[0].reference

    assert reference("E1", "1.0.0", "/a") == reference("E1", "1.0.0", "/a")
    assert len({reference("E1", "1.0.0", "/a"), reference("E1", "1.1.0", "/a"), reference("E2", "1.0.0", "/a")}) == 3
    assert reference("E1", "1.0.0", "/a") != reference("E1", "1.0.0", "/a", "/b")


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


def run(fake: Fake, items: list[str], release: str = "1.0.0", **options: t.Any) -> list[dict[str, t.Any]]:
    batches = cloudfront.plan_batches("E1", release, items)
    return cloudfront.invalidate(fake, "E1", batches, **{"wait": True, "seconds": 60, "check": False, **options})


def test_a_second_run_sends_nothing_and_another_release_does() -> None:
    fake = Fake()
    first, second, third = run(fake, ["/a"]), run(fake, ["/a"]), run(fake, ["/a"], "1.1.0")
    assert [row["created"] for row in (*first, *second, *third)] == [True, False, True]
    assert (first[0]["id"], second[0]["id"], first[0]["status"]) == ("I0", "I0", "Completed")
    assert len(fake.made) == 2


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
