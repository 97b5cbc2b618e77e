"""Addresses of the tasks of ECS services, as Prometheus's HTTP service discovery reads them.

    ecs_discovery.py SETTINGS.json

GET /          running tasks, of all services: a list of {"targets": ["10.0.1.7:8000"], "labels": {...}}
GET /metrics   when the discovery was started, and when it last succeeded

Each request asks AWS, unless the answer is younger than `cache_seconds`. If AWS can't be asked, the answer is 503, and
Prometheus goes on with the targets that it has.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import sys
import threading
import time
import typing as t

import botocore.config
import botocore.session

#: DescribeTasks takes no more.
AT_ONCE = 100
#: Between a failure and the next request to AWS, so that a wrong permission is not asked for all the time.
AFTER_FAILURE_SECONDS = 5


class Discovery:
    """The services' tasks, read from AWS."""

    def __init__(self, settings: dict[str, t.Any], client: t.Any = None) -> None:
        self.settings = settings
        self.client = client or connect(settings)
        self.lock = threading.Lock()
        self.started = time.time()
        self.succeeded = 0.0
        self.failed = 0.0
        self.failures = 0
        self.error = ""
        self.found: list[dict[str, t.Any]] = []

    def targets(self) -> list[dict[str, t.Any]]:
        """The targets; an error if AWS can't be asked."""
        with self.lock:
            now = time.time()
            if now - self.succeeded < self.settings["cache_seconds"]:
                return self.found
            if now - self.failed < AFTER_FAILURE_SECONDS:
                raise OSError(self.error)
            try:
                self.found = [target for service in self.settings["services"] for target in self.of_service(service)]
            except Exception as error:
                self.failed, self.error = time.time(), f"{type(error).__name__}: {error}"
                self.failures += 1
                sys.stderr.write(f"Cannot list the tasks: {self.error}\n")
                raise OSError(self.error) from error
            self.succeeded = time.time()
            return self.found

    def of_service(self, service: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        pages = self.client.get_paginator("list_tasks").paginate(
            cluster=service["cluster"], serviceName=service["name"], desiredStatus="RUNNING"
        )
        arns = [arn for page in pages for arn in page["taskArns"]]
        tasks = [
            task
            for first in range(0, len(arns), AT_ONCE)
            for task in self.client.describe_tasks(cluster=service["cluster"], tasks=arns[first : first + AT_ONCE])[
                "tasks"
            ]
        ]
        return [
            {"targets": [f"{address}:{service['port']}"], "labels": labels(service, task)}
            for task in sorted(tasks, key=lambda task: str(task["taskArn"]))
            if task.get("lastStatus") == "RUNNING" and (address := address_of(task))
        ]

    def metrics(self) -> str:
        rows = (
            ("start_time_seconds", "gauge", "When the discovery was started.", self.started),
            ("last_success_time_seconds", "gauge", "When AWS was last asked with success; 0: never.", self.succeeded),
            ("failures_total", "counter", "How often AWS could not be asked.", self.failures),
            ("targets", "gauge", "Tasks found at the last success.", len(self.found)),
        )
        return "".join(
            f"# HELP ecs_discovery_{name} {about}\n# TYPE ecs_discovery_{name} {kind}\necs_discovery_{name} {value}\n"
            for name, kind, about, value in rows
        )


def connect(settings: dict[str, t.Any]) -> t.Any:
    """A client with the credentials of the environment, or of the host's instance profile."""
    return botocore.session.get_session().create_client(
        "ecs",
        region_name=settings["region"],
        endpoint_url=settings["endpoint_url"] or None,
        config=botocore.config.Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard"}),
    )


def address_of(task: dict[str, t.Any]) -> str:
    """The private address of a task in a VPC; empty where it has none (yet)."""
    for attachment in task.get("attachments", []):
        for detail in attachment.get("details", []):
            if detail.get("name") == "privateIPv4Address":
                return str(detail["value"])
    return ""


def labels(service: dict[str, t.Any], task: dict[str, t.Any]) -> dict[str, str]:
    return {
        **service.get("labels", {}),
        "__meta_ecs_cluster": service["cluster"],
        "__meta_ecs_service": service["name"],
        # What whoever is paged looks for in the console.
        "task": str(task["taskArn"]).rpartition("/")[2],
        "task_definition": str(task.get("taskDefinitionArn", "")).rpartition("/")[2],
        "__meta_ecs_zone": str(task.get("availabilityZone", "")),
    }


def handler(discovery: Discovery) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self.answer(200, "text/plain; version=0.0.4", discovery.metrics())
            elif self.path == "/":
                try:
                    self.answer(200, "application/json", json.dumps(discovery.targets()))
                except OSError as error:
                    self.answer(503, "text/plain", f"{error}\n")
            else:
                self.answer(404, "text/plain", "Only / and /metrics are here.\n")

        def answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: t.Any) -> None:
            """Requests are not logged: Prometheus sends one every few seconds."""

    return Handler


def main() -> None:
    settings = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    address = settings["listen_address"], settings["port"]
    http.server.ThreadingHTTPServer(address, handler(Discovery(settings))).serve_forever()


if __name__ == "__main__":
    main()
