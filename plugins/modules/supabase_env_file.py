#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the environment variables that an application on a Supabase project needs to a file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_env_file
short_description: Write database URL, project URL and keys of a Supabase project to a file
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Writes C(DATABASE_URL), C(SUPABASE_URL) and the project's public keys (C(SUPABASE_PUBLISHABLE_KEY) and
    C(SUPABASE_ANON_KEY), those that it has), and all but the first also as C(NEXT_PUBLIC_*) for a front end.
  - The file is readable by its owner only, and replaced as a whole. One that this module has not written is
    refused, and so is one in a checkout of git that git does not ignore.
  - Neither the result nor the diff contains a value.
  - Built to the vendor's published interface and run against a stand-in, never against the live service.
extends_documentation_fragment: [nexod.infra.supabase_project]
options:
  path:
    description: The file. Missing folders are created, readable by their owner only.
    type: path
    required: true
  database_url:
    description: URL of the database. In check mode it may be empty, which means that it is not known yet.
    type: str
    required: true
  sslrootcert:
    description: File with the authority that issued the server's certificate, written as C(PGSSLROOTCERT).
    type: path
  secret_key:
    description: Whether to write the project's secret keys too, which bypass row level security. They never get a name
      that begins with C(NEXT_PUBLIC_).
    type: bool
    default: false
seealso:
  - module: nexod.infra.supabase_project
"""

EXAMPLES = r"""
- name: Write the environment of the API
  nexod.infra.supabase_env_file:
    path: .env
    ref: abcdefghijklmnopqrst
    token: "{{ lookup('ansible.builtin.env', 'SUPABASE_ACCESS_TOKEN') }}"
    database_url: "{{ database | nexod.infra.database_url }}"
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
variables:
  description: Names of its variables. In check mode empty, if their values are not known yet.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services import supabase_env
from ansible_collections.nexod.infra.plugins.module_utils._services.accounts import client_of

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "ref": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "url": {"type": "str"},
    "database_url": {"type": "str", "required": True, "no_log": True},
    "sslrootcert": {"type": "path"},
    "secret_key": {"type": "bool", "default": False, "no_log": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    with edge(module, "write", f"the environment file {given['path']}", given["path"]):
        file = supabase_env.EnvFile(given["path"])
        before = file.content()
        if not given["database_url"]:
            if not module.check_mode:
                raise InfraError("write", f"the environment file {given['path']}", "database_url is empty", "Set it.")
            # A project that is restored has the address that it had: only a new file is certain.
            module.exit_json(changed=not before, path=given["path"], variables=[])
        client = client_of("supabase", given, check=module.check_mode)
        rows = supabase_env.listed_keys(client, given["ref"], secret_key=given["secret_key"])
        wanted = supabase_env.variables(
            given["ref"],
            rows,
            given["database_url"],
            ca_file=given["sslrootcert"] or "",
            secret_key=given["secret_key"],
        )
        text = supabase_env.text_of(wanted)
        changed = text != before or not file.is_private()
        if changed and not module.check_mode:
            file.write(text)
        module.exit_json(
            changed=changed,
            path=given["path"],
            variables=list(wanted),
            diff={"before_header": given["path"], "after_header": given["path"], **supabase_env.diff(before, text)},
        )


if __name__ == "__main__":
    main()
