#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it runs on the controller only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check every input of a deploy on the controller
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Checks the variables of all hosts against the argument specifications of all roles of the collection - unknown or
    misspelt names, wrong types, missing values and secrets, values that contradict each other, groups without hosts,
    missing credentials of the provider, programs of PostgreSQL that are missing here or too old.
  - Never fails. M(nexod.infra.preflight_report) reports the problems together with those of the hosts.
  - Connects to no system. Hosts without an address, and all hosts if a vault is locked, are excluded from the probe.
  - Checks numbers against the range in the description of their option, such as C(From 1 to 65535.)
  - Never prints a secret.
options: {}
"""

EXAMPLES = r"""
- name: Check the inventory against the specification of every role
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
  description: The problems found.
  returned: always
  type: list
  elements: dict
  contains:
    subject:
      description: What the problem is about, usually the name of a variable.
      type: str
    cause:
      description: The cause.
      type: str
    next_step:
      description: How to fix it.
      type: str
    hosts:
      description: Hosts with the problem; empty if it is not about particular hosts.
      type: list
      elements: str
    where:
      description: File and line of the value, if known.
      type: str
asked:
  description: Hosts to probe, each with its requirements.
  returned: always
  type: dict
aws:
  description: What to ask AWS with M(nexod.infra.aws_info), as C(asked), and what its answer is compared with.
    Empty with other providers, and without credentials.
  returned: always
  type: dict
hosts:
  description: All hosts of the inventory.
  returned: always
  type: list
  elements: str
"""
