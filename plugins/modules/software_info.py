#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report what a host has of a program, changing nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: software_info
short_description: Report what a host has of a program before a role installs it
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Reports the distribution, which programs are missing, the systemd unit with the command line that it runs, and which
    folders hold data of the program.
  - One execution answers what several tasks would ask for, so that a role can refuse a host before its first change and
    skip the package manager where everything is installed.
options:
  unit:
    description: Name of the systemd unit to report, without C(.service). Empty reports none.
    type: str
    default: ""
  programs:
    description: Absolute paths of the programs that the role needs.
    type: list
    elements: str
    default: []
  packages:
    description: Names of packages of which to report whether they were only installed as a dependency.
    type: list
    elements: str
    default: []
  accounts:
    description: Names of accounts of which to report whether they exist.
    type: list
    elements: str
    default: []
  version_of:
    description: Absolute paths of programs of which to report the version, besides that of O(unit).
    type: list
    elements: str
    default: []
  data_option:
    description: Option on the unit's command line that names its data folder, without dashes.
    type: str
    default: ""
  data_dirs:
    description: More folders in which data of the program may be.
    type: list
    elements: str
    default: []
  data_signs:
    description: Names of files or folders, one of which is in every folder that holds data of the program.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Look for Prometheus
  nexod.infra.software_info:
    unit: prometheus
    programs: [/usr/bin/prometheus, /usr/bin/promtool]
    data_option: storage.tsdb.path
    data_dirs: [/var/lib/prometheus]
    data_signs: [wal, chunks_head]
  register: prometheus_found
"""

RETURN = r"""
distribution:
  description: The keys C(id), C(codename) and C(name), from C(/etc/os-release).
  returned: success
  type: dict
  sample: {id: debian, codename: trixie, name: Debian GNU/Linux 13 (trixie)}
missing_programs:
  description: The entries of O(programs) that are not on the host.
  returned: success
  type: list
  elements: str
  sample: [/usr/bin/promtool]
automatic_packages:
  description: The entries of O(packages) that are installed only because other packages need them.
  returned: success
  type: list
  elements: str
  sample: [promtool]
missing_accounts:
  description: The entries of O(accounts) that the host does not have.
  returned: success
  type: list
  elements: str
  sample: [prometheus]
versions:
  description:
    - The versions that the programs of O(version_of) and the program of O(unit) print, by path.
    - Empty where a program is missing or prints none.
  returned: success
  type: dict
  sample: {/usr/bin/prometheus: 2.53.3}
unit:
  description: Whether the unit is C(known) and C(active), its C(file) and its C(arguments); null without O(unit).
  returned: success
  type: dict
  sample:
    known: true
    active: true
    file: /usr/lib/systemd/system/prometheus.service
    arguments: [/usr/bin/prometheus]
data_dir:
  description: The value of O(data_option) on the unit's command line; empty if it is not there.
  returned: success
  type: str
  sample: /var/lib/prometheus
data_dirs_in_use:
  description: Those of RV(data_dir) and O(data_dirs) that hold one of O(data_signs).
  returned: success
  type: list
  elements: str
  sample: [/var/lib/prometheus]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._host.software import software

ARGUMENTS = {
    "unit": {"type": "str", "default": ""},
    "programs": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "list", "elements": "str", "default": []},
    "accounts": {"type": "list", "elements": "str", "default": []},
    "version_of": {"type": "list", "elements": "str", "default": []},
    "data_option": {"type": "str", "default": ""},
    "data_dirs": {"type": "list", "elements": "str", "default": []},
    "data_signs": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Read, report, exit."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = software(module.params)
    except InfraError as error:
        module.fail_json(**error.report())
    except OSError as error:
        fault = InfraError("read the state of", "the host", str(error), "Make sure that /etc and /var can be read.")
        module.fail_json(**fault.report())
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
