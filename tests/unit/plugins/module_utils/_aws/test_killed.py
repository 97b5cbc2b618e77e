"""The controller is killed while AWS is changed: the next run continues, makes nothing twice, and loses nothing.

A killed controller sends nothing more, whichever of its threads is at work. What it had sent was done (`after`), or
was not (`before`).
"""

from __future__ import annotations

import collections
import contextlib
import functools
import random
import typing as t

import boto3
import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api, Call
from ansible_collections.nexod.infra.plugins.module_utils._aws.catalogue import KINDS
from ansible_collections.nexod.infra.plugins.module_utils._resources import engine
from ansible_collections.nexod.infra.plugins.module_utils._resources.declaration import declared
from ansible_collections.nexod.infra.plugins.module_utils._resources.engine import Engine, Outcome, Policy
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import REGION, Row, changed, needed
from ansible_collections.nexod.infra.tests.fixtures.clock import Instantly
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws import test_cache
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.every_kind import (
    MODULES,
    PARTS,
    SECRETS,
    changes_of,
    empty_account,
    everything,
    rows_of,
)

#: Operations that make something: how often each was done tells whether anything was made twice.
MAKES = ("Create", "Allocate", "Import", "Run", "Register")
MOST_RUNS = 400


def rows(given: t.Iterable[t.Any], *, quick: t.Collection[t.Any]) -> list[t.Any]:
    """Parameters of a test, of which all but the quick ones are for `make test-faults`."""
    return [
        pytest.param(one, id=name, marks=[] if name in quick else [pytest.mark.long])
        for one, name in ((one, getattr(one, "__name__", str(one)).rpartition("_")[2]) for one in given)
    ]


class Killed(BaseException):
    """Nothing catches it, as nothing survives SIGKILL."""


class Mortal(Api):
    """Dies at its change number `at`, counted from 0: before it was sent, or after it was done."""

    def __init__(self, at: float = float("inf"), *, after: bool = True) -> None:
        super().__init__(REGION)
        self._clients = aws_resources.CLIENTS
        self.at, self.after, self.sent, self.dead = at, after, 0, False
        self.done: list[str] = []

    def call(self, service: str, operation: str, missing: t.Sequence[str] = (), /, **arguments: t.Any) -> t.Any:
        with self._lock:
            if self.dead:
                raise Killed
            last = Call(service, operation).changes and self.sent == self.at
            self.sent += Call(service, operation).changes
            self.dead = last
        if last and not self.after:
            raise Killed
        answer = super().call(service, operation, missing, **arguments)
        if Call(service, operation).changes:
            self.done.append(operation)
        if last:
            raise Killed
        return answer


def run(api: Api, rows: t.Sequence[Row], *, gone: bool = False) -> Outcome:
    given = [{"kind": kind, "name": name, "properties": properties} for kind, name, properties in rows]
    policy = Policy("staging", {"team": "infra"}, frozenset(f"{kind}/{name}" for kind, name, _properties in rows))
    ordered = declared(given, KINDS, SECRETS)
    made = Engine(api, policy, clock=Instantly())
    return made.absent(ordered) if gone else made.present(ordered)


def faults(outcome: Outcome) -> list[str]:
    return [f"{key}: {error}" for key, error in outcome.faults]


def made(calls: t.Iterable[str]) -> collections.Counter[str]:
    return collections.Counter(one for one in calls if one.startswith(MAKES))


def existing() -> dict[str, int]:
    """How many there are of what AWS would make twice without a complaint: what is not found by a name of its own."""
    ec2 = boto3.client("ec2", REGION)
    ours = [{"Name": "tag-key", "Values": ["nexod:environment"]}]
    found = {
        "vpc": ec2.describe_vpcs(Filters=ours)["Vpcs"],
        "subnet": ec2.describe_subnets(Filters=ours)["Subnets"],
        "security_group": ec2.describe_security_groups(Filters=ours)["SecurityGroups"],
        "internet_gateway": ec2.describe_internet_gateways(Filters=ours)["InternetGateways"],
        "elastic_ip": ec2.describe_addresses(Filters=ours)["Addresses"],
        "nat_gateway": ec2.describe_nat_gateways(Filter=ours)["NatGateways"],
        "route_table": ec2.describe_route_tables(Filters=ours)["RouteTables"],
        "gateway_endpoint": ec2.describe_vpc_endpoints(Filters=ours)["VpcEndpoints"],
        "ec2_instance": [
            one for row in ec2.describe_instances(Filters=ours)["Reservations"] for one in row["Instances"]
        ],
        "cloudfront_distribution": aws_resources.CLIENTS["cloudfront"].found["Distribution"].values(),
    }
    gone = ("deleted", {"Code": 48, "Name": "terminated"})
    return {kind: len([one for one in rows if one.get("State") not in gone]) for kind, rows in found.items()}


