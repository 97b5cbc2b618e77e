"""The engine on a cloud in memory: what it creates, changes, refuses, waits for, and what it leaves alone."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Outcome, Policy
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    OWNER,
    REPLACE,
    Kind,
    Property,
    Seen,
    Wanted,
    at_least,
)
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import Row, actions
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly

OURS = {OWNER: "staging"}
SECRETS = {"key": "canary"}


class Cloud:
    """Boxes by name. `slow`: looks that a change takes; `refuses`: names whose creation fails; `said`: the calls."""

    def __init__(self, check: bool = False) -> None:
        self.check, self.boxes = check, t.cast("dict[str, dict[str, t.Any]]", {})
        self.said: list[str] = []
        self.slow, self.refuses, self.refreshed = 0, set[str](), False
        self.lock = threading.Lock()

    def refresh(self) -> None:
        self.refreshed = True

    def change(self, said: str) -> None:
        assert not self.check, said
        with self.lock:
            self.said.append(said)


class Box(Kind):
    name, title, party = "box", "box", "the cloud"
    outputs = ("id",)
    properties = {
        "size": Property("int", default=1),
        "grows": Property("int", same=at_least),
        "shape": Property(default="cube", change=REPLACE),
        "colour": Property(default="red", change=FIXED),
        "within": Property(),
        "secret": Property(secret=True),
    }

    def read(self, api: t.Any, wanted: Wanted) -> Seen | None:
        with api.lock:
            row = api.boxes.get(wanted.name)
            if row is None:
                return None
            if row["left"]:
                row["left"] -= 1
                return Seen(row["properties"], {"id": wanted.name}, row["tags"], "it is being packed", row["leaving"])
            if row["leaving"]:
                del api.boxes[wanted.name]
                return None
            return Seen(dict(row["properties"]), {"id": f"id of {wanted.name}"}, row["tags"])

    def create(self, api: t.Any, wanted: Wanted) -> None:
        if wanted.name in api.refuses:
            raise InfraError("create", wanted.name, "the cloud is full", "Wait.")
        api.change(f"create {wanted.name}")
        api.boxes[wanted.name] = row(dict(wanted.properties), dict(wanted.tags), api.slow)

    def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        api.change(f"update {wanted.name}: {', '.join(changed)}")
        api.boxes[wanted.name]["properties"].update({name: wanted[name] for name in changed})
        api.boxes[wanted.name]["left"] = api.slow

    def delete(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        api.change(f"delete {wanted.name}")
        api.boxes[wanted.name].update(leaving=True, left=api.slow)

    def tag(self, api: t.Any, seen: Seen, tags: t.Any) -> None:
        api.change("tag")
        for one in api.boxes.values():
            one["tags"] = dict(tags)


class Safe(Box):
    name, title, holds_data = "safe", "safe", True


class Plain(Box):
    name, title, tagged = "plain", "box without tags", False


class Ground(Plain):
    name, title, permanent = "ground", "what always exists", True


KINDS: dict[str, Kind] = {"box": Box(), "safe": Safe(), "plain": Plain(), "ground": Ground()}


def row(properties: dict[str, t.Any], tags: dict[str, str] | None = None, left: int = 0) -> dict[str, t.Any]:
    made = {"size": 1, "shape": "cube", "colour": "red", **properties}
    return {"properties": made, "tags": OURS if tags is None else tags, "left": left, "leaving": False}


def bring(cloud: Cloud, *rows: Row, gone: bool = False, **policy: t.Any) -> Outcome:
    given = [{"kind": kind, "name": name, "properties": properties} for kind, name, properties in rows]
    told: list[str] = []
    engine = Engine(t.cast("t.Any", cloud), Policy("staging", **policy), told.append, Instantly())
    ordered = declared(given, KINDS, SECRETS)
    return engine.absent(ordered) if gone else engine.present(ordered)


@pytest.mark.parametrize("slow", [0, 3])
@pytest.mark.parametrize(
    ("there", "properties", "action", "said"),
    [
        pytest.param(None, {}, "create", ["create a"], id="nothing there"),
        pytest.param({}, {}, "", [], id="as declared"),
        pytest.param({"size": 2}, {}, "update", ["update a: size"], id="another value"),
        pytest.param({"shape": "ball"}, {}, "replace", ["delete a", "create a"], id="what can't be changed in place"),
        pytest.param({"grows": 5}, {"grows": 3}, "", [], id="what has grown by itself"),
        pytest.param({"grows": 2}, {"grows": 3}, "update", ["update a: grows"], id="what is too small"),
        pytest.param({"size": 2, "left": 4}, {}, "update", ["update a: size"], id="busy when the run begins"),
        pytest.param({"leaving": True, "left": 2}, {}, "create", ["create a"], id="being removed by somebody"),
    ],
)
def test_what_is_done(
    slow: int, there: dict[str, t.Any] | None, properties: dict[str, t.Any], action: str, said: list[str]
) -> None:
    def cloud(*, check: bool) -> Cloud:
        made = Cloud(check)
        made.slow = slow
        if there is not None:
            state = {name: there[name] for name in ("left", "leaving") if name in there}
            made.boxes["a"] = {**row({name: value for name, value in there.items() if name not in state}), **state}
        return made

    real = cloud(check=False)
    done = bring(real, ("box", "a", properties))
    assert (done.faults, real.said) == ([], said)
    assert actions(done) == ([("box/a", action)] if action else [])
    # What was changed is looked at again, not read from what is known.
    assert real.refreshed == bool(said)
    # Check mode predicts the same, and its cloud would fail at any change.
    assert actions(bring(cloud(check=True), ("box", "a", properties))) == actions(done)
    # A second run changes nothing.
    assert bring(real, ("box", "a", properties)).changes == []


def test_what_always_exists_is_not_removed() -> None:
    cloud = Cloud()
    cloud.boxes["a"] = row({}, {})
    done = bring(cloud, ("ground", "a", {}), gone=True)
    assert (done.faults, done.changes, cloud.said) == ([], [], [])


def test_what_has_no_tags_is_ours_by_its_name() -> None:
    cloud = Cloud()
    cloud.boxes["a"] = row({"size": 2}, {})
    done = bring(cloud, ("plain", "a", {"size": 3}))
    assert (done.faults, cloud.said) == ([], ["update a: size"])
    assert [one.after for one in done.changes] == [{"size": 3}]
    assert bring(cloud, ("plain", "a", {"size": 3})).changes == []


@pytest.mark.parametrize(
    ("kind", "there", "tags", "policy", "says"),
    [
        pytest.param("box", {"colour": "blue"}, OURS, {}, "blue', and the cloud can't change that", id="fixed"),
        pytest.param("safe", {"shape": "ball"}, OURS, {}, "it holds data that would be lost", id="would lose data"),
        pytest.param("box", {}, {}, {}, "its tags don't say that it is ours", id="nobody's"),
        pytest.param("box", {}, {OWNER: "other"}, {}, "belongs to the environment other", id="another's"),
        pytest.param(
            "box", {}, {OWNER: "other"}, {"adopt": frozenset({"box/a"})}, "belongs to", id="another's, and adopted"
        ),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_what_is_refused(
    kind: str, there: dict[str, t.Any], tags: dict[str, str], policy: dict[str, t.Any], says: str, check: bool
) -> None:
    cloud = Cloud(check)
    cloud.boxes["a"] = row(there, tags)
    done = bring(cloud, (kind, "a", {}), **policy)
    assert [key for key, _error in done.faults] == [f"{kind}/a"]
    assert says in str(done.faults[0][1])
    assert (done.changes, cloud.said) == ([], [])


def test_what_is_allowed_by_name() -> None:
    cloud = Cloud()
    cloud.boxes["a"] = row({"shape": "ball"})
    assert actions(bring(cloud, ("safe", "a", {}), lose=frozenset({"safe/a"}))) == [("safe/a", "replace")]
    cloud.boxes["a"] = row({}, {"colour-of-tag": "kept"})
    assert actions(bring(cloud, ("box", "a", {}), adopt=frozenset({"box/a"}))) == [("box/a", "update")]
    assert cloud.boxes["a"]["tags"] == {"colour-of-tag": "kept", **OURS}


def test_references_are_resolved_in_order_and_predicted() -> None:
    rows = [("box", "inner", {"within": "@box/outer"}), ("box", "outer", {})]
    cloud = Cloud()
    assert actions(bring(cloud, *rows)) == [("box/outer", "create"), ("box/inner", "create")]
    assert cloud.boxes["inner"]["properties"]["within"] == "id of outer"
    predicted = bring(Cloud(check=True), *rows)
    assert actions(predicted) == [("box/outer", "create"), ("box/inner", "create")]
    assert predicted.changes[1].after["within"] == "(known when box/outer is created)"


def test_what_refers_to_a_replaced_resource_follows_it() -> None:
    rows = [("box", "outer", {}), ("box", "inner", {"within": "@box/outer"})]
    for check in (True, False):
        cloud = Cloud(check)
        cloud.boxes.update(outer=row({"shape": "ball"}), inner=row({"within": "id of the former"}))
        assert actions(bring(cloud, *rows)) == [("box/outer", "replace"), ("box/inner", "update")]
        assert check or cloud.boxes["inner"]["properties"]["within"] == "id of outer"


def test_nothing_is_removed_unless_all_could_be_read() -> None:
    class Unreadable(Box):
        name = "unreadable"

        def read(self, api: t.Any, wanted: Wanted) -> Seen | None:
            raise InfraError("read", wanted.name, "access is denied", "Allow it.")

    cloud = Cloud()
    cloud.boxes["a"] = row({})
    given = [{"kind": "box", "name": "a"}, {"kind": "unreadable", "name": "b"}]
    ordered = declared(given, {**KINDS, "unreadable": Unreadable()})
    done = Engine(t.cast("t.Any", cloud), Policy("staging"), clock=Instantly()).absent(ordered)
    assert [key for key, _error in done.faults] == ["unreadable/b"]
    assert cloud.said == []


def test_a_fault_ends_what_needs_it_and_nothing_else() -> None:
    cloud = Cloud()
    cloud.refuses.add("bad")
    rows = [("box", "bad", {}), ("box", "inside", {"within": "@box/bad"}), ("box", "other", {})]
    done = bring(cloud, *rows)
    assert [key for key, _error in done.faults] == ["box/bad"]
    assert cloud.said == ["create other"]
    cloud.refuses.clear()
    assert actions(bring(cloud, *rows)) == [("box/bad", "create"), ("box/inside", "create")]


def test_removal_goes_the_other_way_and_keeps_data() -> None:
    rows = [("box", "outer", {}), ("safe", "inner", {"within": "@box/outer"})]
    cloud = Cloud()
    bring(cloud, *rows)
    kept = bring(cloud, *rows, gone=True)
    assert [key for key, _error in kept.faults] == ["safe/inner"]
    assert set(cloud.boxes) == {"outer", "inner"}
    done = bring(cloud, *rows, gone=True, lose=frozenset({"safe/inner"}))
    assert actions(done) == [("safe/inner", "delete"), ("box/outer", "delete")]
    assert cloud.boxes == {}
    assert bring(cloud, *rows, gone=True).changes == []


def test_what_aws_does_not_know_yet_everywhere_is_tried_again_for_a_while() -> None:
    class Late(Box):
        name, not_yet = "late", ("nobody knows its profile",)
        left = 3

        def create(self, api: t.Any, wanted: Wanted) -> None:
            self.left -= 1
            if self.left:
                raise InfraError("create", wanted.name, "nobody knows its profile", "Wait.")
            super().create(api, wanted)

    def run(kind: Late) -> Outcome:
        ordered = declared([{"kind": "late", "name": "a"}], {"late": kind})
        return Engine(t.cast("t.Any", Cloud()), Policy("staging"), clock=Instantly()).present(ordered)

    assert run(Late()).faults == []
    never = Late()
    never.left = 1000
    assert "nobody knows its profile" in str(run(never).faults[0][1])


def test_changes_that_aws_makes_one_at_a_time_follow_each_other() -> None:
    class OneByOne(Box):
        name = "narrow"

        def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> list[str]:
            first, *others = changed
            assert not api.boxes[wanted.name]["left"], "it is still busy"
            super().update(api, wanted, seen, [first])
            return others

    cloud = Cloud()
    cloud.slow, cloud.boxes["a"] = 3, row({"grows": 1, "within": "b"}, {})
    properties = {"size": 5, "grows": 2, "within": "c"}
    ordered = declared([{"kind": "narrow", "name": "a", "properties": properties}], {"narrow": OneByOne()})
    engine = Engine(t.cast("t.Any", cloud), Policy("staging", adopt=frozenset({"narrow/a"})), clock=Instantly())
    assert engine.present(ordered).faults == []
    assert cloud.said == ["update a: size", "update a: grows", "update a: within", "tag"]


def test_what_aws_takes_only_from_an_update_follows_the_creation() -> None:
    class Later(Box):
        name = "later"

        def create(self, api: t.Any, wanted: Wanted) -> list[str]:
            own = Wanted(wanted.name, {**wanted.properties, "within": "default"}, wanted.tags)
            super().create(api, own)
            return ["within"]

    for within, updates in (("b", ["update a: within"]), ("default", [])):
        cloud = Cloud()
        cloud.slow = 2
        ordered = declared([{"kind": "later", "name": "a", "properties": {"within": within}}], {"later": Later()})
        assert Engine(t.cast("t.Any", cloud), Policy("staging"), clock=Instantly()).present(ordered).faults == []
        assert cloud.said == ["create a", *updates]


def test_what_must_be_retired_first_is_deleted_when_that_has_ended() -> None:
    class Locked(Box):
        name = "locked"

        def retire(self, api: t.Any, wanted: Wanted, seen: Seen) -> bool:
            super().update(api, wanted, seen, [])
            return True

        def delete(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
            assert not api.boxes[wanted.name]["left"], "it is still being retired"
            super().delete(api, wanted, seen)

    cloud = Cloud()
    cloud.slow, cloud.boxes["a"] = 3, row({})
    ordered = declared([{"kind": "locked", "name": "a"}], {"locked": Locked()})
    assert Engine(t.cast("t.Any", cloud), Policy("staging"), clock=Instantly()).absent(ordered).faults == []
    assert cloud.boxes == {}


def test_patience_ends_with_what_it_waited_for() -> None:
    cloud = Cloud()
    cloud.slow = 1000
    assert "after 300 s it is being packed" in str(bring(cloud, ("box", "a", {})).faults[0][1])


def test_secrets_are_in_no_change() -> None:
    cloud = Cloud()
    change = bring(cloud, ("box", "a", {"secret": "key"})).changes[0]
    assert cloud.boxes["a"]["properties"]["secret"] == "canary"
    assert "canary" not in str(change)


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_was_killed_is_continued(seed: int) -> None:
    """Ended at its n-th change; the next run makes nothing twice and comes to the same end."""
    rows = [
        ("box", "a", {}),
        ("box", "b", {"within": "@box/a"}),
        ("box", "c", {"within": "@box/a", "size": 3}),
        ("safe", "d", {"within": "@box/c"}),
        ("box", "e", {"shape": "ball"}),
    ]

    class Killed(BaseException):
        pass

    class Ended(Cloud):
        left = seed

        def change(self, said: str) -> None:
            with self.lock:
                if self.left == 0:
                    raise Killed
                self.left -= 1
            super().change(said)

    cloud = Ended()
    cloud.boxes["e"] = row({"shape": "cube"})
    try:
        bring(cloud, *rows)
    except Killed:
        cloud.left = -1
        bring(cloud, *rows)
    assert bring(cloud, *rows).changes == []
    created = [said for said in cloud.said if said.startswith("create")]
    assert sorted(created) == ["create a", "create b", "create c", "create d", "create e"]
