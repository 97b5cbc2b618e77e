"""Results of modules as things that change: the same words for a plan and for the deploy that follows it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._report.changes import (
    Change,
    as_rows,
    changes_of,
    difference,
    from_rows,
    lines_of,
    listed,
    markdown_of,
    settled,
)

FILES = {
    "changed": True,
    "root": "/etc/nexod",
    "name": "api",
    "digest": "0a1b",
    "created": ["api.env"],
    "updated": [],
    "removed": ["x"],
}
SIMULATED = """Reading package lists...
The following NEW packages will be installed:
  libfoo prometheus
  promtool
The following packages will be upgraded:
  libbar
0 upgraded, 3 newly installed
Inst libfoo (1 Debian)
"""


@pytest.mark.parametrize(
    ("module", "result", "items"),
    [
        pytest.param(
            "nexod.infra.file_set",
            FILES,
            [("create", "file", "/etc/nexod/api/api.env", "0a1b"), ("remove", "file", "/etc/nexod/api/x", "0a1b")],
            id="files of a set",
        ),
        pytest.param("nexod.infra.file_set", {**FILES, "changed": False}, [], id="nothing changed"),
        pytest.param(
            "nexod.infra.live_service",
            {"changed": True, "name": "api", "steps": ["daemon-reload", "enable", "start"]},
            [("run", "service", "start api", "")],
            id="a service, its enabling left out",
        ),
        pytest.param(
            "nexod.infra.live_service",
            {"changed": True, "name": "api", "steps": ["stop", "disable"]},
            [("run", "service", "stop api", "")],
            id="a service that goes",
        ),
        pytest.param(
            "nexod.infra.release",
            {
                "changed": True,
                "built": True,
                "path": "/opt/api/1.1.0",
                "removed": ["0.9.0"],
                "given": {"name": "api", "root": "/opt"},
            },
            [("create", "release", "/opt/api/1.1.0", ""), ("remove", "release", "/opt/api/0.9.0", "")],
            id="a release",
        ),
        pytest.param(
            "nexod.infra.release",
            {
                "changed": True,
                "linked": {"path": "/opt/api/current", "before": "1.1.0"},
                "given": {"name": "api", "root": "/opt"},
            },
            [("update", "file", "/opt/api/current", "")],
            id="a release's link",
        ),
        pytest.param(
            "nexod.infra.live_service",
            {"changed": True, "name": "pgbouncer", "steps": ["daemon-reload", "restart"], "effect": "all are cut"},
            [("run", "service", "restart pgbouncer (all are cut)", "")],
            id="what users notice",
        ),
        pytest.param(
            "nexod.infra.alembic_upgrade",
            {"changed": True, "migrations": [{"revision": "0009", "doc": "Add priority", "seconds": None}]},
            [("run", "migration", "0009 Add priority", "")],
            id="a migration",
        ),
        pytest.param(
            "nexod.infra.cache_flush",
            {"changed": False, "given": {"prefixes": ["user:", "api:"]}},
            [("run", "cache", "flush api: user:", "")],
            id="a flush that finds nothing is one all the same",
        ),
        pytest.param(
            "nexod.infra.cloudfront_invalidation",
            {"changed": True, "items": ["/index.html", "#prices"]},
            [("run", "cache", "invalidate /index.html #prices", "")],
            id="an invalidation",
        ),
        pytest.param(
            "nexod.infra.s3_site",
            {
                "changed": True,
                "created": ["a.js"],
                "updated": ["index.html"],
                "removed": ["old.html"],
                "unused": ["b.js"],
                "invalidated": ["/", "/index.html"],
                "digest": "d1",
                "given": {"bucket": "static", "folder": "public"},
            },
            [
                ("create", "file", "static/public/a.js", "d1"),
                ("update", "file", "static/public/index.html", "d1"),
                ("remove", "file", "static/public/old.html", "d1"),
                ("update", "record", "static/public/b.js (unused)", ""),
                ("run", "cache", "invalidate / /index.html", ""),
            ],
            id="static files",
        ),
        pytest.param(
            "nexod.infra.aws_resources",
            {
                "changed": True,
                "changes": [
                    {"key": "vpc/main", "action": "create", "before": {}, "after": {"cidr": "10.0.0.0/16"}},
                    {"key": "rds_instance/old", "action": "delete", "before": {"user": "x"}, "after": {}},
                ],
            },
            [
                ("create", "AWS", "vpc/main", "cidr"),
                ("remove", "AWS", "rds_instance/old", ""),
            ],
            id="resources of AWS",
        ),
        pytest.param(
            "nexod.infra.ecs_deploy",
            {
                "changed": True,
                "action": "update",
                "diff": [{"before": "1", "after": "2"}],
                "given": {"cluster": "main", "name": "api"},
            },
            [("update", "ECS", "main/api", "68a90152c045")],
            id="a service of ECS",
        ),
        pytest.param(
            "nexod.infra.ecs_deploy",
            {"changed": True, "action": "delete", "diff": [], "given": {"cluster": "main", "name": "api"}},
            [("remove", "ECS", "main/api", "4f53cda18c2b")],
            id="a service of ECS that goes",
        ),
        pytest.param(
            "nexod.infra.ecs_run_task",
            {"changed": True, "given": {"cluster": "main", "name": "migrate-1.1.0"}},
            [("run", "ECS task", "main/migrate-1.1.0", "")],
            id="a task of ECS",
        ),
        pytest.param(
            "nexod.infra.cache_namespace",
            {"changed": True, "given": {"namespace": "query:version"}},
            [("run", "cache", "bump query:version", "")],
            id="a namespace",
        ),
        pytest.param(
            "nexod.infra.haproxy_server",
            {"changed": True, "given": {"state": "drain", "backend": "api", "name": "api-1"}},
            [("run", "traffic", "drain api/api-1", "")],
            id="traffic",
        ),
        pytest.param(
            "nexod.infra.pgbouncer_admin",
            {"changed": True, "given": {"state": "paused", "database": "app"}},
            [("run", "pooler", "pause app", "")],
            id="a database of the pooler",
        ),
        pytest.param(
            "nexod.infra.pgbouncer_admin",
            {"changed": True, "given": {"state": "resumed", "database": "app"}},
            [],
            id="the end of a pause",
        ),
        pytest.param(
            "nexod.infra.pgbouncer_admin",
            {"changed": True, "given": {"command": "reload"}},
            [("run", "pooler", "reload all databases", "")],
            id="the pooler",
        ),
        pytest.param(
            "nexod.infra.postgresql_access",
            {"changed": True, "statements": ["postgres: CREATE ROLE app", "app: GRANT x TO app", "app: DROP ROLE y"]},
            [
                ("create", "database", "postgres: CREATE ROLE app", ""),
                ("update", "database", "app: GRANT x TO app", ""),
                ("remove", "database", "app: DROP ROLE y", ""),
            ],
            id="statements",
        ),
        pytest.param(
            "nexod.infra.postgresql_cluster",
            {"changed": True, "steps": ["drop", "copy"]},
            [("replace", "cluster", "drop", ""), ("replace", "cluster", "copy", "")],
            id="a cluster made anew",
        ),
        pytest.param(
            "ansible.builtin.apt",
            {"changed": True, "stdout": SIMULATED},
            [
                ("create", "package", "libfoo", ""),
                ("create", "package", "prometheus", ""),
                ("create", "package", "promtool", ""),
                ("update", "package", "libbar", ""),
            ],
            id="packages with what they need",
        ),
        pytest.param("ansible.builtin.apt", {"changed": False, "stdout": ""}, [], id="packages there"),
        pytest.param(
            "ansible.builtin.file",
            {"changed": True, "path": "/var/lib/x", "given": {"state": "directory"}},
            [],
            id="a folder is named by what lies in it",
        ),
        pytest.param(
            "ansible.builtin.user",
            {"changed": True, "given": {"name": "api-migrate", "state": "present"}},
            [("create", "account", "api-migrate", "")],
            id="an account",
        ),
        pytest.param(
            "ansible.builtin.user",
            {"changed": True, "given": {"name": "api-migrate", "state": "absent"}},
            [("remove", "account", "api-migrate", "")],
            id="an account that goes",
        ),
        pytest.param(
            "ansible.builtin.apt",
            {"changed": True, "given": {"name": ["redis"]}},
            [("create", "package", "redis", "")],
            id="packages by name where apt says nothing",
        ),
        pytest.param(
            "ansible.builtin.copy",
            {"changed": True, "dest": "/x", "diff": [{"before": "", "after": "1"}]},
            [("create", "file", "/x", "")],
            id="a new file of a stock module",
        ),
        pytest.param(
            "ansible.builtin.copy",
            {"changed": True, "dest": "/x", "diff": {"before": "0", "after": "1"}},
            [("update", "file", "/x", "")],
            id="an edited file of a stock module",
        ),
        pytest.param(
            "ansible.builtin.command", {"changed": True}, [("run", "task", "t", "")], id="unknown: by its task"
        ),
        pytest.param(
            "ansible.builtin.copy", {"changed": True, "censored": "x"}, [("run", "task", "t", "")], id="hidden: by task"
        ),
        pytest.param(
            "nexod.infra.file_set", {"changed": True}, [("run", "task", "t", "")], id="an unexpected shape is told too"
        ),
        pytest.param(
            "ansible.builtin.apt",
            {"changed": True, "given": {"pkg": "redis, valkey"}},
            [("create", "package", "redis", ""), ("create", "package", "valkey", "")],
            id="names with commas",
        ),
    ],
)
def test_changes_of(module: str, result: dict[str, t.Any], items: list[tuple[str, ...]]) -> None:
    """`given` is what the task was given, not a part of its result."""
    found = {name: value for name, value in result.items() if name != "given"}
    changes = changes_of("backend", "api-1", module, "t", result=found, given=result.get("given", {}))
    assert changes == [Change("backend", "api-1", *item) for item in items]


OUT, IN = (
    Change("b", "api-1", "run", "traffic", "drain api/x"),
    Change("b", "api-1", "run", "traffic", "enable api/x"),
)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        pytest.param([OUT, IN], [OUT], id="out and in again is one thing"),
        pytest.param([IN], [IN], id="enabled after a killed run"),
        pytest.param([OUT, OUT], [OUT], id="told once"),
        pytest.param(
            [Change("a", "h", "create", "package", "perl"), Change("b", "h", "create", "package", "perl")],
            [Change("a", "h", "create", "package", "perl")],
            id="a package that two stages need",
        ),
    ],
)
def test_settled(changes: list[Change], kept: list[Change]) -> None:
    assert settled(changes) == kept


def test_a_plan_survives_its_file_and_differs_by_content_alone() -> None:
    plan = [Change("b", "api-1", "update", "file", "/etc/x", "aa")]
    assert from_rows(as_rows(plan)) == plan
    assert difference(plan, plan) == ([], [])
    other = [Change("b", "api-1", "update", "file", "/etc/x", "bb")]
    assert difference(plan, other) == (other, plan)


@pytest.mark.parametrize(
    ("kind", "objects", "lines"),
    [
        ("package", ["a", "b"], ["a, b"]),
        ("file", ["/etc/nexod/p/a", "/etc/nexod/p/r/b"], ["/etc/nexod/p/: a, r/b"]),
        ("file", ["/etc/nexod/p/a", "/etc/nexod/q/b"], ["/etc/nexod/p/a", "/etc/nexod/q/b"]),
        ("service", ["start a", "start b"], ["start a", "start b"]),
    ],
)
def test_listed(kind: str, objects: list[str], lines: list[str]) -> None:
    assert listed(kind, objects) == lines


def test_lines_and_markdown_name_stage_host_and_thing() -> None:
    plan = [
        Change("pooler", "pooler-1", "create", "package", "pgbouncer"),
        Change("backend", "api-1", "run", "service", "restart api"),
    ]
    assert lines_of(plan) == [
        "[pooler]",
        "  pooler-1",
        "    + create  package   pgbouncer",
        "[backend]",
        "  api-1",
        "    > run     service   restart api",
    ]
    text = markdown_of("Plan: deploy lab", plan, ["backend on api-1: no"])
    assert "1 to create, 0 to update, 0 to replace, 0 to remove, 1 to run" in text
    assert "+ create package pgbouncer" in text
    assert "! run service restart api" in text
    assert "- **failed:** backend on api-1: no" in text
    assert "Nothing to change." in markdown_of("Plan", [])
    assert "The plan failed: this list is incomplete.** At least 1 to create" in markdown_of("Plan", plan, failed=True)
    unknown = markdown_of("Plan", [], ["preflight on localhost: no"], failed=True)
    assert "The plan failed: what would change is not known." in unknown
    assert "Nothing to change." not in unknown
