# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did, as one data structure (the report) and as lines for the terminal."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import (
    Change,
    as_rows,
    from_rows,
    lines_of,
    settled,
)

FORMAT = 1
COUNTS = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")

# Printed elsewhere, of no use to a reader, or (argument_spec_data) pages long.
QUIET_KEYS = frozenset(
    [
        *("ansible_facts", "ansible_loop_var", "argument_spec_data", "attempts", "changed", "delta", "deprecations"),
        *("diff", "end", "error", "exception", "failed", "invocation", "module_stderr", "module_stdout", "msg"),
        *("results", "start", "stderr", "stderr_lines", "stdout", "stdout_lines", "unreachable"),
        *("validate_args_context", "warnings"),
        # Expressions of a role's author, with names that are the role's own.
        *("evaluated_to", "failed_when_result", "failed_when_suppressed_exception", "false_condition", "skip_reason"),
        *("ansible_index_var", "ansible_loop"),
    ]
)
# What ansible.builtin.assert says on its own behalf: only then its expression is the message.
BARE_ASSERTIONS = ("", "Assertion failed")
STREAMS = ("stdout", "stderr", "module_stdout", "module_stderr")

Facts = t.Mapping[str, t.Any]

#: What a plan that failed can say where it has found nothing.
UNKNOWN = "not known, because the plan failed"


@dataclasses.dataclass
class Stage:
    """One stage of the run: its name, the total duration of its plays, and its number of changes."""

    name: str
    seconds: float = 0.0
    changed: int = 0
    begun: float = 0.0


@dataclasses.dataclass(frozen=True)
class Failure:
    """A task that failed on a host, with the error that the task returned."""

    stage: str
    host: str
    task: str
    path: str
    message: str
    error: Facts | None = None


@dataclasses.dataclass
class Run:
    """What the callback collects during a run."""

    playbook: str
    check_mode: bool
    environment: str
    started: str
    finished: str
    seconds: float
    stages: t.Sequence[Stage]
    hosts: t.Mapping[str, t.Mapping[str, int]]
    failures: t.Sequence[Failure]
    changes: t.Sequence[Change] = ()
    timeline: t.Sequence[Facts] = ()
    limit: str = ""
    tags: t.Sequence[str] = ()
    skip_tags: t.Sequence[str] = ()


def error_text(result: t.Mapping[str, t.Any]) -> str:
    """A failed result as text: the message, the streams, then its other values."""
    if result.get("censored"):
        return str(result["censored"])
    parts = [str(result["msg"]).strip()] if result.get("msg") else []
    if isinstance(result.get("error"), dict):
        return "\n".join(parts)
    for name in STREAMS:
        text = str(result.get(name) or "").strip()
        # Many modules repeat a stream in `msg`.
        if text and text not in "\n".join(parts):
            parts += [f"{name}:", *[f"  {line}" for line in text.splitlines()]]
    rest = {key: value for key, value in result.items() if key not in QUIET_KEYS and not key.startswith("_ansible")}
    if str(result.get("msg") or "") not in BARE_ASSERTIONS:
        rest.pop("assertion", None)
    for key, value in sorted(rest.items()):
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        parts.append(f"{key}: {shown}")
    return "\n".join(parts) or "no message"


def stage_of(play_name: str) -> str:
    """The stage that a play named ``<Stage> | what it does`` belongs to, in lower case; empty for any other form."""
    stage, separator, _rest = play_name.partition(" | ")
    return stage.strip().lower() if separator else ""


def duration(seconds: float) -> str:
    """A duration in a readable form: ``0.4 s``, ``12 s``, ``4 min 12 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def outcome_of(hosts: t.Mapping[str, t.Mapping[str, int]]) -> str:
    """`failed` if any host failed or was unreachable, otherwise `ok`."""
    bad = any(counts.get("failures", 0) or counts.get("unreachable", 0) for counts in hosts.values())
    return "failed" if bad else "ok"


def final_failures(run: Run) -> list[Failure]:
    """The failures that no rescue recovered: as many of a host's last ones as its counts state."""
    left = {host: counts.get("failures", 0) + counts.get("unreachable", 0) for host, counts in run.hosts.items()}
    kept: list[Failure] = []
    for failure in reversed(run.failures):
        if left.get(failure.host, 0) > 0:
            left[failure.host] -= 1
            kept.insert(0, failure)
    return kept


def sentences(value: t.Any) -> list[str]:
    """Sentences of stages, as a list or by name: `set_stats` merges mappings, but keeps only the last of two lists."""
    rows = value.values() if isinstance(value, dict) else value or []
    return [str(row) for row in rows if row]


