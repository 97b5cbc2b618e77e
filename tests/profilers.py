# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""py-spy and Memray in the versions that hosts get, for tests and benchmarks."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from ansible_collections.nexod.infra.tests.playbook import ROOT

SOURCES = ROOT / "roles/profile/files/profilers"


def installed() -> pathlib.Path:
    """The profilers as on a host, installed once from the same lock."""
    lock = (SOURCES / "requirements.lock").read_bytes()
    key = hashlib.sha256(lock + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / ".cache/tests/profilers" / key
    if not folder.is_dir():
        part = folder.with_name(f".{key}.{os.getpid()}")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
                *("--only-binary=:all:", "--require-hashes", f"--target={part}", "-r", SOURCES / "requirements.lock"),
            ],
            check=True,
        )
        python = part / "bin/python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}:{SOURCES}" exec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    return folder
