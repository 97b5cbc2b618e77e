# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lint of a migration tree without a database, for CI: ``migrate lint``."""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
import tarfile
import typing as t
from pathlib import Path

from ansible_collections.nexod.infra.plugins.module_utils._alembic.answers import interpret, last
from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import revision_in
from ansible_collections.nexod.infra.plugins.module_utils._alembic.engine.sql import named, statements_in, tables_in
from ansible_collections.nexod.infra.plugins.module_utils._alembic.lint import lint, sentence, squawk_program
from ansible_collections.nexod.infra.plugins.module_utils._alembic.request import ask_engine, check_revision
from ansible_collections.nexod.infra.plugins.module_utils._alembic.url import read_url
from ansible_collections.nexod.infra.plugins.module_utils._core.durations import seconds
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._core.processes import run

Facts = t.Mapping[str, t.Any]
# Whatever opens a connection must fail and reach nobody's database: nothing listens on port 1.
NOWHERE = "postgresql+psycopg://lint@127.0.0.1:1/lint"


def tree(parameters: Facts) -> list[dict[str, t.Any]]:
    """The revisions since `since`, each with `sql`, `not_rendered` and `path`."""
    check_revision(parameters["revision"])
    given = {"timeout": "10min", **parameters, "url": NOWHERE}
    ended, events, python = ask_engine("lint", given, check=True)
    found = last(events, "tree")
    if found is None:
        timeout = seconds(given["timeout"], "timeout")
        database = read_url(NOWHERE)
        interpret(ended, events, check=False, database=database, python=python, timeout=timeout, verb="lint")
        raise InfraError("lint the revisions of", f'"{given["config"]}"', "the engine returned nothing", "Run again.")
    return [dict(row) for row in found["revisions"]]


def sizes(names: t.Iterable[str], statistics: t.Mapping[str, int | None]) -> dict[str, dict[str, t.Any]]:
    """The lint's facts about each table: its rows by the statistics, otherwise unknown, which counts as large."""
    return {
        name: {"exists": True, "empty": False, "bytes": None, "rows": rows_of(name, statistics)}
        for name in dict.fromkeys(names)
    }


def rows_of(name: str, statistics: t.Mapping[str, int | None]) -> int | None:
    """The rows of the largest table that the name may mean: which schema it is looked up in is not known here."""
    rows = [count for key, count in statistics.items() if same(name, key)]
    return None if not rows or None in rows else max(count for count in rows if count is not None)


def same(name: str, key: str) -> bool:
    parts, others = named(name).split("."), named(key).split(".")
    shorter = min(len(parts), len(others))
    return parts[-shorter:] == others[-shorter:]


def read_json(path: str, what: str, shape: t.Callable[[t.Any], bool], example: str) -> t.Any:
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InfraError(f"read the {what} in", f'"{path}"', str(error), f"Write it as {example}.") from error
    if not shape(value):
        raise InfraError(f"read the {what} in", f'"{path}"', "it has another form", f"Write it as {example}.")
    return value


def read_statistics(path: str | None) -> dict[str, int | None]:
    def right(value: t.Any) -> bool:
        return isinstance(value, dict) and all(
            rows is None or (isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0)
            for rows in value.values()
        )

    return read_json(path, "statistics", right, '{"public.orders": 3000000, ...}') if path else {}


def read_waivers(path: str | None) -> list[dict[str, str]]:
    def right(value: t.Any) -> bool:
        wanted = {"rule", "revision", "reason"}
        return isinstance(value, list) and all(
            isinstance(one, dict) and set(one) == wanted and all(one.values()) for one in value
        )

    return read_json(path, "waivers", right, '[{"rule": ..., "revision": ..., "reason": ...}]') if path else []


def heads_in(sources: t.Iterable[str]) -> list[str]:
    """The revisions that none of the others is based on."""
    found: dict[str, tuple[set[str], str]] = {}
    for source in sources:
        found.update(revision_in(source))
    below = {name for before, _doc in found.values() for name in before}
    return sorted(set(found) - below)


def heads_at(reference: str, config: str) -> list[str]:
    """The heads of the tree as committed at a git reference, such as that of the last release."""
    if reference.startswith("-") or ":" in config:
        raise InfraError(
            "read the revisions at",
            f'"{reference}"',
            "it is no git reference" if reference.startswith("-") else "an installed package has no git history",
            "Give a tag, a branch or a commit, and the path of alembic.ini.",
        )
    folder = Path(config).absolute().parent
    # base64, because the output of a process is read as text.
    argv = ["git", "-C", str(folder), "archive", "--format=tar", reference, "."]
    done = run(["sh", "-c", '"$@" | base64', "sh", *argv], timeout=120)
    return heads_of_archive(done.stdout, reference, done.stderr)


