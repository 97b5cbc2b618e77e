# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``migrate`` of the role migration_runner: what the modules ``alembic_*`` do, for a person on the host.

Its folder contains ``settings.json``, the modules' options, and ``secrets.json``, those options that only root and the
unit may read.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pwd
import secrets
import shutil
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import Outcome, progress, read_events
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import facts_for_lint, lint, sentence
from ansible_collections.nexod.infra.plugins.module_utils._alembic.metrics import exposition, publish, unwritable
from ansible_collections.nexod.infra.plugins.module_utils._alembic.operations import downgrade, info, stamp, upgrade
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import (
    ARGUMENTS,
    AUDIT,
    LIMITS,
    check_revision,
    check_target,
)
from ansible_collections.nexod.infra.plugins.module_utils._alembic.tree import lint_tree
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import place, read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

Facts = t.Mapping[str, t.Any]
EVERY_SECONDS = 3
# Of a check that could not look at the database, such as during an outage: its unit runs it again (EX_TEMPFAIL).
TRY_AGAIN = 75
AHEAD = "unknown: the database is ahead of the release"
# The command's own settings; the others are options of the modules.
OWN = {"squawk", "check_metrics_file", "overdue_hours"}
# Settings of an upgrade alone: status shows where the database is whether or not the release knows it.
OF_AN_UPGRADE = {"check_drift", "ahead"}
ALLOW = "Once no running release reads it any more, run: {program} up --allow-contract"


def read_settings(home: Path, credentials: str | None) -> dict[str, t.Any]:
    """All settings; the secret ones from the unit's credentials if it runs as a unit, otherwise from `home`."""
    secret = Path(credentials or home, "secrets.json")
    try:
        return {**json.loads((home / "settings.json").read_text()), **json.loads(secret.read_text())}
    except PermissionError as error:
        raise InfraError(
            "read the database's address in",
            f'"{secret}"',
            "only root may read it",
            f"Run: sudo {program()} ...",
        ) from error
    except (OSError, ValueError) as error:
        raise InfraError(
            "read the settings in", f'"{home}"', str(error), "Run the role migration_runner, which writes them."
        ) from error


def arguments(settings: Facts, **more: t.Any) -> dict[str, t.Any]:
    """The modules' options, with their defaults."""
    defaults = {name: option.get("default") for name, option in {**ARGUMENTS, **LIMITS, **AUDIT}.items()}
    given = {name: value for name, value in settings.items() if name not in OWN | OF_AN_UPGRADE}
    who = {"audit_who": os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name, "audit_job": "migrate"}
    return {**defaults, **(who if settings.get("audit_table") else {}), **given, **more}


def upgrade_arguments(settings: Facts, **more: t.Any) -> dict[str, t.Any]:
    return arguments(settings, **{name: settings[name] for name in OF_AN_UPGRADE if name in settings}, **more)


def squawk_of(settings: Facts) -> str | None:
    """squawk's path: where the role has installed it, or on the PATH; None if it is not on this host."""
    installed = settings.get("squawk")
    return installed if installed and os.access(installed, os.X_OK) else shutil.which("squawk")


def planned(given: Facts, policy: str, squawk: str | None) -> tuple[Outcome, dict[str, t.Any]]:
    """What an upgrade would run, and the lint's findings. What needs consent is shown, and reported in `contract`.

    Not the modules' check mode, which tolerates that the database does not exist yet.
    """
    only_plan = {"lint": "warn", "rebuild_invalid_indexes": False, "metrics_file": None, "allow_contract": True}
    plan = upgrade({**given, **only_plan}, check=False)
    found = plan.facts
    return plan, lint(given, policy, found.get("pending") or [], facts_for_lint(found), squawk)


def table(rows: t.Iterable[tuple[str, str]]) -> str:
    """Lines of two columns; the second may have several lines."""
    pad = "\n" + " " * 10
    return "".join(f"{name:<10}{text.strip().replace(chr(10), pad)}\n" for name, text in rows if text.strip())


def steps_text(steps: t.Sequence[Facts]) -> str:
    shown = [f"{step['revision']} {step['doc']}{'  (contract)' if step.get('contract') else ''}" for step in steps]
    return "\n".join(shown)


