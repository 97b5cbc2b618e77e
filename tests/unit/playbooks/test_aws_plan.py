# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`deploy.yml --check` on an empty account: everything is predicted, and no request that changes anything is sent."""

from __future__ import annotations

import io
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import typing as t
import urllib.parse

import pytest
from moto.moto_server import threaded_moto_server
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Call
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.playbook import Done, play
from ansible_collections.nexod.infra.tests.unit.plugins.module_utils._aws.test_hosts import PUBLIC

CANARY = "https://events.pagerduty.com/integration/canary-1/enqueue"
GIVEN = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "NEXOD_AWS_ACCOUNT": "123456789012",
    "NEXOD_DATABASE_ADMIN_PASSWORD": "canary-admin-0123456789",
    "NEXOD_DATABASE_OWNER_PASSWORD": "canary-owner-0123456789",
    "NEXOD_DATABASE_APP_PASSWORD": "canary-app-0123456789",
    "NEXOD_DATABASE_MONITOR_PASSWORD": "canary-monitor-0123456789",
    "NEXOD_CACHE_PASSWORD": "canary-cache-0123456789",
    "NEXOD_PAGERDUTY_CLOUDWATCH_URL": CANARY,
    "NEXOD_GRAFANA_ADMIN_PASSWORD": "canary-grafana-0123456789",
    "NEXOD_GRAFANA_PACKAGE_URL": "https://packages.example.com/grafana.deb",
    "NEXOD_GRAFANA_PACKAGE_CHECKSUM": f"sha256:{'0' * 64}",
    "NEXOD_SSH_PUBLIC_KEY": PUBLIC,
    "NEXOD_SLACK_WEBHOOK_URL": "https://hooks.example.com/canary",
}


class Requests:
    """What moto was asked, as the name of each operation."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._lock = threading.Lock()

    def note(self, environ: dict[str, t.Any], body: bytes) -> None:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace")) if not target else {}
        by_path = re.search(r"/operation/(\w+)", environ["PATH_INFO"])
        # Of S3 and other services that have no names of operations: what they do to what.
        plain = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        found = target.rpartition(".")[2] or (by_path and by_path[1]) or "".join(form.get("Action", [])) or plain
        with self._lock:
            self.seen.append(found)

    @property
    def changing(self) -> list[str]:
        return [one for one in self.seen if not one.startswith(("GET ", "HEAD ")) and Call("", one).changes]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[tuple[str, Requests]]:
    requests, run_simple = Requests(), threaded_moto_server.make_server

    def serve(host: str, port: int, app: t.Any, *rest: t.Any, **more: t.Any) -> t.Any:
        def noted(environ: dict[str, t.Any], start: t.Any) -> t.Any:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            requests.note(environ, body)
            return app(environ, start)

        return run_simple(host, port, noted, *rest, **more)

    monkeypatch.setattr(threaded_moto_server, "make_server", serve)
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    with emulated_aws(monkeypatch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        yield "http://{}:{}".format(*server.get_host_and_port()), requests
        server.stop()


def plan(tmp_path: pathlib.Path, endpoint: str) -> Done:
    """As somebody would call it who has built a release and exported the secrets."""
    (tmp_path / "api.tar").write_bytes(b"")
    given = {
        "backend_version": "1.0.0",
        "migration_runner_archive": str(tmp_path / "api.tar"),
        # moto knows no policies of CloudFront.
        "provider_aws_cdn": False,
        "services_vendors": [],
    }
    return play(
        *("-i", "inventories/staging", "playbooks/deploy.yml", "--check", "--diff", "-vvv", "-e", json.dumps(given)),
        **GIVEN,
        AWS_ENDPOINT_URL=endpoint,
        HOME=str(tmp_path),
        NEXOD_REPORT_DIR=str(tmp_path / "report"),
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
    )


def test_everything_is_predicted_and_nothing_is_changed(aws: tuple[str, Requests], tmp_path: pathlib.Path) -> None:
    endpoint, requests = aws
    done = plan(tmp_path, endpoint)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    # The log has the requests of every stage.
    asked = {"DescribeVpcs", "GetRole", "DescribeClusters", "DescribeInstances", "GetCallerIdentity"}
    assert asked <= set(requests.seen)
    assert requests.changing == []
    (report,) = (tmp_path / "report").rglob("deploy-plan.json")
    found = json.loads(report.read_text())
    planned = {(one["action"], one["object"]) for one in found["changes"]}
    hosts = [f"ec2_instance/{name}" for name in ("pooler-1", "runner-1", "monitoring-1", "grafana-1")]
    expected = [
        *hosts,
        "vpc/nexod-staging",
        "rds_instance/nexod-staging",
        "sns_topic/nexod-staging-alarms",
        "alarm/nexod-staging-api-errors-above-10",
    ]
    assert {("create", one) for one in expected} <= planned
    assert {one["stage"] for one in found["changes"]} == {"infrastructure", "backend"}
    # Nothing runs yet, so all that it would cost is the difference.
    cost = found["cost"]
    assert (cost["compared_with"], cost["before_usd"]) == ("what runs", 0.0)
    assert cost["difference_usd"] == cost["total"]["expected"] > 200
    shown = f"{cost['difference_usd']:,.2f} US$ a month, +{cost['difference_usd']:,.2f}"
    assert f"**Cost:** {shown}; from " in report.with_suffix(".md").read_text()
    assert shown in report.with_suffix(".html").read_text()
    said = " ".join(done.stdout.split())
    assert "would be created or started: grafana-1, monitoring-1, pooler-1, runner-1" in said
    # What refers to something that does not exist yet.
    assert '"executionRoleArn": "(known when iam_role/nexod-staging-api-execution is created)"' in said
    assert "secret/nexod-staging-api is not created yet" in " ".join(done.stderr.split())
    secrets = [value for value in GIVEN.values() if "canary" in value]
    assert CANARY in secrets
    everywhere = "".join(path.read_text() for path in (tmp_path / "report").rglob("*") if path.is_file())
    assert [one for one in secrets if one in done.stdout + done.stderr + everywhere] == []
    assert "https https://events.pagerduty.com/..." in said


@pytest.mark.parametrize(
    ("service", "method", "given", "changing"),
    [
        ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16"}, "CreateVpc"),
        ("ec2", "describe_vpcs", {}, None),
        ("ecs", "create_cluster", {"clusterName": "a"}, "CreateCluster"),
        ("cloudwatch", "delete_alarms", {"AlarmNames": ["a"]}, "DeleteAlarms"),
        ("cloudwatch", "describe_alarms", {}, None),
        ("s3", "create_bucket", {"Bucket": "abc"}, "PUT /abc?"),
        ("s3", "list_buckets", {}, None),
    ],
)
def test_a_request_that_changes_something_would_be_seen(
    aws: tuple[str, Requests], service: str, method: str, given: dict[str, t.Any], changing: str | None
) -> None:
    endpoint, requests = aws
    # Not by way of moto in this process.
    script = (
        "import boto3, json, sys; client = boto3.client(sys.argv[1], 'us-east-1'); "
        "getattr(client, sys.argv[2])(**json.loads(sys.argv[3]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, service, method, json.dumps(given)],
        env={**os.environ, "AWS_ENDPOINT_URL": endpoint},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(requests.seen) == 1
    assert requests.changing == ([changing] if changing else [])
