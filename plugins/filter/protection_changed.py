# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a service is asked with has changed."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import web

DOCUMENTATION = r"""
name: protection_changed
short_description: Find whether file sets change what their services are asked with
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - True if one of the sets creates, updates or removes a password, a certificate or the web configuration of its
    service. Until Prometheus is configured with them too, it cannot scrape the service.
  - A set whose unit is new counts for nothing, as its service has not been scraped yet. One that a killed run has left
    to be applied counts, as what that run has changed is not known.
options:
  _input:
    description: Results of M(nexod.infra.file_set).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Silence the alerts on targets that cannot be scraped meanwhile
  ansible.builtin.include_role:
    name: nexod.infra.alertmanager
    tasks_from: protection.yml
  when: "[__prometheus_files] | nexod.infra.protection_changed"
"""

RETURN = r"""
_value:
  description: Whether one of them does.
  type: bool
"""


def protection_changed(value: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether one of them does."""
    return any(web.is_switched(result) for result in value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"protection_changed": protection_changed}
