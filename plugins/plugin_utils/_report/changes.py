# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of a run as a list that is the same in check mode and in a real run.

A task's `changed` only states that something happened, but whoever approves a plan needs to read what. The results of
all modules are translated here into changes that name the object and never what only the real run can know (the number
of keys, the seconds). So a plan and the deploy that follows it can be compared change by change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

ACTIONS = ("create", "update", "replace", "remove", "run")
SIGNS = {"create": "+", "update": "~", "replace": "±", "remove": "-", "run": ">"}
Result = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True, order=True)
class Change:
    """One change: an `action` (one of ACTIONS) on an `object` of a `kind` such as file, package or service.

    `fingerprint` distinguishes two changes of the same object (a file's new content). It is compared, not displayed.
    """

    stage: str
    host: str
    action: str
    kind: str
    object: str
    fingerprint: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.action} {self.kind} {self.object}"


Items = t.Sequence[tuple[str, ...]]  # action, kind, object, and where there is one a fingerprint


def _file_set(result: Result, _given: Result) -> Items:
    base = f"{result['root']}/{result['name']}"
    words = {"created": "create", "updated": "update", "removed": "remove"}
    content = str(result.get("digest") or "")
    links = [("remove", "file", link, content) for link in result.get("stray_links") or ()]
    return [(words[key], "file", f"{base}/{path}", content) for key in words for path in result.get(key) or ()] + links


def _live_service(result: Result, _given: Result) -> Items:
    unit = result["name"]
    verbs = [step.split()[0] for step in result.get("steps") or ()]
    # Enabling is not listed: a package may enable its unit when it is installed, which a plan cannot know. What is
    # stopped for good is one change.
    unlisted = {"daemon-reload", "enable", *(["disable"] if "stop" in verbs else [])}
    effect = f" ({result['effect']})" if result.get("effect") else ""
    return [("run", "service", f"{verb} {unit}{effect}") for verb in verbs if verb not in unlisted]


def _release(result: Result, given: Result) -> Items:
    home = f"{given.get('root') or '/opt'}/{given.get('name')}"
    made = [("create", "release", str(result["path"]))] if result.get("built") else []
    if linked := result.get("linked"):
        made.append(("update" if linked.get("before") else "create", "file", str(linked["path"])))
    return [*made, *(("remove", "release", f"{home}/{version}") for version in result.get("removed") or ())]


def _software_archive(result: Result, given: Result) -> Items:
    home = f"{given.get('root') or '/opt'}/{given.get('name')}"
    made = [("create", "program", str(result["path"]))] if result.get("unpacked") else []
    return [*made, *(("remove", "program", f"{home}/{version}") for version in result.get("removed") or ())]


def _alembic_upgrade(result: Result, _given: Result) -> Items:
    rows = result.get("migrations") or ()
    return [("run", "migration", f"{row['revision']} {row.get('doc') or ''}".strip()) for row in rows]


def _listed(given: t.Any) -> list[str]:
    """A task's argument that is a list: as a list, as one name, or as names separated by commas."""
    found = given if isinstance(given, list) else str(given or "").split(",")
    return [str(name).strip() for name in found if str(name).strip()]


def _cache_flush(_result: Result, given: Result) -> Items:
    asked = [*_listed(given.get("prefixes")), *_listed(given.get("patterns"))]
    return [("run", "cache", " ".join(["flush", *sorted(asked)]))]


def _cache_namespace(_result: Result, given: Result) -> Items:
    return [("run", "cache", f"bump {given.get('namespace')}")]


def _cloudfront_invalidation(result: Result, _given: Result) -> Items:
    return [("run", "cache", " ".join(["invalidate", *result["items"]]))]


def _aws_resources(result: Result, _given: Result) -> Items:
    rows = result.get("changes") or ()
    # Values may refer to what is not created yet: which properties change is known in check mode, their values are not.
    return [
        ("remove" if row["action"] == "delete" else row["action"], "AWS", row["key"], " ".join(row["after"]))
        for row in rows
    ]


