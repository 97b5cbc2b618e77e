#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cost_prices
short_description: Look prices up in the AWS Price List API
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Returns the contents of a file of prices, as M(nexod.infra.cost_estimate) takes it, with those prices replaced that
    the AWS Price List API knows - instances, nodes, storage, Fargate, load balancer, NAT gateways.
  - A price is replaced only if the answer is a single one. What is kept is returned with the reason, and the date of
    the file stays, as it is of the prices that are kept.
  - Runs on the controller, needs the right C(pricing:GetProducts), and changes nothing.
  - Has been run against a stand-in only, never against AWS.
extends_documentation_fragment: [nexod.infra.aws_account]
options:
  prices:
    description: File of prices on the controller.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Look the prices up
  nexod.infra.cost_prices:
    prices: prices.yml
  register: new

- name: Write them
  ansible.builtin.copy:
    content: "{{ new.document | to_nice_yaml(sort_keys=false) }}"
    dest: prices.yml
    mode: "0644"
"""

RETURN = r"""
document:
  description: The new contents of the file.
  returned: success
  type: dict
refreshed:
  description: The prices that the API answered, each with C(sku), C(before_usd) and C(usd).
  returned: success
  type: list
  elements: dict
kept:
  description: The prices that a person has to look up, each with C(sku) and C(reason).
  returned: success
  type: list
  elements: dict
"""
# The work is done by the action plugin of the same name, on the controller.
