# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspects a host's cluster and its primary for postgresql_cluster, and carries out the planned steps."""

from __future__ import annotations

import os
import pwd
import shutil
import time
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run
from ansible_collections.nexod.infra.plugins.module_utils._postgresql.cluster import (
    STEPS,
    Local,
    Upstream,
    as_local,
    parse_upstream,
)

ACCOUNT = "postgres"


class ClusterHost:
    """A cluster on this host in Debian's layout, and its primary, if it is a replica."""

    def __init__(self, version: int, name: str, upstream: Mapping[str, t.Any] | None) -> None:
        self.version = str(version)
        self.name = name
        self.upstream = upstream
        self.node = os.uname().nodename
        self.programs = f"/usr/lib/postgresql/{version}/bin"
        self.data = f"/var/lib/postgresql/{version}/{name}"
        self.unit = f"postgresql@{version}-{name}.service"

    def _program(
        self, name: str, *arguments: str, timeout: float = 60, environment: Mapping[str, str] | None = None
    ) -> Result:
        argv = ["runuser", "-u", ACCOUNT, "--", f"{self.programs}/{name}", *arguments]
        return run(argv, timeout=timeout, environment={"LC_ALL": "C", **(environment or {})}, cwd="/")

    def look(self) -> Local:
        """The state of the cluster; empty on a host without PostgreSQL."""
        seen = {
            # The package registers its cluster: before it is installed, there is nothing to do.
            "configured": os.path.exists(f"/etc/postgresql/{self.version}/{self.name}/postgresql.conf")
            or not os.path.exists(self.programs),
            "exists": os.path.exists(f"{self.data}/PG_VERSION"),
            "started": os.path.exists(f"{self.data}/postmaster.opts"),
            "standby": os.path.exists(f"{self.data}/standby.signal"),
            "running": os.path.exists(f"{self.data}/postmaster.pid"),
        }
        return as_local(seen, self._program("pg_controldata", self.data).stdout if seen["exists"] else "")

    def _replicate(self, *commands: str) -> Result:
        """Send replication commands to the primary; the password is passed in the environment."""
        upstream = t.cast("Mapping[str, t.Any]", self.upstream)
        target = f"host={upstream['host']} port={upstream['port']} user={upstream['user']}"
        target += " replication=true connect_timeout=5"
        statements = [argument for command in commands for argument in ("-c", command)]
        return self._program("psql", "-XAtqw", target, *statements, environment={"PGPASSWORD": upstream["password"]})

    def ask_upstream(self, *, wait: int, must: bool) -> Upstream | None:
        """The state of the primary, after at most `wait` seconds; None if it does not respond and need not."""
        if not self.upstream:
            return None
        until = time.monotonic() + wait
        while True:
            identity = self._replicate("IDENTIFY_SYSTEM")
            slot = self._replicate(f"READ_REPLICATION_SLOT {self.upstream['slot']}") if identity.rc == 0 else identity
            if slot.rc == 0:
                return parse_upstream(identity.stdout, slot.stdout)
            if time.monotonic() >= until:
                break
            time.sleep(1)
        if not must:
            return None
        raise InfraError(
            "follow",
            f"the primary at {self.upstream['host']}:{self.upstream['port']}",
            f"it did not respond within {wait} s: {slot.output or 'no output'}",
            "Check that the primary is running and that both have the same replication password, then run again.",
        )

    def apply(self, steps: Sequence[str]) -> None:
        """Carry out `steps` in order."""
        for step in steps:
            getattr(self, f"_{step}")()

    def _must(self, step: str, done: Result, next_step: str) -> None:
        if done.rc != 0:
            raise InfraError(STEPS[step], f"on {self.node}", done.output or f"it ended with {done.rc}", next_step)

    def _stop(self) -> None:
        self._must("stop", run(["systemctl", "stop", self.unit], timeout=120), f"Check: systemctl status {self.unit}")

    def _drop_slot(self) -> None:
        slot = t.cast("Mapping[str, t.Any]", self.upstream)["slot"]
        self._must(
            "drop_slot",
            self._replicate(f"DROP_REPLICATION_SLOT {slot} WAIT"),
            "Check pg_replication_slots on the primary.",
        )

    def _create_slot(self) -> None:
        slot = t.cast("Mapping[str, t.Any]", self.upstream)["slot"]
        done = self._replicate(f"CREATE_REPLICATION_SLOT {slot} PHYSICAL RESERVE_WAL")
        self._must("create_slot", done, "Look at pg_replication_slots and max_replication_slots on the primary.")

    def _build(self, step: str, make: t.Callable[[str], Result], next_step: str) -> None:
        """Create the data directory next to its place and rename it, so that a killed run leaves no partial one."""
        new, old = f"{self.data}.nexod-new", f"{self.data}.nexod-old"
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        owner = pwd.getpwnam(ACCOUNT)
        if not os.path.isdir(os.path.dirname(self.data)):
            os.makedirs(os.path.dirname(self.data), 0o755)
            os.chown(os.path.dirname(self.data), owner.pw_uid, owner.pw_gid)
        self._must(step, make(new), next_step)
        if os.path.exists(self.data):
            os.rename(self.data, old)
        os.rename(new, self.data)
        shutil.rmtree(old, ignore_errors=True)

    def _initdb(self) -> None:
        def make(new: str) -> Result:
            locale = ("--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums")
            return self._program(
                "initdb", "-D", new, *locale, "--auth-local=peer", "--auth-host=scram-sha-256", timeout=300
            )

        self._build("initdb", make, "See that the disk has room and that the locale C.UTF-8 is there.")

    def _copy(self) -> None:
        upstream = t.cast("Mapping[str, t.Any]", self.upstream)

        def make(new: str) -> Result:
            source = (
                "-h",
                upstream["host"],
                "-p",
                str(upstream["port"]),
                "-U",
                upstream["user"],
                "--slot",
                upstream["slot"],
            )
            done = self._program(
                *("pg_basebackup", "-D", new, "-X", "stream", "--checkpoint=fast", "--no-password", *source),
                timeout=6 * 3600,
                environment={"PGPASSWORD": upstream["password"]},
            )
            if done.rc == 0:
                with open(f"{new}/standby.signal", "w", encoding="ascii"):
                    os.chown(f"{new}/standby.signal", pwd.getpwnam(ACCOUNT).pw_uid, pwd.getpwnam(ACCOUNT).pw_gid)
            return done

        self._build("copy", make, "See that the primary runs, that the disk has room and that the slot is not in use.")

    def _register(self) -> None:
        # With an existing data directory, pg_createcluster only writes what Debian's tools need.
        done = run(["pg_createcluster", self.version, self.name], timeout=120)
        self._must("register", done, f"Check /etc/postgresql/{self.version}/{self.name}.")

    def _drop(self) -> None:
        done = run(["pg_dropcluster", "--stop", self.version, self.name], timeout=120)
        self._must("drop", done, f"Check: pg_lsclusters {self.version} {self.name}")
