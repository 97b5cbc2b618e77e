# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``migrate`` of the role migration_runner: what the modules ``alembic_*`` do, for a person on the host.

Its home is a folder with ``settings.json``, the modules' arguments, and ``secrets.json``, those of them that only root
and the unit may read.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic.faults import place
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import look, sentence
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import (
    ARGUMENTS,
    AUDIT,
    LIMITS,
    Outcome,
    check_revision,
    exposition,
    info,
    progress,
    publish,
    read_events,
    read_url,
    upgrade,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]
EVERY_SECONDS = 3
# The command's own settings; the rest are arguments of the modules.
OWN = {"squawk", "check_metrics_file", "overdue_hours"}


def read_settings(home: Path, credentials: str | None) -> dict[str, t.Any]:
    """All settings; the secret ones from the unit's credentials where it runs as a unit, else from `home`."""
    secret = Path(credentials or home, "secrets.json")
    try:
        return {**json.loads((home / "settings.json").read_text()), **json.loads(secret.read_text())}
    except PermissionError as error:
        raise InfraError(
            "read the database's address in", f'"{secret}"', "only root may", f"Type: sudo {Path(sys.argv[0]).name} ..."
        ) from error
    except (OSError, ValueError) as error:
        raise InfraError(
            "read the settings in", f'"{home}"', str(error), "Let the role migration_runner write them anew."
        ) from error


def arguments(settings: Facts, **more: t.Any) -> dict[str, t.Any]:
    """The modules' arguments, with their defaults."""
    defaults = {name: option.get("default") for name, option in {**ARGUMENTS, **LIMITS, **AUDIT}.items()}
    return {**defaults, **{name: value for name, value in settings.items() if name not in OWN}, **more}


def squawk_of(settings: Facts) -> str | None:
    """squawk's path where it is on the host: where the role has brought it, or on the path."""
    brought = settings.get("squawk")
    return brought if brought and os.access(brought, os.X_OK) else shutil.which("squawk")


def planned(given: Facts, policy: str, squawk: str | None) -> tuple[Outcome, dict[str, t.Any]]:
    """What an upgrade would run, and what the lint says of it.

    Not the modules' check mode, which goes on where the database is not there yet; here a person asks for it.
    """
    plan = upgrade(
        {**given, "lint": "warn", "linted": None, "rebuild_invalid_indexes": False, "metrics_file": None}, check=False
    )
    told = plan.facts
    facts = {"tables": told.get("tables") or {}, "server": told.get("server") or 0, "sql": told.get("sql") or {}}
    return plan, look(given, policy, told.get("pending") or [], facts, squawk)


def table(rows: t.Iterable[tuple[str, str]]) -> str:
    """Lines of two columns; what has several lines stays in the second one."""
    pad = "\n" + " " * 10
    return "".join(f"{name:<10}{text.strip().replace(chr(10), pad)}\n" for name, text in rows if text.strip())


def steps_text(steps: t.Sequence[Facts]) -> str:
    shown = [f"{step['revision']} {step['doc']}{'  (contract)' if step.get('contract') else ''}" for step in steps]
    return "\n".join(shown)


def holder_text(holder: Facts | None) -> str:
    if not holder:
        return "nobody migrates"
    return f"pid {holder['pid']} ({holder['program']}) on {holder['host']} since {holder['since']}"


def status_text(settings: Facts, seen: Facts) -> str:
    database = read_url(settings["url"])
    docs = {row["revision"]: row["doc"] for row in seen["history"]}

    def named(heads: t.Sequence[str]) -> str:
        return "\n".join(f"{head} {docs.get(head, '(not known to this release)')}" for head in heads)

    invalid = "\n".join(f"{row['index']} on {row['table']}" for row in seen["invalid_indexes"])
    return table(
        [
            ("database", place(database)),
            ("release", str(settings.get("label") or "")),
            ("at", named(seen["current"]) or "no revision: it is empty"),
            ("head", named(seen["heads"])),
            ("pending", steps_text(seen["pending"]) or ("unknown: it is ahead of the release" * bool(seen["unknown"]))),
            ("runner", holder_text(seen["lock_holder"])),
            ("invalid", invalid),
            ("drift", drift_text(seen)),
        ]
    )


