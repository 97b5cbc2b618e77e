#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it runs on the controller alone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_report
short_description: Say everything that preflight has found in one list, and fail if there is anything
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Judges what the hosts have answered to M(nexod.infra.host_probe) and puts it together with the faults of the inputs.
  - The same fault on several hosts is one line.
options:
  inputs:
    description: What M(nexod.infra.preflight) has returned.
    type: dict
    required: true
  answer:
    description: Name of the variable in which each host's answer was registered.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Judge inputs and hosts
  nexod.infra.preflight_report:
    inputs: "{{ preflight_inputs }}"
    answer: preflight_answer
"""

RETURN = r"""
faults:
  description: What is to be fixed, as M(nexod.infra.preflight) returns it.
  returned: always
  type: list
  elements: dict
asked:
  description: Hosts that were asked.
  returned: always
  type: list
  elements: str
"""
