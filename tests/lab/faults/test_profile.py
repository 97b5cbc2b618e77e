"""The API of the lab is profiled while users ask it: what was planted into it is named, and nobody notices."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.lab.chaos import ADDRESSES, slow_api
from ansible_collections.nexod.infra.tests.lab.support import ANSIBLE, EDGE, ROOT, on, run, users
from ansible_collections.nexod.infra.tests.load.driver import Load

pytestmark = pytest.mark.long
HOST = "api-1"
PROFILES = ROOT / ".report" / "profiles" / "lab"
#: What a lab of ten hosts on two busy cores answers within the ten seconds after which a request counts as failed.
LOAD: dict[str, t.Any] = {"rate": 16, "sessions": 40, "ramp": 4, "slow_seconds": 1, "websockets": 2}
RUNNING = "systemctl show api --property=MainPID,NRestarts"


@pytest.fixture
def wasteful(serving) -> t.Iterator[None]:
    """Each request to one instance burns 20 ms and keeps 256 KiB."""
    with slow_api(HOST, CHAOS_SECONDS=0, CHAOS_BURNT_SECONDS=0.02, CHAOS_KEPT_BYTES=2**18)():
        yield


def profiled(*options: str) -> tuple[dict[str, t.Any], str]:
    """The profile that the playbook has left, and what it said."""
    before = set(PROFILES.glob("*"))
    done = run(*ANSIBLE, "playbooks/profile.yml", "-e", f"profile_instance={HOST}", *options)
    assert done.rc == 0, done.said[-5000:]
    (folder,) = set(PROFILES.glob("*")) - before
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert on(HOST, "find / -xdev -path '*/profile-2*' -name 'profile.*'; find / -xdev -name memory.bin") == ""
    return json.loads((folder / "profile.json").read_text()), done.said


def test_what_wastes_time_and_what_leaks_are_named(wasteful: None, tmp_path: pathlib.Path) -> None:
    before = on(HOST, RUNNING)
    with Load(EDGE, tmp_path / "load.json", **LOAD) as load:
        load.until_ready()
        load.mark("time")
        found, said = profiled("-e", "profile_seconds=20")
        assert found["samples"] > 100
        assert found["top_own"][0]["function"] == "burn_time (chaos/sitecustomize.py)", found["summary"]
        own = [line for line in found["summary"] if line.startswith("Own time:")]
        assert own[0].endswith("burn_time (chaos/sitecustomize.py)")
        assert found["calls"]["requests"] > 20
        assert set(found["calls"]) == {"requests", "database queries", "cache commands"}
        assert all(line in said for line in found["summary"])

        # Out of the entry point, as the debugger makes requests wait: it is asked directly.
        load.mark("memory")
        with users(("/tasks?user_id=1",), every=0.2, base=f"http://{ADDRESSES[HOST]}:8000"):
            found, _said = profiled("-e", "profile_seconds=20 profile_tool=memory profile_drain=true")
        left = found["memory"]["left"]["top"][0]
        assert (left["function"], pathlib.Path(left["file"]).name) == ("keep_memory", "sitecustomize.py"), left
        assert left["bytes"] >= 10 * 2**18
        noticed = load.end()
    assert (noticed["failed"], noticed["failures"], noticed["slow_calls"]["cut"]) == (0, [], 0), noticed
    assert on(HOST, RUNNING) == before