def _s3_site(result: Result, given: Result) -> Items:
    place = f"{given.get('bucket')}/{given.get('folder') or 'public'}"
    words = {"created": "create", "updated": "update", "removed": "remove"}
    content = str(result.get("digest") or "")
    files = [(words[key], "file", f"{place}/{name}", content) for key in words for name in result.get(key) or ()]
    kept = [("update", "record", f"{place}/{name} (unused)") for name in result.get("unused") or ()]
    paths = result.get("invalidated") or ()
    return [*files, *kept, *([("run", "cache", " ".join(["invalidate", *paths]))] if paths else [])]


ECS_WORDS = {"create": "create", "delete": "remove"}


def _ecs_deploy(result: Result, given: Result) -> Items:
    # The definition as declared: which number AWS gives it, only the real run can know.
    declared = hashlib.sha256(json.dumps([one["after"] for one in result["diff"]]).encode()).hexdigest()[:12]
    action = ECS_WORDS.get(result["action"], "update")
    return [(action, "ECS", f"{given.get('cluster')}/{given.get('name')}", declared)]


def _ecs_run_task(_result: Result, given: Result) -> Items:
    return [("run", "ECS task", f"{given.get('cluster')}/{given.get('name')}")]


def _supabase_project(_result: Result, given: Result) -> Items:
    return [("run", "project", f"restore {given.get('ref')}")]


def _supabase_database(result: Result, _given: Result) -> Items:
    return [("run", "SQL", text) for text in result.get("statements") or ()]


def _supabase_dump(result: Result, given: Result) -> Items:
    if given.get("state") == "restored":
        return [("run", "dump", f"restore {result.get('path')}")]
    removed = [("remove", "dump", str(path)) for path in result.get("removed") or ()]
    return [("create", "dump", str(result.get("path"))), *removed]


def _supabase_seed(result: Result, _given: Result) -> Items:
    return [("run", "seed", str(path)) for path in result.get("seeds") or ()]


def _supabase_env_file(result: Result, _given: Result) -> Items:
    return [("update", "file", str(result.get("path")))]


def _haproxy_server(_result: Result, given: Result) -> Items:
    word = {"drain": "drain", "ready": "enable"}.get(str(given.get("state")), str(given.get("state")))
    return [("run", "traffic", f"{word} {given.get('backend')}/{given.get('name')}")]


PGBOUNCER_WORDS = {"paused": "pause", "resumed": "resume", "disabled": "disable", "enabled": "enable"}


def _pgbouncer_admin(_result: Result, given: Result) -> Items:
    asked = str(given.get("state") or given.get("command"))
    if asked == "resumed":
        # It ends a pause that is listed, and that check mode has not begun.
        return []
    return [("run", "pooler", f"{PGBOUNCER_WORDS.get(asked, asked)} {given.get('database') or 'all databases'}")]


SQL_WORDS = {"CREATE": "create", "DROP": "remove"}


def _postgresql_access(result: Result, _given: Result) -> Items:
    items: list[tuple[str, ...]] = []
    for statement in result.get("statements") or ():
        verb = statement.partition(": ")[2].split(" ", 1)[0] or statement.split(" ", 1)[0]
        items.append((SQL_WORDS.get(verb, "update"), "database", statement))
    return items


def _postgresql_cluster(result: Result, _given: Result) -> Items:
    steps = list(result.get("steps") or ())
    kept = "replace" if "drop" in steps and len(steps) > 1 else "run"
    return [("remove" if steps == ["drop"] else kept, "cluster", step) for step in steps]


def _apt(result: Result, given: Result) -> Items:
    """The packages that apt-get lists, including dependencies. Its simulation prints the same list."""
    text = str(result.get("stdout") or "")
    blocks = {
        "create": r"The following NEW packages will be installed:\n((?: .*\n)+)",
        "update": r"The following packages will be upgraded:\n((?: .*\n)+)",
        "remove": r"The following packages will be (?:REMOVED|removed):\n((?: .*\n)+)",
    }
    items = [
        (action, "package", name.rstrip("*"))
        for action, pattern in blocks.items()
        for found in re.findall(pattern, text)
        for name in found.split()
    ]
    if items or "stdout" in result:
        return items
    named = next((given[key] for key in ("name", "package", "pkg", "deb") if given.get(key)), None)
    return [("create", "package", name) for name in _listed(named)]


def _bucket(_result: Result, given: Result) -> Items:
    return [("create", "bucket", str(given.get("name")))]