def holder_text(holder: Facts | None) -> str:
    if not holder:
        return "none"
    return f"pid {holder['pid']} ({holder['program']}) on {holder['host']} since {holder['since']}"


def status_text(settings: Facts, seen: Facts) -> str:
    database = read_url(settings["url"])
    docs = {row["revision"]: row["doc"] for row in seen["history"]}

    def named(heads: t.Sequence[str]) -> str:
        return "\n".join(f"{head} {docs.get(head, '(unknown to this release)')}" for head in heads)

    invalid = "\n".join(f"{row['index']} on {row['table']}" for row in seen["invalid_indexes"])
    return table(
        [
            ("database", place(database)),
            ("release", str(settings.get("label") or "")),
            ("at", named(seen["current"]) or "no revision (empty database)"),
            ("head", named(seen["heads"])),
            (
                "pending",
                steps_text(seen["pending"]) or (AHEAD if seen["unknown"] else ""),
            ),
            ("runner", holder_text(seen["lock_holder"])),
            ("invalid", invalid),
            ("drift", drift_text(seen)),
        ]
    )


def drift_text(seen: Facts) -> str:
    if "drift" not in seen:
        return ""
    if seen["drift"] is None:
        return "unknown: env.py sets no target_metadata"
    return "\n".join(seen["drift"]) or "none: the schema matches the models"


def plan_text(settings: Facts, plan: Outcome, lint_result: Facts, *, sql: bool) -> str:
    text = table(
        [
            ("database", place(read_url(settings["url"]))),
            ("release", str(settings.get("label") or "")),
            ("pending", steps_text(plan.facts.get("pending") or []) or "nothing"),
        ]
    )
    for revision, statements in (plan.facts.get("sql") or {}).items() if sql else ():
        why = (plan.facts.get("not_rendered") or {}).get(revision)
        text += f"\n-- {revision}\n" + (f"-- incomplete, the rest depends on the data: {why}\n" if why else "")
        text += statements.strip() + "\n"
    for revision in plan.facts.get("contract") or ():
        text += f"\nSTOPS  {revision} removes what older code reads. {ALLOW.format(program=program())}\n"
    findings = [one for one in lint_result.get("lint") or [] if one["level"] != "info" or one.get("waived")]
    for one in findings:
        waived = f" Waived: {one['waived']}" if one.get("waived") else ""
        word = "note" if waived else "STOPS" if one["level"] == "error" else "CHECK"
        text += f"\n{word}  {sentence(one)}{waived}\n"
    return text + notes(plan.warnings)


def program() -> str:
    return Path(sys.argv[0]).name


def check_metrics(database: str, now: float, due: float, seen: Facts | None) -> str:
    """The daily check for the node exporter; `seen` is None if the database could not be inspected."""
    values: dict[str, tuple[str, float]] = {
        "check_timestamp_seconds": ("When the last check ended.", round(now)),
        "check_due_timestamp_seconds": ("When the next check is due at the latest.", round(due)),
        "check_success": ("Whether the last check could inspect the database.", int(seen is not None)),
    }
    if seen is not None:
        values |= {
            "check_pending_revisions": ("Pending revisions of the release.", len(seen["pending"])),
            "check_unknown_revisions": ("Applied revisions that the release does not know.", len(seen["unknown"])),
            "check_invalid_indexes": ("Invalid indexes, which no query uses.", len(seen["invalid_indexes"])),
        }
    if seen is not None and seen.get("drift") is not None:
        values["check_drift_differences"] = ("Differences between the schema and the models.", len(seen["drift"]))
    return exposition(database, values)


def inspect(settings: Facts) -> dict[str, t.Any]:
    """Where the database is, which indexes are invalid, and the drift if schema and models should be equal."""
    seen = info(arguments(settings))
    if not seen["pending"] and not seen["unknown"]:
        # Before its upgrade and after a rollback the schema differs from the models, and should.
        seen = info(arguments(settings, check_drift=True))
    return seen


def check(settings: Facts, now: t.Callable[[], float] = time.time) -> tuple[dict[str, t.Any], list[str]]:
    """The daily check: its result, and what somebody should fix; its metrics are written however it ends."""
    try:
        seen = inspect(settings)
    except InfraError as error:
        error.facts["warnings"] = publish_check(settings, now(), None)
        raise
    faults = [
        f"Index {row['index']} on {row['table']} is invalid: no query uses it. Rebuild it: "
        f"REINDEX INDEX CONCURRENTLY {row['index']};"
        for row in seen["invalid_indexes"]
    ]
    faults += [f"The schema differs from the models: {one}." for one in seen.get("drift") or ()]
    return seen, faults + publish_check(settings, now(), seen)


