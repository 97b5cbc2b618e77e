"""Faults of files leave a module as action, object, cause and next step."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import as_infra_error, edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError


@pytest.mark.parametrize(
    ("error", "cause", "next_step"),
    [
        pytest.param(
            OSError(errno.ENOSPC, "full"), "/etc/a: full", "file system of /etc/a", id="a write names no file"
        ),
        pytest.param(OSError(errno.EDQUOT, "quota", "/etc/a/f"), "/etc/a/f: quota", "df -h", id="as a full disk"),
        pytest.param(PermissionError(errno.EACCES, "no", "/etc/a/f"), "/etc/a/f: no", "become: true", id="no right"),
        pytest.param(PermissionError(errno.EPERM, "no", b"/etc/a"), "/etc/a: no", "become: true", id="immutable"),
        pytest.param(OSError(errno.EISDIR, "dir", "/t", None, "/etc/a"), "/etc/a: dir", "the folder", id="of a rename"),
        pytest.param(
            OSError(errno.ENOENT, "gone", "/etc/a/f"), "/etc/a/f: gone", "Check that /etc/a exists", id="gone"
        ),
        pytest.param(OSError(errno.EPIPE, "pipe"), "/etc/a: pipe", "Check /etc/a on the host", id="any other"),
        pytest.param(shutil.Error([("a", "b", "c")]), "/etc/a: [('a', 'b', 'c')]", "Check /etc/a", id="no number"),
        pytest.param(TimeoutError(), "/etc/a: TimeoutError", "Check /etc/a", id="no words"),
    ],
)
def test_translations(error: OSError, cause: str, next_step: str) -> None:
    fault = as_infra_error(error, "write", '"a"', "/etc/a")
    assert (fault.action, fault.object, fault.cause) == ("write", '"a"', cause)
    assert next_step in fault.next_step


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_each_error_has_a_next_step_with_and_without_a_path(number: int) -> None:
    for path in ("", "/etc/a"):
        fault = as_infra_error(OSError(number, os.strerror(number)), "write", '"a"', path)
        assert fault.next_step.endswith(".")
        assert "{" not in fault.next_step


class Module:
    """Ends as AnsibleModule does."""

    def fail_json(self, msg: str, **facts: t.Any) -> t.NoReturn:
        raise SystemExit(f"{msg}|{sorted(facts)}")


def test_the_edge_of_a_module(tmp_path: pathlib.Path) -> None:
    with (
        pytest.raises(SystemExit, match=r"(?s)Cannot write .a.: .*No such file.*\['error', 'os_error'\]"),
        edge(Module(), "write", '"a"'),
    ):
        (tmp_path / "gone" / "f").write_text("x")
    with pytest.raises(SystemExit, match="Cannot find"), edge(Module(), "write", '"a"'):
        raise InfraError("find", "b", "gone", "Look.")
    with pytest.raises(SystemExit, match=r"^0$"), edge(Module(), "write", '"a"'):
        raise SystemExit(0)
    with pytest.raises(ZeroDivisionError), edge(Module(), "write", '"a"'):
        raise ZeroDivisionError
