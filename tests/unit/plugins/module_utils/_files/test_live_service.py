"""A service's steps by table, and its proofs against real answers."""

from __future__ import annotations

import dataclasses
import grp
import http.server
import os
import pathlib
import pwd
import threading
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result
from ansible_collections.nexod.infra.plugins.module_utils._files import live_service as ls
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import Entry, FileSet
from ansible_collections.nexod.infra.tests.fixtures import hostile_answers

ABSENT = ls.Status(known=False, active=False, enabled=False, stale=False)
RUNNING = ls.Status(known=True, active=True, enabled=True, stale=False)
STOPPED = ls.Status(known=True, active=False, enabled=False, stale=False)
STALE = ls.Status(known=True, active=True, enabled=True, stale=True)
REPLACED = ls.Status(known=True, active=True, enabled=True, stale=False, replaced=True)


@pytest.mark.parametrize(
    ("state", "enabled", "status", "action", "proven", "steps"),
    [
        pytest.param("started", True, ABSENT, "restart", True, ["daemon-reload", "enable", "start"], id="bare host"),
        pytest.param("started", True, RUNNING, "none", True, [], id="nothing to do"),
        pytest.param("started", True, RUNNING, "reload", True, ["daemon-reload", "reload"], id="reload"),
        pytest.param("started", True, RUNNING, "restart", True, ["daemon-reload", "restart"], id="restart"),
        pytest.param("started", True, RUNNING, "none", False, ["restart"], id="hangs at rest"),
        pytest.param("started", True, REPLACED, "none", True, ["restart"], id="its package was upgraded"),
        pytest.param(
            "started", True, REPLACED, "reload", True, ["daemon-reload", "restart"], id="a reload keeps the old program"
        ),
        pytest.param("stopped", True, REPLACED, "none", True, ["stop"], id="stop what was upgraded"),
        pytest.param(
            "started", True, STOPPED, "none", True, ["daemon-reload", "enable", "start"], id="somebody stopped it"
        ),
        pytest.param("started", False, RUNNING, "none", True, ["disable"], id="not at boot"),
        pytest.param("started", True, STALE, "none", True, ["daemon-reload"], id="unit file touched"),
        pytest.param("started", True, STOPPED, "reload", True, ["daemon-reload", "enable", "start"], id="start"),
        pytest.param("stopped", True, RUNNING, "restart", True, ["stop"], id="stop keeps it at boot"),
        pytest.param("stopped", False, RUNNING, "none", True, ["stop", "disable"], id="stop for good"),
        pytest.param("stopped", False, STOPPED, "none", True, [], id="stopped already"),
        pytest.param("absent", True, RUNNING, "none", True, ["stop", "disable"], id="absent"),
        pytest.param("absent", True, ABSENT, "none", True, [], id="absent already"),
    ],
)
def test_plan(state: str, enabled: bool, status: ls.Status, action: str, proven: bool, steps: list[str]) -> None:
    assert ls.plan(state, enabled, status, action, proven) == steps


@pytest.mark.parametrize(
    ("steps", "act", "changed"),
    [
        ([], "none", False),
        (["daemon-reload"], "none", False),
        (["daemon-reload", "enable", "start"], "start", True),
        (["daemon-reload", "reload"], "reload", True),
        (["stop", "disable"], "stop", True),
        (["enable"], "none", True),
    ],
)
def test_what_steps_do_to_the_service(steps: list[str], act: str, changed: bool) -> None:
    assert (ls.taken(steps), ls.changes(steps)) == (act, changed)


EXPOSITION = 'ok 1\nwhen_seconds 1.7637e+09\nper{job="a"} 0\nodd x1\n'


