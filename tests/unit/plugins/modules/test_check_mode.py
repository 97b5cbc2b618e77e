"""Every module has a check mode, and in it none writes: not a file, not a unit, not over the network."""

from __future__ import annotations

import importlib
import os
import pathlib
import typing as t
from unittest import mock

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._files import live_service
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import pack

Run = t.Callable[..., dict[str, t.Any]]

PLUGINS = pathlib.Path(__file__).resolve().parents[4] / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
ON_THE_CONTROLLER = {name for name in MODULES if "def main" not in (PLUGINS / "modules" / f"{name}.py").read_text()}

HOLDER = {"run": "there/1/2", "machine": "there", "pid": 1, "user": "ann", "host": "laptop"}
#: What each is asked for, where all of it would be a change.
ASKED: dict[str, dict[str, t.Any]] = {
    "api_probe": {"urls": ["http://127.0.0.1:1"], "session_url": "http://127.0.0.1:1/s", "session_file": "{root}/s"},
    "api_trial": {"unit": "api", "url": "http://127.0.0.1:1"},
    "deploy_lock": {"environment": "lab", "folder": "{root}/locks", "_internal": {"holder": HOLDER}},
    "file_set": {"name": "a", "root": "{root}/sets", "_internal": {"rendered": pack([])}},
    "file_set_info": {"name": "a", "root": "{root}/sets", "path": "f"},
    "grafana_annotation": {"url": "http://127.0.0.1:1", "password": "x", "began": 1, "text": "x"},
    "grafana_datasource_health": {"password_file": __file__, "datasources": []},
    "grafana_plugins": {"plugins": [], "root": "{root}/opt", "files": "{root}/sets"},
    "haproxy_server": {"backend": "api", "name": "api-1", "state": "drain", "socket": "{root}/gone"},
    "histogram_check": {"text": "", "targets": [], "sources": {}},
    "host_probe": {},
    "latency_verdict": {"url": "http://127.0.0.1:1", "targets": [], "sources": {}},
    "live_service": {"name": "a", "files": {"name": "a", "root": "{root}/sets", "action": "restart"}},
    "page_probe": {"url": "http://127.0.0.1:1"},
    "pgbouncer_admin": {"state": "paused", "seconds": 30, "socket_dir": "{root}/gone"},
    "pgbouncer_info": {"socket_dir": "{root}/gone"},
    "profile_process": {"unit": "nexod-none", "dest": "{root}/out", "profilers": "{root}/gone"},
    "release": {"name": "api", "version": "1.0.0", "archive": "x", "root": "{root}/opt", "state": "absent"},
    "software_archive": {
        "name": "prometheus",
        "version": "1.0.0",
        "url": "http://127.0.0.1:1/x",
        "checksums": dict.fromkeys(("amd64", "arm64"), "0" * 64),
        "root": "{root}/opt",
    },
    "clerk_probe": {"url": "http://127.0.0.1:1", "webhook_secrets": ["whsec_AAAA"]},
    "cache_warm": {"urls": ["http://127.0.0.1:1"]},
    "sentry_verdict": {"token": "x", "organization": "o", "version": "1.0.0", "environment": "lab", "since": 1.0},
}
#: Modules whose check mode is tested against the servers that they speak to, or with them planned.
ELSEWHERE = {
    "alert_silence": "tests/integration",
    "alembic_downgrade": "tests/integration",
    "alembic_info": "tests/integration",
    "alembic_stamp": "tests/integration",
    "alembic_upgrade": "tests/integration",
    "aws_info": "tests/unit/plugins/modules/test_aws_info.py",
    "aws_resources": "tests/unit/plugins/module_utils/_aws",
    "cache_flush": "tests/integration",
    "cache_info": "tests/integration",
    "cache_namespace": "tests/integration",
    "cloudfront_invalidation": "tests/unit/plugins/module_utils/_aws",
    "ecs_deploy": "tests/unit/plugins/module_utils/_aws/ecs",
    "ecs_profile_info": "tests/unit/plugins/modules/test_ecs_profile_info.py",
    "ecs_run_task": "tests/unit/plugins/module_utils/_aws/ecs",
    "lab_hosts": "tests/lab",
    "lab_image": "tests/lab",
    "lab_service": "tests/unit/plugins/module_utils/_lab",
    "release_archive": "tests/unit/plugins/module_utils/_files",
    "s3_site": "tests/unit/plugins/modules",
    "sentry_release": "tests/unit/plugins/module_utils/_services",
    "service_resources": "tests/unit/plugins/module_utils/_services",
    "software_info": "tests/unit/plugins/module_utils/_host",
    "vercel_deployment": "tests/unit/plugins/module_utils/_services",
    "supabase_database": "tests/integration",
    "supabase_dump": "tests/integration",
    "supabase_env_file": "tests/unit/plugins/modules/test_supabase_env_file.py",
    "supabase_seed": "tests/integration",
    "supabase_project": "tests/unit/plugins/module_utils/_services",
    "postgresql_access": "tests/integration",
    "postgresql_cluster": "molecule/postgresql",
}


def filled(value: t.Any, root: pathlib.Path) -> t.Any:
    if isinstance(value, dict):
        return {key: filled(item, root) for key, item in value.items()}
    return value.replace("{root}", str(root)) if isinstance(value, str) else value


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ON_THE_CONTROLLER])
def test_a_module_declares_its_check_mode(name: str) -> None:
    module = importlib.import_module(f"ansible_collections.nexod.infra.plugins.modules.{name}")

    class SeenError(Exception):
        pass

    with mock.patch.object(module, "AnsibleModule", side_effect=SeenError) as made, pytest.raises(SeenError):
        module.main()
    assert made.call_args.kwargs["supports_check_mode"] is True


@pytest.mark.parametrize("name", sorted(path.stem for path in (PLUGINS / "action").glob("*.py")))
def test_an_action_plugin_declares_its_check_mode(name: str) -> None:
    plugin = importlib.import_module(f"ansible_collections.nexod.infra.plugins.action.{name}")
    assert plugin.ActionModule._supports_check_mode is True


def test_every_module_is_in_one_of_the_lists() -> None:
    assert sorted([*ASKED, *ELSEWHERE, *ON_THE_CONTROLLER]) == MODULES


@pytest.mark.parametrize("name", ASKED)
def test_check_mode_calls_no_write(
    run_module: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    status = live_service.Status(known=True, active=True, enabled=True, stale=False)
    monkeypatch.setattr(live_service, "status_of", lambda _unit: status)

    def refuse(*arguments: t.Any, **_more: t.Any) -> t.NoReturn:
        raise AssertionError(f"{name} writes in check mode: {arguments}")

    real_open = os.open

    def read_only(path: t.Any, flags: int, *more: t.Any, **named: t.Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and str(path).startswith(str(tmp_path)):
            refuse(path)
        return real_open(path, flags, *more, **named)

    for write in ("rename", "replace", "rmdir", "symlink", "link", "chmod", "chown", "truncate"):
        monkeypatch.setattr(os, write, refuse)
    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr("subprocess.run", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    result = run_module(name, filled(ASKED[name], tmp_path), check_mode=True)
    assert not result.get("failed"), result
    assert list(tmp_path.iterdir()) == []
