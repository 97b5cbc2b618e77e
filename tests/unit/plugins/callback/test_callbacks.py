"""The callbacks on real runs: what a person sees, and what stays unseen."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.callback import summary
from ansible_collections.nexod.infra.plugins.callback.progress import Waiting, due, is_noise, task_label, word_for
from ansible_collections.nexod.infra.plugins.callback.summary import lock_command
from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import RUN_VARIABLE
from ansible_collections.nexod.infra.tests.playbook import play as run_playbook

CANARY = "s3cret-canary"

PLAYBOOK = f"""
- name: preflight | Look around
  hosts: here
  gather_facts: false
  tasks:
    - name: look | Quiet
      ansible.builtin.assert: {{that: true, quiet: true}}
    - name: look | Secret
      ansible.builtin.command: echo {CANARY}
      no_log: true
      changed_when: true
    - name: look | Slow
      ansible.builtin.command: sleep 2.5
      changed_when: false
    - name: look | Told
      ansible.builtin.set_stats:
        data: {{infra_summary: {{version_before: 1.0.0, version_after: 1.1.0}}}}
- name: backend | Change
  hosts: here
  gather_facts: false
  tasks:
    - name: configure | Add
      ansible.builtin.lineinfile: {{path: "{{{{ target }}}}-line", line: a, create: true, mode: "0600"}}
      when: plain | default(false) | bool
    - name: configure | Write
      ansible.builtin.copy: {{content: new, dest: "{{{{ target }}}}", mode: "0600"}}
    - name: configure | Write each
      ansible.builtin.copy: {{content: new, dest: "{{{{ target }}}}-{{{{ item }}}}", mode: "0600"}}
      loop: "{{{{ each | default([]) }}}}"
    - name: run | Fail
      ansible.builtin.fail: {{msg: "Cannot x: y.\\nDo z."}}
      when: fails | default(false) | bool
    - name: plan | Compare
      ansible.builtin.copy: {{content: other, dest: "{{{{ target }}}}", mode: "0600"}}
      check_mode: true
      when: plans | default(false) | bool
    - name: run | Ask another host
      ansible.builtin.ping:
      delegate_to: "{{{{ another | default(inventory_hostname) }}}}"
      when: another is defined
- name: Caches | Never reached by a host that has failed
  hosts: here
  gather_facts: false
  tasks:
    - name: flush | Last
      ansible.builtin.assert: {{that: true, quiet: true}}
"""
INVENTORY = """
all:
  hosts:
    here: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
    away: {ansible_host: 127.0.0.9, ansible_port: 9}
  vars: {infra_environment: lab}
"""
RECORDED = """
- name: lock | Acquire
  hosts: here
  gather_facts: false
  tasks:
    - ansible.builtin.set_stats: {data: {infra_summary: {annotation: WHERE}}}
- name: backend | Change
  hosts: here
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: new, dest: "{{ target }}", mode: "0600"}
      tags: changes
    - nexod.infra.grafana_annotation:
        {url: "{{ where.url }}", token_file: "{{ where.token_file }}", began: 1000, text: met}
      when: verified | default(false) | bool
      vars: {where: WHERE}
    - ansible.builtin.fail: {msg: bad}
      when: fails | default(false) | bool
