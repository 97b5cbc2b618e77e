"""What the daily check's timer proves of the host, beside the files of its set."""

from __future__ import annotations

import hashlib
import os
import pathlib
import pwd
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.programs import load

FILE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "migration_runner" / "files" / "installed.py"
installed = load(FILE)


@pytest.fixture
def wanted(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """A host as it should be."""
    (tmp_path / "state").mkdir()
    (tmp_path / "up.prom").symlink_to("/var/lib/api-migrate/up.prom")
    squawk = tmp_path / "squawk"
    squawk.write_bytes(b"program")
    squawk.chmod(0o755)
    return {
        "account": pwd.getpwuid(os.getuid()).pw_name,
        "folder": str(tmp_path / "state"),
        "links": {str(tmp_path / "up.prom"): "/var/lib/api-migrate/up.prom"},
        "squawk": str(squawk),
        "squawk_digest": f"sha256:{hashlib.sha256(b'program').hexdigest()}",
    }


def test_a_host_as_it_should_be(wanted: dict[str, t.Any]) -> None:
    assert installed.differences(wanted) == []


def test_without_metrics_and_squawk(wanted: dict[str, t.Any]) -> None:
    assert installed.differences({**wanted, "folder": "", "links": {}, "squawk": "", "squawk_digest": ""}) == []


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param(lambda path: (path / "up.prom").unlink(), "is not a link to", id="a link removed"),
        pytest.param(lambda path: (path / "state").rmdir(), "is not a folder of", id="the folder removed"),
        pytest.param(lambda path: (path / "squawk").write_bytes(b"x"), "is not the program", id="another program"),
        pytest.param(lambda path: (path / "squawk").unlink(), "is not the program", id="no program"),
    ],
)
def test_what_was_changed_is_named(
    wanted: dict[str, t.Any], tmp_path: pathlib.Path, breaks: t.Callable[[pathlib.Path], None], says: str
) -> None:
    breaks(tmp_path)
    found = installed.differences(wanted)
    assert len(found) == 1
    assert says in found[0]


def test_another_target_and_no_account(wanted: dict[str, t.Any]) -> None:
    links = dict.fromkeys(wanted["links"], "/elsewhere")
    assert "is not a link to /elsewhere" in installed.differences({**wanted, "links": links})[0]
    assert installed.differences({**wanted, "account": "no-such-account"}) == [
        "the account no-such-account does not exist"
    ]
