#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage roles, databases and grants of a PostgreSQL server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_access
short_description: Manage roles, databases and grants of a PostgreSQL server
version_added: "1.0.0"
description:
  - Reads the current state with two short queries and runs only the statements that are needed, in a single module
    execution for all roles, databases and grants.
  - Sends passwords to the server as SCRAM-SHA-256 verifiers over standard input, in a session that logs nothing. They
    appear neither in process arguments nor in the server's log, and a diff shows three dots.
  - Does not change roles and databases that are not listed, and never drops anything.
  - Works on the server's own host as a superuser, or over TCP (O(host)) as an administrator without a superuser's
    rights, which is all that a managed service such as Amazon RDS offers. That account needs C(CREATEROLE) and
    C(CREATEDB), and C(pg_monitor) or C(pg_read_all_stats) to see other accounts' sessions; what can't be seen counts as
    in use.
  - An administrator may not read verifiers. Whether a role has its declared password is found by one attempt to log in
    as that role, so the server must ask for passwords from this host (not C(trust), which only C(psql) 16 and later
    notices). Where it may not turn off the log either, statements are sent in a form of which the usual settings log
    no verifier.
  - An administrator is made a member of the owners of O(databases) and stays one, because PostgreSQL lets nobody else
    but a superuser create a database for an owner, or change what the owner's tables grant.
  - Refuses, in check mode too, what would make programs fail that are connected now, which is to change the password of
    a role that has sessions, or to take its right to log in. Two roles in turn rotate a password without a failed
    connection.
