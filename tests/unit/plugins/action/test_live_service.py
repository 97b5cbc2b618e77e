"""Of a file set's result only what the host needs crosses to it."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleActionFail

Action = t.Callable[..., t.Any]


def test_the_diff_stays_here(action: Action) -> None:
    registered = {"name": "a", "root": "/etc/nexod", "action": "reload", "diff": [{"after": "secret"}], "changed": True}
    _result, calls = action("live_service", {"name": "a", "files": registered})
    assert calls == [{"name": "a", "files": {"name": "a", "root": "/etc/nexod", "action": "reload"}}]


def test_without_files_all_goes_on(action: Action) -> None:
    _result, calls = action("live_service", {"name": "a", "state": "absent"})
    assert calls == [{"name": "a", "state": "absent"}]


@pytest.mark.parametrize("files", ["text", {}, {"skipped": True, "changed": False}, {"name": "a", "failed": True}])
def test_what_is_no_file_set_is_refused(action: Action, files: t.Any) -> None:
    with pytest.raises(AnsibleActionFail, match="not the result of a file set"):
        action("live_service", {"name": "a", "files": files})
