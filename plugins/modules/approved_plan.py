#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: approved_plan
short_description: Refuse a deploy that would do anything else than the plan that was approved
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs the very command that is running now once more, with C(--check), and compares what it would change with the
    list in a plan that was made before (C(.report/deploy-plan.json)) and approved since.
  - Fails and names each difference where the two are not the same; nothing has been changed then.
  - Runs on the controller. The second run reads what the first one reads, so what is asked for on the command line
    (C(--limit), C(--tags), extra variables) must be the same as for the plan.
  - Does nothing in check mode, for a plan approves nothing.
options:
  plan:
    description: File of the approved plan, on the controller.
    type: path
    required: true
  timeout:
    description: Seconds that the new plan may take.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Hold the deploy to what was approved
  nexod.infra.approved_plan:
    plan: .report/deploy-plan.json
"""

RETURN = r"""
changes:
  description: How many things the approved plan changes.
  returned: when a plan was compared
  type: int
  sample: 12
more:
  description: What this deploy would change beyond the approved plan.
  returned: when the plans differ
  type: list
  elements: str
less:
  description: What the approved plan changes and this deploy would not.
  returned: when the plans differ
  type: list
  elements: str
"""
# The work is done by the action plugin of the same name, on the controller.
