# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a running Grafana follow what its set declares and its own files cannot: run by its unit, as root.

- `stage` copies the dashboards of the set to a folder whose path never changes. Grafana resolves links and identifies a
  dashboard by the resolved path of its file: below `current` each new set would delete all dashboards and create them
  again, without the stars of their users (https://github.com/grafana/grafana/issues/80055).
- `settle` sets the administrator's password, which Grafana reads at its first start only, and creates the service
  account for annotations and its token, which Grafana shows only once.
- `reload` does both, and has Grafana read its provisioning files again.

Usage: settle.py stage|settle|reload SET. Settings are in SET/settle.json, the password in SET/secrets/admin-password.
Exits with 0, or prints what failed and exits with 1. Neither the password nor the token is ever printed.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

#: Seconds for the API to answer; a first start migrates Grafana's database.
PATIENCE = 100.0
ROLE = "Editor"  # The lowest role of Grafana without licence that may create annotations of the organization.
AS_GRAFANA = ("setpriv", "--reuid=grafana", "--regid=grafana", "--clear-groups")

Document = t.Any
#: method, path, document, Authorization -> status and document
Call = t.Callable[[str, str, Document, str], tuple[int, Document]]


class FailedError(Exception):
    """What could not be done, why, and what to do."""


def client(url: str) -> Call:
    """A function that calls the API; no proxy is used between a host and itself. Status 0: no answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(method: str, path: str, document: Document, authorization: str) -> tuple[int, Document]:
        request = urllib.request.Request(  # noqa: S310 http, to this host
            url.rstrip("/") + path,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json", **({"Authorization": authorization} if authorization else {})},
            method=method,
        )
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, parsed(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, parsed(error.read())
        except (OSError, http.client.HTTPException) as error:
            return 0, {"message": repr(error)}

    return call


def parsed(body: bytes) -> Document:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# -- dashboards


def stage(source: pathlib.Path, target: pathlib.Path) -> None:
    """Make `target` hold exactly the dashboards of `source`; each file is replaced in one step."""
    wanted = {path.relative_to(source): path.read_bytes() for path in sorted(source.rglob("*.json"))}
    # Grafana's account must read it, whatever the umask of the unit is.
    for folder in sorted({target.parent, target, *((target / path).parent for path in wanted)}):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    for path, content in wanted.items():
        place = target / path
        if not place.is_file() or place.read_bytes() != content:
            write(place, content, 0o644)
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(OSError):  # It still holds something.
                path.rmdir()
        elif path.relative_to(target) not in wanted:
            path.unlink()


def write(path: pathlib.Path, content: bytes, mode: int) -> None:
    scratch = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    scratch.replace(path)


# -- the administrator


def await_api(call: Call, alive: t.Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until Grafana answers with its database; give up at once if its process has ended."""
    deadline = time.monotonic() + patience
    while True:
        status, document = call("GET", "/api/health", None, "")
        if status == 200 and isinstance(document, dict) and document.get("database") == "ok":
            return
        if not alive():
            raise FailedError("Grafana ended before its API answered; its log above says why")
        if time.monotonic() > deadline:
            raise FailedError(f"Grafana's API did not answer within {patience:.0f} s (HTTP {status})")
        time.sleep(0.2)


def settle_password(admin: Admin, reset: t.Callable[[], None], *, refused: bool = False) -> str:
    """Log in; if that is refused, set the password and log in again. At most two attempts: five lock the account.

    `refused`: the proof was refused a moment ago, so the first attempt is spared.
    """
    status = 401 if refused else admin.call("GET", "/api/user", None, admin.authorization)[0]
    if status == 200:
        return ""
    if status != 401:
        raise FailedError(f"Cannot log in to Grafana as its administrator: HTTP {status} from /api/user")
    reset()
    status, _document = admin.call("GET", "/api/user", None, admin.authorization)
    if status != 200:
        raise FailedError(
            f"The administrator's password was set, and Grafana still refuses the login (HTTP {status}): after five "
            "refused attempts it does so for five minutes, and it does so if the administrator was renamed. Wait and "
            "run again, and compare grafana_admin_user with the list of users in Grafana"
        )
    return "the administrator's password was set"


def program(arguments: t.Sequence[str]) -> list[str]:
    """How the running server was called, up to its subcommand: its program, or an interpreter and its program."""
    if "server" not in arguments:
        raise FailedError(f"The process of Grafana is not `grafana server`: {' '.join(arguments)}")
    return list(arguments[: arguments.index("server")])


def resetter(pid: str, password: str) -> t.Callable[[], None]:
    """A function that sets the password with the command line of the very program that runs, with its own settings."""

    def reset() -> None:
        arguments = command_line(pid)
        options = [word for word in arguments if word.startswith(("--homepath=", "--config="))]
        command = [*program(arguments), "cli", *options, "admin", "reset-admin-password", "--password-from-stdin"]
        # With the files that the service sees, as systemd hides its credentials from a reload, and as its own account:
        # its database must not end with files of root's.
        inside = ["nsenter", f"--target={pid}", "--mount", "--", *AS_GRAFANA, "--", *command]
        done = subprocess.run(
            inside, input=f"{password}\n", capture_output=True, text=True, check=False, timeout=60, cwd="/"
        )
        if done.returncode:
            said = (done.stderr or done.stdout).replace(password, "********").strip().splitlines()
            raise FailedError(
                f"Cannot set the administrator's password: `{' '.join(command)}` ended with {done.returncode}: "
                f"{said[-1] if said else 'it printed nothing'}"
            )

    return reset


# -- the service account


@dataclasses.dataclass(frozen=True)
class Admin:
    """The API as its administrator."""

    call: Call
    authorization: str

    def ask(self, what: str, method: str, path: str, document: Document = None) -> Document:
        """The answer; raises FailedError with Grafana's message where it refuses."""
        status, answer = self.call(method, path, document, self.authorization)
        if status not in (200, 201):
            message = answer.get("message") if isinstance(answer, dict) else ""
            raise FailedError(f"Cannot {what}: HTTP {status}{f': {message}' if message else ''}")
        return answer


@dataclasses.dataclass(frozen=True)
class Kept:
    """The token's file on the host."""

    path: pathlib.Path

    def read(self) -> str:
        return read(self.path)

    def write(self, token: str) -> None:
        write(self.path, f"{token}\n".encode(), 0o600)


def account_of(admin: Admin, name: str) -> Document:
    """The service account with exactly this name, or None."""
    query = urllib.parse.quote(name)
    path = f"/api/serviceaccounts/search?perpage=1000&page=1&query={query}"
    found = admin.ask("list the service accounts", "GET", path)
    return next((row for row in found.get("serviceAccounts") or [] if row.get("name") == name), None)


def settle_account(admin: Admin, wanted: t.Mapping[str, t.Any], kept: Kept) -> list[str]:
    """Create or correct the account and its token; what was done."""
    done = []
    name = str(wanted["name"])
    account = account_of(admin, name)
    if account is None:
        form = {"name": name, "role": ROLE, "isDisabled": False}
        account = admin.ask(f"create the service account {name!r}", "POST", "/api/serviceaccounts", form)
        done.append(f"the service account {name} was created")
    place = f"/api/serviceaccounts/{account['id']}"
    # The first versions with service accounts create them without the role that is asked for.
    if account.get("role") != ROLE or account.get("isDisabled"):
        admin.ask(f"correct the service account {name!r}", "PATCH", place, {"role": ROLE, "isDisabled": False})
        done.append(f"the service account {name} was given the role {ROLE}")
    return done + settle_token(admin, f"{place}/tokens", wanted, kept)


def settle_token(admin: Admin, place: str, wanted: t.Mapping[str, t.Any], kept: Kept) -> list[str]:
    """A token that works is kept unless it has another number; only our own earlier ones are deleted."""
    name = f"{wanted['name']}-{wanted['serial']}"
    ours = re.compile(rf"{re.escape(str(wanted['name']))}-\d+")
    listed = admin.ask("list the tokens of the service account", "GET", place) or []
    same = [row for row in listed if row.get("name") == name]
    earlier = [row for row in listed if row.get("name") != name and ours.fullmatch(str(row.get("name")))]
    made = []
    if not same or not works(admin.call, kept.read()):
        # Grafana never shows it again: one that was lost, revoked or has expired is replaced.
        delete_tokens(admin, place, same)
        form = {"name": name} | ({"secondsToLive": wanted["days"] * 86400} if wanted["days"] else {})
        kept.write(str(admin.ask(f"create the token {name!r}", "POST", place, form)["key"]))
        made = [f"the token {name} was created"]
    return made + delete_tokens(admin, place, earlier)


def works(call: Call, token: str) -> bool:
    return bool(token) and call("GET", "/api/annotations?limit=1", None, f"Bearer {token}")[0] == 200


def delete_tokens(admin: Admin, place: str, rows: t.Sequence[Document]) -> list[str]:
    for row in rows:
        admin.ask(f"delete the token {row.get('name')!r}", "DELETE", f"{place}/{row['id']}")
    return [f"the token {row.get('name')} was deleted" for row in rows]


def drop_account(admin: Admin, name: str) -> list[str]:
    """Delete an account of ours that is no longer declared, and its tokens with it."""
    account = account_of(admin, name)
    if account is None:
        return []
    admin.ask(f"delete the service account {name!r}", "DELETE", f"/api/serviceaccounts/{account['id']}")
    return [f"the service account {name} was deleted"]


# -- provisioning


def reload_provisioning(admin: Admin) -> None:
    # Data sources first: a dashboard may need a new one.
    for kind in ("datasources", "dashboards"):
        what = f"reload Grafana's {kind} (its log above names the file)"
        admin.ask(what, "POST", f"/api/admin/provisioning/{kind}/reload", {})


# -- wiring


def read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def settle(admin: Admin, settings: t.Mapping[str, t.Any], reset: t.Callable[[], None]) -> list[str]:
    """The password, then the account: the one logs in for the other. Returns what was done."""
    marker = pathlib.Path(settings["refused"])
    done = [settle_password(admin, reset, refused=marker.exists())]
    marker.unlink(missing_ok=True)
    state = pathlib.Path(settings["state"])
    kept, name_file = Kept(state / "annotations-token"), state / "annotations-account"
    wanted, known = settings["account"], read(name_file)
    if known and known != (wanted or {}).get("name"):
        done += drop_account(admin, known)
        kept.path.unlink(missing_ok=True)
        name_file.unlink()
    if wanted:
        write(name_file, f"{wanted['name']}\n".encode(), 0o600)
        done += settle_account(admin, wanted, kept)
    return [text for text in done if text]


def command_line(pid: str) -> list[str]:
    """The arguments of the unit's process; none if it has ended."""
    try:
        words = pathlib.Path(f"/proc/{int(pid)}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return []
    return [word.decode(errors="replace") for word in words if word]


def main() -> int:
    """Wiring."""
    step, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    os.umask(0o022)
    pid = os.environ.get("MAINPID", "")
    try:
        settings = json.loads((folder / "settle.json").read_text(encoding="utf-8"))
        if step in {"stage", "reload"}:
            stage(folder / "dashboards", pathlib.Path(settings["state"]) / "dashboards")
        if step in {"settle", "reload"}:
            password = (folder / "secrets/admin-password").read_text(encoding="utf-8")
            admin = Admin(client(settings["url"]), basic(settings["user"], password))
            await_api(admin.call, lambda: bool(command_line(pid)))
            for text in settle(admin, settings, resetter(pid, password)):
                print(text, file=sys.stderr)  # noqa: T201 the unit's journal
            if step == "reload":
                reload_provisioning(admin)
    except (FailedError, OSError, ValueError, subprocess.SubprocessError, KeyError, TypeError, AttributeError) as error:
        cause = str(error) if isinstance(error, FailedError) else repr(error)
        print(f"{cause}.", file=sys.stderr)  # noqa: T201 the unit's journal
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
