# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read every input of a deploy on the controller, before any host is asked."""

from __future__ import annotations

import collections.abc as c
import functools
import os
import pathlib
import typing as t

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.template import Templar

from ansible_collections.nexod.infra.plugins.module_utils._files.git import is_exposed
from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._aws.endpoints import NOT_CREATED
from ansible_collections.nexod.infra.plugins.plugin_utils._environment.endpoints import PLACEHOLDER
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.aws import wanted
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.hosts import check_port_numbers, wants_of
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.inputs import (
    CONTROLLER,
    EvaluationError,
    Fault,
    HostInputs,
    Inputs,
    as_rows,
    check_credentials,
    check_inputs,
    cluster,
    scrub,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.programs import check_programs
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.rules import (
    check_files,
    check_private_files,
    check_rules,
    check_seeds,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import Options

try:  # An internal tag of Ansible contains where a value was written. Without it, problems lack file and line.
    from ansible._internal._datatag._tags import Origin
except ImportError:
    Origin = None

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


class ActionModule(ControllerAction):
    """Gathers what the pure functions judge; decides nothing itself."""

    def act(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The task's result: faults, and what each host that can be asked is to be judged by."""
        inputs = self._inputs(variables)
        credentials = check_credentials(
            inputs.provider, os.environ, lambda path: pathlib.Path(path).expanduser().exists()
        )
        found = [*credentials, *check_inputs(inputs)]
        tags = variables.get("ansible_run_tags") or ("all",)
        found += [*check_rules(inputs), *check_files(inputs, _exists), *check_port_numbers(inputs)]
        found += [
            *check_programs(inputs, tags),
            *check_seeds(inputs, _exists),
            *check_private_files(inputs, is_exposed),
        ]
        faults = cluster(scrub(found, inputs.secrets))
        # With a locked vault, a password of the connection may be in it, and every host would only repeat that.
        asked = (
            {}
            if inputs.locked
            else {name: wants_of(inputs, host, tags) for name, host in _askable(inputs, faults).items()}
        )
        return {
            "environment": inputs.environment,
            "provider": inputs.provider,
            "faults": as_rows(faults),
            "asked": asked,
            # Without credentials, which is a problem already, there is nobody to ask.
            "aws": {} if credentials else wanted(inputs, tags),
            "hosts": [name for name in inputs.hosts if name in variables["groups"]["all"]],
        }

    def _inputs(self, variables: dict[str, t.Any]) -> Inputs:
        pending = self._add_declared(variables)
        # Hosts that do not exist yet are checked as if they did: not only after the first minutes of a deploy.
        groups = self._inventory().get_groups_dict() if pending else variables["groups"]
        names = [*groups["all"], *({CONTROLLER} - set(groups["all"]))]
        hosts = {name: self._host(name, variables) for name in names}
        here = hosts[CONTROLLER]
        return Inputs(
            environment=_text(here, "infra_environment"),
            provider=_text(here, "infra_provider"),
            specs=self._specs(),
            groups=groups,
            hosts=hosts,
            pending=pending,
        )

    def _inventory(self) -> t.Any:
        return self._task.get_variable_manager()._inventory

    def _add_declared(self, variables: dict[str, t.Any]) -> frozenset[str]:
        """Add declared hosts that the inventory lacks to this worker's own copy of it; returns their names."""
        here = self._host(CONTROLLER, variables)
        try:
            declared = here.evaluate("infra_declared_hosts") if "infra_declared_hosts" in here.raw else []
        except EvaluationError:
            declared = []
        rows = [row for row in _rows(declared) if row["name"] not in variables["groups"]["all"]]
        for row in rows:
            # Not add_dynamic_host, whose arguments are others since ansible-core 2.21.
            inventory, name = self._inventory(), str(row["name"])
            inventory.add_host(name, "all")
            inventory.hosts[name].set_variable("ansible_host", f"{name}.{NOT_CREATED}")
            for group in row.get("groups") or ():
                inventory.add_group(group)
                inventory.groups[group].add_host(inventory.hosts[name])
            inventory.reconcile_inventory()
        return frozenset(str(row["name"]) for row in rows)

    @staticmethod
    def _specs() -> dict[str, Options]:
        specs: dict[str, Options] = {}
        for path in sorted(ROLES.glob("*/meta/argument_specs.y*ml")):
            entries = (yaml_load(path.read_text()) or {}).get("argument_specs") or {}
            specs[path.parts[-3]] = {
                name: spec for entry in entries.values() for name, spec in (entry.get("options") or {}).items()
            }
        return specs

    def _host(self, name: str, variables: dict[str, t.Any]) -> HostInputs:
        raw = variables["hostvars"].raw_get(name)
        known = {
            # Before the infrastructure exists, templates that use the endpoints are evaluated with a placeholder.
            "infra_endpoints": PLACEHOLDER,
            "hostvars": variables["hostvars"],
            "ansible_playbook_python": variables.get("ansible_playbook_python"),
            **raw,
        }
        templar = Templar(loader=self._loader, variables=known)

        def evaluate(variable: str) -> object:
            try:
                return templar.template(raw[variable])
            except AnsibleError as error:
                raise EvaluationError(_reason(error)) from error

        return HostInputs(
            name=name,
            groups=frozenset(raw.get("group_names") or ()),
            raw=raw,
            evaluate=evaluate,
            where=lambda variable: _where(raw[variable]),
        )


def _rows(declared: object) -> list[t.Mapping[str, t.Any]]:
    """Rows that have a name; what is wrong with the others is reported with the option itself."""
    return (
        [row for row in declared if isinstance(row, c.Mapping) and row.get("name")]
        if isinstance(declared, list)
        else []
    )


def _exists(path: str) -> bool:
    return pathlib.Path(path).expanduser().exists()


def _text(host: HostInputs, name: str) -> str:
    try:
        return str(host.evaluate(name)) if name in host.raw else ""
    except EvaluationError:
        return ""


def _askable(inputs: Inputs, faults: t.Sequence[Fault]) -> dict[str, HostInputs]:
    """Hosts of the inventory that have an address."""
    silent = {fault.subject for fault in faults}
    return {
        name: host
        for name, host in inputs.hosts.items()
        if f"host {name}" not in silent and name in inputs.groups["all"] and name not in inputs.pending
    }


def _where(value: object) -> str:
    """File and line where a value was written, relative to the working directory and without links; or nothing."""
    origin = Origin.get_tag(value) if Origin else None
    if origin is None or not origin.path:
        return ""
    path = _shown_path(origin.path)
    return f"{path}:{origin.line_num}" if origin.line_num else path


@functools.cache
def _shown_path(path: str) -> str:
    real, here = pathlib.Path(path).resolve(), pathlib.Path.cwd()
    return str(real.relative_to(here) if real.is_relative_to(here) else real)


def _reason(error: AnsibleError) -> str:
    """The innermost cause in one line: what Ansible puts around it repeats the template."""
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    return " ".join(str(getattr(inner, "message", "") or inner).split())[:200].rstrip(".")
