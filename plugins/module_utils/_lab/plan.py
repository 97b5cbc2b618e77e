# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about the lab's hosts: the recipe of an image, the options that podman needs, the steps per container."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

# Increment this when the options of new containers change: existing containers are then created again.
SHAPE = 2
CAP_SYS_RESOURCE = 24

WATCHERS = 1024  # inotify instances

# The package lists of a snapshot mirror, or of a lab some weeks old, have expired, but are still signed and valid.
ANY_AGE = 'Acquire::Check-Valid-Until "false";'

# systemd 258 and newer require cgroup v2. A private one, mounted on /sys/fs/cgroup before init, works for every
# systemd, including 252.
INIT_ON_CGROUP_V1 = "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup"

# On a machine, systemd shares its mounts with its services. In a container it does not change them, and if they are
# private, services can't read their credentials (LoadCredential).
SHARED_MOUNTS = "mount --make-rshared /"

# Ansible sends the code of each task's module as a zip archive, from which Python compiles some fifty files anew. That
# is nearly half of a task's processor time on a host, so the lab's hosts keep what they have compiled, by its source.
COMPILED_ONCE = """\
import _imp, marshal, os, sys, zipimport
folder = f"/run/lab-compiled-{sys.implementation.cache_tag}"
plain = zipimport._compile_source
def kept(path, source):
    file = f"{folder}/{_imp.source_hash(0, bytes(source)).hex()}"
    try:
        with open(file, "rb") as stream:
            return marshal.load(stream)
    except (OSError, EOFError, ValueError):
        code = plain(path, source)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        with open(f"{file}.{os.getpid()}", "wb") as stream:
            marshal.dump(code, stream)
        os.replace(stream.name, file)
    except OSError:
        pass
    return code
zipimport._compile_source = kept
"""

# apt's time goes with the length of its lists: with all of Debian's 69,000 packages, each installation took a second of
# processor time more. What no server needs is left out, by its section, and stays if the image contains or carries it,
# or if another package that stays depends on it.
NOT_FOR_SERVERS = (
    *("cli-mono", "comm", "doc", "education", "electronics", "embedded", "fonts", "games", "gnome", "gnu-r"),
    *("gnustep", "golang", "graphics", "hamradio", "haskell", "introspection", "java", "javascript", "kde", "libdevel"),
    *("libs", "lisp", "localization", "math", "metapackages", "news", "ocaml", "oldlibs", "otherosfs", "perl", "php"),
    *("ruby", "rust", "science", "sound", "tasks", "tex", "video", "x11", "xfce", "zope"),
)
SHORTER_LISTS = f"""\
(dpkg-query -W -f '${{Package}}\\n'; ls /var/cache/apt/archives) | sed 's/_.*//' > /tmp/kept
for list in /var/lib/apt/lists/*_Packages; do
    awk -v RS= -v ORS='\\n\\n' '
        look == "" {{ count = split($0, names, "\\n"); for (i = 1; i <= count; i++) kept[names[i]]; next }}
        !($2 in kept) && /\\nSection: ({"|".join(NOT_FOR_SERVERS)})\\n/ {{ next }}
        look == "last" {{ print; next }}
        match($0, /\\n(Pre-)?Depends: [^\\n]*/) {{
            text = substr($0, RSTART, RLENGTH)
            gsub(/\\n(Pre-)?Depends:|\\([^)]*\\)|:any/, "", text)
            count = split(text, names, /[ ,|]+/)
            for (i = 1; i <= count; i++) kept[names[i]]
        }}
    ' /tmp/kept look=1 "$list" look=2 "$list" look=3 "$list" look=last "$list" > /tmp/list
    cat /tmp/list > "$list"
done
rm /tmp/kept /tmp/list
"""
# `apt-get update` would take the lists for current, because the release's signed list of them is. So it begins without
# them, and gets back those that it could not fetch.
WHOLE_LISTS = """\
APT::Update::Pre-Invoke {"mkdir -p /run/lists; mv /var/lib/apt/lists/*_* /run/lists || true";};
APT::Update::Post-Invoke {"mv -n /run/lists/* /var/lib/apt/lists; \
rmdir /run/lists || rm -r /run/lists /etc/apt/apt.conf.d/91lists";};
"""

