# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bcrypt hashes of passwords, the same at each run.

They are computed by the controller's C library (libxcrypt on Linux, musl's own), or by the Python package bcrypt where
that has no bcrypt, as on macOS. Ansible's password_hash needs the package passlib for it, everywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import hashlib
import importlib
import typing as t

from ansible.errors import AnsibleFilterError

#: Rounds as a power of two, as `htpasswd -B -C 10` and the documentation of Prometheus have it.
COST: t.Final = 10
#: What follows in a password is not part of the hash.
LONGEST: t.Final = 72
_ALPHABET: t.Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LIBRARIES: t.Final = ("libcrypt.so.1", "libcrypt.so.2")


def salt_of(name: str) -> str:
    """22 characters of bcrypt's base64 for the 128 bits that belong to `name`.

    A salt has to be unique, not secret. A random one would change the file in every run. One derived from the password
    would let whoever reads the hash try passwords without bcrypt's rounds.
    """
    bits = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big") << 4
    return "".join(_ALPHABET[bits >> shift & 63] for shift in range(126, -1, -6))


@functools.cache
def bcrypt(password: str, name: str) -> str:
    """The hash of `password` with the salt of `name`, such as "prometheus on monitoring-1 for ops"."""
    setting = f"$2b${COST:02}${salt_of(name)}"
    for way in (_by_library, _by_package):
        found = way(password.encode(), setting.encode())
        if found.startswith(setting.encode()[:-1]) and len(found) == 60:
            return found.decode()
    raise AnsibleFilterError(
        "Cannot hash a password for the monitoring's web configuration: the C library of the controller has no bcrypt; "
        "install the Python package bcrypt for the Python that runs Ansible."
    )


def _by_library(password: bytes, setting: bytes) -> bytes:
    names = (*_LIBRARIES, ctypes.util.find_library("crypt"), None)
    for name in dict.fromkeys(names):
        with contextlib.suppress(OSError, AttributeError):
            crypt = ctypes.CDLL(name).crypt
            crypt.argtypes, crypt.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_char_p
            if found := crypt(password, setting):
                return bytes(found)
    return b""


def _by_package(password: bytes, setting: bytes) -> bytes:
    with contextlib.suppress(ImportError):
        return bytes(importlib.import_module("bcrypt").hashpw(password, setting))
    return b""
