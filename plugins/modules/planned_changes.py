#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planned_changes
short_description: Publish what a run in check mode would change
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - At the end of a run with C(--check), sets the statistic C(plan_approved) of the run to the list of its changes, as
    M(ansible.builtin.set_stats) would. AWX shows it as an artifact of the job, and gives it to the jobs that follow in
    a workflow, of which a deploy is then held to it (M(nexod.infra.approved_plan)).
  - Runs on the controller, and needs the callback P(nexod.infra.summary#callback).
  - Does nothing outside of check mode.
options:
  environment:
    description: Name of the environment that the plan is for.
    type: str
    required: true
  must_be_empty:
    description: Whether a plan with changes is a failure, as for a drift check.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Publish what the deploy would change
  nexod.infra.planned_changes:
    environment: staging
"""

RETURN = r"""
plan:
  description: The plan - C(environment), and C(changes) with C(stage), C(host), C(action), C(kind) and C(object).
  returned: in check mode
  type: dict
  sample: {environment: staging, check_mode: true, outcome: ok, changes: []}
"""
# The work is done by the action plugin of the same name, on the controller.
