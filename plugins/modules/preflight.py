#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it runs on the controller alone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check every input of a deploy on the controller, asking nobody
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Holds the variables of all hosts against the argument specifications of all roles of the collection - unknown or
    misspelt names, wrong types, missing values and secrets, values that contradict one another, groups without hosts,
    credentials that the provider needs.
  - Never fails. M(nexod.infra.preflight_report) says what was found, together with what the hosts have answered.
  - Sends nothing. Where credentials or secrets are missing, it lets no host be asked either.
  - Shows no secret, whatever the fault is.
options: {}
"""

EXAMPLES = r"""
- name: Read the inventory against every role's specification
  nexod.infra.preflight:
  register: preflight_inputs
"""

RETURN = r"""
environment:
  description: The environment's name.
  returned: always
  type: str
  sample: staging
provider:
  description: The environment's provider.
  returned: always
  type: str
  sample: aws
faults:
  description: What is to be fixed.
  returned: always
  type: list
  elements: dict
  contains:
    subject:
      description: What it is about, a variable's name in most cases.
      type: str
    cause:
      description: Why it is wrong.
      type: str
    next_step:
      description: What to do about it.
      type: str
    hosts:
      description: Hosts that have the fault; empty where it is nobody's in particular.
      type: list
      elements: str
    where:
      description: File and line of the value, where that is known.
      type: str
asked:
  description: Hosts that can be asked, each with what it will be judged by.
  returned: always
  type: dict
hosts:
  description: All hosts of the inventory.
  returned: always
  type: list
  elements: str
"""
