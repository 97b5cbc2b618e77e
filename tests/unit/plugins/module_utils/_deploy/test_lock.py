"""One run at a time: who gets the lock, who is refused, what a run that was killed leaves behind."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._deploy.lock import (
    Holder,
    Lock,
    decide,
    has_ended,
    lives,
    machine,
    refusal,
    run_name,
)

ME = Holder("here/1/5", "here", 1, "ann", "laptop", "deploy", since=1000.0, until=2000.0)
OTHER = Holder("there/7/9", "there", 7, "bob", "AWX job 12", "deploy", since=700.0, until=1900.0)


@pytest.mark.parametrize(
    ("held", "dead", "became"),
    [
        pytest.param(None, "", "take", id="free"),
        pytest.param(ME, "", "keep", id="ours already: a later stage"),
        pytest.param(OTHER, "", "refuse", id="somebody else's"),
        pytest.param(OTHER, OTHER.run, "take over", id="its process has ended"),
        pytest.param(OTHER, "there/7/8", "refuse", id="another process with that number has ended"),
        pytest.param(dataclasses.replace(OTHER, until=1000.0), "", "take over", id="its lease is over"),
        pytest.param(
            dataclasses.replace(OTHER, until=1000.0, machine="here"),
            "",
            "refuse",
            id="over, on this machine",
        ),
        pytest.param(
            dataclasses.replace(OTHER, machine="here"), OTHER.run, "take over", id="of a run on this machine that ended"
        ),
    ],
)
def test_decide(held: Holder | None, dead: str, became: str) -> None:
    assert decide(held, ME, dead) == became


def test_a_refusal_names_holder_and_since_when() -> None:
    text = str(refusal(OTHER, 1000.0, "/run/nexod/lab.lock.json"))
    assert "bob on AWX job 12 (process 7, deploy) holds it since 1970-01-01T00:11:40+00:00, 5 min 0 s ago" in text
    assert "expires in 15 min 0 s" in text
    assert "rm /run/nexod/lab.lock.json" in text


def test_a_life(tmp_path: Path) -> None:
    lock = Lock("lab", str(tmp_path))
    assert lock.take(ME, "") == ("take", None)
    assert lock.take(OTHER, "") == ("refuse", ME)
    assert lock.take(ME, "") == ("keep", ME)
    assert lock.release(OTHER.run) is False
    assert lock.read() == ME
    assert lock.take(dataclasses.replace(ME, since=1500.0, until=2500.0), "") == ("keep", ME)
    assert lock.read() == dataclasses.replace(ME, until=2500.0), "asked again by its holder, it is renewed"
    assert (lock.renew(OTHER.run, 9999.0), lock.renew(ME.run, 3000.0)) == (False, True)
    assert lock.read() == dataclasses.replace(ME, until=3000.0)
    assert lock.release(ME.run) is True
    assert lock.renew(ME.run, 4000.0) is False, "a lock that was released is not taken by renewing it"
    assert lock.release(ME.run) is False
    assert lock.take(OTHER, "") == ("take", None)
    assert Lock("staging", str(tmp_path)).take(ME, "") == ("take", None)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": "x"}'])
def test_a_file_cut_off_by_a_crash_holds_nobody_up(tmp_path: Path, text: str) -> None:
    lock = Lock("lab", str(tmp_path))
    lock.path.write_text(text)
    assert lock.take(ME, "") == ("take", None)


def test_a_lock_that_can_t_be_read_is_no_free_one(tmp_path: Path) -> None:
    Lock("lab", str(tmp_path)).path.mkdir()
    with pytest.raises(IsADirectoryError):
        Lock("lab", str(tmp_path)).read()


def test_a_process_is_seen_to_live_and_to_have_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = dataclasses.replace(OTHER, machine=machine(), pid=process.pid, run=run_name(process.pid))
        assert lives(other) is True
        process.kill()
        process.wait()
        assert lives(other) is False
    assert lives(dataclasses.replace(other, pid=os.getpid())) is False  # the number is another process's now
    assert lives(OTHER) is None  # another machine's
    assert [has_ended(OTHER, now) for now in (1800.0, 1900.0)] == [False, True], "there only time tells"
    assert has_ended(other, 0.0), "whatever its lease says"


def test_a_living_run_on_this_machine_keeps_its_lock_beyond_its_lease(tmp_path: Path) -> None:
    here = dataclasses.replace(ME, machine=machine(), pid=os.getpid(), run=run_name(os.getpid()))
    lock, late = Lock("lab", str(tmp_path)), here.until + 1
    lock.take(here, "")
    other = dataclasses.replace(OTHER, machine=machine(), since=late, until=late + 60)
    assert lock.take(other, "")[0] == "refuse"
    assert not has_ended(here, late)
