# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git knows of a file that is about to be written: whether it would be committed with the next `git add`."""

from __future__ import annotations

import os
import pathlib

from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run


def real(path: str) -> pathlib.Path:
    """Where `path` leads: git answers nothing about what lies behind a symbolic link."""
    return pathlib.Path(os.path.realpath(os.path.expanduser(path)))


def is_exposed(path: str) -> bool:
    """Whether `path` lies in a checkout that does not ignore it; False also where git can't be asked.

    A file that is in the repository already is not ignored, whatever .gitignore says.
    """
    target = real(path)
    folder = next(one for one in target.parents if one.is_dir())
    # 0: ignored, 1: not ignored, 128: no checkout.
    return run(["git", "-C", str(folder), "check-ignore", "--quiet", "--", str(target)], timeout=30).rc == 1
