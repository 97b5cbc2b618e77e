# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics about migrations, as files that the node exporter's textfile collector reads."""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import read_url

Facts = t.Mapping[str, t.Any]


def write_metrics(parameters: Facts, began: float, facts: Facts, *, ok: bool) -> list[str]:
    """Write the metrics of a run that has ended; returns warnings, see `publish`."""
    if not parameters.get("metrics_file"):
        return []
    text = metrics(read_url(parameters["url"])["name"], began, time.time(), facts, ok=ok)
    return publish(Path(parameters["metrics_file"]), text)


def metrics(name: str, began: float, ended: float, facts: Facts, *, ok: bool) -> str:
    """The last run on the database `name`."""
    values = {
        "last_run_timestamp_seconds": ("When the last run ended.", round(ended)),
        "last_run_success": ("Whether the last run succeeded.", int(ok)),
        "last_run_duration_seconds": ("How long the last run took.", round(ended - began, 3)),
        "last_run_revisions": ("How many revisions the last run applied.", len(facts.get("migrations") or ())),
        "last_run_retries": ("How often the last run retried a revision.", facts.get("retries") or 0),
        "invalid_indexes": ("Invalid indexes, which no query uses.", len(facts.get("invalid_indexes") or ())),
    }
    return exposition(name, values)


def exposition(name: str, values: t.Mapping[str, tuple[str, float]]) -> str:
    """Gauges about the database `name` in Prometheus's text format: name -> (help, value)."""
    label = '{database="' + re.sub(r'(["\\])', r"\\\1", name) + '"}'
    return "".join(
        f"# HELP nexod_alembic_{key} {text}\n# TYPE nexod_alembic_{key} gauge\nnexod_alembic_{key}{label} {value}\n"
        for key, (text, value) in values.items()
    )


def unwritable(path: str | None) -> list[str]:
    """A warning, before a run, that its metrics can't be written after it; writes nothing.

    Only where it is certain: who deploys in check mode may not be root, and the folder may still be created.
    """
    if not path:
        return []
    folder = Path(path).parent
    if not folder.is_dir():
        why = "its folder does not exist"
    elif Path(path).is_dir():
        why = "it is a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = "its folder is not writable"
    else:
        return []
    return [
        f'The metrics can\'t be written to "{path}" after the run: {why}. Create the folder, or correct metrics_file.'
    ]


def publish(path: Path, text: str) -> list[str]:
    """Replace the file in one step, so that the node exporter never reads half of it.

    A fault is returned as a warning and not raised: it must not hide how the migration itself ended.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        return [f'Cannot write the metrics to "{path}": {error}. Create the folder, or correct metrics_file.']
    return []
