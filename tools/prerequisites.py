# ruff: noqa: T201, UP036, PLC0415
"""Check that this machine has everything that is needed; report all problems at once, each with its fix.

    prerequisites.py                 check what every deploy needs
    prerequisites.py --lab           also check what the lab needs: podman and its helpers, disk, memory
    prerequisites.py --lab --install also install missing packages with apt, if possible (root, Debian)

Runs with the machine's python3, even if it is too old, before anything of the project is installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

GIB = 1 << 30
LAB_DISK = 6 * GIB
LAB_MEMORY = 3 * GIB
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# One of these programs (or files), the Debian package that contains it, and its purpose.
LAB_PROGRAMS = [
    (["podman"], "podman", "runs the lab's hosts"),
    (["conmon"], "conmon", "monitors containers"),
    (["/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"], "netavark", "provides the hosts' network"),
    (["/usr/lib/podman/aardvark-dns", "/usr/libexec/podman/aardvark-dns"], "aardvark-dns", "resolves the hosts' names"),
    (["iptables"], "iptables", "connects the hosts to their package mirror"),
    (["mmdebstrap"], "mmdebstrap", "builds the hosts' images"),
    (["ssh-keygen"], "openssh-client", "connects to the hosts"),
]


def there(names: Sequence[str]) -> bool:
    """Whether one of `names` is a program in PATH, or a file."""
    return any(os.path.exists(name) if "/" in name else bool(shutil.which(name, path=PATH)) for name in names)


def missing_packages() -> list[tuple[str, str]]:
    """Missing Debian packages, and the purpose of each."""
    # Without cgroup v2, of podman's runtimes only runc boots systemd.
    runtimes = ["crun", "runc"] if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else ["runc"]
    rows = [*LAB_PROGRAMS, (runtimes, "runc", "starts containers")]
    if os.getuid() != 0:
        rows.append((["newuidmap"], "uidmap", "lets podman run without root"))
    return [(package, purpose) for names, package, purpose in rows if not there(names)]


def install(packages: Sequence[str]) -> str:
    """Install with apt, updating its lists if necessary; returns the error, or nothing."""
    print(f"Installing {' '.join(packages)}", flush=True)
    command = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends", *packages]
    last = ""
    for argv in (command, ["apt-get", "-q", "update"], command):
        done = subprocess.run(
            argv,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if argv is command and done.returncode == 0:
            return ""
        last = (done.stdout.decode(errors="replace").strip().splitlines() or [f"rc {done.returncode}"])[-1]
    return last


def may_install() -> bool:
    return os.getuid() == 0 and there(["apt-get"])


def free_disk(path: str) -> int:
    """Free bytes of the file system of `path`, which need not exist yet."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free


def free_memory() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        rows = dict(line.split(":", 1) for line in file)
    return int(rows["MemAvailable"].split()[0]) * 1024


def faults_of_python(installs: bool) -> list[tuple[str, str]]:
    """Problems with the Python interpreter that runs this."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < (3, 11):
        return [(f"Python {version} is too old", "Install 3.11 or newer and select it: make PYTHON=python3.11 ...")]
    try:
        import ensurepip
        import venv

        assert ensurepip and venv
    except ImportError:
        package = f"python{version}-venv"
        if installs and may_install():
            wrong = install([package])
            return [(f"apt-get can't install {package}: {wrong}", "Fix apt and type it again.")] if wrong else []
        return [("Python's module for virtual environments is missing", f"Run: sudo apt-get install {package}")]
    return []


def faults_of_lab(installs: bool) -> list[tuple[str, str]]:
    """What this machine lacks for the lab."""
    faults = []
    lacking = missing_packages()
    names = " ".join(package for package, _program in lacking)
    if lacking and installs and may_install():
        wrong = install(names.split())
        if wrong:
            faults.append((f"apt-get can't install {names}: {wrong}", "Fix apt and type it again."))
    else:
        faults += [
            (f"{package} is missing; it {purpose}", f"Run: sudo apt-get install {names}")
            for package, purpose in lacking
        ]
    # An existing lab already has the space that it needs.
    stands = os.path.exists(os.path.join(HERE, ".lab"))
    storage = "/var/lib/containers" if os.getuid() == 0 else os.path.expanduser("~/.local/share/containers")
    for path in (HERE, storage):
        if free_disk(path) < (GIB if stands else LAB_DISK):
            found = f"{free_disk(path) / GIB:.1f} GiB are free on the disk of {path}; the lab needs {LAB_DISK // GIB}"
            faults.append((found, "Free some space; `podman system prune` removes what no container uses."))
    if not stands and free_memory() < LAB_MEMORY:
        found = f"{free_memory() / GIB:.1f} GiB of memory are available; the lab's hosts need {LAB_MEMORY // GIB}"
        faults.append((found, "Stop other programs, or use a machine with 8 GB."))
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lab", action="store_true", help="also check what the lab needs")
    parser.add_argument("--install", action="store_true", help="install missing packages if possible")
    arguments = parser.parse_args()
    faults = faults_of_python(arguments.install)
    if arguments.lab:
        faults += faults_of_lab(arguments.install)
    if faults:
        print("This machine is not ready:\n", file=sys.stderr)
        for fault, fix in faults:
            print(f"- {fault}.\n  {fix}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
