"""The steps of the workflows: what playbooks are given, and what is refused before one runs."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tools import delivery
from ansible_collections.nexod.infra.tools.github import fingerprint

REPORT = {"environment": "staging", "changes": [{"stage": "migrate", "kind": "migration", "object": "0009"}]}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, t.Any]]:
    """A job of a workflow in its folder, and the playbooks that it has run: arguments, values, environment."""
    found: list[dict[str, t.Any]] = []

    def run(argv: list[str], env: dict[str, str], **_given: object) -> subprocess.CompletedProcess[str]:
        values = json.loads(Path(argv[argv.index("-e") + 1].removeprefix("@")).read_text())
        key = Path(argv[argv.index("--private-key") + 1]) if "--private-key" in argv else None
        seen = {"key": key.read_text(), "mode": key.stat().st_mode & 0o777} if key else {}
        found.append({"argv": argv, "values": values, "env": env, **seen})
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(delivery.subprocess, "run", run)
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NEXOD_VARIABLES", "NEXOD_SSH_KEY", "NEXOD_REPORT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    return found


def archive(folder: Path, version: str = "1.2.0") -> Path:
    folder.mkdir(exist_ok=True)
    content = json.dumps({"version": version}).encode()
    path = folder / f"api-{version}.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("release.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def approve(folder: Path, release: Path) -> str:
    """Write a plan; its fingerprint."""
    folder.mkdir(exist_ok=True)
    (folder / "deploy-plan.json").write_text(json.dumps(REPORT))
    return fingerprint(REPORT, delivery.checksum(release))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("A=1\n\n# B=2\n C_3 = x\n".replace(" = ", "="), {"A": "1", "C_3": "x"}),
        ("A=b=c", {"A": "b=c"}),
        ("""A="b c"\nB='d'\nC="'""", {"A": "b c", "B": "d", "C": "\"'"}),
    ],
)
def test_variables_are_lines(text: str, found: dict[str, str]) -> None:
    assert delivery.variables(text) == found


def test_a_line_that_is_no_variable_is_named_by_its_number_alone() -> None:
    with pytest.raises(InfraError, match="line 2 is not NAME=value") as raised:
        delivery.variables("A=1\nhunter2\n")
    assert "hunter2" not in str(raised.value)


