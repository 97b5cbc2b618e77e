# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out the plans for the lab: podman, ssh keys and image builders."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import glob
import ipaddress
import json
import os
import pathlib
import resource
import shutil
import socket
import tempfile
import time
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import Result, run
from ansible_collections.nexod.infra.plugins.module_utils._lab import plan as _lab

LABEL = "nexod.infra.lab"
GREETING_SECONDS = 60
WATCHERS = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
BIG = "/var/tmp"  # noqa: S108  large enough for an image; /tmp may be in memory

T = t.TypeVar("T")
R = t.TypeVar("R")


def podman(*argv: str, timeout: float = 120) -> Result:
    """Run podman; a user's PATH may lack the folders of its helpers."""
    return run(["podman", *argv], timeout=timeout, environment={"PATH": f"{os.environ.get('PATH', '')}:{SBIN}"})


def must(result: Result, action: str, object: str, next_step: str) -> str:
    """The output of `result`; raises an error if it failed."""
    if result.rc:
        raise InfraError(
            action, object, result.output.splitlines()[-1] if result.output else f"rc {result.rc}", next_step
        )
    return result.stdout.strip()


def at_once(work: t.Callable[[T], R], items: t.Sequence[T], workers: int = 5) -> list[R]:
    """`work` on all `items` in parallel, results in order; the first error is raised after all have finished."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(workers, len(items)))) as pool:
        return list(pool.map(work, items))


@contextlib.contextmanager
def one_at_a_time(name: str) -> t.Iterator[None]:
    """Two runs on one machine (two molecule scenarios, or one and a lab) wait for each other here."""
    path = pathlib.Path(tempfile.gettempdir()) / f"nexod-infra-{os.getuid()}-{name}.lock"
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def look_at_machine() -> _lab.Machine:
    """The facts of the machine."""
    mounts = [line.split()[1:3] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    kinds = {where: kind for where, kind in mounts if kind in ("cgroup", "cgroup2")}
    cgroups = "v2" if kinds.get("/sys/fs/cgroup") == "cgroup2" else "hybrid" if "cgroup2" in kinds.values() else "v1"
    status = dict(
        line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    answer = must(
        podman("info", "--format", "json"), "query", "podman about this machine", "Check the output of `podman info`."
    )
    info = json.loads(answer)["host"]
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    unlimited = 1 << 20
    # podman lowers its process limit to the kernel's highest process number.
    highest = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text())
    files, processes = (
        hard if (hard := resource.getrlimit(kind)[1]) != resource.RLIM_INFINITY else unlimited
        for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    )
    return _lab.Machine(
        user=os.getuid(),
        cgroups=cgroups,
        controllers=tuple(info.get("cgroupControllers") or ()),
        capabilities=int(status["CapEff"], 16),
        runtimes=tuple(name for name in ("crun", "runc") if shutil.which(name, path=path)),
        runtime=info["ociRuntime"]["name"],
        open_files=min(files, unlimited),
        processes=min(processes, highest),
    )


# --- images


def image_exists(reference: str) -> bool:
    return podman("image", "exists", reference).rc == 0


def build_image(recipe: _lab.Recipe, registry_base: str, method: str) -> str:
    """Build `recipe` if it does not exist; returns the method, `mmdebstrap` or `registry`, or nothing."""
    with one_at_a_time(recipe.reference.split(":")[1]):
        if image_exists(recipe.reference):
            return ""
        if method == "auto":
            path = f"{os.environ.get('PATH', '')}:{SBIN}"
            method = "mmdebstrap" if shutil.which("mmdebstrap", path=path) else "registry"
        with tempfile.TemporaryDirectory(prefix="nexod-lab-image-", dir=BIG) as folder:
            finish = pathlib.Path(folder) / "finish.sh"
            finish.write_text(recipe.script(), encoding="utf-8")
            if method == "mmdebstrap":
                _by_mmdebstrap(recipe, finish)
            else:
                _from_registry(recipe, finish, registry_base)
    return method


def images() -> list[str]:
    """All existing images that were built here."""
    listed = podman("images", "--filter", "reference=localhost/nexod-lab", "--format", "{{.Repository}}:{{.Tag}}")
    return sorted(must(listed, "list", "the lab's images", "Check the output of `podman images`.").split())


def remove_images(references: t.Sequence[str]) -> None:
    """Remove images; an image that a container uses is an error."""
    if references:
        must(podman("rmi", *references), "remove the images", ", ".join(references), "Remove the labs first.")


def _by_mmdebstrap(recipe: _lab.Recipe, finish: pathlib.Path) -> None:
    archive = finish.with_name("image.tar")
    argv = ["mmdebstrap", "--variant=minbase", "--skip=cleanup/apt", "--include=systemd,systemd-sysv,dbus"]
    argv += [f"--aptopt={_lab.ANY_AGE}"]
    argv += [f"--customize-hook=upload {finish} /finish.sh"]
    argv += ['--customize-hook=chroot "$1" sh /finish.sh', '--customize-hook=rm "$1/finish.sh"']
    argv += [recipe.release, str(archive), recipe.mirror]
    made = run(argv, timeout=1200, environment={"PATH": f"{os.environ.get('PATH', '')}:{SBIN}", "TMPDIR": BIG})
    must(
        made,
        "build the image",
        recipe.reference,
        f"Check that {recipe.mirror} is reachable. Build log:\n{made.output[-2000:]}",
    )
    must(podman("import", str(archive), recipe.reference, timeout=600), "import", recipe.reference, "Is the disk full?")


def _from_registry(recipe: _lab.Recipe, finish: pathlib.Path, base: str) -> None:
    file = finish.with_name("Containerfile")
    file.write_text(recipe.containerfile(base), encoding="utf-8")
    # With isolation by chroot, building needs no container runtime, whatever cgroups the machine has.
    argv = ["build", "--isolation=chroot", "--tag", recipe.reference, "--file", str(file), str(file.parent)]
    made = podman(*argv, timeout=1200)
    must(
        made,
        "build the image",
        recipe.reference,
        f"Install mmdebstrap, or make {base} available. Build log:\n{made.output[-2000:]}",
    )


# --- keys


def make_keys(folder: pathlib.Path, addresses: str) -> bool:
    """Create the lab's keys in `folder` if they don't exist; returns whether anything was written."""
    changed = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    host = folder / "host"
    host.mkdir(exist_ok=True, mode=0o700)
    for path, comment in ((folder / "id_ed25519", "nexod-lab"), (host / "host_ed25519", "nexod-lab-host")):
        if not (path.exists() and path.with_suffix(".pub").exists()):
            path.unlink(missing_ok=True)
            done = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
            must(done, "make the ssh key", str(path), "Install openssh-client.")
            changed = True
    host_key = " ".join((host / "host_ed25519.pub").read_text().split()[:2])
    for path, text in (
        (host / "authorized_keys", (folder / "id_ed25519.pub").read_text()),
        (folder / "known_hosts", f"{addresses} {host_key}\n"),
    ):
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o600)
            changed = True
    return changed


# --- hosts


class Lab:
    """A lab on this machine: a network and the containers with its label."""

    def __init__(self, name: str, network: str, subnet: str, keys: pathlib.Path) -> None:
        self.name = name
        self.network = network
        self.subnet = subnet
        self.keys = keys

    @property
    def subnet_pattern(self) -> str:
        """The subnet in the format of known_hosts: 10.213.77.*"""
        network = ipaddress.ip_network(self.subnet)
        return str(network.network_address).rsplit(".", max(1, (32 - network.prefixlen) // 8))[0] + ".*"

    def container(self, host: str) -> str:
        return f"{self.name}-{host}"

    def see(self) -> list[_lab.Container]:
        """The lab's containers."""
        answer = must(
            podman("ps", "--all", "--filter", f"label={LABEL}={self.name}", "--format", "json"),
            "list",
            f'the containers of lab "{self.name}"',
            "Install podman (apt-get install podman) and check the output of `podman ps`.",
        )
        return [
            _lab.Container(row["Labels"][f"{LABEL}.host"], row["State"], row["Labels"][f"{LABEL}.shape"])
            for row in json.loads(answer or "[]")
        ]

    def addresses(self, hosts: t.Sequence[str]) -> dict[str, str]:
        """Addresses of running hosts by name."""
        if not hosts:
            return {}
        found = podman("inspect", *(self.container(host) for host in hosts))
        rows = json.loads(must(found, "inspect", "the lab's containers", "Run it again.") or "[]")
        networks = [row["NetworkSettings"]["Networks"].get(self.network, {}) for row in rows]
        return {host: row.get("IPAddress", "") for host, row in zip(hosts, networks, strict=True)}

    def make_network(self) -> bool:
        """Create the network if it does not exist."""
        if podman("network", "exists", self.network).rc == 0:
            return False
        made = podman("network", "create", "--subnet", self.subnet, self.network)
        must(made, "create the network", f'"{self.network}" ({self.subnet})', "Remove what has this subnet already.")
        return True

    def remove_network(self) -> bool:
        """Remove the network unless another lab uses it."""
        return podman("network", "rm", self.network).rc == 0

    def apply(self, step: _lab.Step, host: _lab.Host | None, boot: _lab.Boot | None) -> None:
        """Carry out one step."""
        container = self.container(step.host)
        if step.action in ("remove", "recreate"):
            self._remove(step.host, host.address if host else None)
        if step.action in ("create", "recreate") and host and boot:
            must(
                podman(*boot.podman, *self._run_arguments(host), *boot.run, host.image, *boot.command),
                "create the host",
                container,
                "If podman's network helpers are missing: apt-get install netavark aardvark-dns iptables.",
            )
        if step.action in ("start", "restart"):
            next_step = f"Remove it (podman rm -f {container}) and run this again."
            must(podman(step.action, container, timeout=30), step.action, container, next_step)

    def _run_arguments(self, host: _lab.Host) -> list[str]:
        labels = {LABEL: self.name, f"{LABEL}.host": host.name, f"{LABEL}.shape": host.shape(self.network)}
        arguments = ["run", "--detach", "--name", self.container(host.name), "--hostname", host.name]
        arguments += ["--network", self.network, "--network-alias", host.name]
        arguments += ["--ip", host.address, "--mac-address", _lab.mac_of(host.address)] if host.address else []
        arguments += [f"--label={key}={value}" for key, value in labels.items()]
        arguments += [f"--publish={port}" for port in host.publish]
        return [*arguments, f"--volume={self.keys / 'host'}:/etc/ssh/lab:ro", "--log-driver=k8s-file"]

    def _remove(self, host: str, address: str | None) -> None:
        container = self.container(host)
        end_sessions(address or self.addresses([host])[host])
        removed = podman("rm", "--force", "--volumes", "--time=0", container)
        must(removed, "remove the container", container, f"Check the output of `podman inspect {container}`.")

    def failed_units(self, host: str) -> list[str]:
        """Units that failed during boot."""
        asked = podman(
            "exec", self.container(host), "systemctl", "is-system-running", "--wait", timeout=GREETING_SECONDS
        )
        if asked.stdout.strip() == "running":
            return []
        listed = podman("exec", self.container(host), "systemctl", "--failed", "--plain", "--no-legend")
        return [line.split()[0] for line in listed.stdout.splitlines() if line.strip()] or [asked.output]

    def last_words(self, host: str) -> str:
        """The last lines of the container's log, which may show why it did not boot."""
        return podman("logs", "--tail=5", self.container(host)).output


