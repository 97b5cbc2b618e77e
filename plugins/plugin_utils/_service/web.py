# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a service of the Prometheus family is protected: its web configuration, its files, and how its own host asks it.

All of them read the same file (`--web.config.file`, of the exporter-toolkit). Pure functions.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._service.bcrypt import LONGEST, bcrypt

Settings = t.Mapping[str, t.Any]
Document = dict[str, t.Any]

CONFIGURATION: t.Final = "web.yml"
CERTIFICATE, KEY, CLIENT_CA = "server.crt", "server.key", "client-ca.crt"
PASSWORD: t.Final = "access-password"  # noqa: S105 the name of a file
#: How programs on the service's host ask it.
CLIENT: t.Final = "client.yml"
#: Options of a role, without its prefix and `_file`, and the file that each becomes.
PARTS: t.Final = {"tls_certificate": CERTIFICATE, "tls_key": KEY, "tls_client_ca": CLIENT_CA}
#: Guessing one online takes longer than anything lasts; a generated one is longer.
SHORTEST: t.Final = 12
#: Files of a set by which others are let in, without their folders: of the Prometheus family, and of HAProxy's metrics.
DECIDING: t.Final = frozenset(
    (CONFIGURATION, CERTIFICATE, KEY, CLIENT_CA, PASSWORD, "metrics_users", "metrics.pem", "metrics-client-ca.pem")
)
_BLOCKS: t.Final = {"tls_certificate": "CERTIFICATE", "tls_key": "PRIVATE KEY", "tls_client_ca": "CERTIFICATE"}
#: amtool and the exporters have no command that checks a web configuration, as promtool has.
_CHECK: t.Final = """\
import ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
try:
    context.load_cert_chain(*sys.argv[1:3])
    for client_ca in sys.argv[3:]:
        context.load_verify_locations(client_ca)
except OSError as error:
    sys.exit(f"Cannot use the certificate and key {sys.argv[1:]}: {error}. Give a pair in PEM that belongs together.")
"""
_USER: t.Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")


def is_switched(result: t.Mapping[str, t.Any]) -> bool:
    """Whether a file set changes what its service is asked with: who asks does not know it yet.

    `result` is what nexod.infra.file_set returned. What is new is asked by nobody.
    """
    changed = {str(path) for part in ("created", "updated", "removed") for path in result.get(part, ())}
    if any(str(path).endswith(".service") for path in result.get("created", ())):
        return False
    if not changed:
        # A run that was killed may have written them: the service has still to be restarted for something.
        return bool(result.get("pending"))
    return any(path.rpartition("/")[2] in DECIDING for path in changed)


def has(settings: Settings, part: str) -> bool:
    """Whether a part of the protection is given, as text or as a file on the host."""
    return bool(settings[part] or settings[f"{part}_file"])


def is_protected(settings: Settings) -> bool:
    return has(settings, "tls_certificate") or bool(settings["web_users"])


def scheme(settings: Settings) -> str:
    return "https" if has(settings, "tls_certificate") else "http"


def users(settings: Settings) -> dict[str, str]:
    return {str(name): str(password) for name, password in sorted(settings["web_users"].items())}


def configuration(settings: Settings, where: str, *, copied: bool = False) -> Document:
    """The web configuration. Names of files are relative to it, so that what is staged can be checked.

    `where` names the service and its host, for the salts. `copied`: files of the host are beside it too, as systemd's
    credentials.
    """
    found: Document = {}
    if has(settings, "tls_certificate"):
        found["tls_server_config"] = {
            "cert_file": _place(settings, "tls_certificate", copied),
            "key_file": _place(settings, "tls_key", copied),
            **(
                {
                    "client_auth_type": "RequireAndVerifyClientCert",
                    "client_ca_file": _place(settings, "tls_client_ca", copied),
                }
                if has(settings, "tls_client_ca")
                else {}
            ),
        }
    if settings["web_users"]:
        found["basic_auth_users"] = {
            name: bcrypt(password, f"{where} for {name}") for name, password in users(settings).items()
        }
    return found


def texts(settings: Settings) -> dict[str, str]:
    """Certificates and keys that are given as text, by the name of their file."""
    return {
        name: str(settings[part]).strip() + "\n"
        for part, name in PARTS.items()
        if settings[part] and has(settings, "tls_certificate")
    }


def files(settings: Settings, where: str, owner: str, folder: str) -> list[Document]:
    """Rows for a file set, below `web/`, which is `folder` on the host.

    Only `owner` can read them, and the password to ask with only root. A service of the exporter-toolkit reads them
    again for each connection; the reload is for the proof that follows it.
    """
    if not is_protected(settings):
        return []
    document = configuration(settings, where)
    given = {CONFIGURATION: _yaml(document), **texts(settings)}
    own: Document = {"owner": owner, "mode": "0400", "secret": True, "on_change": "reload"}
    found = [{"path": f"web/{name}", "content": content, **own} for name, content in given.items()]
    people = {"path": f"web/{CLIENT}", "content": _yaml(client(settings, folder)), "mode": "0400", "on_change": "none"}
    return [*found, *password_file(settings, f"web/{PASSWORD}"), people]


def client(settings: Settings, folder: str) -> Document:
    """What `amtool` and `promtool` take by --http.config.file on the service's host."""
    known = access(settings, folder)
    tls = {"ca_file": "ca_file", "certificate_file": "cert_file", "key_file": "key_file"}
    found: Document = {}
    if "user" in known:
        found["basic_auth"] = {"username": known["user"], "password_file": known["password_file"]}
    if given := {option: known[name] for name, option in tls.items() if name in known}:
        found["tls_config"] = given
    return found


