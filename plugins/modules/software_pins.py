#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name: it runs on the controller only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: software_pins
short_description: Pin versions of upstream archives in a lock file
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reads the checksums that upstream publishes for exactly the versions that are given, and writes them to a lock file.
    M(nexod.infra.software_archive) installs only archives that have one.
  - Runs on the controller and connects to no host. Downloads no archive, only the lists of checksums.
  - Fails if upstream publishes another checksum than the one that is pinned, as a release does not change.
  - Run in check mode with C(--diff), it shows what would change. Pins of other programs and versions stay.
options:
  pin:
    description:
      - The version to pin for each program, or a list of them.
      - The programs are those of the lock file. To add one, add its C(url) and C(sums) there.
    type: dict
    required: true
  lock:
    description:
      - Path of the lock file. It is created if it is missing.
      - By default C(versions.lock.yml) of the collection.
    type: path
  mirror:
    description: URL that replaces the scheme and the host name of the addresses.
    type: str
    default: ""
  architectures:
    description: Architectures to pin, as upstream names them.
    type: list
    elements: str
    default: [amd64, arm64]
  prune:
    description: Whether to remove the other versions of the programs in O(pin).
    type: bool
    default: false
seealso:
  - module: nexod.infra.software_archive
"""

EXAMPLES = r"""
- name: Pin the versions of our inventories
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Pin Prometheus and the node exporter
      nexod.infra.software_pins:
        pin: {prometheus: 3.5.0, node_exporter: [1.11.1, 1.12.1]}
        lock: inventories/versions.lock.yml
"""

RETURN = r"""
path:
  description: The lock file.
  returned: success
  type: str
  sample: /home/ann/infra/versions.lock.yml
"""
