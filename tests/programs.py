"""Programs that hosts and developers run as files, and that no package holds, as modules for their tests."""

from __future__ import annotations

import importlib.util
import sys
import typing as t
from pathlib import Path


def load(path: Path, name: str = "") -> t.Any:
    """The program at `path`, each time anew, under `name` or that of its folder and file."""
    spec = importlib.util.spec_from_file_location(name or f"{path.parent.name}_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Data classes look their own module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
