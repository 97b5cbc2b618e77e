# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which hosts and which tasks of the command's playbooks its options select, and refuse what selects nothing."""

from __future__ import annotations

import typing as t

from ansible import context
from ansible.playbook import Playbook
from ansible.playbook.block import Block
from ansible.utils.collection_loader._collection_finder import _get_collection_playbook_path

from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.selection import TaggedTask, check_limit, check_tags


class ActionModule(ControllerAction):
    """Reads nothing but the command line and the playbooks."""

    def act(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        given = context.CLIARGS
        only = {str(tag) for tag in given.get("tags") or ()}
        skip = {str(tag) for tag in given.get("skip_tags") or ()}
        if given.get("subset"):
            groups = variables.get("groups") or {}
            known = {*groups, *(host for hosts in groups.values() for host in hosts)}
            check_limit(str(given["subset"]), list(variables.get("ansible_play_hosts_all") or ()), known)
        if only - {"all"} or skip:
            check_tags(self._tasks(variables), only, skip)
        return {}

    def _tasks(self, variables: dict[str, t.Any]) -> list[TaggedTask]:
        """All tasks of the command's playbooks that Ansible knows before the run, as --list-tags lists them."""
        found: list[TaggedTask] = []
        for name in context.CLIARGS.get("args") or ():
            resource = _get_collection_playbook_path(name)
            path = resource[1] if resource else name
            manager = self._task.get_variable_manager()
            for play in Playbook.load(path, variable_manager=manager, loader=self._loader).get_plays():
                for block in play.compile():
                    found += self._of_block(block, play, variables)
        return found

    def _of_block(self, block: t.Any, play: t.Any, variables: dict[str, t.Any]) -> list[TaggedTask]:
        found: list[TaggedTask] = []
        for task in [*block.block, *block.rescue, *block.always]:
            if isinstance(task, Block):
                found += self._of_block(task, play, variables)
            elif not task.implicit:
                runs = bool(task.evaluate_tags(play.only_tags, play.skip_tags, variables))
                found.append(TaggedTask(frozenset(map(str, task.tags)), runs))
        return found
