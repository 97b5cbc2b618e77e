# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and access of a service that is protected by a web configuration."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service import web

DOCUMENTATION = r"""
name: web_protection
short_description: Build the files that protect a service of the Prometheus family
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Builds the web configuration that Prometheus, Alertmanager and their exporters read, with the hashes of its users'
    passwords, and the certificates and keys that are given as text.
  - The same input gives the same files.
positional: where, owner
options:
  _input:
    description: C(tls_certificate), C(tls_key), C(tls_client_ca), each of them with C(_file) too, and C(web_users).
    type: dict
    required: true
  where:
    description: Names the service and its host, which makes the salts of the hashes unique.
    type: str
    required: true
  owner:
    description: Account that the service runs as. Empty for a service that gets the files as credentials of systemd.
    type: str
    default: ""
  flags:
    description: Whether the service has flags of its own instead of a web configuration, as the Redis exporter.
    type: bool
    default: false
  folder:
    description: Folder that the files are in on the host.
    type: str
    default: ""
"""

EXAMPLES = r"""
files: >-
  {{ (options | nexod.infra.web_protection('prometheus on ' ~ inventory_hostname, owner='prometheus',
                                           folder='/etc/nexod/prometheus/current/web')).files }}
"""

RETURN = r"""
_value:
  description:
    - C(files), rows for M(nexod.infra.file_set), and C(checks), commands for its option C(check).
    - For credentials C(contents), their texts, and C(places), the file of each; C(arguments) for the command line;
      C(environment) and C(exported), variables with a value and with the name of a credential.
  type: dict
"""


def web_protection(
    value: t.Mapping[str, t.Any], where: str, owner: str = "", flags: bool = False, folder: str = ""
) -> dict[str, t.Any]:
    """Everything that is written."""
    if owner:
        return {"files": web.files(value, where, owner, folder), "checks": web.checks(value, "{staged}/web")}
    contents, places = web.credentials(value, where, folder, flags=flags)
    password = web.password_file(value, f"secrets/{web.PASSWORD}", "restart")
    user = next(iter(web.users(value)), "") if flags else ""
    return {
        "arguments": web.arguments(value, flags=flags),
        "environment": {"REDIS_EXPORTER_BASIC_AUTH_USERNAME": user} if user else {},
        "exported": {"REDIS_EXPORTER_BASIC_AUTH_PASSWORD": web.PASSWORD} if user else {},
        "contents": contents,
        "places": places,
        "files": password,
        "checks": web.checks(value, "{staged}/secrets"),
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """The filter by its name."""
        return {"web_protection": web_protection}
