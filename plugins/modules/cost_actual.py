#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cost_actual
short_description: Compare what AWS has charged for an environment with its estimate
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Asks Cost Explorer what the resources with the tag C(nexod:environment) cost in the last whole month, by service,
    and compares it with the rows of M(nexod.infra.cost_estimate).
  - The tag must be active as a cost allocation tag, or nothing is found, which is an error. What has no tag, such as
    some traffic, is not counted.
  - Runs on the controller, needs the right C(ce:GetCostAndUsage), and changes nothing. AWS charges one cent for a call.
  - Has been run against a stand-in only, never against AWS.
extends_documentation_fragment: [nexod.infra.aws_account]
options:
  environment:
    description: Name of the environment, the value of the tag.
    type: str
    required: true
  rows:
    description: Rows of the estimate, from RV(nexod.infra.cost_estimate#module:rows).
    type: list
    elements: dict
    required: true
  account:
    description: Number of the account that the credentials must be of.
    type: str
"""

EXAMPLES = r"""
- name: Compare the last month with the estimate
  nexod.infra.cost_actual:
    environment: production
    rows: "{{ estimate.rows }}"
"""

RETURN = r"""
from:
  description: First day of the month.
  returned: success
  type: str
  sample: "2026-10-01"
to:
  description: The day after its last one.
  returned: success
  type: str
  sample: "2026-11-01"
total_usd:
  description: US dollars that AWS has charged.
  returned: success
  type: float
  sample: 1502.4
parts:
  description:
    - Each part of the bill with C(actual_usd), C(estimated) (C(min), C(expected), C(max)) and C(result) - V(within),
      V(above), V(below), or V(not estimated).
  returned: success
  type: list
  elements: dict
"""
# The work is done by the action plugin of the same name, on the controller.
