# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: option_faults
short_description: Find values of a role's options that are out of range or malformed
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Argument specifications have types and choices, but no ranges. The description of an option states its range, and
    this lookup checks it. URLs, networks, addresses and the like are checked by the name of the option.
  - In a deploy, preflight reports the same for all roles before the first change. This lookup is for a role that is
    used in another playbook.
  - Reads the variables of the task. Executes nothing on the host.
options:
  _terms:
    description: The directory of the role.
    type: list
    elements: path
  needs:
    description:
      - Variables that must not be made of an empty secret. The secrets that the provider of the environment needs are
        checked, wherever these variables read them from.
      - For roles and playbooks that would write or send an empty password without a preflight before them. The fix that
        is reported names the variable of the environment to export.
    type: list
    elements: str
    version_added: "1.1.0"
  own:
    description: Variables that must not be empty themselves, for secrets that an inventory may read from elsewhere.
    type: list
    elements: str
    version_added: "1.1.0"
"""

EXAMPLES = r"""
- name: Refuse options that are out of range
  ansible.builtin.assert:
    that: faults | length == 0
    fail_msg: "Cannot configure the service: {{ faults | join('; ') }}."
  vars:
    faults: "{{ query('nexod.infra.option_faults', role_path) }}"

- name: Refuse an empty password
  ansible.builtin.assert:
    that: faults | length == 0
    fail_msg: "Cannot dump the database: {{ faults | join('; ') }}."
  vars:
    faults: "{{ query('nexod.infra.option_faults', needs=['infra_database_owner_password']) }}"
"""

RETURN = r"""
_list:
  description: One sentence for each fault, with its fix; empty if there is none.
  type: list
  elements: str
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.own import empty_secrets, own_faults
from ansible_collections.nexod.infra.plugins.plugin_utils._roles.options import specification_of


class LookupModule(LookupBase):  # type: ignore[misc]
    """Hands the variables to the pure function."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **options: t.Any) -> list[str]:
        known = variables or {}

        def value_of(name: str) -> object:
            return self._templar.template(known[name])

        faults = [
            fault for path in terms for fault in own_faults(specification_of(str(path)), known.__contains__, value_of)
        ]
        return faults + empty_secrets(options.get("needs") or (), known, value_of, options.get("own") or ())