def declared_of(rows: t.Iterable[Row]) -> dict[str, int]:
    counted = collections.Counter(kind for kind, _name, _properties in rows)
    return {kind: counted[kind] for kind in existing()}


def until_done(rows: t.Sequence[Row], *, gone: bool = False) -> list[str]:
    """Killed after each single change until there is nothing left to do; everything that was done."""
    done: list[str] = []
    for _number in range(MOST_RUNS):
        api = Mortal(0)
        try:
            outcome = run(api, rows, gone=gone)
        except Killed:
            done += api.done
            continue
        assert faults(outcome) == []
        assert (outcome.changes, api.done) == ([], [])
        return done
    pytest.fail(f"after {MOST_RUNS} runs there is still something to do: {done[-6:]}")


@functools.cache
def undisturbed(part: str) -> collections.Counter[str]:
    """What a run that nobody kills makes, in an account of its own."""
    rows = PARTS.get(part) or everything()
    with empty_account():
        whole = Mortal()
        assert faults(run(whole, rows)) == []
        assert existing() == declared_of(rows)
    return made(whole.done)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next change is always the same one, so there is none after which a run was not killed."""
    monkeypatch.setattr(engine, "WORKERS", 1)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("part", rows(PARTS, quick={"delivery", "identity", "cache"}))
def test_killed_after_each_call_of_creation_and_removal(part: str) -> None:
    rows, makes = PARTS[part], undisturbed(part)
    with empty_account():
        assert made(until_done(rows)) == makes
        assert existing() == declared_of(rows)
        until_done(rows, gone=True)
        assert not any(existing().values())


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("module", rows(MODULES, quick={"scaling", "delivery"}))
def test_killed_after_each_call_of_a_change(module: t.Any) -> None:
    """Changed to something else and back; where AWS takes more than one call, killed after each of them."""
    all_rows = rows_of(module)
    with empty_account():
        assert faults(run(Mortal(), all_rows)) == []
        for key, value in changes_of(module):
            there = needed(changed(all_rows, key, **value), key)
            for rows in (there, needed(all_rows, key)):
                # Killed before a second call, if there is one: what takes one call is whole or not done.
                first = Mortal(1, after=False)
                with contextlib.suppress(Killed):
                    assert faults(run(first, rows)) == []
                if first.dead:
                    until_done(rows)
                third = Mortal()
                outcome = run(third, rows)
                assert (key, faults(outcome), outcome.changes, third.done) == (key, [], [], [])


@pytest.mark.usefixtures("one_thread")
def test_a_token_is_set_once() -> None:
    """Set twice by ROTATE, it would take the place of the former one, which clients still use."""
    with empty_account():
        run(Mortal(), test_cache.ROWS)
        until_done(changed(test_cache.ROWS, test_cache.KEY, auth_token_version=2))
        assert [way for way, _token in aws_resources.CLIENTS["elasticache"].tokens] == ["SET", "ROTATE"]


@pytest.mark.parametrize("seed", rows(range(10), quick={"0", "1"}))
def test_killed_at_a_random_call(seed: int) -> None:
    """With all threads and all kinds; the second run makes the rest, the third changes nothing."""
    rows, dice = everything(), random.Random(seed)
    makes = undisturbed("everything")
    with empty_account():
        # More calls than things that are made: those that set something are among them.
        first = Mortal(dice.randrange(makes.total()), after=dice.random() < 0.5)
        with pytest.raises(Killed):
            run(first, rows)
        second = Mortal()
        assert faults(run(second, rows)) == []
        assert made([*first.done, *second.done]) == makes
        assert existing() == declared_of(rows)
        third = Mortal()
        outcome = run(third, rows)
        assert (faults(outcome), outcome.changes, third.done) == ([], [], [])