def publish_check(settings: Facts, ended: float, seen: Facts | None) -> list[str]:
    """Write the check's metrics; returns what went wrong with that."""
    if not settings.get("check_metrics_file"):
        return []
    due = ended + float(settings.get("overdue_hours") or 26) * 3600
    text = check_metrics(read_url(settings["url"])["name"], ended, due, seen)
    return publish(Path(settings["check_metrics_file"]), text)


class Progress:
    """Prints every few seconds how far a run is."""

    def __init__(self, write: t.Callable[[str], None]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="migrate-", ignore_cleanup_errors=True)
        # The engine may run as another account: everybody may enter the folder, nobody may list it, and the name of
        # the file can't be guessed.
        Path(self.folder.name).chmod(0o711)
        self.file = Path(self.folder.name, secrets.token_hex(16))
        self.write = write
        self.over = threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.report, daemon=True)

    def __enter__(self) -> Progress:
        self.thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.over.set()
        self.thread.join()
        self.folder.cleanup()

    def report(self) -> None:
        while not self.over.wait(EVERY_SECONDS):
            try:
                text = progress(read_events(self.file.read_text(encoding="utf-8")))
            except OSError:
                continue
            if text:
                self.write(f"{text}, {round(time.monotonic() - self.began)} s")


def up(
    settings: Facts, options: argparse.Namespace, write: t.Callable[[str], None]
) -> tuple[Outcome, dict[str, t.Any]]:
    """Plan, lint and run, as the module does, with the lint on the host."""
    policy = options.lint or settings.get("lint") or "error"
    given = upgrade_arguments(
        settings,
        revision=options.revision,
        allow_contract=options.allow_contract,
        rebuild_invalid_indexes=options.rebuild_invalid_indexes,
    )
    lint_result: dict[str, t.Any] = {} if policy == "off" else {"lint": [], "unused_waivers": [], "warnings": []}

    def approve(plan: Outcome) -> bool:
        found = plan.facts
        lint_result.update(lint(given, policy, found.get("pending") or [], facts_for_lint(found), squawk_of(settings)))
        if found.get("contract") and not options.allow_contract and not lint_result.get("failed"):
            revisions = ", ".join(found["contract"])
            text = f"{revisions} removes what older code reads. {ALLOW.format(program=program())}"
            lint_result.update(failed=True, msg=text)
        return not lint_result.get("failed")

    with Progress(write) as shown:
        internal = {"progress_file": str(shown.file)}
        wanted = {**given, "lint": policy, "_internal": internal}
        if policy == "off":
            return upgrade(wanted, check=False), lint_result
        # A contract is refused here, so that it is shown with the findings.
        result = upgrade({**wanted, "allow_contract": True}, check=False, approve=approve)
    return result, lint_result


def up_text(settings: Facts, result: Outcome, verb: str = "applied") -> str:
    steps = "\n".join(f"{step['revision']} {step['doc']} ({step['seconds']:.1f} s)" for step in result.migrations)
    return table(
        [
            ("database", place(read_url(settings["url"]))),
            (verb, steps or "nothing was pending"),
            ("at", ", ".join(result.after)),
        ]
    )


def down(settings: Facts, options: argparse.Namespace) -> tuple[int, Facts, str]:
    """Downgrade; without the consent, only show what it would do."""
    check_target(options.revision, "downgrade to revision")
    given = arguments(settings, revision=options.revision, allow_empty=options.allow_empty, confirm=True)
    if options.confirm:
        result = downgrade(given, check=False)
        done = {**result.facts, "migrations": list(result.migrations), "warnings": list(result.warnings)}
        return 0, done, up_text(settings, result, "reverted") + notes(result.warnings)
    plan = downgrade(given, check=True)
    if not plan.inspected:
        raise InfraError(
            "plan the downgrade of", place(read_url(settings["url"])), plan.warnings[0], "Run again when it is up."
        )
    text = plan_text(settings, plan, {}, sql=True)
    if not plan.facts.get("pending"):
        return 0, plan.facts, text
    text += "\nSTOPS  A downgrade can delete what users have written since. To run it, add --confirm\n"
    return 2, plan.facts, text


