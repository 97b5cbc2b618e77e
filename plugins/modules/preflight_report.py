#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it runs on the controller only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_report
short_description: Report all problems that preflight has found, and fail if there are any
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Checks the results of M(nexod.infra.host_probe) on all hosts and merges them with the problems of the inputs.
  - The same problem on several hosts is reported once.
options:
  inputs:
    description: The result of M(nexod.infra.preflight).
    type: dict
    required: true
  answer:
    description: Name of the variable that the result of M(nexod.infra.host_probe) was registered in.
    type: str
    required: true
  aws:
    description: The result of M(nexod.infra.aws_info), if AWS was asked.
    type: dict
    default: {}
  services:
    description: The result of M(nexod.infra.service_resources) in check mode, if vendors were asked.
    type: dict
    default: {}
  project:
    description: The result of M(nexod.infra.supabase_project) in check mode, if Supabase was asked.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Report the problems of inputs and hosts
  nexod.infra.preflight_report:
    inputs: "{{ preflight_inputs }}"
    answer: preflight_answer
"""

RETURN = r"""
faults:
  description: The problems found, as M(nexod.infra.preflight) returns them.
  returned: always
  type: list
  elements: dict
notes:
  description: What is no problem but should be known, such as what an emulator could not say.
  returned: always
  type: list
  elements: str
asked:
  description: Hosts that were probed.
  returned: always
  type: list
  elements: str
"""