def test_a_playbook_gets_its_variables_and_no_token() -> None:
    withheld = dict.fromkeys(("GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "NEXOD_SSH_KEY"), "x")
    given = {**withheld, "PATH": "/bin", "AWS_REGION": "eu-west-1", "NEXOD_VARIABLES": "NEXOD_AWS_ACCOUNT=1"}
    found = delivery.environment_of(given)
    assert found.keys() == {"PATH", "AWS_REGION", "NEXOD_AWS_ACCOUNT", "ANSIBLE_CONFIG"}
    assert found["PATH"].endswith(":/bin")


def test_each_value_of_the_secret_is_masked(
    ran: list[t.Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEXOD_VARIABLES", "A=canary-1\nB=yes\n")
    monkeypatch.setenv("NEXOD_SSH_KEY", "a key")
    assert delivery.main(["roll_back", "staging"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "::add-mask::canary-1"
    (one,) = ran
    assert one["env"]["A"] == "canary-1"
    assert (one["key"], one["mode"]) == ("a key\n", 0o600)
    assert "canary-1" not in " ".join(one["argv"])
    assert one["argv"][1:4] == ["-i", "inventories/staging", "nexod.infra.roll_back"]


def test_previews_of_a_branch_are_removed(ran: list[t.Any]) -> None:
    assert delivery.main(["remove_previews", "staging", "--branch", "feature/faster"]) == 0
    (one,) = ran
    assert one["argv"][1:4] == ["-i", "inventories/staging", "nexod.infra.remove_previews"]
    assert one["values"] == {"preview_branch": "feature/faster"}


def test_previews_of_a_branch_that_goes_on_stay(ran: list[t.Any], capsys: pytest.CaptureFixture[str]) -> None:
    """When a pull request from develop to main is merged, staging delivers what was built of develop."""
    given = ["remove_previews", "staging", "--branches", "develop main"]
    assert delivery.main([*given, "--branch", "develop"]) == 0
    assert (ran, capsys.readouterr().out) == ([], "develop goes on: its previews stay.\n")
    assert delivery.main([*given, "--branch", "develop-2"]) == 0
    assert len(ran) == 1


@pytest.mark.parametrize("branch", ["{{ lookup('pipe', 'id') }}", "{% if true %}", "{# x #}"])
def test_a_branch_that_ansible_would_evaluate(
    ran: list[t.Any], capsys: pytest.CaptureFixture[str], branch: str
) -> None:
    assert delivery.main(["remove_previews", "staging", "--branch", branch]) == 1
    assert ran == []
    assert "is a template of Ansible" in capsys.readouterr().err


def test_a_deploy_gets_the_release_the_commit_and_the_approved_plan(ran: list[t.Any], tmp_path: Path) -> None:
    release = archive(tmp_path / "dist")
    approved = approve(tmp_path / ".plan", release)
    assert delivery.main(["deploy", "staging", "--commit", "c0ffee", "--fingerprint", approved]) == 0
    assert ran[0]["values"] == {
        "backend_version": "1.2.0",
        "backend_archive": str(release),
        "services_vercel_commit": "c0ffee",
        "plan_approved": str(tmp_path / ".plan/deploy-plan.json"),
    }


@pytest.mark.parametrize(("given", "value"), [("2100", 2100), (" 2100.50 ", 2100.5), ("", None), (" ", None)])
@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_an_approved_cost(ran: list[t.Any], tmp_path: Path, command: str, given: str, value: float | None) -> None:
    archive(tmp_path / "dist")
    delivery.main([command, "staging", "--cost-approved", given])
    assert ran[0]["values"].get("cost_approved_usd") == value


@pytest.mark.parametrize("given", ["-1", "2,100", "2100 US$", "nan"])
def test_what_approves_no_cost(
    ran: list[t.Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    archive(tmp_path / "dist")
    assert delivery.main(["deploy", "staging", f"--cost-approved={given}"]) == 1
    assert "it is not a number of US dollars" in capsys.readouterr().err
    assert ran == []


def test_without_a_fingerprint_no_plan_is_required(ran: list[t.Any], tmp_path: Path) -> None:
    archive(tmp_path / "dist")
    assert delivery.main(["deploy", "staging"]) == 0
    assert ran[0]["values"].keys() == {"backend_version", "backend_archive"}


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param(
            lambda folder: (folder / ".plan/deploy-plan.json").write_text("{}"), "can't be read", id="no plan"
        ),
        pytest.param(lambda folder: (folder / ".plan/deploy-plan.json").unlink(), "can't be read", id="gone"),
        pytest.param(
            lambda folder: (folder / ".plan/deploy-plan.json").write_text(json.dumps({**REPORT, "changes": []})),
            "was approved",
            id="another plan",
        ),
        pytest.param(
            lambda folder: archive(folder / "dist").write_bytes(archive(folder / "other", "1.2.1").read_bytes()),
            "was approved",
            id="another release",
        ),
        pytest.param(lambda folder: archive(folder / "dist", "1.3.0"), "holds 2 archives", id="two releases"),
        pytest.param(
            lambda folder: (folder / "dist/api-1.2.0.tar").write_text("x"), "it is no release", id="no release"
        ),
    ],
)
def test_anything_else_than_what_was_approved_is_refused(
    ran: list[t.Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], breaks: t.Callable[[Path], object], says: str
) -> None:
    approved = approve(tmp_path / ".plan", archive(tmp_path / "dist"))
    breaks(tmp_path)
    assert delivery.main(["deploy", "staging", "--fingerprint", approved]) == 1
    assert says in capsys.readouterr().err
    assert ran == []


def test_a_plan_is_kept_with_its_fingerprint(monkeypatch: pytest.MonkeyPatch, ran: list[t.Any], tmp_path: Path) -> None:
    release = archive(tmp_path / "dist")
    report(monkeypatch, "deploy", REPORT)
    assert delivery.main(["plan", "staging"]) == 0
    assert (tmp_path / ".plan/deploy-plan.md").read_text() == "## Plan"
    expected = fingerprint(REPORT, delivery.checksum(release))
    assert (tmp_path / "output").read_text() == f"fingerprint={expected}\n"


@pytest.mark.parametrize("wrote", [True, False])
def test_a_plan_that_failed_has_no_fingerprint(
    monkeypatch: pytest.MonkeyPatch, ran: list[t.Any], tmp_path: Path, wrote: bool
) -> None:
    archive(tmp_path / "dist")
    report(monkeypatch, "deploy", REPORT if wrote else None, rc=2)
    assert delivery.main(["plan", "staging"]) == 2
    assert (tmp_path / ".plan/deploy-plan.md").read_text().startswith("## Plan" if wrote else "## No plan")
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("kind", "says"),
    [("migration", "migration 0009"), ("ECS task", "ECS task 0009"), ("release", "release 0009"), ("file", "")],
)
def test_migrations_have_run_elsewhere_before(
    monkeypatch: pytest.MonkeyPatch,
    ran: list[t.Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    says: str,
) -> None:
    """A release that is not installed there has never run there: which migrations it lacks is not known then."""
    archive(tmp_path / "dist")
    report(monkeypatch, "migrate", {"changes": [{"action": "run", "kind": kind, "object": "0009"}]})
    assert delivery.main(["migrated", "staging"]) == (1 if says else 0)
    assert says in capsys.readouterr().err


def report(monkeypatch: pytest.MonkeyPatch, name: str, document: t.Any, rc: int = 0) -> None:
    """A playbook that writes this report, or none."""

    def run(argv: list[str], **_given: object) -> subprocess.CompletedProcess[str]:
        assert "--check" in argv
        folder = Path(os.environ["NEXOD_REPORT_DIR"], "staging", "20261127T080000Z")
        if document is not None:
            folder.mkdir(parents=True)
            (folder / f"{name}-plan.json").write_text(json.dumps(document))
            (folder / f"{name}-plan.md").write_text("## Plan")
        return subprocess.CompletedProcess(argv, rc)

    monkeypatch.setattr(delivery.subprocess, "run", run)


def test_a_release_is_named_after_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def git(*argv: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *argv], check=True, capture_output=True
        )

    def commit(file: str) -> str:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(file)
        git("add", "--all")
        git("commit", "--message", "x")
        return delivery.release_name(Path("api"), None)

    git("init")
    first = commit("api/a.py")
    assert commit("README.md") == first
    assert commit("api/b.py") != first
    with pytest.raises(InfraError, match="not in the commit"):
        delivery.release_name(Path("other"), None)


def test_an_earlier_build_is_only_named(ran: list[t.Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "release_name", lambda *_given: "release-1")
    monkeypatch.setenv("GITHUB_RUN_ID", "43")
    for found, expected in (({"workflow_run": {"id": 42}}, "run=42\nbuilt=false"), (None, "run=43\nbuilt=true")):
        github = type("Known", (), {"built": lambda *_given, found=found: found})()
        monkeypatch.setattr(delivery, "github", lambda github=github: github)
        assert delivery.main(["release", "api", "--branches", "develop main"]) == 0
        assert (tmp_path / "output").read_text().endswith(f"name=release-1\n{expected}\n")
    (one,) = ran
    assert one["argv"][1] == "nexod.infra.build_release"
    assert one["values"]["release_dest"] == str(tmp_path / "dist")


def pull(login: str = "somebody", repository: str = "shop/shop") -> dict[str, t.Any]:
    return {"pull_request": {"head": {"repo": {"full_name": repository}}, "user": {"login": login}}}


def holds(condition: str, event: str, facts: dict[str, t.Any]) -> bool:
    """What GitHub makes of a condition that has nothing but comparisons of what it says of an event."""

    def value(found: re.Match[str]) -> str:
        known: t.Any = {"event_name": event, "repository": "shop/shop", "event": facts}
        for name in found[0].split(".")[1:]:
            known = known.get(name, {})
        return repr(known or "")

    said = re.sub(r"github(?:\.\w+)+", value, condition).replace("&&", "and").replace("||", "or")
    return bool(eval(said, {"__builtins__": {}}))


@pytest.mark.parametrize(
    ("event", "facts", "delivers", "removes"),
    [
        pytest.param("push", {}, True, False, id="push"),
        pytest.param("workflow_dispatch", {}, True, True, id="by hand"),
        pytest.param("pull_request", pull(), True, True, id="a pull request"),
        pytest.param("pull_request", pull(repository="somebody/shop"), False, False, id="of a fork"),
        pytest.param("pull_request", pull(login="dependabot[bot]"), False, True, id="of Dependabot"),
        # These run with the rights of the repository, and begin with what anybody may send.
        pytest.param("pull_request_target", pull(repository="somebody/shop"), False, False, id="target, of a fork"),
        pytest.param("pull_request_target", pull(), False, False, id="target"),
        pytest.param("workflow_run", {}, False, False, id="after another workflow"),
        pytest.param("issue_comment", {}, False, False, id="a comment"),
    ],
)
def test_which_events_a_workflow_does_anything_for(
    event: str, facts: dict[str, t.Any], delivers: bool, removes: bool
) -> None:
    jobs = {
        name: yaml.safe_load((delivery.ROOT / f".github/workflows/{name}.yml").read_text())["jobs"]
        for name in ("deliver", "remove_previews")
    }
    assert holds(jobs["deliver"]["release"]["if"], event, facts) is delivers
    assert holds(jobs["remove_previews"]["remove_previews"]["if"], event, facts) is removes
    # The others of deliver.yml begin where it ended, except for the one that only reads what was approved.
    begins = {name for name, job in jobs["deliver"].items() if "needs" not in job}
    assert begins == {"release", "approved"}
    assert jobs["deliver"]["approved"]["permissions"] == dict.fromkeys(("contents", "actions", "pull-requests"), "read")


def test_no_merge_ends_a_rollback_that_waits() -> None:
    """Of the jobs that wait in one group, GitHub cancels all but the last."""
    jobs = {
        name: yaml.safe_load((delivery.ROOT / f".github/workflows/{name}.yml").read_text())["jobs"][job]["concurrency"]
        for name, job in (("deliver", "deploy"), ("roll_back", "roll_back"))
    }
    groups = {name: one["group"].replace("${{ inputs.environment }}", "staging") for name, one in jobs.items()}
    assert groups == {"deliver": "nexod-staging", "roll_back": "nexod-roll-back-staging"}
    assert [one["cancel-in-progress"] for one in jobs.values()] == [False, False]
