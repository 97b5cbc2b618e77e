# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._pgbouncer.config import configure

DOCUMENTATION = r"""
name: pgbouncer_config
short_description: Turn the options of the role pgbouncer into the lines of its files
version_added: "1.0.0"
description:
  - Used by the templates of the role P(nexod.infra.pgbouncer#role) and by its preflight.
  - Numbers and booleans may be given as text.
options:
  _input:
    description: The role's options by name.
    type: dict
    required: true
author:
  - The nexod.infra maintainers (@nexod)
"""

EXAMPLES = r"""
- name: Show what PgBouncer would get for its databases
  ansible.builtin.debug:
    msg: "{{ (options | nexod.infra.pgbouncer_config).databases }}"
"""

RETURN = r"""
_value:
  description:
    - C(databases) and C(users), lines by name; C(reload) and C(restart), settings that a reload takes and that only a
      restart takes; C(share), the server connections of each database without a limit of its own; C(secret), whether
      a line holds a password; C(problems), what must be corrected, empty when all is well.
  type: dict
"""


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"pgbouncer_config": configure}
