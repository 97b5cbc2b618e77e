# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a configuration has a secret in it."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring import settings

DOCUMENTATION = r"""
name: holds_secret
short_description: Test whether a monitoring configuration contains a secret
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reports whether a value lies under one of the keys that Prometheus and Alertmanager take a secret under, such as
    C(password) or C(routing_key), or whether a URL contains a password.
  - Keys that name a file, such as C(password_file), are not secrets.
options:
  _input:
    description: The configuration.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Write the configuration without showing a secret in the diff
  nexod.infra.file_set:
    name: prometheus
    files:
      - path: prometheus.yml
        content: "{{ configuration | to_nice_yaml }}"
        mode: "0640"
        secret: "{{ configuration | nexod.infra.holds_secret }}"
"""

RETURN = r"""
_value:
  description: Whether there is a secret in it.
  type: bool
"""


def holds_secret(value: t.Any) -> bool:
    """Whether there is a secret in it."""
    return settings.holds_secret(value)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"holds_secret": holds_secret}
