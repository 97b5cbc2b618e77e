# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a plugin ends: whatever goes wrong in a foreseeable way leaves it as action, object, cause and next step.

Files are the faults nobody writes an `except` for: any line that touches one may meet a full disk, a missing right or
a folder where a file should be. They are translated once, here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

#: By error number: what to do. `{path}` is the file or folder, `{folder}` what it lies in.
NEXT_STEPS = {
    errno.EACCES: "Run the task as an account that may do this (become: true), or correct owner and mode of {path}.",
    errno.ENOSPC: "Free some space or some inodes on the file system of {path} (df -h, df -i), then run again.",
    errno.EROFS: (
        "Name a folder that can be written instead. If the file system of {path} should not be read-only, find out why "
        "it is (dmesg, mount), remount it, then run again."
    ),
    errno.ENOTDIR: "Move away the file that lies where a folder is needed ({path}), then run again.",
    errno.EISDIR: "Move away the folder that lies where a file is needed ({path}), then run again.",
    errno.EEXIST: "Move away what lies at {path}, then run again.",
    errno.ENOTEMPTY: "Move away what lies in {path}, then run again.",
    errno.ENOENT: "Check that {folder} exists and that nothing else removes files there, then run again.",
    errno.ELOOP: "Remove the links below {path} that point to each other, then run again.",
    errno.ENAMETOOLONG: "Give {path} a shorter name.",
    errno.EIO: "Check the disk below {path} (dmesg, smartctl), then run again.",
    errno.EMFILE: "Raise the limit of open files for the account that runs the task (ulimit -n), then run again.",
    errno.ETXTBSY: "Stop the program that runs from {path}, then run again.",
    errno.EBUSY: "Find out what uses {path} (findmnt, fuser -v), then run again.",
}
SAME = {errno.EPERM: errno.EACCES, errno.EDQUOT: errno.ENOSPC, errno.ENFILE: errno.EMFILE}


def as_infra_error(error: OSError, action: str, object: str, path: str = "") -> InfraError:
    """`error`, met while `action` was done to `object`. `path`: where, if the error itself names no file.

    A failed write (a full disk) names none.
    """
    # Of a rename the target: what was renamed is a scratch file of ours.
    named = error.filename2 or error.filename
    where = os.fsdecode(named) if isinstance(named, (str, bytes)) else path
    reason = error.strerror or str(error) or type(error).__name__
    cause = f"{where}: {reason}" if where else reason
    number = SAME.get(error.errno or 0, error.errno or 0)
    advice = NEXT_STEPS.get(number, "Check {path} on the host where the task runs, then run again.")
    if not where:
        advice = "Check the host where the task runs, then run again." if "{" in advice else advice
    folder = os.path.dirname(where) or where
    facts = {"errno": errno.errorcode.get(error.errno or 0, ""), "path": where}
    return InfraError(action, object, cause, advice.format(path=where, folder=folder), os_error=facts)


@contextlib.contextmanager
def translated(action: str, object: str, path: str = "") -> t.Iterator[None]:
    """Let an OSError of the block leave as an InfraError that names `action`, `object` and the file."""
    try:
        yield
    except OSError as error:
        raise as_infra_error(error, action, object, path) from error


class Module(t.Protocol):
    """The part of AnsibleModule that is needed here."""

    def fail_json(self, msg: str, **facts: t.Any) -> t.NoReturn: ...


@contextlib.contextmanager
def edge(module: Module, action: str, object: str, path: str = "") -> t.Iterator[None]:
    """The edge of a module: a foreseeable fault of the block ends the module with its report, never a traceback.

    `action` completes "Cannot ...", `object` names what it is done to, `path` where on the host that lies.
    """
    try:
        with translated(action, object, path):
            yield
    except InfraError as error:
        module.fail_json(**error.report())
