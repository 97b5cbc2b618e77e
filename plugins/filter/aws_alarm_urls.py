# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URLs that are subscribed to the alarms of an environment on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.alarms import by_name

DOCUMENTATION = r"""
name: aws_alarm_urls
short_description: The URLs that are subscribed to the alarms
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the URLs of C(provider_aws_alarm_subscriptions) by the names that stand for them in the result of
    P(nexod.infra.aws_declaration#filter), for the option O(nexod.infra.aws_resources#module:secrets). It calls nothing.
options:
  _input:
    description: All options of the role P(nexod.infra.provider_aws#role), by their names without the prefix.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Create or update the resources
  nexod.infra.aws_resources:
    environment: staging
    region: us-east-1
    resources: "{{ options | nexod.infra.aws_declaration }}"
    secrets: "{{ options | nexod.infra.aws_alarm_urls }}"
"""

RETURN = r"""
_value:
  description: The URLs, each of which contains a secret.
  type: dict
"""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filter names to functions."""
        return {"aws_alarm_urls": by_name}