def build(run: Run, facts: Facts) -> dict[str, t.Any]:
    """The report: the run, merged with the facts that stages passed in `infra_summary`."""
    failures = final_failures(run)
    failed_stages = {failure.stage for failure in failures}
    return {
        "format": FORMAT,
        "outcome": outcome_of(run.hosts),
        "playbook": run.playbook,
        "check_mode": run.check_mode,
        "environment": facts.get("environment") or run.environment,
        "selection": {"limit": run.limit, "tags": list(run.tags), "skip_tags": list(run.skip_tags)},
        "started": run.started,
        "finished": run.finished,
        "seconds": round(run.seconds, 1),
        "version": {"before": facts.get("version_before"), "after": facts.get("version_after")},
        "revision": {"before": facts.get("revision_before"), "after": facts.get("revision_after")},
        "migrations": list(facts.get("migrations") or []),
        "cache": {
            "deleted": facts.get("cache_deleted"),
            "sessions_kept": facts.get("cache_sessions_kept"),
            "warmed": list(facts.get("cache_warmed") or []),
        },
        "verdict": facts.get("verdict"),
        "cost": dict(facts.get("cost") or {}),
        "urls": dict(facts.get("urls") or {}),
        "stand_ins": sentences(facts.get("stand_ins")),
        "never_run": sentences(facts.get("never_run")),
        "stages": [
            {
                **dataclasses.asdict(stage),
                "begun": round(stage.begun, 1),
                "seconds": round(stage.seconds, 1),
                "failed": stage.name in failed_stages,
            }
            for stage in run.stages
        ],
        "timeline": list(run.timeline),
        "hosts": {host: {key: counts.get(key, 0) for key in COUNTS} for host, counts in run.hosts.items()},
        "changes": as_rows(settled(run.changes)),
        "changed_hosts": sorted(host for host, counts in run.hosts.items() if counts.get("changed", 0)),
        "failures": [dataclasses.asdict(failure) for failure in failures],
    }


def _step(pair: Facts) -> str:
    """``1.0.0 -> 1.1.0``, ``1.1.0 (unchanged)``, ``none -> 1.0.0``; empty if neither is known."""
    before, after = pair.get("before"), pair.get("after")
    if not before and not after:
        return ""
    if before == after:
        return f"{after} (unchanged)"
    return f"{before or 'none'} -> {after or 'unknown'}"


def _migrations(report: Facts) -> str:
    steps = report["migrations"]
    if not steps:
        return ""
    seconds = sum(float(step.get("seconds") or 0) for step in steps)
    ending = "pending" if report["check_mode"] else f"in {duration(seconds)}"
    return f", {len(steps)} {'migration' if len(steps) == 1 else 'migrations'} {ending}"


def _cache(cache: Facts) -> str:
    if cache["deleted"] is None and cache["sessions_kept"] is None:
        return ""
    warmed = [f"{row['url']} HTTP {row['status'] or 'none'} in {row['ms']} ms" for row in cache.get("warmed") or ()]
    flushed = f"{cache['deleted'] or 0} keys flushed, {cache['sessions_kept'] or 0} sessions kept"
    return f"{flushed}; warmed: {', '.join(warmed)}" if warmed else flushed


def _verdict(verdict: Facts | None) -> list[str]:
    if not verdict:
        return []
    said = [part.get("says") for part in parts_of(verdict)]
    return [
        verdict_word(verdict),
        *[str(row["says"]) for row in verdict.get("rows", ()) if "says" in row],
        *[str(line) for line in (*said, verdict.get("unrecorded")) if line],
    ]


def parts_of(verdict: Facts) -> list[Facts]:
    """What else than latency is judged: the front end, what Clerk signs, and new issues."""
    return [verdict.get(name) or {} for name in ("front_end", "identity", "issues")]


def cost_text(report: Facts) -> tuple[str, str]:
    """What the environment would cost a month, and what there is to say of it; both empty if nobody has asked.

    ``377.49 US$ a month, +74.69``, ``from 360.00 to 452.10; what runs costs 302.80; ...``
    """
    cost = report.get("cost") or {}
    if cost.get("unknown"):
        return "not known", str(cost["unknown"])
    total = cost.get("total")
    if not isinstance(total, dict):
        return "", ""
    before, difference, than = (cost.get(name) for name in ("before_usd", "difference_usd", "compared_with"))
    notes = [f"from {total['min']:,.2f} to {total['max']:,.2f}"]
    if difference is not None:
        notes.append(f"{than} costs {before:,.2f}" if than == "what runs" else f"{than} was {before:,.2f}")
    notes += [str(note) for note in cost.get("notes") or () if note]
    text = f"{total['expected']:,.2f} US$ a month"
    return text if difference is None else f"{text}, {difference:+,.2f}", "; ".join(notes)


def verdict_word(verdict: Facts) -> str:
    """Latency and the other parts in one word: missed if one is, met if all are."""
    words = [str(part["verdict"]) for part in (verdict, *parts_of(verdict)) if part.get("verdict")]
    if not words:
        return "unknown"
    return "missed" if "missed" in words else next((word for word in words if word != "met"), "met")