def drift_text(seen: Facts) -> str:
    if "drift" not in seen:
        return ""
    if seen["drift"] is None:
        return "cannot be seen: env.py gives no target_metadata"
    return "\n".join(seen["drift"]) or "none: the schema is what the models say"


def plan_text(settings: Facts, plan: Outcome, looked_at: Facts, *, sql: bool) -> str:
    text = table(
        [
            ("database", place(read_url(settings["url"]))),
            ("release", str(settings.get("label") or "")),
            ("pending", steps_text(plan.facts.get("pending") or []) or "nothing"),
        ]
    )
    for revision, statements in (plan.facts.get("sql") or {}).items() if sql else ():
        why = (plan.facts.get("not_rendered") or {}).get(revision)
        text += f"\n-- {revision}\n" + (f"-- not all of it can be shown: {why}\n" if why else "")
        text += statements.strip() + "\n"
    findings = [one for one in looked_at.get("lint") or [] if one["level"] == "error" or one.get("waived")]
    for one in findings:
        waived = f" Waived: {one['waived']}" if one.get("waived") else ""
        text += f"\n{'note' if waived else 'STOPS'}  {sentence(one)}{waived}\n"
    return text


def check_metrics(database: str, now: float, due: float, seen: Facts | None) -> str:
    """The daily check for the node exporter; `seen` is None where the database could not be looked at."""
    values: dict[str, tuple[str, float]] = {
        "check_timestamp_seconds": ("When the last check ended.", round(now)),
        "check_due_timestamp_seconds": ("When the next check must have ended.", round(due)),
        "check_success": ("Whether the last check could look at the database.", int(seen is not None)),
    }
    if seen is not None:
        values |= {
            "check_pending_revisions": ("Revisions of the release that are pending.", len(seen["pending"])),
            "check_unknown_revisions": ("Revisions that the release does not know.", len(seen["unknown"])),
            "check_invalid_indexes": ("Indexes that no query uses.", len(seen["invalid_indexes"])),
        }
    if seen is not None and seen.get("drift") is not None:
        values["check_drift_differences"] = ("What separates the schema from the models.", len(seen["drift"]))
    return exposition(database, values)


def look_daily(settings: Facts) -> dict[str, t.Any]:
    """Where the database is, what is invalid, and whether it is what the models say where that can be compared."""
    seen = info(arguments(settings))
    if not seen["pending"] and not seen["unknown"]:
        # Before its upgrade and after a roll-back a schema is not what the models say, and is not meant to be.
        seen = info(arguments(settings, check_drift=True))
    return seen


def check(settings: Facts, now: t.Callable[[], float] = time.time) -> tuple[dict[str, t.Any], list[str]]:
    """The daily check: what was seen, and what somebody should do about it; its metrics are written in any case."""
    file, database = settings.get("check_metrics_file"), read_url(settings["url"])["name"]
    seen: dict[str, t.Any] | None = None
    try:
        seen = look_daily(settings)
    finally:
        if file:
            ended = now()
            due = ended + float(settings.get("overdue_hours") or 26) * 3600
            publish(Path(file), check_metrics(database, ended, due, seen))
    faults = [
        f"Index {row['index']} on {row['table']} is invalid: no query uses it. Rebuild it: "
        f"REINDEX INDEX CONCURRENTLY {row['index']};"
        for row in seen["invalid_indexes"]
    ]
    faults += [f"The schema is not what the models say: {one}." for one in seen.get("drift") or ()]
    return seen, faults


class Progress:
    """Says every few seconds how far a run is, where a person or a journal reads it."""

    def __init__(self, say: t.Callable[[str], None]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="migrate-")
        # Others may pass through the folder, nobody may list it; the name in it is not to be guessed.
        Path(self.folder.name).chmod(0o711)
        self.file = Path(self.folder.name, secrets.token_hex(16))
        self.say = say
        self.over = threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def __enter__(self) -> Progress:
        self.thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.over.set()
        self.thread.join()
        self.folder.cleanup()

    def watch(self) -> None:
        while not self.over.wait(EVERY_SECONDS):
            try:
                said = progress(read_events(self.file.read_text(encoding="utf-8")))
            except OSError:
                continue
            if said:
                self.say(f"{said}, {round(time.monotonic() - self.began)} s")