@pytest.mark.parametrize(
    ("metrics", "since", "missing"),
    [
        pytest.param({"ok": "1"}, 0, None, id="number"),
        pytest.param({"ok": "0"}, 0, "metric ok is 1, not 0", id="other number"),
        pytest.param({"when_seconds": "since"}, 1763700000.9, None, id="within its second"),
        pytest.param({"when_seconds": "since"}, 1763700001.0, "metric when_seconds is 1.7637e+09, not at", id="before"),
        pytest.param({"per": "0"}, 0, None, id="with labels"),
        pytest.param({"gone": "1"}, 0, "metric gone is missing", id="absent"),
        pytest.param({"odd": "1"}, 0, "metric odd is 'x1', which is no number", id="no number"),
    ],
)
def test_metrics(metrics: dict[str, str], since: float, missing: str | None) -> None:
    said = ls.unmet_metric(metrics, EXPOSITION, since)
    assert said == missing if missing is None else (said or "").startswith(missing)


@pytest.fixture(scope="module")
def server() -> t.Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == "/busy" else 200)
            self.end_headers()
            self.wfile.write(b"draining" if self.path == "/busy" else EXPOSITION.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def proof(**fields: t.Any) -> ls.Proof:
    row = {"url": None, "status": 200, "command": (), "environment": {}, "matches": None, "metrics": {}}
    return ls.Proof(**{**row, "after": frozenset(), **fields})


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        pytest.param({"url": "/ok"}, None, id="status 200"),
        pytest.param({"url": "/busy"}, "answers 503 instead of 200: draining", id="another status, with its body"),
        pytest.param({"url": "/busy", "status": 503}, None, id="the status asked for"),
        pytest.param({"url": "/ok", "matches": "^ok 1"}, None, id="body"),
        pytest.param({"url": "/ok", "matches": "1.1.0"}, "does not match '1.1.0'", id="another body"),
        pytest.param({"url": "/ok", "metrics": {"ok": "2"}}, "metric ok is 1", id="metric"),
        pytest.param({"command": ("true",)}, None, id="command"),
        pytest.param({"command": ("false",)}, "false ended with 1", id="failing command"),
        pytest.param(
            {"command": ("sh", "-c", "echo $TOKEN"), "environment": {"TOKEN": "t0"}, "matches": "t0"},
            None,
            id="environment",
        ),
        pytest.param({"command": ("no-such-program",)}, "ended with 127", id="no such command"),
    ],
)
def test_proofs(server: str, fields: dict[str, t.Any], missing: str | None) -> None:
    if "url" in fields:
        fields = {**fields, "url": server + fields["url"]}
    said = ls.failing(proof(**fields), since=0)
    assert said is None if missing is None else missing in (said or "")


def test_a_command_can_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ls, "status_of", lambda _unit: RUNNING)
    refused = proof(command=("sh", "-c", "echo the plugin is refused >&2; exit 78"))
    began = time.monotonic()
    missing = ls.wait_proven("api", [refused], "none", 0.0, timeout=60.0)
    assert time.monotonic() - began < 30
    assert isinstance(missing, ls.Final)
    assert "the plugin is refused" in missing
    assert not isinstance(ls.failing(proof(command=("false",)), since=0), ls.Final)


def test_nobody_there_is_named(server: str) -> None:
    assert "does not answer" in (ls.failing(proof(url="http://127.0.0.1:1/"), since=0) or "")