def is_incomplete_plan(report: Facts) -> bool:
    """Whether a plan ended before it had seen everything: what it lists is then the least that would change."""
    return bool(report.get("check_mode")) and report.get("outcome") != "ok"


def _changed(report: Facts) -> str:
    changed = report["changed_hosts"]
    names = f": {', '.join(changed)}" if changed else ""
    if is_incomplete_plan(report):
        return f"at least {len(changed)} of {len(report['hosts'])} hosts{names}" if changed else UNKNOWN
    return f"{len(changed)} of {len(report['hosts'])} hosts{names}"


def selection_text(report: Facts) -> str:
    """The options by which the run was restricted to some stages or hosts, as they are given; empty without any."""
    chosen = report.get("selection") or {}
    given = {
        "--limit": str(chosen.get("limit") or ""),
        "--tags": ",".join(chosen.get("tags") or ()),
        "--skip-tags": ",".join(chosen.get("skip_tags") or ()),
    }
    return " ".join(f"{option} {value}" for option, value in given.items() if value)


def headline(report: Facts) -> str:
    """One line: environment, playbook, outcome and duration."""
    what = report["playbook"].removesuffix(".yml").removesuffix(".yaml")
    where = report["environment"] or "unnamed environment"
    end = "done" if report["outcome"] == "ok" else "FAILED"
    mode = ", check mode: nothing was changed" if report["check_mode"] else ""
    return f"{where}: {what} {end} in {duration(report['seconds'])}{mode}"


def _facts(report: Facts) -> list[tuple[str, list[str]]]:
    """Label and lines of each fact, in reading order; facts without lines are omitted."""
    version, revision = _step(report["version"]), _step(report["revision"])
    stages = [
        f"{stage['name']:<16}{duration(stage['seconds']):>12}{'   failed here' if stage['failed'] else ''}"
        for stage in report["stages"]
    ]
    rows = [
        ("selection", [selection_text(report)]),
        ("version", [version]),
        ("revision", [revision + _migrations(report) if revision else ""]),
        ("cache", [_cache(report["cache"])]),
        # A plan deploys nothing that could be measured.
        ("verdict", [] if report["check_mode"] else _verdict(report["verdict"])),
        ("to change" if report["check_mode"] else "changed", [_changed(report)]),
        ("cost", list(cost_text(report))),
        ("stages", stages),
        ("stand-ins", [str(sentence) for sentence in report["stand_ins"]]),
        ("never live", [str(sentence) for sentence in report["never_run"]]),
        ("links", [f"{name:<16}{url}" for name, url in sorted(report["urls"].items())]),
    ]
    return [(label, kept) for label, lines in rows if (kept := [line for line in lines if line])]


def next_step_of(failure: Facts) -> str:
    """The next step of a failure with an error of this collection; empty for any other."""
    error = failure.get("error")
    return str(error.get("next_step") or "") if isinstance(error, dict) else ""


def _failures(report: Facts) -> list[str]:
    """Each distinct failure once, with all hosts that had it: the first line and the next step.

    The full text has been printed where it happened, before Ansible's recap, and is in the files of the report.
    """
    grouped: dict[tuple[str, ...], list[str]] = {}
    for failure in report["failures"]:
        key = (failure["stage"], failure["task"], failure["message"], next_step_of(failure))
        grouped.setdefault(key, []).append(failure["host"])
    lines: list[str] = []
    for (stage, task, message, next_step), hosts in grouped.items():
        first, _newline, rest = message.partition("\n")
        lines += ["", f"failed in stage {stage or '(none)'} on {', '.join(dict.fromkeys(hosts))}: {task}", f"  {first}"]
        lines += [f"  -> {line}" for line in next_step.splitlines()]
        if rest.strip() and rest.strip() != next_step.strip():
            lines.append("  (the full text is above, where it failed, and in the report)")
    return lines


def render(report: Facts, written_to: t.Sequence[str] = ()) -> list[str]:
    """The report as lines for a terminal: plain text, no control characters."""
    lines = [headline(report)]
    for label, values in [*_facts(report), *([("report", list(written_to))] if written_to else [])]:
        lines.append(f"  {label:<11}{values[0]}")
        lines += [f"  {'':<11}{value}" for value in values[1:]]
    return lines + _planned(report) + _failures(report)


def planned_heading(report: Facts, has_changes: bool) -> str:
    """What a plan says above its list of changes, or instead of one. A plan that failed never says "nothing"."""
    if is_incomplete_plan(report):
        if has_changes:
            return "would change, at least (the plan failed, so this list is incomplete), by stage and host:"
        return "what would change is " + UNKNOWN
    return "would change, by stage and host:" if has_changes else "nothing would change"


def _planned(report: Facts) -> list[str]:
    """The list of planned changes. After a deploy, the same list is only in the files of the report."""
    changes = from_rows(report.get("changes") or ())
    if not report["check_mode"]:
        return []
    return ["", planned_heading(report, bool(changes)), *(f"  {line}" for line in lines_of(changes))]