# Units that must not run in a container (the kernel is the machine's) or would only waste time.
MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "getty.target",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The recipe of an image: a Debian release, installed packages, and packages that are only stored as .deb files."""

    release: str
    packages: tuple[str, ...]
    carried: tuple[str, ...]
    mirror: str

    def script(self) -> str:
        """The shell script that completes a minimal Debian; runs inside it, whichever tool created it."""
        lines = [
            "set -eu",
            "export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8",
            # A registry's image deletes downloaded packages and does not start services; a host does neither.
            "rm -f /etc/apt/apt.conf.d/docker-* /usr/sbin/policy-rc.d",
            "printf '%s\\n' 'APT::Install-Recommends \"false\";' 'Acquire::Languages \"none\";'"
            f" 'APT::Keep-Downloaded-Packages \"true\";' '{ANY_AGE}' > /etc/apt/apt.conf.d/90lab",
            # A lab may be lost in a power cut. Not syncing to disk halves the duration of an installation.
            "printf '%s\\n' force-unsafe-io 'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/locale/*'"
            " > /etc/dpkg/dpkg.cfg.d/lab",
            "apt-get -q update",
            f"apt-get -q -y install {' '.join(self.packages)}",
        ]
        if self.carried:
            lines.append(f"apt-get -q -y install --download-only {' '.join(self.carried)}")
        lines += [
            *SHORTER_LISTS.splitlines(),
            f"cat > /etc/apt/apt.conf.d/91lists <<'END'\n{WHOLE_LISTS}END",
            # The lists and the stored packages belong together, so the lists never count as outdated: a host can
            # install them without a network. `apt-get update` still renews them.
            "mkdir -p /var/lib/apt/periodic",
            "touch -d 2037-01-01 /var/lib/apt/periodic/update-success-stamp",
            # apt's cache of the lists is only valid for the lists' times, and an image keeps no time later than its
            # own. Without a valid cache, each host would parse the lists again at its first installation (3 s).
            "find /var/lib/apt/lists /var/lib/dpkg/status -type f -exec touch -d 'yesterday 00:00' {} +",
            "rm -f /var/cache/apt/*.bin",
            "apt-get -q check",
            # UsePAM no: a login session under logind costs 0.3 s of processor time per host and is not needed.
            "mkdir -p /etc/ssh/sshd_config.d",
            "printf '%s\\n' 'HostKey /etc/ssh/lab/host_ed25519' 'AuthorizedKeysFile /etc/ssh/lab/authorized_keys'"
            " 'PermitRootLogin prohibit-password' 'PasswordAuthentication no' 'UsePAM no' 'UseDNS no'"
            " 'MaxStartups 100' 'MaxSessions 100' > /etc/ssh/sshd_config.d/lab.conf",
            "rm -f /etc/ssh/ssh_host_*",
            f"for unit in {' '.join(MASKED_UNITS)}; do ln -sf /dev/null /etc/systemd/system/$unit; done",
            "mkdir -p /usr/lib/python3/dist-packages",
            f"cat > /usr/lib/python3/dist-packages/lab_compiled.py <<'END'\n{COMPILED_ONCE}END",
            "echo 'import lab_compiled' > /usr/lib/python3/dist-packages/lab_compiled.pth",
            "rm -f /etc/machine-id /var/lib/dbus/machine-id && : > /etc/machine-id",
        ]
        return "\n".join(lines) + "\n"

    def containerfile(self, base: str) -> str:
        """The same image based on a registry's `debian` image, for machines without mmdebstrap."""
        return f"FROM {base}:{self.release}\nCOPY finish.sh /finish.sh\nRUN sh /finish.sh && rm /finish.sh\n"

    @property
    def reference(self) -> str:
        """Name of the image, derived from the recipe."""
        text = json.dumps([SHAPE, self.release, self.mirror, self.script()])
        return f"localhost/nexod-lab:{self.release}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclasses.dataclass(frozen=True)
class Machine:
    """Facts of the machine that runs the lab, collected by `podman.look_at_machine`."""

    user: int
    cgroups: str  # v1 | hybrid | v2
    controllers: tuple[str, ...]  # what podman may use
    capabilities: int  # bits, as in CapEff of /proc/self/status
    runtimes: tuple[str, ...]  # installed ones of crun and runc
    runtime: str  # podman's default
    open_files: int  # this process's hard limits
    processes: int

    @property
    def rootless(self) -> bool:
        return self.user != 0


def mirror_of(sources: t.Iterable[str]) -> str:
    """The first Debian mirror in apt's sources (both formats, without comments); empty if there is none."""
    for text in sources:
        for line in text.splitlines():
            words = line.split()
            if words and words[0] in ("deb", "URIs:"):
                for word in words[1:]:
                    if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                        return word.rstrip("/")
    return ""


@dataclasses.dataclass(frozen=True)
class Boot:
    """How a container boots here: options of podman, options of `podman run`, and the command."""

    podman: tuple[str, ...]
    run: tuple[str, ...]
    command: tuple[str, ...]