def history(settings: Facts, _options: argparse.Namespace) -> tuple[int, Facts, str]:
    """Who applied what and when, from the audit table."""
    if not settings.get("audit_table"):
        raise InfraError(
            "show the history of",
            place(read_url(settings["url"])),
            "no audit table is configured",
            "Set migration_runner_audit_table and run the role migration_runner; runs are recorded from then on.",
        )
    rows = info(arguments(settings))["audit"]
    return 0, {"audit": rows}, history_text(rows)


def history_text(rows: t.Sequence[Facts]) -> str:
    """One line a revision, the latest first."""
    shown = [
        [str(row[name] or "") for name in ("at", "direction", "revision", "outcome", "who", "job", "release")]
        + [f"{row['ms'] / 1000:.1f} s" if row["ms"] is not None else ""]
        for row in rows
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*shown)]  # noqa: B905  Python 3.9
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in shown]  # noqa: B905
    return "".join(f"{line}\n" for line in lines) or "nothing is recorded yet\n"


def record_only(settings: Facts, options: argparse.Namespace) -> tuple[int, Facts, str]:
    """Record a revision without running anything."""
    result = stamp(arguments(settings, revision=options.revision, purge=options.purge), check=False)
    text = table(
        [
            ("database", place(read_url(settings["url"]))),
            ("was at", ", ".join(result.before) or "no revision"),
            ("at", ", ".join(result.after) or "no revision"),
        ]
    )
    return 0, result.facts, text + notes(result.warnings)


def parser(name: str) -> argparse.ArgumentParser:
    reads = argparse.ArgumentParser(add_help=False)
    reads.add_argument("--json", action="store_true", help="print JSON")
    runs = argparse.ArgumentParser(add_help=False)
    runs.add_argument("--revision", default="head", help="head, heads, or an identifier; never downgrades")
    runs.add_argument("--lint", choices=["error", "warn", "off"], help="overrides the setting of the inventory")
    whole = argparse.ArgumentParser(prog=name, description="Migrates the database to the release on this host.")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("status", parents=[reads], help="show the database's revision, and what is pending")
    plan = commands.add_parser("plan", parents=[reads, runs], help="show what `up` would run; changes nothing")
    plan.add_argument("--sql", action="store_true", help="show the SQL of each revision")
    one = commands.add_parser("up", parents=[reads, runs], help="run the pending revisions")
    one.add_argument("--allow-contract", action="store_true", help="also remove what older code reads")
    one.add_argument("--rebuild-invalid-indexes", action="store_true", help="also rebuild invalid indexes")
    back = commands.add_parser("down", parents=[reads], help="downgrade; without --confirm show what it would do")
    back.add_argument("revision", help="identifier of the revision to go back to, LABEL@base or base")
    back.add_argument("--confirm", action="store_true", help="run it: it can delete what users have written since")
    back.add_argument(
        "--allow-empty", action="append", default=[], metavar="REVISION", help="its downgrade is rightly empty"
    )
    add_lint(commands.add_parser("lint", parents=[reads], help="lint the revisions without any database, for CI"))
    commands.add_parser("history", parents=[reads], help="show who applied what and when, from the audit table")
    mark = commands.add_parser("stamp", parents=[reads], help="record a revision without running anything")
    mark.add_argument("revision", help="head, heads, an identifier, or base for none")
    mark.add_argument("--purge", action="store_true", help="delete what is recorded first")
    commands.add_parser("check", parents=[reads], help="check for drift and invalid indexes, and write the metrics")
    return whole