@pytest.mark.parametrize(
    ("states", "missing"),
    [
        pytest.param([RUNNING], None, id="proven at once"),
        pytest.param([STOPPED, STOPPED, RUNNING], None, id="proven after a while"),
        pytest.param(
            [dataclasses.replace(STOPPED, restarts=n) for n in range(9)],
            "it crashes on start",
            id="crash loop",
        ),
        pytest.param([dataclasses.replace(STOPPED, failed=True)], "systemd has stopped restarting it", id="given up"),
    ],
)
def test_waiting_ends_when_it_is_no_use(
    monkeypatch: pytest.MonkeyPatch, states: list[ls.Status], missing: str | None
) -> None:
    left = [*states]
    monkeypatch.setattr(ls, "status_of", lambda _unit: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(ls.time, "sleep", lambda _seconds: None)
    said = ls.wait_proven("a", [], "start", since=0, timeout=3600)
    assert said is None if missing is None else missing in (said or "")


@pytest.mark.parametrize(
    ("says", "asked"),
    [
        pytest.param("line 3: no such word", 1, id="an error in a file"),
        pytest.param("starting", 3, id="what ends by itself"),
        pytest.param("ready", 1, id="proven, whatever else it says"),
    ],
)
def test_an_error_that_waiting_does_not_change_ends_the_waiting(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, says: str, asked: int
) -> None:
    monkeypatch.setattr(ls, "status_of", lambda _unit: RUNNING)
    monkeypatch.setattr(ls, "CERTAIN", 0.0)
    log = tmp_path / "asked"
    script = f"echo >> {log}; test $(wc -l < {log}) -lt 3 || echo ready; echo {says}"
    proofs = [proof(command=("sh", "-c", script), matches="^ready", refused=r"line \d+")]
    said = ls.wait_proven("a", proofs, "reload", since=0, timeout=60)
    assert len(log.read_text().splitlines()) == asked
    assert (said is None) == (not says.startswith("line")), said


@pytest.fixture
def on_trial(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> FileSet:
    """A set that was live, and one that was proven without being settled; systemd does as it is told."""
    monkeypatch.setattr(ls, "status_of", lambda _unit: RUNNING)
    monkeypatch.setattr(ls, "perform", lambda *_: Result(0, "", ""))
    monkeypatch.setattr(ls, "last_log_lines", lambda *_: "")
    files = FileSet("a", str(tmp_path))
    for content in ("good", "bad"):
        files.apply([entry(content)], [])
        ls.roll_out([ls.Rollout("a", ["restart"], [])], files, 1, settle=content == "good")
    return files


def entry(content: str) -> Entry:
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    return Entry("f", content.encode(), "0644", owner, group, "restart", None, False)


def test_a_set_on_trial_is_not_live_and_is_taken_back(on_trial: FileSet) -> None:
    assert on_trial.generation("live") != on_trial.generation("current")
    assert "returned to its previous set" in ls.take_back([ls.Rollout("a", ["restart"], [])], on_trial, 1)
    assert on_trial.generation("live") == on_trial.generation("current")
    assert "was live before, which has not changed" in ls.take_back([ls.Rollout("a", ["restart"], [])], on_trial, 1), (
        "asked again"
    )


def test_a_set_that_stood_its_trial_is_live(on_trial: FileSet) -> None:
    before = on_trial.generation("live")
    assert on_trial.mark_live()
    assert on_trial.generation("previous") == before


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"url": "127.0.0.1:80"}, "neither http", id="no scheme"),
        pytest.param({"url": "http://x/", "matches": "("}, "not a regular expression", id="pattern"),
        pytest.param(
            {"url": "http://x/", "refused": "("}, "refused is not a regular expression", id="pattern of errors"
        ),
        pytest.param({"url": "http://x/", "metrics": {"up": "yes"}}, "neither a number nor since", id="metric"),
    ],
)
def test_a_proof_that_can_never_hold_is_refused(fields: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InfraError, match=words):
        ls.refuse_bad_proof(proof(**fields))


@pytest.fixture
def deployed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> FileSet:
    """A set that is live, and one that was just installed."""
    monkeypatch.setattr(ls, "status_of", lambda _unit: RUNNING)
    monkeypatch.setattr(ls, "perform", lambda *_: Result(0, "", ""))
    monkeypatch.setattr(ls, "last_log_lines", lambda *_: "")
    files = FileSet("a", str(tmp_path))
    files.apply([entry("good")], [])
    files.mark_live()
    files.apply([entry("bad")], [])
    return files


