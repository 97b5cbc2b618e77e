# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a PgBouncer what it runs with and compare that with the files.

    probe.py staged FOLDER   starts a throwaway PgBouncer on FOLDER's files, on a Unix socket of its own
    probe.py live FOLDER     asks the running one, whose files are FOLDER's

PgBouncer has no option to check its files, it answers a reload with success whatever comes of it, and it
passes over some faults in silence. SHOW CONFIG and SHOW DATABASES are its word on what it has taken.
Ends with 0 when all agrees, 1 with the differences, 127 where PgBouncer or its account is not installed yet.
"""

from __future__ import annotations

import csv
import io
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time

ACCOUNT = "postgres"
# Below it lie the vulnerabilities CVE-2026-6664 to CVE-2026-6667.
VERSION_FLOOR = (1, 25, 2)
# What the throwaway one must do differently: no TCP, its own folder.
THROWAWAY = ("listen_addr", "unix_socket_dir", "auth_file", "logfile", "pidfile", "client_tls_key_file")
SECONDS = 10.0


def read_files(folder: pathlib.Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Settings and databases as the files in `folder` say them."""
    settings: dict[str, str] = {}
    databases: dict[str, dict[str, str]] = {}
    for name in ("databases.ini", "pgbouncer.ini", "settings.ini"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals or line.startswith((";", "#", "%", "[")):
                continue
            if name == "databases.ini":
                databases[key] = dict(word.split("=", 1) for word in value.split())
            else:
                settings[key] = value
    return settings, databases


def differences(
    settings: dict[str, str],
    databases: dict[str, dict[str, str]],
    shown: dict[str, str],
    pools: dict[str, dict[str, str]],
) -> list[str]:
    """What the files say and PgBouncer does not; empty when it runs what they say."""
    found = [
        f"{key} is {shown.get(key, 'not known')!r}, not {value!r}"
        for key, value in settings.items()
        if shown.get(key) != value
    ]
    for name, wanted in databases.items():
        pool = pools.get(name)
        if pool is None:
            found.append(f"database {name} is not there")
            continue
        has = {"host": pool.get("host"), "port": pool.get("port"), "dbname": pool.get("database")}
        found += [
            f"database {name} has {key} {has.get(key)!r}, not {value!r}"
            for key, value in wanted.items()
            if has.get(key) != value
        ]
    found += [f"database {name} is still there" for name in pools if name not in databases and name != "pgbouncer"]
    return found


def ask(socket: str, port: str, command: str) -> list[dict[str, str]]:
    """Rows of an admin console command, asked over the Unix socket, where the account itself needs no password."""
    done = subprocess.run(
        ["psql", "--no-psqlrc", "--csv", "-h", socket, "-p", port, "-U", "pgbouncer", "-d", "pgbouncer", "-c", command],
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
        cwd="/",
        user=ACCOUNT,
        group=ACCOUNT,
        extra_groups=[],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise OSError(done.stderr.strip() or f"psql ended with {done.returncode}")
    return list(csv.DictReader(io.StringIO(done.stdout)))


def compare(socket: str, folder: pathlib.Path, without: tuple[str, ...] = ()) -> list[str]:
    settings, databases = read_files(folder)
    port = settings["listen_port"]
    shown = {row["key"]: row["value"] for row in ask(socket, port, "SHOW CONFIG")}
    pools = {row["name"]: row for row in ask(socket, port, "SHOW DATABASES")}
    return differences({k: v for k, v in settings.items() if k not in without}, databases, shown, pools)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def warn_of_version() -> None:
    said = subprocess.run(["pgbouncer", "--version"], capture_output=True, check=False, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)\.(\d+)", said)
    if found and tuple(map(int, found.groups())) < VERSION_FLOOR:
        floor = ".".join(map(str, VERSION_FLOOR))
        say(f"warning: {found.group(0)} is below {floor}, the first without CVE-2026-6664 to CVE-2026-6667")


def missing_files(settings: dict[str, str]) -> list[str]:
    """Files of certificates that are not there: PgBouncer would only find out at the first connection."""
    named = {key: value for key, value in settings.items() if key.endswith("_file") and key != "auth_file"}
    return [f"{key}: there is no file {value}" for key, value in named.items() if not os.path.isfile(value)]


def staged(folder: pathlib.Path) -> list[str]:
    """Let a PgBouncer that nobody can reach load the files."""
    if shutil.which("pgbouncer") is None or shutil.which("psql") is None:
        raise FileNotFoundError("pgbouncer and psql are not installed")
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        raise FileNotFoundError(f"there is no account {ACCOUNT}") from error
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as scratch:
        os.chown(scratch, account.pw_uid, account.pw_gid)
        for name in ("databases.ini", "pgbouncer.ini", "settings.ini", "userlist.txt"):
            text = (folder / name).read_text(encoding="utf-8")
            if name.endswith(".ini"):
                # The files name one another where they will lie once they are current.
                text = re.sub(r"/\S+/current/", f"{scratch}/", text)
            if name == "pgbouncer.ini":
                text += f"\nlisten_addr =\nunix_socket_dir = {scratch}\nlogfile =\npidfile =\n"
            path = os.path.join(scratch, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            os.chown(path, account.pw_uid, account.pw_gid)
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                ["pgbouncer", f"{scratch}/pgbouncer.ini"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=ACCOUNT,
                group=ACCOUNT,
                extra_groups=[],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
            try:
                found = wait_and_compare(process, scratch, folder)
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            # It would run on with some of the faults that it logs.
            faults = [line for line in log if re.search(r"\] (ERROR|FATAL) ", line)]
        found += [line.split("] ", 1)[-1].replace(scratch, "").strip() for line in faults]
        return found + missing_files(read_files(folder)[0])


def wait_and_compare(process: subprocess.Popen[bytes], scratch: str, folder: pathlib.Path) -> list[str]:
    end = time.monotonic() + SECONDS
    while True:
        if process.poll() is not None:
            return [f"PgBouncer ended with {process.returncode}"]
        if any(name.startswith(".s.PGSQL.") for name in os.listdir(scratch)):
            return compare(scratch, folder, THROWAWAY)
        if time.monotonic() > end:
            return [f"PgBouncer did not open its socket within {SECONDS:g} s"]
        time.sleep(0.02)


def main(mode: str, folder: pathlib.Path) -> int:
    try:
        if mode == "staged":
            found = staged(folder)
            warn_of_version()
        else:
            found = compare(read_files(folder)[0]["unix_socket_dir"], folder)
    except FileNotFoundError as error:
        say(str(error))
        return 127
    except (OSError, subprocess.SubprocessError) as error:
        found = [str(error)]
    for line in found:
        say(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2])))