def mac_of(address: str) -> str:
    """The network card of the host with this IPv4 address: ``10.213.77.21`` -> ``02:00:0a:d5:4d:15``.

    A machine keeps its card when it boots anew. One of podman's choosing would be another each time, and who knew the
    host before would speak with nobody for several seconds.
    """
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def plan_boot(machine: Machine) -> Boot:
    """The options that systemd needs to boot in a container on this machine; empty if none."""
    podman: list[str] = []
    run = ["--systemd=always", "--privileged"]
    first = [SHARED_MOUNTS]
    if machine.rootless and (machine.cgroups != "v2" or not {"memory", "pids"} <= set(machine.controllers)):
        raise InfraError(
            "boot the lab's hosts",
            f"as user {machine.user}",
            "without root, podman runs systemd only on cgroup v2 with the controllers memory and pids delegated to the"
            f" user (here: cgroup {machine.cgroups}, delegated: {', '.join(machine.controllers) or 'none'})",
            "Run it as root (sudo make deploy), or delegate:"
            " https://rootlesscontaine.rs/getting-started/common/cgroup2/.",
        )
    if machine.cgroups != "v2":
        if "runc" not in machine.runtimes:
            raise InfraError(
                "boot the lab's hosts",
                "in containers",
                f"this machine has cgroup {machine.cgroups}, which of podman's runtimes only runc boots systemd on",
                "Install it: apt-get install runc.",
            )
        podman += ["--runtime", "runc"]
        run += ["--cgroupns=private"]
        first.insert(0, INIT_ON_CGROUP_V1)
    elif not machine.runtimes:
        raise InfraError(
            "boot the lab's hosts", "in containers", "neither crun nor runc is installed", "apt-get install crun."
        )
    elif machine.runtime not in machine.runtimes:
        podman += ["--runtime", machine.runtimes[0]]
    if not machine.capabilities >> CAP_SYS_RESOURCE & 1:
        # Without the capability, a container can't have higher limits than this process.
        run += ["--ulimit", f"nofile={machine.open_files}:{machine.open_files}"]
        run += ["--ulimit", f"nproc={machine.processes}:{machine.processes}"]
    return Boot(tuple(podman), tuple(run), ("/bin/sh", "-c", " && ".join([*first, "exec /sbin/init"])))


@dataclasses.dataclass(frozen=True)
class Host:
    """A desired host."""

    name: str
    image: str
    address: str | None = None  # None: podman chooses one
    publish: tuple[str, ...] = ()

    def shape(self, network: str) -> str:
        """The properties that its container was created with; a container with another shape is replaced."""
        text = json.dumps([SHAPE, self.image, self.address, self.publish, network])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclasses.dataclass(frozen=True)
class Container:
    """An existing container of this lab."""

    host: str
    state: str  # as podman reports it: running, exited, created, ...
    shape: str
    answers: bool = True  # sshd greets


@dataclasses.dataclass(frozen=True)
class Step:
    """One action on one host, and the reason."""

    action: str  # create | start | restart | recreate | remove
    host: str
    reason: str

    def __str__(self) -> str:
        return f"{self.action} {self.host}: {self.reason}"


def plan_limits(rootless: bool, watchers: int) -> list[Step]:
    """The limit of the machine that all hosts share, because to the kernel they are the same user.

    Each systemd holds about 5 inotify instances; without one left, units fail here and there. Raised until the
    machine restarts. Without root it can't be, and a user has all 128 to himself: enough for ten hosts.
    """
    if rootless or watchers >= WATCHERS:
        return []
    reason = f"{watchers} is too low for many hosts on one machine (until it restarts)"
    return [Step("raise", f"fs.inotify.max_user_instances to {WATCHERS}", reason)]


def plan_hosts(wanted: t.Sequence[Host], seen: t.Sequence[Container], network: str) -> list[Step]:
    """Steps from the existing containers (`seen`) to the desired hosts; at most one per host."""
    there = {container.host: container for container in seen}
    names = {host.name for host in wanted}
    steps = [Step("remove", c.host, "not in the inventory") for c in seen if c.host not in names]
    for host in wanted:
        container = there.get(host.name)
        if container is None:
            steps.append(Step("create", host.name, "not there"))
        elif container.shape != host.shape(network):
            steps.append(Step("recreate", host.name, "made from another image or for another address"))
        elif container.state == "created":
            steps.append(Step("recreate", host.name, "its first start failed"))
        elif container.state != "running":
            steps.append(Step("start", host.name, f"it is {container.state}"))
        elif not container.answers:
            steps.append(Step("restart", host.name, "it runs, but ssh does not answer"))
    return steps


@dataclasses.dataclass(frozen=True)
class Server:
    """A server of the lab that runs on this machine."""

    name: str
    argv: tuple[str, ...]
    port: int


def plan_servers(wanted: t.Sequence[Server], running: t.Mapping[str, tuple[str, ...]], started: bool) -> list[Step]:
    """Steps from `running` (arguments by name) to the desired servers."""
    steps = []
    for server in wanted:
        arguments = running.get(server.name)
        if not started and arguments is not None:
            steps.append(Step("stop", server.name, "the lab goes"))
        elif started and arguments is None:
            steps.append(Step("start", server.name, "it does not run"))
        elif started and arguments != server.argv:
            steps.append(Step("restart", server.name, "its arguments have changed"))
    return steps