@pytest.mark.parametrize("speak", [*hostile_answers.ANSWERS])
def test_a_service_that_answers_in_no_way_it_should_is_rolled_back(deployed: FileSet, speak: str) -> None:
    with hostile_answers.server(speak) as url, pytest.raises(InfraError, match="returned to its previous set"):
        ls.roll_out([ls.Rollout("a", ["restart"], [proof(url=url)])], deployed, timeout=0.2)
    assert deployed.generation("current") == deployed.generation("live")


def test_an_error_that_passes_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(ls, "status_of", lambda _unit: RUNNING)
    script = f"echo >> {tmp_path / 'log'}; test $(wc -l < {tmp_path / 'log'}) -ge 4 || echo line 3"
    proofs = [proof(command=("sh", "-c", script), matches="^$", refused="line")]
    assert ls.wait_proven("a", proofs, "reload", since=0, timeout=60) is None


def test_the_proofs_of_a_new_set_have_their_own_time(deployed: FileSet) -> None:
    late = proof(command=("sh", "-c", f"test $(date +%s) -ge {int(time.time()) + 2}"))
    # It holds in time for the set that is returned to.
    with pytest.raises(InfraError, match="which serves again"):
        ls.roll_out([ls.Rollout("a", ["restart"], [late])], deployed, timeout=60, proof_timeout=0.1)
    assert deployed.generation("current") == deployed.generation("live")


def test_a_failing_systemctl_amid_the_proofs_is_rolled_back(deployed: FileSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_unit: str) -> t.NoReturn:
        raise InfraError("read the state of the unit", '"a"', "Connection refused", "Check systemd.")

    monkeypatch.setattr(ls, "status_of", refuse)
    with pytest.raises(InfraError, match="Connection refused"):
        ls.roll_out([ls.Rollout("a", ["restart"], [])], deployed, timeout=1)
    assert deployed.generation("current") == deployed.generation("live")


@pytest.mark.parametrize(
    ("steps", "done", "outcome"),
    [
        pytest.param(["enable", "start"], ["stop", "disable"], "it was stopped again", id="it did not run before"),
        pytest.param(["restart"], [], "it was left as it is", id="it ran before, with something else"),
    ],
)
def test_a_first_set_without_proof_leaves_nothing_running_that_did_not_run_before(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, steps: list[str], done: list[str], outcome: str
) -> None:
    performed: list[list[str]] = []
    monkeypatch.setattr(ls, "status_of", lambda _unit: RUNNING)
    monkeypatch.setattr(ls, "perform", lambda _unit, steps, _timeout: performed.append(steps) or Result(0, "", ""))
    monkeypatch.setattr(ls, "last_log_lines", lambda *_: "")
    files = FileSet("a", str(tmp_path))
    files.apply([entry("first")], [])
    with pytest.raises(InfraError, match=outcome):
        ls.roll_out([ls.Rollout("a", steps, [proof(url="http://127.0.0.1:9/")])], files, timeout=0.2)
    assert performed == [steps, *([done] if done else [])]
    assert files.generation("live") is None


@pytest.mark.parametrize("steps", [["stop"], ["stop", "disable"], []])
def test_a_service_that_is_not_to_run_proves_nothing(deployed: FileSet, steps: list[str]) -> None:
    before = deployed.generation("live")
    ls.roll_out([ls.Rollout("a", steps, [])], deployed, timeout=1, running=False)
    assert deployed.generation("live") == before


def test_a_live_set_that_was_damaged_is_not_returned_to(deployed: FileSet) -> None:
    (deployed.home / "generations" / f"{deployed.generation('live')}.json").unlink()
    current = deployed.generation("current")
    assert "was not returned to its previous set" in ls.take_back([ls.Rollout("a", ["restart"], [])], deployed, 1)
    assert deployed.generation("current") == current


@pytest.mark.parametrize(
    ("effect", "after"),
    [
        ("", "systemctl restart web\n"),
        ("every client is disconnected", "systemctl restart web\n# every client is disconnected\n"),
    ],
)
def test_the_diff_shows_what_users_notice(effect: str, after: str) -> None:
    assert ls.as_diff("web", RUNNING, ["daemon-reload", "restart"], effect)["after"] == after


