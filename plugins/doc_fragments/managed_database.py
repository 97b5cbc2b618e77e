# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a database on a managed server is reached, for all modules that ask one with psql."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  host:
    description: Host of the database, or of its pooler in session mode.
    type: str
    required: true
  port:
    description: TCP port. From 1 to 65535.
    type: int
    default: 5432
  database:
    description: Name of the database.
    type: str
    default: postgres
  user:
    description: Account that owns the schema, with the suffix that a pooler asks for.
    type: str
    required: true
  password:
    description: Its password.
    type: str
    required: true
  sslmode:
    description: TLS mode, as libpq's C(sslmode).
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
    default: require
  sslrootcert:
    description: File on this host with the authority that issued the server's certificate.
    type: path
"""