def add_lint(one: argparse.ArgumentParser) -> None:
    one.add_argument("--config", help="alembic.ini, or PACKAGE:alembic.ini")
    one.add_argument("--python", help="interpreter that Alembic and the application are installed for")
    begin = one.add_mutually_exclusive_group()
    begin.add_argument("--since", action="append", metavar="REVISION", help="lint what follows it; default: base")
    begin.add_argument("--since-git", metavar="REF", help="lint what follows the heads at a git reference")
    one.add_argument("--revision", default="heads", help="the last revision; default: heads")
    one.add_argument("--statistics", metavar="FILE", help="rows of each table; without it, each counts as large")
    one.add_argument("--waivers", metavar="FILE", help="accepted findings: a list of rule, revision and reason")
    one.add_argument("--postgresql", type=int, default=15, metavar="MAJOR", help="the server's release; default: 15")
    one.add_argument("--lint", choices=["error", "warn"], default="error", help="whether findings fail the command")
    one.add_argument("--unknown", choices=["error", "warn"], default="warn", help="the same of what can't be judged")
    one.add_argument("--format", choices=["text", "github"], default="text", help="github: annotations")


def answer(settings: Facts, options: argparse.Namespace, write: t.Callable[[str], None]) -> tuple[int, Facts, str]:
    """The command's exit code, its result, and the same as text."""
    if options.command == "up":
        return run_up(settings, options, write)
    return OTHERS[options.command](settings, options)


def status(settings: Facts, _options: argparse.Namespace) -> tuple[int, Facts, str]:
    seen = info(arguments(settings))
    return 0, seen, status_text(settings, seen)


def daily_check(settings: Facts, _options: argparse.Namespace) -> tuple[int, Facts, str]:
    seen, faults = check(settings)
    text = status_text(settings, seen) + "".join(f"{fault}\n" for fault in faults)
    return int(bool(faults)), {**seen, "faults": faults}, text


def plan_only(settings: Facts, options: argparse.Namespace) -> tuple[int, Facts, str]:
    check_revision(options.revision)
    policy = options.lint or settings.get("lint") or "error"
    plan, lint_result = planned(upgrade_arguments(settings, revision=options.revision), policy, squawk_of(settings))
    plan = dataclasses.replace(plan, warnings=(*plan.warnings, *unwritable(settings.get("metrics_file"))))
    stopped = bool(lint_result.get("failed") or plan.facts.get("contract"))
    return 2 * stopped, {**plan.facts, **lint_result}, plan_text(settings, plan, lint_result, sql=options.sql)


OTHERS: dict[str, t.Callable[[Facts, argparse.Namespace], tuple[int, Facts, str]]] = {
    "status": status,
    "check": daily_check,
    "plan": plan_only,
    "down": down,
    "lint": lint_tree,
    "history": history,
    "stamp": record_only,
}


def run_up(settings: Facts, options: argparse.Namespace, write: t.Callable[[str], None]) -> tuple[int, Facts, str]:
    check_revision(options.revision)
    for warning in unwritable(settings.get("metrics_file")):
        write(f"note: {warning}")
    result, lint_result = up(settings, options, write)
    if lint_result.get("failed"):
        return 2, {**result.facts, **lint_result}, f"{lint_result['msg']}\n"
    warnings = [*result.warnings, *(lint_result.get("warnings") or [])]
    text = up_text(settings, result) + notes(warnings)
    return 0, {**result.facts, **lint_result, "migrations": list(result.migrations), "warnings": warnings}, text


def notes(warnings: t.Iterable[t.Any]) -> str:
    return "".join(f"note: {warning}\n" for warning in warnings)


def main(home: Path, argv: t.Sequence[str]) -> int:
    """Run the command.

    Exit code 0: success, 1: a fault, or something that `check` found, 2: refused, or consent is missing, 75: `check`
    could not look at the database.
    """
    options = parser(program()).parse_args(argv)
    failed = 1

    def write(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    try:
        # In CI there are no settings of the role, and no address of a database.
        alone = options.command == "lint" and not (home / "settings.json").exists()
        settings = {} if alone else read_settings(home, os.environ.get("CREDENTIALS_DIRECTORY"))
        failed = TRY_AGAIN if options.command == "check" else 1
        rc, facts, text = answer(settings, options, write)
    except InfraError as error:
        if options.json:
            sys.stdout.write(json.dumps(error.report(), default=str) + "\n")
        write(f"{error}\n{notes(t.cast('list[str]', error.facts.get('warnings') or []))}".rstrip())
        return failed
    except KeyboardInterrupt:
        write("Interrupted. Recorded revisions are kept; the next run continues from there.")
        return 130
    sys.stdout.write(json.dumps(dict(facts), default=str) + "\n" if options.json else text)
    return rc
