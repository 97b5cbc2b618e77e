# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the PgBouncer exporter reports PgBouncer as up. Succeeds as well if PgBouncer can't let it in yet.

The exporter ends at once if nothing answers at PgBouncer's address, or if its account is refused, and monitoring is
installed before PgBouncer. Its unit retries: until PgBouncer runs, or until it has the exporter's new account or
password. Whether it has is verified at the end of a deploy.

Usage: prove_pgbouncer.py URL HOST PORT [USER PASSWORD_FILE USERLIST [ACCESS]]. A HOST that begins with / is the folder
of a Unix socket. ACCESS is how the exporter is asked, as `access` of nexod.infra.live_service, in JSON. Exits with 0,
or prints what is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import socket
import ssl
import sys
import typing as t
import urllib.request


def answers(host: str, port: int) -> bool:
    """Whether PgBouncer takes connections."""
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def ahead(user: str, password_file: str, userlist: str) -> bool:
    """Whether PgBouncer's list on this host has another password for the account, or does not have it."""
    try:
        password = pathlib.Path(password_file).read_text(encoding="utf-8")
        accounts = pathlib.Path(userlist).read_text(encoding="utf-8")
    except OSError:
        # PgBouncer is elsewhere, or not ours.
        return False
    pairs = re.findall(r'^"((?:[^"]|"")*)" "((?:[^"]|"")*)"', accounts, re.MULTILINE)
    stored = {name.replace('""', '"'): secret.replace('""', '"') for name, secret in pairs}.get(user)
    return stored is None or not fits(password, stored)


def fits(password: str, stored: str) -> bool:
    """Whether PgBouncer stores this password, or its SCRAM verifier (RFC 5803)."""
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.+", stored)
    if not found:
        return stored == password
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(found[2]), int(found[1]))
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return hmac.compare_digest(base64.b64encode(key).decode(), found[3])


def page_of(url: str, access: t.Mapping[str, str]) -> str:
    """The exporter's page. Raises OSError or HTTPException."""
    request = urllib.request.Request(url)  # noqa: S310 http or https, to this host
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if access.get("user"):
        pair = access["user"] + ":" + pathlib.Path(access["password_file"]).read_text(encoding="utf-8")
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    if access.get("ca_file"):
        # It must show this very certificate (X509_V_FLAG_PARTIAL_CHAIN), at the loopback address, whatever its names.
        context = ssl.create_default_context(cafile=access["ca_file"])
        context.verify_flags |= ssl.VerifyFlags(0x80000)
        context.check_hostname = False
        if access.get("certificate_file"):
            context.load_cert_chain(access["certificate_file"], access["key_file"])
        handlers.append(urllib.request.HTTPSHandler(context=context))
    with urllib.request.build_opener(*handlers).open(request, timeout=5) as answer:
        return str(answer.read().decode(errors="replace"))


def main() -> int:
    """Wiring."""
    url, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if not answers(host, port):
        return 0
    if len(sys.argv) > 4 and ahead(*sys.argv[4:7]):
        return 0
    try:
        page = page_of(url, json.loads(sys.argv[7]) if len(sys.argv) > 7 else {})
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"{url}: {error!r}", file=sys.stderr)  # noqa: T201 the caller shows it
        return 1
    if "\npgbouncer_up 1\n" not in page:
        print(f"{url}: pgbouncer_up is not 1", file=sys.stderr)  # noqa: T201 the caller shows it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
