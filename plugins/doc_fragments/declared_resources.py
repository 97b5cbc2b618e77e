# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations of resources, for all modules that apply them by the engine."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  environment:
    description: Name of the environment whose resources these are.
    type: str
    required: true
  state:
    description: Whether the declared resources exist. V(absent) removes each before what it refers to.
    type: str
    choices: [present, absent]
    default: present
  resources:
    description:
      - The declarations. A value C(@KIND/NAME) is the id of that resource, and C(@KIND/NAME.OUTPUT) another of its
        outputs, such as C(arn). Begin a text with C(@@) if it is no reference.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: Kind of the resource, see the description of the module.
        type: str
        required: true
      name:
        description: Its name there, or its tag C(Name) if such resources have no names.
        type: str
        required: true
      properties:
        description: Its properties. What is wrong with them is reported for all resources at once, before any request.
        type: dict
        default: {}
  secrets:
    description:
      - Secrets by names of your choice. A property that is a secret is given by the name of its entry here, so that
        neither the declarations nor the diff contain it.
    type: dict
    default: {}
  lose:
    description: Resources, as C(KIND/NAME), that may be removed or replaced although they hold data.
    type: list
    elements: str
    default: []
"""