def heads_of_archive(encoded: str, reference: str, stderr: str) -> list[str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(encoded))) as files:
            members = [one for one in files.getmembers() if one.isfile() and one.name.endswith(".py")]
            # Other files may look like revisions, such as those of tests.
            members = [one for one in members if "/versions/" in one.name] or members
            texts = [t.cast("t.IO[bytes]", files.extractfile(one)).read().decode(errors="replace") for one in members]
    except tarfile.TarError as error:
        raise InfraError(
            "read the revisions at",
            f'"{reference}"',
            stderr.strip()[-300:] or str(error),
            "Check the name; in GitHub Actions, check out with fetch-depth: 0.",
        ) from error
    return heads_in(texts)


def lint_tree(settings: Facts, options: argparse.Namespace) -> tuple[int, Facts, str]:
    """Exit code, result, and the same as text or as annotations."""
    config = options.config or settings.get("config") or "alembic.ini"
    if ":" not in config:
        config = str(Path(config).absolute())
    since = options.since or (heads_at(options.since_git, config) if options.since_git else [])
    # Not "environment": it has the credentials that a revision which connects by itself would use.
    names = ("name", "x_args", "chdir", "url_option", "url_env", "flask_app", "user")
    given = {name: settings[name] for name in names if name in settings}
    python = str(Path(options.python or settings.get("python") or sys.executable).absolute())
    since = [] if since == ["base"] else since
    revisions = tree({**given, "config": config, "python": python, "since": since, "revision": options.revision})
    result = linted(revisions, settings, options)
    print_as = github_text if options.format == "github" else tree_text
    return 2 * result["failed"], result, print_as(result)


def linted(revisions: t.Sequence[Facts], settings: Facts, options: argparse.Namespace) -> dict[str, t.Any]:
    sql = {row["revision"]: row["sql"] for row in revisions}
    names = [name for text in sql.values() for _line, one in statements_in(text) for name in tables_in(one)]
    facts = {
        "sql": sql,
        "tables": sizes(names, read_statistics(options.statistics)),
        "server": options.postgresql * 10000,
        "not_rendered": {row["revision"]: row["not_rendered"] for row in revisions if row["not_rendered"]},
    }
    squawk = squawk_of_ci(settings)
    arguments = {
        "url": NOWHERE,
        "lock_timeout": settings.get("lock_timeout", "200ms"),
        "small_table": settings.get("small_table", 10000),
        "lint_waivers": [*(settings.get("lint_waivers") or []), *read_waivers(options.waivers)],
    }
    # Not "error", whose refusal names a database.
    found = lint(arguments, "warn", revisions, facts, squawk)
    levels = ("error", "unknown") if options.unknown == "error" else ("error",)
    stopping = [one for one in found["lint"] if one["level"] in levels and not one.get("waived")]
    shown = [{name: row[name] for name in ("revision", "doc", "contract", "path")} for row in revisions]
    return {
        "revisions": shown,
        "lint": found["lint"],
        "unused_waivers": found["unused_waivers"],
        "not_rendered": facts["not_rendered"],
        "failed": bool(stopping) and options.lint == "error",
        "stopping": len(stopping),
    }


def squawk_of_ci(settings: Facts) -> str:
    installed = settings.get("squawk")
    program = installed if installed and os.access(installed, os.X_OK) else squawk_program()
    if not program:
        raise InfraError("lint the revisions with", "squawk", "it is not installed", "Run: pip install squawk-cli")
    return program


def reported(result: Facts) -> list[dict[str, t.Any]]:
    """The findings that somebody has to look at."""
    return [one for one in result["lint"] if one["level"] != "info" and not one.get("waived")]


def tree_text(result: Facts) -> str:
    lines = [
        f"{row['revision']} {row['doc']}{'  (contract)' if row['contract'] else ''}" for row in result["revisions"]
    ]
    text = "".join(f"{line}\n" for line in lines) or "No revision to lint.\n"
    for one in reported(result):
        text += f"\n{'STOPS' if one['level'] == 'error' else 'CHECK'}  {sentence(one)}\n"
    count = len(result["lint"]) - len(reported(result))
    return text + f"\n{len(reported(result))} findings, {count} more are harmless, declared or waived.\n"


def github_text(result: Facts) -> str:
    """GitHub's workflow commands, shown at the revision's file in the pull request."""
    paths = {row["revision"]: row["path"] for row in result["revisions"]}
    root = os.environ.get("GITHUB_WORKSPACE") or str(Path.cwd())
    text = ""
    for one in reported(result):
        level = "error" if one["level"] == "error" else "warning"
        file = escaped(os.path.relpath(paths[one["revision"]], root)).replace(",", "%2C").replace(":", "%3A")
        text += f"::{level} file={file},title={one['rule']}::{escaped(sentence(one))}\n"
    return text + tree_text(result).rpartition("\n\n")[2]


def escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
