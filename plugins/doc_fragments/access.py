# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a protected service is asked with, for all modules that ask Prometheus or Alertmanager."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  user:
    description: Name for basic authentication, where the service asks for one.
    type: str
    default: ""
  password:
    description: Password of O(user). O(password_file) keeps it on the host instead.
    type: str
    default: ""
  password_file:
    description: File on the host that runs the module, with the password of O(user).
    type: path
    default: ""
  ca_file:
    description:
      - File on that host with the CA of the service's certificate, or with the certificate itself.
      - Without it, the certificate must be issued by a CA that the host trusts.
    type: path
    default: ""
  certificate_file:
    description: File on that host with the client certificate to present.
    type: path
    default: ""
  key_file:
    description: File on that host with the key of O(certificate_file).
    type: path
    default: ""
  validate_names:
    description:
      - Whether the certificate must be valid for the host of O(url).
      - V(false) is as safe where O(ca_file) is the very certificate of a service at the loopback address.
    type: bool
    default: true
"""
