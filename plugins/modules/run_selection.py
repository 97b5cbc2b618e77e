#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it runs on the controller only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_selection
short_description: Refuse a run whose C(--limit), C(--tags) or C(--skip-tags) select nothing
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Fails if C(--limit) leaves out localhost, where the checks before a change are made, or names a host or group that
    is not in the inventory.
  - Fails if a tag of C(--tags) or C(--skip-tags) is unknown, and names the tags that there are. Ansible ignores such
    tags in silence.
  - Fails if the tags select no task other than those with the tag C(always).
  - Only knows the tags that C(ansible-playbook --list-tags) lists, not those inside included files.
  - Runs on the controller and connects to no host. Changes nothing.
  - Run it once, in a play for C(all:localhost) with the tag C(always).
options: {}
"""

EXAMPLES = r"""
- name: Check the command line
  hosts: all:localhost
  gather_facts: false
  tags: always
  tasks:
    - name: Refuse a limit or tags that select nothing
      nexod.infra.run_selection:
      run_once: true
"""

RETURN = r""" # """
