"""A service is deployed to a stand-in for ECS: what is changed, followed, reported, and taken up again."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.definition import definition_from
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.deploy import Declared, Deployer, Result
from ansible_collections.nexod.infra.plugins.module_utils._aws.ecs.service import service_from
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.exporter import configuration
from ansible_collections.nexod.infra.tests.fixtures.ecs_stand_in import Clock, Ecs, KilledError
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import options


def declared(tag: str = "good", value: str = "1", *, name: str = "api", **more: t.Any) -> Declared:
    container = {"name": "api", "image": f"api:{tag}", "environment": {"V": value}, "log": {"group": "/api"}}
    options = {"cpu": 256, "memory_mb": 512, "containers": [container], **more.pop("definition", {})}
    service = {"launch_type": "FARGATE", "subnets": ["s"], "deployment": more.pop("deployment", {})}
    seconds, cluster = more.pop("seconds", 100.0), more.pop("cluster", "main")
    return Declared(
        cluster, name, definition_from(options, name, "us-east-1"), service_from(service), seconds=seconds, **more
    )


def deploy(ecs: Ecs, wanted: Declared, state: str = "present", *, check: bool = False) -> Result:
    ecs.check, ecs.calls, ecs.dies_at = check, [], ecs.dies_at
    said: list[str] = []
    deployer = Deployer(t.cast("t.Any", ecs), wanted, said.append, Clock())
    result: Result = getattr(deployer, state)()
    return result


def failure(ecs: Ecs, wanted: Declared, state: str = "present") -> InfraError:
    with pytest.raises(InfraError) as caught:
        deploy(ecs, wanted, state)
    return caught.value


@pytest.fixture
def ecs() -> Ecs:
    return Ecs()


@pytest.fixture
def running(ecs: Ecs) -> Ecs:
    """With api:1 in service."""
    deploy(ecs, declared(count=2))
    return ecs


def in_service(ecs: Ecs) -> str:
    return str(ecs.services["api"]["deployments"][0]["taskDefinition"]).rpartition("/")[2]


def test_created_then_nothing_then_updated(ecs: Ecs) -> None:
    made = deploy(ecs, declared(count=2))
    assert (made.action, made.changed, ecs.said) == ("create", True, ["RegisterTaskDefinition", "CreateService"])
    assert made.events
    again = deploy(ecs, declared(count=2))
    assert (again.action, again.changed, again.diff, ecs.said) == ("none", False, [], [])
    # What a run without changes costs.
    assert [call.operation for call in ecs.calls] == ["DescribeServices", "DescribeTaskDefinition", "DescribeServices"]
    new = deploy(ecs, declared(value="2", count=2))
    assert (new.action, new.changes) == ("update", ["taskDefinition"])
    assert ecs.said == ["RegisterTaskDefinition", "TagResource", "UpdateService"]
    assert (in_service(ecs), new.task_definition) == ("api:2", ecs.services["api"]["taskDefinition"])


@pytest.mark.parametrize("wanted", [declared(), declared(value="2"), declared("bad", count=5)])
@pytest.mark.parametrize("exists", [True, False])
def test_check_mode_changes_nothing_and_predicts(ecs: Ecs, wanted: Declared, exists: bool) -> None:
    if exists:
        deploy(ecs, declared(count=2))
    predicted = deploy(ecs, wanted, check=True)
    assert ecs.said == []
    try:
        done = deploy(ecs, wanted)
    except InfraError as error:
        done = Result(**{name: error.facts[name] for name in ("action", "changed", "changes", "diff")})
    assert (predicted.action, predicted.changes, predicted.diff) == (done.action, done.changes, done.diff)


def test_check_mode_in_an_empty_account(ecs: Ecs) -> None:
    predicted = deploy(ecs, declared(cluster="other"), check=True)
    assert (predicted.action, predicted.missing) == ("create", ["there is no cluster other in us-east-1"])


def test_a_release_that_exits_is_rolled_back_and_says_why(running: Ecs) -> None:
    error = failure(running, declared("bad"))
    assert "circuit breaker" in error.cause
    assert "AWS has rolled it back, and now: api:1" in error.cause
    assert "exit code 3" in error.detail
    assert "api | first" in error.detail
    assert error.facts["changed"]
    assert "(service api) deployment failed." in t.cast("list[str]", error.facts["events"])
    assert in_service(running) == "api:1"
    # Deployed again, the definition that was registered before is used.
    failure(running, declared("bad"))
    assert len(running.definitions) == 2


@pytest.mark.parametrize("refused", ["GetLogEvents", "ListTasks"])
def test_what_can_not_be_read_for_the_reasons_hides_no_failure(running: Ecs, refused: str) -> None:
    running.refuses = {refused}
    error = failure(running, declared("bad"))
    assert "circuit breaker" in error.cause
    assert "AccessDenied" in error.detail


@pytest.mark.parametrize("tag", ["never", "bad"])
def test_without_an_end_the_service_returns_to_the_old_definition_when_the_time_is_up(running: Ecs, tag: str) -> None:
    error = failure(running, declared(tag, deployment={"circuit_breaker": False}))
    assert "not complete after 100 s" in error.cause
    assert "the service was returned to api:1, and now: api:1 (2 of 2 tasks run, primary)" in error.cause
    assert in_service(running) == "api:1"


def test_when_the_time_is_up_and_no_return_is_wanted_it_says_how_to_go_on(running: Ecs) -> None:
    error = failure(running, declared("never", deployment={"roll_back": False}, roll_back=False))
    assert "now: api:2 (0 of 2 tasks run, primary), api:1 (2 of 2 tasks run, active)" in error.cause
    assert "state: previous" in error.next_step
    assert in_service(running) == "api:2"


def test_a_failed_rollout_that_was_not_rolled_back_is_tried_again(running: Ecs) -> None:
    wanted = declared("bad", deployment={"roll_back": False}, roll_back=False)
    failure(running, wanted)
    assert in_service(running) == "api:2"
    # It is as declared, but what is declared has failed: saying nothing would hide an outage.
    error = failure(running, wanted)
    assert error.facts["changes"] == ["forceNewDeployment"]


def test_another_deployment_is_not_taken_for_ours(running: Ecs) -> None:
    def interfere() -> None:
        service = running.services["api"]
        if service["taskDefinition"].endswith(":2") and len(running.definitions) == 2:
            other = running._RegisterTaskDefinition(**declared(value="theirs").definition)["taskDefinition"]
            service["taskDefinition"] = other["taskDefinitionArn"]
            running._begin(service)

    running.behind = interfere
    error = failure(running, declared(value="2"))
    assert "another deployment took its place" in error.cause
    assert "api:3" in error.cause


def calls_of_an_update() -> int:
    ecs = Ecs()
    deploy(ecs, declared(count=2))
    deploy(ecs, declared(value="2", count=2))
    return len(ecs.calls)


@pytest.mark.parametrize("at", range(1, calls_of_an_update() + 1))
def test_a_run_that_was_killed_is_taken_up_and_nothing_is_made_twice(running: Ecs, at: int) -> None:
    running.dies_at = at
    with pytest.raises(KilledError):
        deploy(running, declared(value="2", count=2))
    running.dies_at = 0
    deployments = running.services["api"]["deployments"][0]["id"] if in_service(running) == "api:2" else ""
    done = deploy(running, declared(value="2", count=2))
    assert in_service(running) == "api:2"
    assert len(running.definitions) == 2
    if deployments:
        assert (done.deployment, running.said) == (deployments, [])
        assert done.action in ("follow", "none")
    # And what to return to is known.
    deploy(running, declared(), "previous")
    assert in_service(running) == "api:1"


def test_previous_twice_is_previous_once(running: Ecs) -> None:
    deploy(running, declared(value="2"))
    failure(running, declared("bad"))
    predicted = deploy(running, declared(), "previous", check=True)
    assert (predicted.action, running.said) == ("return", [])
    done = deploy(running, declared(), "previous")
    assert (done.action, in_service(running)) == ("return", "api:1")
    again = deploy(running, declared(), "previous")
    assert (again.changed, running.said, in_service(running)) == (False, [], "api:1")


def test_a_return_that_takes_too_long_does_not_end_at_the_bad_release(running: Ecs) -> None:
    deploy(running, declared(value="2"))
    running.definitions[next(iter(running.definitions))]["containerDefinitions"][0]["image"] = "api:never"
    error = failure(running, declared(), "previous")
    assert "not complete after 100 s" in error.cause
    assert in_service(running) == "api:1"


@pytest.mark.parametrize(("state", "changed"), [("present", True), ("absent", False)])
def test_a_service_that_is_being_deleted_is_waited_for(running: Ecs, state: str, changed: bool) -> None:
    running.services["api"].update(status="DRAINING")
    assert deploy(running, declared(count=2), state, check=True).changed is changed
    done = deploy(running, declared(count=2), state)
    assert (done.changed, done.action) == (changed, "create" if changed else "none")


def test_previous_of_the_first(running: Ecs) -> None:
    assert "is known to have served before" in failure(running, declared(), "previous").cause
    assert "does not exist" in failure(Ecs(), declared(), "previous").cause


@pytest.mark.parametrize(("scaled", "count"), [(True, 7), (False, 3)])
def test_a_number_of_tasks_that_autoscaling_decides_is_left_alone(running: Ecs, scaled: bool, count: int) -> None:
    running.scaled = {"service/main/api"} if scaled else set()
    service = running.services["api"]
    service["desiredCount"] = service["deployments"][0]["desiredCount"] = 7
    service["deployments"][0]["runningCount"] = 7
    if not scaled:
        running.behind = lambda: [one.update(desiredCount=3, runningCount=3) for one in service["deployments"]]
    deploy(running, declared(count=3))
    assert service["desiredCount"] == count


@pytest.mark.parametrize(
    ("strategy", "tag", "text"), [("BLUE_GREEN", "good", ""), ("CANARY", "bad", "rollback successful")]
)
def test_strategies_that_shift_traffic_are_followed_by_their_service_deployment(
    ecs: Ecs, strategy: str, tag: str, text: str
) -> None:
    how = {"strategy": strategy}
    deploy(ecs, declared(deployment=how))
    if text:
        assert text in failure(ecs, declared(tag, "2", deployment=how)).cause
    else:
        done = deploy(ecs, declared(tag, "2", deployment=how))
        assert ":service-deployment/" in str(done.deployment)


def test_a_service_of_somebody_else_is_refused(running: Ecs) -> None:
    assert "belongs to no environment, not to staging" in failure(running, declared(environment="staging")).cause
    running.services["api"]["tags"] = [{"key": "nexod:environment", "value": "production"}]
    for state in ("present", "absent", "previous"):
        assert "production" in failure(running, declared(environment="staging"), state).cause
    assert deploy(running, declared(environment="production")).action == "none"


def test_the_exporter_for_cloudwatch_finds_a_service_by_its_tags(ecs: Ecs) -> None:
    [job] = [
        one
        for one in configuration(options(environment="staging"))["discovery"]["jobs"]
        if "ServiceName" in one["dimensionNameRequirements"]
    ]
    deploy(ecs, declared(environment="staging"))
    tags = {one["key"]: one["value"] for one in ecs.services["api"]["tags"]}
    for tag in job["searchTags"]:
        assert re.search(tag["value"], tags[tag["key"]])


def test_all_faults_at_once_and_nothing_is_changed(ecs: Ecs) -> None:
    containers = [{"name": "api", "image": "api:good", "log": {"group": "/none"}}] * 2
    error = failure(ecs, declared(cluster="other", definition={"cpu": 256, "memory_mb": 100, "containers": containers}))
    faults = t.cast("list[str]", error.facts["faults"])
    assert [fault.split(" ")[:4] for fault in faults] == [
        ["there", "are", "2", "containers"],
        ["Fargate", "has", "no", "100"],
        ["there", "is", "no", "cluster"],
        ["there", "is", "no", "log"],
    ]
    assert ecs.said == []


def test_absent(running: Ecs) -> None:
    assert deploy(running, declared(), "absent", check=True).action == "delete"
    assert running.said == []
    assert deploy(running, declared(), "absent").changed
    assert not deploy(running, declared(), "absent").changed
    assert deploy(running, declared(count=1)).action == "create"


def test_old_definitions_are_deregistered_but_never_one_in_use(running: Ecs) -> None:
    running._RegisterTaskDefinition(**declared(name="api-other").definition)
    for value in ("2", "3", "4"):
        predicted = deploy(running, declared(value=value, keep=2), check=True)
        done = deploy(running, declared(value=value, keep=2))
        assert predicted.changes == done.changes
    kept = [arn.rpartition("/")[2] for arn, one in running.definitions.items() if one["status"] == "ACTIVE"]
    assert kept == ["api-other:1", "api:3", "api:4"]
    assert not deploy(running, declared(value="4", keep=2)).changed


def test_a_return_is_followed_by_the_strategy_that_the_service_has(ecs: Ecs) -> None:
    how = {"strategy": "CANARY"}
    deploy(ecs, declared(deployment=how))
    deploy(ecs, declared(value="2", deployment=how))
    done = deploy(ecs, declared(), "previous")
    assert ":service-deployment/" in str(done.deployment)


def test_a_changed_tag_or_option_needs_no_new_definition(running: Ecs) -> None:
    done = deploy(running, declared(tags={"team": "api"}, deployment={"max_percent": 150}))
    assert done.changes == ["deploymentConfiguration", "tags"]
    assert running.said == ["TagResource", "UpdateService"]
    assert deploy(running, declared(tags={"team": "api"}, deployment={"max_percent": 150})).action == "none"
