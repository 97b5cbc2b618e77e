"""An environment of its own for what a benchmark compares with: made once for each state of its requirements."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(requirements: Path) -> Path:
    """Its folder of programs."""
    folder = ROOT / ".cache" / f"bench-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    folder.parent.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([folder / "bin/pip", "install", "--quiet", "-r", requirements], check=True)
            (folder / "complete").touch()
    return folder / "bin"
