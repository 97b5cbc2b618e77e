"""Modules as Ansible runs them: options in, one JSON document out."""

from __future__ import annotations

import importlib
import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module of that name with options, in check mode or not; returns its result, `failed` or not."""

    def run(module_name: str, options: t.Mapping[str, t.Any], *, check_mode: bool = False) -> dict[str, t.Any]:
        module = importlib.import_module(f"ansible_collections.nexod.infra.plugins.modules.{module_name}")
        given = {
            **options,
            "_ansible_check_mode": check_mode,
            "_ansible_remote_tmp": "/tmp",
            "_ansible_keep_remote_files": 0,
        }
        capsys.readouterr()
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            module.main()
        result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
        assert bool(result.get("failed")) == bool(ended.value.code)
        return result

    return run