"""


@pytest.fixture
def play(tmp_path: Path):
    (tmp_path / "deploy.yml").write_text(PLAYBOOK)
    (tmp_path / "hosts.yml").write_text(INVENTORY)

    def run(*arguments: str) -> tuple[int, str, dict]:
        done = run_playbook(
            *("-i", "hosts.yml", "-e", f"target={tmp_path / 'written'}", "deploy.yml", *arguments),
            cwd=tmp_path,
            HOME=str(tmp_path),
            LC_ALL="C.UTF-8",
            ANSIBLE_STDOUT_CALLBACK="nexod.infra.progress",
            ANSIBLE_CALLBACKS_ENABLED="nexod.infra.summary",
            ANSIBLE_PIPELINING="true",
            NEXOD_PROGRESS_WAIT_SECONDS="1",
            # As AWX sets it for a credential that does not name the folder.
            NEXOD_REPORT_DIR="",
        )
        name = "deploy-plan.json" if "--check" in arguments else "deploy.json"
        report = tmp_path / ".report" / "lab" / "latest" / name
        return done.returncode, done.stdout + done.stderr, json.loads(report.read_text())

    return run


def test_a_run_reads_well(play, tmp_path: Path) -> None:
    rc, said, report = play("--diff")
    assert rc == 0, said
    assert "[preflight] Look around" in said
    assert "look | Quiet" not in said
    assert "waiting for  here            look | Slow" in said
    assert "changed      here            configure | Write" in said
    assert "+new" in said
    assert "changed=2 " in said
    assert "version    1.0.0 -> 1.1.0" in said
    assert "lab: deploy done" in said
    assert "\x1b" not in said
    assert CANARY not in said
    assert (report["outcome"], report["environment"], report["failures"]) == ("ok", "lab", [])
    assert [stage["name"] for stage in report["stages"]] == ["preflight", "backend", "caches"]
    assert report["stages"][0]["seconds"] >= 2.5
    folder = (tmp_path / ".report" / "lab" / "latest").resolve()
    index = tmp_path / ".report" / "index.html"
    assert f"  report     {folder}/deploy.html\n             {folder}/deploy.json\n             {index}\n" in said
    for name in ("deploy.json", "deploy.html"):
        assert ((folder / name).stat().st_mode & 0o777) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["deploy.html", "deploy.json"]
    page = (folder / "deploy.html").read_text()
    assert "<h1>lab: deploy done</h1>" in page
    assert CANARY not in page


def test_the_time_line_is_of_the_tasks_that_lasted_or_changed(play) -> None:
    _rc, _said, report = play("-e", "fails=true")
    line = {span["task"]: span for span in report["timeline"]}
    slow, secret, failed = line["look | Slow"], line["look | Secret"], line["run | Fail"]
    assert (slow["stage"], slow["host"], slow["outcome"]) == ("preflight", "here", "ok")
    assert (secret["outcome"], failed["outcome"]) == ("changed", "failed")
    assert 2.4 < slow["seconds"] < 10
    # The whole is rounded to tenths, its parts to hundredths.
    assert 0 < secret["begun"] < slow["begun"] < failed["begun"] <= report["seconds"] + 0.05
    first, second = report["stages"]
    assert first["begun"] <= secret["begun"]
    assert second["begun"] >= slow["begun"] + 2.4


def test_a_failure_is_text_and_named_at_the_end(play) -> None:
    rc, said, report = play("-e", "fails=true")
    assert rc == 2
    assert "FAILED       here            run | Fail" in said
    assert "      Cannot x: y.\n      Do z.\n" in said
    # In full once, where it happened; then Ansible's recap; then the summary, with the first line only.
    in_full, _recap, end = said.partition("PLAY RECAP")
    assert (in_full.count("Do z."), end.count("Do z.")) == (1, 0)
    assert "failed in stage backend on here: run | Fail\n  Cannot x: y.\n" in end
    assert report["outcome"] == "failed"
    assert report["failures"][0]["message"] == "Cannot x: y.\nDo z."
    assert [(stage["name"], stage["failed"]) for stage in report["stages"]] == [("preflight", False), ("backend", True)]
    assert "Never reached" not in said


class Grafana(http.server.BaseHTTPRequestHandler):
    """Keeps the annotations that it gets."""

    kept: t.ClassVar[list[dict]] = []

    def do_POST(self) -> None:
        assert self.headers["Authorization"] == f"Bearer {CANARY}"
        self.kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"id": 1}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        pytest.param(("-e", "fails=true"), ["deploy.yml failed in the stage backend"], id="failed"),
        pytest.param((), [], id="went well"),
        pytest.param(("-e", "fails=true", "--check"), [], id="a plan"),
        pytest.param(("-e", "fails=true", "-e", "verified=true"), ["met"], id="recorded by the stage verify"),
        pytest.param(("-e", "fails=true", "--skip-tags", "changes"), [], id="failed before it changed anything"),
    ],
)
def test_a_run_that_failed_is_recorded_in_grafana(
    play, tmp_path: Path, arguments: tuple[str, ...], texts: list[str]
) -> None:
    Grafana.kept = []
    (tmp_path / "token").write_text(CANARY)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Grafana)
    where = {"host": "here", "url": f"http://127.0.0.1:{server.server_port}", "token_file": str(tmp_path / "token")}
    where |= {"began": 1000, "tags": ["deploy", "lab", "1.1.0", ""]}
    (tmp_path / "deploy.yml").write_text(RECORDED.replace("WHERE", json.dumps(where)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        _rc, said, report = play(*arguments)
    finally:
        server.shutdown()
        server.server_close()
    assert [kept["text"] for kept in Grafana.kept] == texts
    for kept in (row for row in Grafana.kept if row["text"] != "met"):
        assert kept["tags"] == ["deploy", "lab", "1.1.0", "failed"]
        assert kept["timeEnd"] > kept["time"] == 1000000
    assert CANARY not in said + json.dumps(report)
    assert "token_file" not in json.dumps(report)


def test_a_grafana_that_does_not_answer_is_no_error(play, tmp_path: Path) -> None:
    where = {"host": "here", "url": "http://127.0.0.1:9", "token_file": str(tmp_path / "missing"), "began": 1000}
    (tmp_path / "deploy.yml").write_text(RECORDED.replace("WHERE", json.dumps(where)))
    rc, said, _report = play("-e", "fails=true")
    assert rc == 2
    assert "in Grafana" not in said


def test_a_host_of_grafana_that_is_gone_is_a_warning(play, tmp_path: Path) -> None:
    where = {"host": "away", "url": "http://127.0.0.1:9", "token_file": "/missing", "began": 1000}
    (tmp_path / "deploy.yml").write_text(RECORDED.replace("WHERE", json.dumps(where)))
    rc, said, _report = play("-e", "fails=true")
    assert rc == 2
    assert "Cannot record the failed run in Grafana on away:" in said


def test_who_did_not_answer_is_named_where_another_host_asked(play) -> None:
    rc, said, report = play("-e", "another=away")
    assert rc == 4
    assert "Cannot reach away: Failed to connect to the host via ssh: " in said
    (failure,) = report["failures"]
    assert (failure["host"], failure["error"]["object"]) == ("here", "away")
    assert "See that it runs" in failure["message"]


def test_each_item_of_a_loop_is_a_change(play, tmp_path: Path) -> None:
    _rc, said, report = play("--check", "-e", '{"each": ["a", "b"]}')
    objects = [row["object"] for row in report["changes"] if row["kind"] == "file"]
    assert objects == [f"{tmp_path}/written{end}" for end in ("", "-a", "-b")], said


def test_check_mode_says_would(play, tmp_path: Path) -> None:
    rc, said, report = play("--check")
    assert rc == 0, said
    assert "would change here            configure | Write" in said
    assert "nothing was changed" in said
    assert report["check_mode"] is True
    assert not (tmp_path / "written").exists()
    assert f"    + create  file      {tmp_path}/written" in said
    assert [(row["action"], row["object"]) for row in report["changes"]][-1] == ("create", f"{tmp_path}/written")
    assert f"+ create file {tmp_path}/written" in (tmp_path / ".report/lab/latest/deploy-plan.md").read_text()


def test_a_plan_that_failed_never_says_nothing(play, tmp_path: Path) -> None:
    rc, said, _report = play("--check", "-e", "fails=true", "-e", "target=/dev/null/x")
    assert rc != 0
    latest = tmp_path / ".report/lab/latest"
    for text in (said, (latest / "deploy-plan.html").read_text(), (latest / "deploy-plan.md").read_text()):
        assert "nothing would change" not in text.lower()
        assert "nothing to change" not in text.lower()
        assert "Everything is as declared" not in text
        assert "because the plan failed" in text or "The plan failed" in text


def test_no_run_overwrites_the_report_of_another(play, tmp_path: Path) -> None:
    _rc, _said, failed = play("-e", "fails=true")
    _rc, said, _report = play()
    reports = [json.loads(path.read_text()) for path in (tmp_path / ".report").glob("lab/2*/deploy.json")]
    assert sorted(report["outcome"] for report in reports) == ["failed", "ok"]
    assert failed in reports
    history = (tmp_path / ".report" / "index.html").read_text()
    assert history.index("lab: deploy done") < history.index("lab: deploy FAILED")
    for path in (tmp_path / ".report").glob("lab/2*/deploy.html"):
        assert f'href="{path.relative_to(tmp_path / ".report")}"' in history, said


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--tags", "nothing"], id="tags"),
        pytest.param(["--skip-tags", "all"], id="skipped tags"),
        pytest.param(["--limit", "away"], id="limit"),
    ],
)
def test_a_run_of_nothing_says_so_and_leaves_the_last_report(play, tmp_path: Path, arguments: list[str]) -> None:
    _rc, _said, failed = play("-e", "fails=true")
    _rc, said, latest = play(*arguments)
    assert "NOTHING WAS RUN" in said
    assert latest == failed
    assert len(list((tmp_path / ".report").glob("lab/2*"))) == 1


def test_a_restricted_run_says_to_what(play) -> None:
    _rc, said, report = play("--limit", "here", "--skip-tags", "x,y")
    assert "  selection  --limit here --skip-tags x,y\n" in said
    assert report["selection"] == {"limit": "here", "tags": [], "skip_tags": ["x", "y"]}


def test_a_real_run_never_says_would(play) -> None:
    """A task that is in check mode in a real run plans something; it is no change of the run."""
    rc, said, report = play("-e", "plans=true")
    assert rc == 0, said
    assert "planned      here            plan | Compare" in said
    assert "would" not in said
    assert [row["action"] for row in report["changes"] if row["kind"] == "file"] == ["create"]
    assert [(stage["name"], stage["changed"]) for stage in report["stages"]][1] == ("backend", 1)
    assert {span["task"]: span["outcome"] for span in report["timeline"]}.get("plan | Compare", "ok") == "ok"


TEMPORARY = (
    "Module remote_tmp /root/.ansible/tmp did not exist and was created with a mode of 0700, this may cause issues "
    "when running as another user. To avoid this, create the remote_tmp dir with the correct permissions manually"
)


@pytest.mark.parametrize(
    ("warnings", "noise"),
    [([TEMPORARY], True), ([TEMPORARY, "Disk is full"], False), (["Disk is full"], False), ([], False), (None, False)],
)
def test_is_noise(warnings: list[str] | None, noise: bool) -> None:
    assert is_noise(warnings) is noise


def test_a_new_host_needs_no_warning_of_its_temporary_folder(play, tmp_path: Path) -> None:
    """With pipelining, the first module that needs a temporary file makes the folder and warns."""
    rc, said, _report = play("-e", "plain=true", "-e", "ansible_remote_tmp=~/one")
    assert rc == 0, said
    assert "configure | Add" in said
    assert "remote_tmp" not in said
    (tmp_path / "written-line").unlink()
    assert "remote_tmp" in play("-v", "-e", "plain=true", "-e", "ansible_remote_tmp=~/other")[1]


@pytest.mark.parametrize(
    ("task", "run", "word"),
    [(False, False, "changed"), (True, False, "planned"), (True, True, "would change"), (False, True, "would change")],
)
def test_word_for(task: bool, run: bool, word: str) -> None:
    assert word_for(task, run) == word


def test_the_lock_is_released_over_the_same_connection() -> None:
    given = {
        "inventory": ("inventories/lab", "more.yml"),
        "extra_vars": ("a=b c",),
        "remote_user": "deploy",
        "ssh_common_args": "-o ProxyJump=bastion",
        "become": True,
        "become_user": "root",
        "private_key_file": None,
    }
    argv = lock_command("released", {"host": "runner-1", "environment": "lab", "run": "r"}, given)
    assert argv[1:4] == ["-m", "ansible", "adhoc"]
    assert argv[4:8] == ["runner-1", "--module-name", "nexod.infra.deploy_lock", "--args"]
    assert json.loads(argv[8]) == {"environment": "lab", "state": "released"}
    lock = {"host": "runner-1", "environment": "lab", "run": "r", "lease_seconds": 60, "folder": "/x"}
    assert json.loads(lock_command("renewed", lock, given)[8]) == {
        "environment": "lab",
        "lease_seconds": 60,
        "folder": "/x",
        "state": "renewed",
    }
    assert argv[9:] == [
        "--inventory=inventories/lab",
        "--inventory=more.yml",
        "--extra-vars=a=b c",
        "--user=deploy",
        "--ssh-common-args=-o ProxyJump=bastion",
        "--become-user=root",
        "--become",
    ]


class Recorded:
    """What the callback does with locks, in order: released ones by host, and renewals begun and ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, check: bool = False, fails: bool = False) -> None:
        self.done: list[str] = []
        self.warnings: list[str] = []
        recorded = self

        class Renewing:
            def __init__(self, command: list[str], environment: dict[str, str], lease_seconds: float) -> None:
                if fails:
                    raise OSError("no more processes")
                self.host = command[4]
                assert environment[RUN_VARIABLE] == "r"
                recorded.done.append(f"renew {self.host}")
                assert lease_seconds == 60

            def stop(self) -> None:
                recorded.done.append(f"stop {self.host}")

        def release(lock: dict[str, object], _given: object) -> str:
            self.done.append(f"release {lock['host']}")
            return "it is gone" if lock["host"] == "gone" else ""

        monkeypatch.setattr(summary, "Renewal", Renewing)
        monkeypatch.setattr(summary, "release", release)
        monkeypatch.setattr(summary.context, "CLIARGS", {"check": check})
        self.callback = summary.CallbackModule()
        monkeypatch.setattr(self.callback._display, "warning", self.warnings.append)

    def hold(self, *hosts: str) -> None:
        for host in hosts:
            self.callback._hold_lock({"host": host, "environment": "lab", "run": "r", "lease_seconds": 60})