def _path(result: Result, given: Result) -> Items:
    """A file written by a module of Ansible: its diff only shows reliably whether the file existed before."""
    target = str(result.get("dest") or result.get("path") or given.get("dest") or given.get("path") or "")
    diff = result.get("diff")
    before = (diff[0] if isinstance(diff, list) and diff else diff) or {}
    if given.get("state") == "absent":
        return [("remove", "file", target)]
    if given.get("state") == "directory":
        # Its files are listed instead: whether a package creates the folder first, only the real run can know.
        return []
    found = before.get("before") if isinstance(before, dict) else None
    known = bool(found) and not (isinstance(found, dict) and found.get("state") == "absent")
    return [("update" if known else "create", "file", target)]


def _user(_result: Result, given: Result) -> Items:
    return [("remove" if given.get("state") == "absent" else "create", "account", str(given.get("name")))]


# A flush is listed whether or not it finds keys: only the real run can know how many there are.
WHENEVER_RUN = frozenset({"nexod.infra.cache_flush"})
TRANSLATED: dict[str, t.Callable[[Result, Result], Items]] = {
    "nexod.infra.file_set": _file_set,
    "nexod.infra.live_service": _live_service,
    "nexod.infra.release": _release,
    "nexod.infra.software_archive": _software_archive,
    "nexod.infra.alembic_upgrade": _alembic_upgrade,
    "nexod.infra.cache_flush": _cache_flush,
    "nexod.infra.cache_namespace": _cache_namespace,
    "nexod.infra.aws_resources": _aws_resources,
    "nexod.infra.cloudfront_invalidation": _cloudfront_invalidation,
    "nexod.infra.ecs_deploy": _ecs_deploy,
    "nexod.infra.s3_site": _s3_site,
    "nexod.infra.ecs_run_task": _ecs_run_task,
    "nexod.infra.haproxy_server": _haproxy_server,
    "nexod.infra.supabase_database": _supabase_database,
    "nexod.infra.supabase_dump": _supabase_dump,
    "nexod.infra.supabase_env_file": _supabase_env_file,
    "nexod.infra.supabase_project": _supabase_project,
    "nexod.infra.supabase_seed": _supabase_seed,
    "nexod.infra.pgbouncer_admin": _pgbouncer_admin,
    "nexod.infra.postgresql_access": _postgresql_access,
    "nexod.infra.postgresql_cluster": _postgresql_cluster,
    "ansible.builtin.apt": _apt,
    "ansible.builtin.copy": _path,
    "ansible.builtin.file": _path,
    "ansible.builtin.get_url": _path,
    "ansible.builtin.template": _path,
    "ansible.builtin.user": _user,
    "amazon.aws.s3_bucket": _bucket,
    # The query stands for the change, because s3_bucket does not support check mode.
    "amazon.aws.s3_bucket_info": _bucket,
}


def changes_of(stage: str, host: str, module: str, task: str, *, result: Result, given: Result) -> list[Change]:
    """What one task, or one item of its loop, changed on one host; `given` are the arguments of the task.

    A change by a module that is not listed above is described by the name of its task, never omitted.
    """
    if not result.get("changed") and module not in WHENEVER_RUN:
        return []
    translate = TRANSLATED.get(module)
    try:
        items = translate(result, given) if translate and not result.get("censored") else [("run", "task", task)]
    except (KeyError, TypeError, AttributeError):
        # A result with an unexpected structure is still a change.
        items = [("run", "task", task)]
    return [Change(stage, host, *item) for item in items]


def settled(changes: t.Iterable[Change]) -> list[Change]:
    """Each change once, in the order of the run.

    A server that is drained and enabled again by the same stage is one change. So is a package that two roles of a
    host need: a plan, which installs nothing, finds it missing twice.
    """
    kept: list[Change] = []
    seen: set[tuple[str, ...]] = set()
    for change in changes:
        stage = "" if change.kind == "package" else change.stage
        key = (stage, change.host, change.action, change.kind, change.object)
        if key not in seen:
            seen.add(key)
            kept.append(change)
    drained = {
        (c.stage, c.host, c.object.removeprefix("drain "))
        for c in kept
        if c.kind == "traffic" and c.object.startswith("drain ")
    }
    return [
        change
        for change in kept
        if not (
            change.kind == "traffic"
            and change.object.startswith("enable ")
            and (change.stage, change.host, change.object.removeprefix("enable ")) in drained
        )
    ]