@pytest.fixture
def processes(deployed: FileSet, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[tuple[FileSet, list[str]]]:
    """A new set of a service with several units, and what is done to them; the second unit does not pass its proof."""
    performed: list[str] = []

    def perform(unit: str, steps: t.Sequence[str], _timeout: float) -> Result:
        performed.extend(f"{step} {unit}" for step in steps)
        return Result(0, "", "")

    monkeypatch.setattr(ls, "perform", perform)
    yield deployed, performed


BAD = proof(url="http://127.0.0.1:9/")


@pytest.mark.parametrize(
    ("rollouts", "performed", "words"),
    [
        pytest.param(
            [ls.Rollout("a@1", ["restart"], []), ls.Rollout("a@2", ["restart"], [])],
            ["restart a@1", "restart a@2"],
            None,
            id="one after another",
        ),
        pytest.param(
            [
                ls.Rollout("a@1", ["reload"], []),
                ls.Rollout("a@2", ["reload"], [BAD]),
                ls.Rollout("a@3", ["reload"], []),
            ],
            [
                *("reload a@1", "reload a@2"),
                *("daemon-reload a@2", "reload a@2", "daemon-reload a@2", "restart a@2"),
                *("daemon-reload a@1", "reload a@1"),
            ],
            r"does not pass its proofs either: .* \(a@2\), serves again \(a@1\)",
            id="those before follow, and those after are not touched",
        ),
        pytest.param(
            [ls.Rollout("a@2", ["start"], [], added=True), ls.Rollout("a@1", ["restart"], [BAD])],
            ["start a@2", "restart a@1", "daemon-reload a@1", "restart a@1", "stop a@2", "disable a@2"],
            r"does not have it: it was stopped again \(a@2\)",
            id="an instance that is new is ended",
        ),
    ],
)
def test_units_are_changed_one_after_another(
    processes: tuple[FileSet, list[str]], rollouts: list[ls.Rollout], performed: list[str], words: str | None
) -> None:
    files, done = processes
    if words is None:
        ls.roll_out(rollouts, files, timeout=0.2)
    else:
        with pytest.raises(InfraError, match=words):
            ls.roll_out(rollouts, files, timeout=0.2)
    assert done == performed
    assert files.generation("current") == files.generation("live")


def test_a_spare_runs_only_while_the_only_one_restarts() -> None:
    spare = ls.Rollout("a@2", ["start"], [], added=True)
    one, other = ls.Rollout("a@1", ["daemon-reload", "restart"], []), ls.Rollout("a@3", ["restart"], [])
    assert [(each.unit, each.steps[-1]) for each in ls.with_spare([one], spare)] == [
        ("a@2", "start"),
        ("a@1", "restart"),
        ("a@2", "stop"),
    ]
    assert ls.with_spare([one, other], spare) == [one, other]
    assert ls.with_spare([dataclasses.replace(one, steps=["reload"])], spare)[0].unit == "a@1"


def test_an_instance_is_enabled_without_systemctl(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemctl linked an instance to a generation of the set, which is later removed, and removed the template."""
    monkeypatch.setattr(ls, "run", lambda *_args, **_options: Result(0, "", ""))
    (tmp_path / "a@.service").symlink_to("/etc/nexod/a/current/a@.service")
    assert ls.is_of_linked_template("a@1", str(tmp_path))
    assert not ls.is_of_linked_template("a", str(tmp_path))
    assert not ls.is_of_linked_template("b@1", str(tmp_path))
    link = tmp_path / "multi-user.target.wants" / "a@1.service"
    for _again in range(2):
        ls.set_enabled("a@1", True, str(tmp_path))
        assert os.readlink(link) == "../a@.service"
    for _again in range(2):
        ls.set_enabled("a@1", False, str(tmp_path))
        assert not link.is_symlink()
    assert (tmp_path / "a@.service").is_symlink()