def end_sessions(address: str) -> None:
    """Close the persistent ssh connections to `address`: with the next host at that address they would hang."""
    if not address:
        return
    # The lab's inventory names its sessions nexod-lab-ADDRESS, molecule's ADDRESS-PORT-USER.
    for pattern in (f"nexod-lab-{address}", f"{address}-*"):
        for path in glob.glob(os.path.expanduser(f"~/.ansible/cp/{pattern}")):
            run(["ssh", "-S", path, "-O", "exit", "lab"], timeout=5)


def greets(address: str, seconds: float) -> bool:
    """Whether sshd at `address` sends its banner within `seconds`, that is, whether systemd has booted."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((address, 22), timeout=min(3, max(0.2, seconds))) as connection:
                connection.settimeout(3)
                if connection.recv(4) == b"SSH-":
                    return True
        except OSError:
            pass
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)


@dataclasses.dataclass(frozen=True)
class Done:
    """The result for a lab."""

    changed: bool
    steps: list[_lab.Step]
    addresses: dict[str, str]
    warnings: list[str]


def bring_up(lab: Lab, hosts: t.Sequence[_lab.Host], check_mode: bool) -> Done:
    """Make `lab` have exactly `hosts`, booted and reachable."""
    by_name = {host.name: host for host in hosts}
    addresses = {host.name: host.address for host in hosts if host.address}
    warnings: list[str] = []
    with one_at_a_time("network"):
        seen = lab.see()
        unknown = [c.host for c in seen if c.state == "running" and c.host in by_name and c.host not in addresses]
        addresses |= lab.addresses(unknown)
        alive = dict(zip(addresses, at_once(lambda name: greets(addresses[name], 1), list(addresses), 20), strict=True))
        seen = [dataclasses.replace(c, answers=alive.get(c.host, True)) for c in seen]
        steps = _lab.plan_hosts(hosts, seen, lab.network)
        limits = _lab.plan_limits(os.getuid() != 0, int(WATCHERS.read_text())) if steps else []
        if check_mode:
            return Done(bool(steps), [*limits, *steps], addresses, warnings)
        if limits:
            WATCHERS.write_text(f"{_lab.WATCHERS}\n")
        changed = make_keys(lab.keys, lab.subnet_pattern)
        changed |= lab.make_network()
        makes = any(step.action in ("create", "recreate") for step in steps)
        boot = _lab.plan_boot(look_at_machine()) if makes else None
        at_once(lambda step: lab.apply(step, by_name.get(step.host), boot), steps)
    touched = [step.host for step in steps if step.action != "remove"]
    addresses |= lab.addresses(touched)
    silent = [host for host in touched if not greets(addresses[host], 30)]
    if silent:
        boot = boot or _lab.plan_boot(look_at_machine())
        again = [_lab.Step("recreate", host, "ssh does not answer after a start") for host in silent]
        at_once(lambda step: lab.apply(step, by_name[step.host], boot), again)
        addresses |= lab.addresses(silent)
        steps += again
    for host in silent:
        if not greets(addresses[host], GREETING_SECONDS):
            raise InfraError(
                "boot",
                lab.container(host),
                f"ssh did not respond within {GREETING_SECONDS} s; its log ends: {lab.last_words(host) or '(empty)'}",
                f"Run `podman logs {lab.container(host)}` and `podman exec {lab.container(host)} systemctl --failed`.",
            )
    for host, failed in zip(touched, at_once(lab.failed_units, touched), strict=True):
        if failed:
            warnings.append(f"{host} has booted, but these units failed: {', '.join(failed)}")
    return Done(changed or bool(steps), [*limits, *steps], addresses, warnings)


def bring_down(lab: Lab, check_mode: bool) -> Done:
    """Remove all hosts of `lab`, and its network if no other lab uses it."""
    with one_at_a_time("network"):
        steps = [_lab.Step("remove", container.host, "the lab goes") for container in lab.see()]
        there = podman("network", "exists", lab.network).rc == 0
        if check_mode:
            return Done(bool(steps) or there, steps, {}, [])
        at_once(lambda step: lab.apply(step, None, None), steps)
        gone = there and lab.remove_network()
    return Done(bool(steps) or gone, steps, {}, [])
