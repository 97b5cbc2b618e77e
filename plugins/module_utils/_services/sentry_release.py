# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of Sentry with its commits, and the deploys that mark when an environment got it.

A release that exists is answered with 208, so it can be sent again. A deploy can't: each request makes another one, so
the existing ones are read first.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t
import urllib.parse

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client

RELEASES = "/api/0/organizations/{organization}/releases/"
#: What Sentry refuses in a version, and in the name of an environment.
NO_VERSION = re.compile(r"[\n\r\t\f/\\]|^\s|\s$|^\.{0,2}$|^latest$", re.IGNORECASE)
NO_ENVIRONMENT = re.compile(r"[\n\r\f/]|^$")
LONGEST_VERSION, LONGEST_ENVIRONMENT, LONGEST_REFERENCE = 200, 64, 200
#: Options of a commit, and what Sentry calls them. No option of a module may be named `message`.
COMMIT = {"id": "id", "repository": "repository", "text": "message"}
COMMIT |= {name: name for name in ("author_name", "author_email", "timestamp")}
Json = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Known:
    """What Sentry has of a version: the release (None if it has none), the ids of its commits, and its deploys."""

    release: t.Mapping[str, t.Any] | None = None
    commits: frozenset[str] = frozenset()
    deploys: tuple[t.Mapping[str, t.Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Step:
    """One request, and what it does: `action` completes "The run would ..."."""

    action: str
    method: str
    path: str
    document: Json


def release_path(version: str) -> str:
    return f"{RELEASES}{urllib.parse.quote(version, safe='')}/"


def in_full(client: Client, path: str) -> str:
    return path.format_map(client.scope)


def moment(seconds: float) -> str:
    """A time in seconds since 1970, as Sentry takes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def faults(asked: t.Mapping[str, t.Any]) -> list[str]:
    """What Sentry would refuse. `asked` are the options of the module."""
    found, version, environment = [], asked["version"], asked.get("environment")
    if NO_VERSION.search(version) or len(version) > LONGEST_VERSION:
        found.append(
            f"version is {version!r}, which is no name for a release: at most {LONGEST_VERSION} characters, without "
            "slashes and line breaks, and not 'latest'"
        )
    if not asked["projects"]:
        found.append("projects is empty")
    if asked.get("commits") and asked.get("refs"):
        found.append("commits and refs are both given")
    if environment is not None and (NO_ENVIRONMENT.search(environment) or len(environment) > LONGEST_ENVIRONMENT):
        found.append(
            f"environment is {environment!r}: use 1 to {LONGEST_ENVIRONMENT} characters, without slashes and breaks"
        )
    return found


def read(client: Client, asked: t.Mapping[str, t.Any]) -> Known:
    """What Sentry has. Commits and deploys are asked for only where they decide anything."""
    path = in_full(client, release_path(asked["version"]))
    release = client.get(path)
    if release is None:
        return Known()
    commits = client.rows(f"{path}commits/") if asked.get("commits") or asked.get("refs") else []
    deploys = client.rows(f"{path}deploys/") if asked.get("environment") else []
    return Known(release, frozenset(str(one["id"]) for one in commits), tuple(deploys))


def plan(known: Known, asked: t.Mapping[str, t.Any], now: float) -> list[Step]:
    """The requests that lead to what is asked for; none if Sentry has all of it."""
    version, release, own = asked["version"], known.release, release_path(asked["version"])
    fields = {**_commits(known, asked), **_finalized(known, asked, now)}
    has = {str(one[name]) for one in (release or {}).get("projects", ()) for name in ("id", "slug")}
    steps = []
    if release is None or not set(asked["projects"]) <= has:
        # Also adds projects to a release that exists, whose other ones are kept.
        action = "create release" if release is None else "add projects to release"
        document = {"version": version, "projects": list(asked["projects"]), **fields}
        steps.append(Step(f"{action} {version}", "POST", RELEASES, document))
    elif fields:
        done = ["set the commits of"] * bool({"commits", "refs"} & set(fields))
        done += ["finalize"] * ("dateReleased" in fields)
        steps.append(Step(f"{' and '.join(done)} release {version}", "PUT", own, fields))
    environment = asked.get("environment")
    if environment and not any(one.get("environment") == environment for one in known.deploys):
        action = f"record the deploy of {version} to {environment}"
        steps.append(Step(action, "POST", f"{own}deploys/", _deploy(asked, environment)))
    return steps


def _commits(known: Known, asked: t.Mapping[str, t.Any]) -> Json:
    """The commits to send. Sentry reads those of `refs` from the repository, some time after it has answered.

    So what was sent is also left in the field `ref` of the release, by which the next run recognizes it.
    """
    given, refs = asked.get("commits") or [], asked.get("refs") or []
    if given:
        if {one["id"] for one in given} == known.commits:
            return {}
        rows = [{sent: one[name] for name, sent in COMMIT.items() if one.get(name) is not None} for one in given]
        return {"commits": rows}
    if not refs:
        return {}
    reference = " ".join(one["commit"] for one in refs)[:LONGEST_REFERENCE]
    if known.release and known.release.get("ref") == reference:
        return {}
    if {one["commit"] for one in refs} <= known.commits:
        return {}
    rows = [
        {
            "repository": one["repository"],
            "commit": one["commit"],
            **({"previousCommit": one["previous_commit"]} if one.get("previous_commit") else {}),
        }
        for one in refs
    ]
    return {"refs": rows, "ref": reference}


def _finalized(known: Known, asked: t.Mapping[str, t.Any], now: float) -> Json:
    finalized = known.release and known.release.get("dateReleased")
    return {"dateReleased": moment(now)} if asked.get("finalized", True) and not finalized else {}


def _deploy(asked: t.Mapping[str, t.Any], environment: str) -> Json:
    times = {"dateStarted": asked.get("began"), "dateFinished": asked.get("ended")}
    texts = {"name": asked.get("deploy_name"), "url": asked.get("deploy_url")}
    return {
        "environment": environment,
        "projects": list(asked["projects"]),
        **{name: moment(value) for name, value in times.items() if value},
        **{name: value for name, value in texts.items() if value},
    }


def carried_out(client: Client, steps: t.Iterable[Step]) -> list[Json]:
    """The answers of Sentry to the steps, in order."""
    return [client.send(step.method, in_full(client, step.path), step.document) for step in steps]


def released(client: Client, asked: t.Mapping[str, t.Any], now: float) -> dict[str, t.Any]:
    """Make what is missing (in check mode: nothing), as the result of the module."""
    if wrong := faults(asked):
        raise InfraError("use", "the options", "; ".join(wrong), "Correct them, then run again.")
    steps = plan(read(client, asked), asked, now)
    if not client.check:
        carried_out(client, steps)
    lines = "".join(f"{step.action}\n" for step in steps)
    return {
        "changed": bool(steps),
        "release": asked["version"],
        "steps": [step.action for step in steps],
        "diff": {"before": "", "after": lines},
    }