def as_rows(changes: t.Iterable[Change]) -> list[dict[str, str]]:
    return [dataclasses.asdict(change) for change in changes]


def from_rows(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[Change]:
    names = [field.name for field in dataclasses.fields(Change)]
    return [Change(**{name: str(row.get(name, "")) for name in names}) for row in rows]


def difference(approved: t.Iterable[Change], found: t.Iterable[Change]) -> tuple[list[Change], list[Change]]:
    """The changes only in `found`, and those only in `approved`. Their order does not matter."""
    before, after = set(approved), set(found)
    return sorted(after - before), sorted(before - after)


def grouped(changes: t.Iterable[Change]) -> dict[str, dict[str, list[tuple[str, str, list[str]]]]]:
    """stage -> host -> (action, kind, objects): objects of one kind together, for reading."""
    stages: dict[str, dict[str, dict[tuple[str, str], list[str]]]] = {}
    for change in changes:
        hosts = stages.setdefault(change.stage, {})
        hosts.setdefault(change.host, {}).setdefault((change.action, change.kind), []).append(change.object)
    return {
        stage: {
            host: [(action, kind, objects) for (action, kind), objects in rows.items()]
            for host, rows in sorted(hosts.items())
        }
        for stage, hosts in stages.items()
    }


def _common(paths: t.Sequence[str]) -> str:
    """The common folder of all `paths` with a trailing slash; empty if there is no useful one."""
    if len(paths) < 2 or not all(path.startswith("/") for path in paths):
        return ""
    folder = paths[0].rpartition("/")[0] + "/"
    while folder not in ("/", "") and not all(path.startswith(folder) for path in paths):
        folder = folder.rstrip("/").rpartition("/")[0] + "/"
    return "" if folder in ("/", "") else folder


def listed(kind: str, objects: t.Sequence[str]) -> list[str]:
    """The objects of one kind in few lines: packages on one line, files by the set that they belong to."""
    if kind == "package":
        return [", ".join(objects)]
    if kind != "file":
        return list(objects)
    by_set: dict[str, list[str]] = {}
    for path in objects:
        by_set.setdefault("/".join(path.split("/")[:4]), []).append(path)
    lines = []
    for paths in by_set.values():
        folder = _common(paths)
        lines.append(f"{folder}: {', '.join(path.removeprefix(folder) for path in paths)}" if folder else paths[0])
    return lines


def lines_of(changes: t.Sequence[Change]) -> list[str]:
    """The list for a terminal: stage, host, then sign, action, kind and object."""
    lines: list[str] = []
    for stage, hosts in grouped(changes).items():
        lines.append(f"[{stage or 'no stage'}]")
        for host, rows in hosts.items():
            lines.append(f"  {host}")
            for action, kind, objects in rows:
                lines += [f"    {SIGNS[action]} {action:<8}{kind:<10}{text}" for text in listed(kind, objects)]
    return lines


def markdown_of(
    title: str, changes: t.Sequence[Change], failures: t.Sequence[str] = (), failed: bool = False, cost: str = ""
) -> str:
    """The list as Markdown, for a pull request. A plan that `failed` lists the least that would change."""
    counts = ", ".join(f"{sum(c.action == action for c in changes)} to {action}" for action in ACTIONS)
    incomplete = f"**The plan failed: this list is incomplete.** At least {counts}"
    unknown = "**The plan failed: what would change is not known.**"
    complete = counts if changes else "Nothing to change."
    lines = [f"## {title}", "", (incomplete if changes else unknown) if failed else complete, ""]
    lines += [f"- **failed:** {text}" for text in failures] + ([""] if failures else [])
    lines += [f"**Cost:** {cost}", ""] if cost else []
    for stage, hosts in grouped(changes).items():
        number = sum(len(objects) for rows in hosts.values() for _action, _kind, objects in rows)
        lines += ["<details open>", f"<summary><b>{stage or 'no stage'}</b> ({number})</summary>", ""]
        for host, rows in hosts.items():
            lines += [f"**{host}**", "", "```diff"]
            for action, kind, objects in rows:
                sign = {"create": "+", "remove": "-"}.get(action, "!")
                lines += [f"{sign} {action} {kind} {text}" for text in listed(kind, objects)]
            lines += ["```", ""]
        lines += ["</details>", ""]
    return "\n".join(lines)