@pytest.mark.parametrize(
    ("held", "check", "done"),
    [
        pytest.param(["runner-1"], False, ["renew runner-1", "stop runner-1", "release runner-1"], id="one"),
        pytest.param(
            ["localhost", "runner-1"],
            False,
            # The new one is held already when the old one is released.
            [f"{verb} {host}" for host in ("localhost", "runner-1") for verb in ("renew", "stop", "release")],
            id="moved",
        ),
        pytest.param(["localhost", "runner-1"], True, [], id="a plan"),
        pytest.param([], False, [], id="none"),
    ],
)
def test_the_lock_is_renewed_where_it_is_and_released_once(
    monkeypatch: pytest.MonkeyPatch, held: list[str], check: bool, done: list[str]
) -> None:
    recorded = Recorded(monkeypatch, check=check)
    recorded.hold(*held)
    recorded.callback._release_lock()
    recorded.callback._release_lock()
    assert (recorded.done, recorded.warnings) == (done, [])


def test_a_lock_that_can_not_be_renewed_is_released_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch, fails=True)
    recorded.hold("runner-1")
    assert recorded.warnings == ["Cannot renew the lock of lab during the run: no more processes."]
    recorded.callback._release_lock()
    assert recorded.done == ["release runner-1"]


def test_an_old_lock_that_can_not_be_released_is_reported_and_the_new_one_held(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    recorded.hold("gone", "runner-1")
    (warning,) = recorded.warnings
    assert warning.startswith("Cannot release the lock of lab on gone: it is gone.")
    assert recorded.done == ["renew gone", "stop gone", "release gone", "renew runner-1"]


def test_detail_is_the_default_callbacks(play) -> None:
    rc, said, _report = play("-v")
    assert rc == 0, said
    assert "TASK [configure | Write]" in said
    assert "changed: [here] =>" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("elapsed", "last", "named"),
    [
        (4.9, 0, False),
        (5.0, 0, True),
        (9.0, 5.0, False),
        (10.0, 5.0, True),
        (190.0, 130.0, True),
        (189.0, 130.0, False),
    ],
)
def test_due(elapsed: float, last: float, named: bool) -> None:
    assert due(elapsed, last, first=5.0) is named


def test_waiting_names_each_task_once_with_its_hosts() -> None:
    waiting = Waiting()
    waiting.start("t1", "b", "run | Prove", 0.0)
    waiting.start("t1", "a", "run | Prove", 1.0)
    assert waiting.overdue(4.0, 5.0) == []
    assert waiting.overdue(6.0, 5.0) == [("run | Prove", ["a", "b"], 6.0)]
    assert waiting.overdue(7.0, 5.0) == []
    assert waiting.end("t1", "b", 8.0) == 8.0
    assert waiting.overdue(30.0, 5.0) == [("run | Prove", ["a"], 29.0)]


@pytest.mark.parametrize(("name", "label"), [("nexod.infra.api : run | x", "api : run | x"), (" plain ", "plain")])
def test_task_label(name: str, label: str) -> None:
    assert task_label(name) == label
