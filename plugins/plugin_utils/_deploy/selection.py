# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether --limit, --tags and --skip-tags select something that can be run.

Ansible skips plays without hosts and tasks without the given tags in silence: a run that a misspelt tag or a limit
without localhost has emptied ends well, and nobody notices that nothing was verified.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

CONTROLLER: t.Final = "localhost"
ACTION: t.Final = "run with"
#: Tags that Ansible itself defines.
BUILT_IN: t.Final = frozenset({"all", "always", "never", "tagged", "untagged"})
#: A limit with more hosts than this is not repeated host by host.
MOST_NAMES: t.Final = 20


class TaggedTask(t.NamedTuple):
    """A task of the playbook: its tags, including those of its play, and whether it would run."""

    tags: frozenset[str]
    runs: bool


def with_localhost(limit: str, hosts: t.Sequence[str]) -> str:
    """A --limit that selects `hosts`, those of `limit`, and localhost.

    Patterns with & or ! are applied after all others and could remove localhost again, and Ansible splits a pattern
    at its colons only if it has no comma: in these cases, the hosts are named.
    """
    if not set(limit) & set("&!:[]"):
        return f"{limit},{CONTROLLER}" if limit else CONTROLLER
    names = [host for host in hosts if host != CONTROLLER]
    if len(names) > MOST_NAMES:
        return f"HOSTS,{CONTROLLER}"
    return ",".join([*names, CONTROLLER])


def unknown_names(limit: str, known: t.Collection[str]) -> list[str]:
    """The parts of a limit that are plain names, and neither a host nor a group. Ansible only warns of them."""
    parts = limit.split(",") if "," in limit else limit.split(":")
    plain = [part.strip().lstrip("&!") for part in parts if part.strip() and not set(part) & set("*?[]:@~")]
    return [name for name in plain if name not in known and name != CONTROLLER]


def check_limit(limit: str, hosts: t.Sequence[str], known: t.Collection[str]) -> None:
    """Refuse a limit that leaves out localhost or names what is not there.

    `hosts` are those that it selects, `known` all hosts and groups.
    """
    for name in unknown_names(limit, known):
        meant = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
        cause = f"the inventory has no host or group {name}. Nothing was changed"
        step = f"Did you mean {meant[0]}?" if meant else "ansible-inventory --graph lists the hosts and groups."
        raise InfraError(ACTION, f"--limit {limit}", cause, step)
    if CONTROLLER in hosts:
        return
    raise InfraError(
        ACTION,
        f"--limit {limit}",
        f"it leaves out {CONTROLLER}, where preflight, the deploy lock and the approved plan are checked. "
        "Nothing was changed",
        f"Add it: --limit '{with_localhost(limit, hosts)}'",
    )


def check_tags(tasks: t.Sequence[TaggedTask], only: t.Collection[str], skip: t.Collection[str]) -> None:
    """Refuse tags that no task has, and a selection of no task but those that always run."""
    known = list(dict.fromkeys(tag for task in tasks for tag in sorted(task.tags) if tag not in BUILT_IN))
    for option, given in (("--tags", only), ("--skip-tags", skip)):
        unknown = [tag for tag in sorted(given) if tag not in known and tag not in BUILT_IN]
        if unknown:
            cause = "nothing in this playbook has that tag. Nothing was changed"
            raise InfraError(ACTION, f"{option} {','.join(unknown)}", cause, _tags_to_choose(unknown[0], known))
    if any(task.runs and ("always" not in task.tags or task.tags & (set(only) - BUILT_IN)) for task in tasks):
        return
    given_options = [
        f"{option} {','.join(sorted(given))}"
        for option, given in (("--tags", set(only) - {"all"}), ("--skip-tags", skip))
        if given
    ]
    cause = "it selects nothing of this playbook. Nothing was changed"
    raise InfraError(ACTION, " ".join(given_options), cause, _tags_to_choose("", known))


def _tags_to_choose(tag: str, known: t.Sequence[str]) -> str:
    if not known:
        return "Leave the option out: this playbook has no tags."
    meant = difflib.get_close_matches(tag, known, n=1, cutoff=0.6) if tag else []
    return f"{f'Did you mean {meant[0]}? ' if meant else ''}The tags are: {', '.join(known)}."
