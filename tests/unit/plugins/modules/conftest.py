"""Modules as Ansible runs them: options in, one JSON document out."""

from __future__ import annotations

import importlib
import json
import typing as t
from unittest import mock

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.nexod.infra.tests.fixtures.small_api import Api, running

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
        warnings: list[str] = []
        # Within a controller, as here, Ansible prints them instead of returning them.
        collect = mock.patch.object(AnsibleModule, "warn", lambda _self, text: warnings.append(text))
        with patch_module_args(given), collect, pytest.raises(SystemExit) as ended:
            module.main()
        result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
        assert bool(result.get("failed")) == bool(ended.value.code)
        # Users would read it at every run: an option that has the name of a password, and is not one.
        assert not [text for text in warnings if "did not set no_log" in text]
        return {**result, "warnings": warnings}

    return run


@pytest.fixture
def api() -> t.Iterator[Api]:
    with running() as made:
        yield made
