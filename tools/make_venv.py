# ruff: noqa: T201
"""Install a requirements file into .venv with locked versions, and link the checkout where Ansible finds collections.

    make_venv.py requirements-lab.txt

Returns at once if nothing has changed: a stamp file lists what was installed. It is written last, so that a killed run
is completed by the next one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
# The lock: exact versions of the requirements and everything that they depend on.
CONSTRAINTS = ROOT / "constraints.txt"


def pins(path: Path) -> set[str]:
    """The requirements in `path` and in the files that it includes."""
    found: set[str] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        included = re.match(r"-r\s+(\S+)", text)
        if included:
            found |= pins(path.with_name(included[1]))
        elif text:
            found.add(text)
    return found


def usable() -> bool:
    """Whether .venv still works: not if its Python was removed, or if the folder was copied from elsewhere."""
    try:
        shebang = (VENV / "bin" / "pip").read_text(encoding="utf-8").splitlines()[0]
        asked = subprocess.run([VENV / "bin" / "python", "-m", "pip", "--version"], capture_output=True, check=False)
    except (OSError, IndexError):
        return False
    return asked.returncode == 0 and str(VENV) in shebang


def link_collection() -> None:
    link = ROOT / ".collections" / "ansible_collections" / "nexod" / "infra"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to("../../..")


def main() -> None:
    link_collection()
    wanted = pins(ROOT / sys.argv[1])
    constraints = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()[:12]
    stamp = VENV / "installed.txt"
    head = f"# constraints {constraints}"
    lines = stamp.read_text(encoding="utf-8").splitlines() if stamp.exists() else []
    if lines[:1] == [head] and wanted <= set(lines[1:]) and (VENV / "bin" / "python").exists():
        return
    # Other installed requirements stay if they are still in one of the files, for example the tools of the tests.
    every = set().union(*(pins(path) for path in ROOT.glob("requirements*.txt")))
    if not usable():
        print("Making .venv", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        # If .venv is activated, `python3` was removed just now: use the one that it was based on.
        python = getattr(sys, "_base_executable", None) or sys.executable
        subprocess.run([python, "-m", "venv", VENV], check=True)
        lines = []
    stamp.unlink(missing_ok=True)
    print(f"Installing {sys.argv[1]} into .venv (some minutes, once)", flush=True)
    kept = sorted(wanted | (set(lines[1:]) & every))
    argv = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    argv += ["--constraint", CONSTRAINTS, *kept]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        print(done.stdout.decode(errors="replace"), file=sys.stderr)
        sys.exit(
            f"Cannot install {sys.argv[1]}: pip ended with {done.returncode}, see its output above.\n"
            "Check that a package index is reachable, then run the same command again."
        )
    stamp.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
