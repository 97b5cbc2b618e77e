"""Builds the wheel of nexod_profilers, as PEP 517 asks for it. The same sources give the same bytes."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import typing as t
import zipfile

NAME, VERSION = "nexod_profilers", "1.0.0"
HERE = pathlib.Path(__file__).resolve().parent


def build_wheel(wheel_directory: str, *_options: t.Any, **_named: t.Any) -> str:
    """Write the wheel into `wheel_directory` and return its name."""
    info = f"{NAME}-{VERSION}.dist-info"
    files = {f"{NAME}/{path.name}": path.read_bytes() for path in sorted((HERE / NAME).glob("*.py"))}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: nexod-profilers\nVersion: {VERSION}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    wheel = f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return wheel


def digest(content: bytes) -> str:
    """The checksum of a file as RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
