# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the PgBouncer exporter reports PgBouncer as up. Succeeds as well if PgBouncer is not running yet.

The exporter ends at once if nothing answers at PgBouncer's address, and monitoring is installed before PgBouncer: until
then its unit waits.

Usage: prove_pgbouncer.py URL HOST PORT. Exits with 0, or prints what is wrong.
"""

from __future__ import annotations

import http.client
import socket
import sys
import urllib.request


def main() -> int:
    """Wiring."""
    url, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return 0
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            page = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"{url}: {error!r}", file=sys.stderr)  # noqa: T201 the caller shows it
        return 1
    if "\npgbouncer_up 1\n" not in page:
        print(f"{url}: pgbouncer_up is not 1", file=sys.stderr)  # noqa: T201 the caller shows it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
