#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: approved_plan
short_description: Refuse a deploy that would do anything other than the approved plan
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Runs the current command again with C(--check), and compares its list of changes with that of a plan
    (C(.report/production/20261125T193422Z-deploy-plan/deploy-plan.json)) that was made and approved earlier.
  - If they differ, fails and lists each difference. Nothing has been changed then.
  - Runs on the controller. Options of the command line (C(--limit), C(--tags), extra variables) must be the same as for
    the plan.
  - Does nothing in check mode.
options:
  plan:
    description:
      - File of the approved plan, on the controller. Or the plan itself, as a mapping or as JSON, such as the artifact
        C(plan_approved) of a plan job of AWX.
    type: raw
    required: true
  timeout:
    description: Seconds that the new plan may take.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Check that the deploy does what was approved
  nexod.infra.approved_plan:
    plan: .report/production/20261125T193422Z-deploy-plan/deploy-plan.json
"""

RETURN = r"""
changes:
  description: Number of changes in the approved plan.
  returned: if a plan was compared
  type: int
  sample: 12
more:
  description: Changes of this deploy that are not in the approved plan.
  returned: if the plans differ
  type: list
  elements: str
less:
  description: Changes of the approved plan that this deploy would not make.
  returned: if the plans differ
  type: list
  elements: str
"""
# The work is done by the action plugin of the same name, on the controller.
