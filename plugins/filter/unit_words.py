# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of a command line, quoted for a systemd unit."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.nexod.infra.plugins.plugin_utils._service import flags

DOCUMENTATION = r"""
name: unit_words
short_description: Quote the words of a command line for a systemd unit
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Quotes words for C(ExecStart=), so that the program gets each exactly as it is here; C($) and C(%) have no meaning.
options:
  _input:
    description: The words.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
# In a unit template:
# ExecStart=/usr/bin/prometheus {{ ["--web.page-title=100% up"] | nexod.infra.unit_words | join(" ") }}
words: "{{ ['--web.page-title=100% up'] | nexod.infra.unit_words }}"
"""

RETURN = r"""
_value:
  description: The words, quoted where systemd needs it.
  type: list
  elements: str
"""


def unit_words(value: t.Iterable[t.Any]) -> list[str]:
    """The words, or a filter's error."""
    try:
        return [flags.unit_word(str(word)) for word in value]
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"unit_words": unit_words}
