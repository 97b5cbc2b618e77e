# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where PgBouncer's processes are found."""

    DOCUMENTATION = r"""
options:
  socket_dir:
    description:
      - Directory of PgBouncer's Unix sockets. Each socket for O(port) in it or in a directory right below it is a
        process of PgBouncer.
    type: path
    default: /run/pgbouncer
  port:
    description: Port of PgBouncer, which is part of the name of its Unix sockets. From 1 to 65535.
    type: int
    default: 6432
notes:
  - The module connects to the admin console over the Unix socket, where PgBouncer needs no password from the account
    that it runs as. So the task must run as root or as that account. No client of PostgreSQL is needed on the host.
"""