def password_file(settings: Settings, path: str, on_change: str = "reload") -> list[Document]:
    """The file that the service's own host asks it with. Asking again needs no secret from the controller then."""
    if not settings["web_users"]:
        return []
    password = next(iter(users(settings).values()))
    return [{"path": path, "content": password, "mode": "0400", "secret": True, "on_change": on_change}]


def checks(settings: Settings, folder: str) -> list[list[str]]:
    """Commands that check the certificates in `folder` on the host, before a service gets them."""
    if not has(settings, "tls_certificate"):
        return []
    parts = [part for part in PARTS if has(settings, part)]
    places = [str(settings[f"{part}_file"] or f"{folder}/{PARTS[part]}") for part in parts]
    return [["python3", "-c", _CHECK, *places]]


def credentials(
    settings: Settings, where: str, folder: str, *, flags: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """For a service that gets its files as systemd's credentials: content of each, and place of each on the host."""
    if not is_protected(settings):
        return {}, {}
    own = {} if flags else {CONFIGURATION: _yaml(configuration(settings, where, copied=True))}
    contents = {**own, **texts(settings)}
    places = {name: f"{folder}/{name}" for name in contents}
    if has(settings, "tls_certificate"):
        places.update({name: str(settings[f"{part}_file"]) for part, name in PARTS.items() if settings[f"{part}_file"]})
    if flags and settings["web_users"]:
        places[PASSWORD] = f"{folder}/{PASSWORD}"
    return contents, places


def arguments(settings: Settings, *, flags: bool = False) -> list[str]:
    """What the command line of a service with credentials needs; `flags`: the Redis exporter, which has its own."""
    folder = "${CREDENTIALS_DIRECTORY}/"
    if not is_protected(settings):
        return []
    if not flags:
        return [f"--web.config.file={folder}{CONFIGURATION}"]
    own = {"cert": "tls_certificate", "key": "tls_key", "ca-cert": "tls_client_ca"}
    return [
        f"-tls-server-{name}-file={folder}{PARTS[part]}"
        for name, part in own.items()
        if has(settings, "tls_certificate") and has(settings, part)
    ]


def stranger(settings: Settings, folder: str) -> Document:
    """`access` without a password, to prove that it is refused."""
    return {name: value for name, value in access(settings, folder).items() if name not in ("user", "password_file")}


def access(settings: Settings, folder: str) -> Document:
    """How the service's own host asks it: `access` of live_service. `folder` is where the files of `files` are."""

    def place(part: str) -> str:
        return str(settings[f"{part}_file"] or f"{folder}/{PARTS[part]}")

    found: Document = {}
    if settings["web_users"]:
        found = {"user": next(iter(users(settings))), "password_file": f"{folder}/{PASSWORD}"}
    if has(settings, "tls_certificate"):
        found["ca_file"] = place("tls_certificate")
    if has(settings, "tls_certificate") and has(settings, "tls_client_ca"):
        found.update({"certificate_file": place("tls_certificate"), "key_file": place("tls_key")})
    return found


def faults(prefix: str, settings: Settings) -> list[str]:
    """What contradicts itself in the options `prefix`_tls_* and `prefix`_web_users, each with its fix."""
    found = []
    for part, block in _BLOCKS.items():
        option = f"{prefix}_{part}"
        if settings[part] and settings[f"{part}_file"]:
            found.append(f"{option} and {option}_file exclude each other; set one of them")
        if settings[part] and not re.search(rf"-----BEGIN ([A-Z]+ )?{block}-----", str(settings[part])):
            found.append(f"{option} has no {block} in PEM; give the text of the file, or set {option}_file to its path")
        if settings[f"{part}_file"] and not re.fullmatch(r"(/[^/\s%]+)+", str(settings[f"{part}_file"])):
            found.append(f"{option}_file is not an absolute path without spaces and percent signs")
    whole = has(settings, "tls_certificate"), has(settings, "tls_key")
    if any(whole) and not all(whole):
        found.append(f"{prefix}_tls_certificate and {prefix}_tls_key need each other; set both, or neither")
    if has(settings, "tls_client_ca") and not has(settings, "tls_certificate"):
        found.append(f"{prefix}_tls_client_ca needs {prefix}_tls_certificate; clients show certificates in TLS only")
    return found + user_faults(f"{prefix}_web_users", settings["web_users"])


def user_faults(option: str, given: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with users and their passwords; no password is repeated."""
    found = []
    for name, password in given.items():
        length = len(str(password or "").encode())
        if not _USER.fullmatch(str(name)):
            found.append(f'{option} contains the user "{name}"; use letters, digits, "_", ".", "@" and "-"')
        if not SHORTEST <= length <= LONGEST:
            found.append(f"{option}: the password of {name} must have {SHORTEST} to {LONGEST} bytes; give it another")
        elif re.search(r"[\x00-\x1f\x7f]", str(password)):
            found.append(f"{option}: the password of {name} has a control character, such as a newline; remove it")
    return found


def _place(settings: Settings, part: str, copied: bool) -> str:
    return PARTS[part] if settings[part] or copied else str(settings[f"{part}_file"])


def _yaml(document: Document) -> str:
    # JSON is YAML.
    return json.dumps(document, indent=2) + "\n"