author: The nexod.infra maintainers (@nexod)
options:
  version:
    description:
      - Major version of the PostgreSQL server on this host, by which its C(psql) is found.
      - Required unless O(host) or O(program) is given.
    type: int
  host:
    description:
      - Name or address of a server that is reached over TCP. Without it, the server is on this host.
      - In check mode, a server with an empty host, or one whose name is not known, does not exist yet.
    type: str
  user:
    description: With O(host), the account that administers the server.
    type: str
    default: postgres
  password:
    description: Password of O(user). It is passed in the environment of C(psql), never in its arguments.
    type: str
  database:
    description: Database to log in to, in which roles and databases are created.
    type: str
    default: postgres
  sslmode:
    description: With O(host), how TLS is used, as in libpq.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
    default: verify-full
  sslrootcert:
    description: With O(host), file on this host with the certificate authorities that the server's may be signed by.
    type: path
  program:
    description: C(psql) to run. By default that of O(version), or with O(host) the one in C(PATH).
    type: path
  port:
    description: Port of the server, which is also part of its socket's name.
    type: int
    default: 5432
  socket_dir:
    description: Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  account:
    description: Account on the host that is a superuser of the server by peer authentication.
    type: str
    default: postgres
  roles:
    description: Roles that log in, or may no longer do so.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the role.
        type: str
        required: true
      login:
        description:
          - Whether the role may log in. V(false) takes the right from a role that exists and has no sessions; its
            password, memberships and privileges stay.
        type: bool
        default: true
      password_change:
        description:
          - When the password of a role may change. Its sessions go on in any case, but programs that do not have the
            new password yet cannot open new ones.
          - V(unused) refuses a change while the role has sessions, V(always) does not.
        type: str
        choices: [unused, always]
        default: unused
      shared_verifier:
        description:
          - Whether the password is stored as the verifier that P(nexod.infra.scram_verifier#filter) computes, so that
            PgBouncer can have the same and needs no password. Otherwise its salt is random.
          - The same password with another salt is stored again, which nobody notices.
        type: bool
        default: false
      replication:
        description: Whether the role may replicate.
        type: bool
        default: false
      connection_limit:
        description: Maximum number of connections of the role; -1 for no limit.
        type: int
        default: -1
      member_of:
        description: Roles that it is a member of. Other memberships are not changed.
        type: list
        elements: str
        default: []
      settings:
        description: Settings of the role's sessions. Settings that are not listed are reset.
        type: dict
        default: {}
  passwords:
    description:
      - Passwords of O(roles), by name. Without one, the password is not changed.
      - A separate option, because Ansible logs nested secrets that contain a backslash or quotes.
    type: dict
    default: {}
  poolers:
    description:
      - Addresses of connection poolers that close their connections as a role before it loses its right to log in.
      - In check mode, in which they have not done so yet, sessions from there are not counted.
    type: list
    elements: str
    default: []
  databases:
    description: Databases.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      owner:
        description: Role that owns the database and everything that migrations create in it.
        type: str
        required: true
      read_write:
        description:
          - Roles that may read and write all tables and sequences of the owner in the schema C(public).
        type: list
        elements: str
        default: []
      connect:
        description: Further roles that may connect. Other roles may not.
        type: list
        elements: str
        default: []
      extensions:
        description: Extensions to create.
        type: list
        elements: str
        default: []
"""

EXAMPLES = r"""
- name: Set up the application's database
  nexod.infra.postgresql_access:
    version: 15
    roles:
      - name: app_owner
      - name: app
        settings: {statement_timeout: 30s}
      - name: monitor
        member_of: [pg_monitor]
    passwords:
      app_owner: "{{ owner_password }}"
      app: "{{ app_password }}"
      monitor: "{{ monitor_password }}"
    databases:
      - name: app
        owner: app_owner
        read_write: [app]
        connect: [monitor]
        extensions: [pg_stat_statements]

- name: Set up the database of an Amazon RDS instance, from a host that reaches it
  nexod.infra.postgresql_access:
    host: app.cj3kx8e2.us-east-1.rds.amazonaws.com
    user: postgres
    password: "{{ administrator_password }}"
    sslrootcert: /etc/ssl/rds-global-bundle.pem
    roles:
      - name: app_owner
      - name: app
    passwords:
      app_owner: "{{ owner_password }}"
      app: "{{ app_password }}"
    databases:
      - {name: app, owner: app_owner, read_write: [app]}

# After the application was deployed with the role app_b: the former role may no longer log in.
- name: Retire the application's former role
  nexod.infra.postgresql_access:
    version: 15
    roles:
      - {name: app, login: false}
"""

RETURN = r"""
statements:
  description: The statements that ran, or would in check mode; verifiers are left out.
  returned: always
  type: list
  elements: str
  sample: ["postgres: CREATE ROLE app LOGIN PASSWORD '...'"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.access import as_diff, check, plan, unreachable
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.state import (
    apply,
    connection,
    join_owners,
    read_inside,
    read_server,
)

ROLE = {
    "name": {"type": "str", "required": True},
    "login": {"type": "bool", "default": True},
    "password_change": {"type": "str", "choices": ["unused", "always"], "default": "unused", "no_log": False},
    "shared_verifier": {"type": "bool", "default": False},
    "replication": {"type": "bool", "default": False},
    "connection_limit": {"type": "int", "default": -1},
    "member_of": {"type": "list", "elements": "str", "default": []},
    "settings": {"type": "dict", "default": {}},
}
DATABASE = {
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "read_write": {"type": "list", "elements": "str", "default": []},
    "connect": {"type": "list", "elements": "str", "default": []},
    "extensions": {"type": "list", "elements": "str", "default": []},
}
SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
ARGUMENTS = {
    "version": {"type": "int"},
    "host": {"type": "str"},
    "user": {"type": "str", "default": "postgres"},
    "password": {"type": "str", "no_log": True},
    "database": {"type": "str", "default": "postgres"},
    "sslmode": {"type": "str", "default": "verify-full", "choices": SSLMODES},
    "sslrootcert": {"type": "path"},
    "program": {"type": "path"},
    "port": {"type": "int", "default": 5432},
    "socket_dir": {"type": "path", "default": "/var/run/postgresql"},
    "account": {"type": "str", "default": "postgres"},
    "roles": {"type": "list", "elements": "dict", "options": ROLE, "default": []},
    "passwords": {"type": "dict", "no_log": True, "default": {}},
    "poolers": {"type": "list", "elements": "str", "default": []},
    "databases": {"type": "list", "elements": "dict", "options": DATABASE, "default": []},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_one_of=[("version", "program", "host")]
    )
    given, predicting = module.params, module.check_mode
    roles, databases, maintenance = given["roles"], given["databases"], given["database"]
    place = f"the server on port {given['port']}" + (f" of {given['host']}" if given["host"] else "")
    with edge(module, "grant access to", place, "" if given["host"] else given["socket_dir"]):
        check(roles, databases, given["passwords"])
        psql = connection(given)
        roles = [{**role, "password": given["passwords"].get(role["name"])} for role in roles]
        if predicting and not psql.installed():
            module.warn(f"{psql.program} is not on this host yet, so {place} is taken for empty.")
        server = read_server(psql, roles, maintenance, predicting=predicting)
        inside = read_inside(psql, databases, server)
        ending = given["poolers"] if predicting else []
        steps = plan(roles, databases, server=server, inside=inside, ending=ending, maintenance=maintenance)
        if unreachable(databases, server) and not predicting:
            join_owners(psql, databases, server, maintenance)
            inside = read_inside(psql, databases, server, joined=True)
            steps = plan(roles, databases, server=server, inside=inside, maintenance=maintenance)
        if not predicting:
            apply(psql, steps)
    module.exit_json(
        changed=bool(steps), statements=[f"{step.database}: {step.text}" for step in steps], diff=as_diff(steps)
    )


if __name__ == "__main__":
    main()