def up(settings: Facts, options: argparse.Namespace, say: t.Callable[[str], None]) -> tuple[Outcome, dict[str, t.Any]]:
    """Plan, lint, run; as the module does, with the lint on the host."""
    policy = options.lint or settings.get("lint") or "error"
    given = arguments(
        settings,
        revision=options.revision,
        allow_contract=options.allow_contract,
        rebuild_invalid_indexes=options.rebuild_invalid_indexes,
    )
    linted: list[str] | None = None
    looked_at: dict[str, t.Any] = {}
    if policy != "off":
        plan, looked_at = planned(given, policy, squawk_of(settings))
        linted = [step["revision"] for step in plan.facts.get("pending") or []]
        if looked_at.get("failed"):
            return plan, looked_at
    with Progress(say) as watched:
        done = upgrade({**given, "lint": policy, "linted": linted, "progress_file": str(watched.file)}, check=False)
    return done, looked_at


def up_text(settings: Facts, done: Outcome) -> str:
    steps = "\n".join(f"{step['revision']} {step['doc']} ({step['seconds']:.1f} s)" for step in done.migrations)
    return table(
        [
            ("database", place(read_url(settings["url"]))),
            ("applied", steps or "nothing was pending"),
            ("at", ", ".join(done.after)),
        ]
    )


def parser(program: str) -> argparse.ArgumentParser:
    reads = argparse.ArgumentParser(add_help=False)
    reads.add_argument("--json", action="store_true", help="for programs")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--revision", default="head", help="head, heads, or an identifier; never downgrades")
    runs.add_argument("--lint", choices=["error", "warn", "off"], help="instead of what the inventory says")
    whole = argparse.ArgumentParser(prog=program, description="The database's schema, by the release on this host.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("status", parents=[reads], help="where the database is, and what is pending")
    plan = commands.add_parser("plan", parents=[reads, runs], help="what `up` would run; changes nothing")
    plan.add_argument("--sql", action="store_true", help="with the SQL of each revision")
    one = commands.add_parser("up", parents=[reads, runs], help="run what is pending")
    one.add_argument("--allow-contract", action="store_true", help="also what takes away what older code reads")
    one.add_argument("--rebuild-invalid-indexes", action="store_true", help="also rebuild what was interrupted")
    commands.add_parser("check", parents=[reads], help="look for drift and invalid indexes, write the metrics")
    return whole


def answer(settings: Facts, options: argparse.Namespace, say: t.Callable[[str], None]) -> tuple[int, Facts, str]:
    """The command's rc, its answer for programs, and for people."""
    if options.command == "status":
        seen = info(arguments(settings))
        return 0, seen, status_text(settings, seen)
    if options.command == "check":
        seen, faults = check(settings)
        text = status_text(settings, seen) + "".join(f"{fault}\n" for fault in faults)
        return int(bool(faults)), {**seen, "faults": faults}, text
    check_revision(options.revision)
    if options.command == "plan":
        policy = options.lint or settings.get("lint") or "error"
        given = arguments(settings, revision=options.revision)
        plan, looked_at = planned(given, policy, squawk_of(settings))
        text = plan_text(settings, plan, looked_at, sql=options.sql)
        return (2 if looked_at.get("failed") else 0), {**plan.facts, **looked_at}, text
    done, looked_at = up(settings, options, say)
    if looked_at.get("failed"):
        return 2, {**done.facts, **looked_at}, f"{looked_at['msg']}\n"
    warnings = [*done.warnings, *(looked_at.get("warnings") or [])]
    text = up_text(settings, done) + "".join(f"note: {warning}\n" for warning in warnings)
    return 0, {**done.facts, **looked_at, "migrations": list(done.migrations)}, text


def main(home: Path, argv: t.Sequence[str]) -> int:
    """Wiring. rc 0 well, 1 a fault or something that `check` found, 2 refused by the lint."""
    options = parser(Path(sys.argv[0]).name).parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    try:
        rc, facts, text = answer(read_settings(home, os.environ.get("CREDENTIALS_DIRECTORY")), options, say)
    except InfraError as error:
        if options.json:
            sys.stdout.write(json.dumps(error.report(), default=str) + "\n")
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. What is recorded stays; a further run goes on from there.")
        return 130
    sys.stdout.write(json.dumps(dict(facts), default=str) + "\n" if options.json else text)
    return rc
