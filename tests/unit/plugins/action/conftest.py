"""Action plugins without a playbook: arguments and variables in, the result and the module's options out."""

from __future__ import annotations

import importlib
import pathlib
import typing as t
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

Answer = t.Callable[[dict[str, t.Any]], dict[str, t.Any]]
Action = t.Callable[..., tuple[dict[str, t.Any], list[dict[str, t.Any]]]]


@pytest.fixture
def action(tmp_path: pathlib.Path) -> Action:
    """Run the action plugin of that name; `answer` is what its module returns. Its role or playbook is `tmp_path`."""

    def run(
        plugin: str,
        arguments: dict[str, t.Any],
        variables: dict[str, t.Any] | None = None,
        *,
        answer: Answer = lambda _options: {"changed": False},
        check_mode: bool = False,
        delegate_to: str | None = None,
    ) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
        module = importlib.import_module(f"ansible_collections.nexod.infra.plugins.action.{plugin}")
        variables = {"ansible_search_path": [str(tmp_path)], **(variables or {})}
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task = mock.Mock(args=arguments, async_val=0, check_mode=check_mode, diff=False, delegate_to=delegate_to)
        task.get_search_path.return_value = [str(tmp_path)]
        connection = mock.Mock(**{"_shell.tmpdir": "/tmp/remote", "_shell.join_path": lambda *parts: "/".join(parts)})
        made = module.ActionModule(
            task=task,
            connection=connection,
            play_context=mock.Mock(),
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )
        calls: list[dict[str, t.Any]] = []

        def execute(module_name: str, module_args: dict[str, t.Any], **_more: t.Any) -> dict[str, t.Any]:
            assert module_name == f"nexod.infra.{plugin}"
            calls.append(module_args)
            return answer(module_args)

        made._execute_module = execute
        made._transfer_file = lambda _source, target: target
        made._fixup_perms2 = lambda _paths: None
        return made.run(task_vars=variables), calls

    return run
