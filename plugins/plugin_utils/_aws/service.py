# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves: the load balancer, and what the API's tasks need."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import (
    Options,
    Row,
    allow,
    group,
    place,
    policies,
    public_subnets,
    row,
)

EXEC = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")


def entry_point(options: Options) -> list[Row]:
    """The load balancer with its listeners, and the group of the API's tasks."""
    name, certificate = options["prefix"], options["certificate"]
    balancer, tasks = f"@load_balancer/{name}.arn", f"@target_group/{name}-api.arn"
    rows = [
        row(
            "load_balancer",
            name,
            subnets=public_subnets(options),
            security_groups=[group(options, "edge")],
            idle_seconds=options["edge_idle_seconds"],
            deletion_protection=options["edge_deletion_protection"],
        ),
        row(
            "target_group",
            f"{name}-api",
            vpc=f"@vpc/{name}",
            port=options["api_port"],
            health_path=options["api_ready_path"],
            drain_seconds=options["api_drain_seconds"],
        ),
    ]
    if certificate:
        rows += [
            row("listener", f"{name}-http", load_balancer=balancer, port=80, to_https=True),
            row(
                "listener",
                f"{name}-https",
                load_balancer=balancer,
                port=443,
                certificate=certificate,
                target_group=tasks,
            ),
        ]
    else:
        rows.append(row("listener", f"{name}-http", load_balancer=balancer, port=80, target_group=tasks))
    return rows


def service(options: Options) -> list[Row]:
    """What the API's tasks need: their cluster, the roles that they and ECS take, and their secrets."""
    name = options["prefix"]
    uploads = f"arn:aws:s3:::{options['uploads_bucket']}/*"
    # Of the API, and of the task that migrates the schema: that one is the owner of the schema.
    secrets = ["api", *(["migrations"] if options["migration_secrets"] else [])]
    start = [
        *(allow("secretsmanager:GetSecretValue", f"@secret/{name}-{one}.arn") for one in secrets),
        allow("ecr:GetAuthorizationToken", "*"),
        allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            f"@ecr_repository/{options['repository']}.arn",
        ),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:{place(options)}:log-group:/{name}/api:*"),
    ]
    use = [allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], uploads)]
    if options["profiler_image"]:
        # The agent of ECS Exec takes the role of the application.
        use.append(allow([f"ssmmessages:{one}" for one in EXEC], "*"))
    return [
        row("ecs_cluster", name),
        *(row("secret", f"{name}-{one}", value=one) for one in secrets),
        # The role with which ECS starts a task, and that of the application itself.
        task_role(f"{name}-api-execution", start),
        task_role(f"{name}-api", use),
    ]


def task_role(name: str, statements: list[Row]) -> Row:
    return row("iam_role", name, service="ecs-tasks.amazonaws.com", policies=policies("tasks", statements))


#: Who signs the tokens of workflows, and whom they are for; so in the policies that the playbook aws_policies writes.
GITHUB, AUDIENCE = "token.actions.githubusercontent.com", "sts.amazonaws.com"


def trusted(options: Options) -> list[Row]:
    """The provider that the trust policies of the roles for GitHub Actions name."""
    return [row("oidc_provider", GITHUB, audiences=[AUDIENCE])] if options["github_repository"] else []


def storage(options: Options) -> list[Row]:
    """Uploads, images, and the log of the tasks."""
    name = options["prefix"]
    return [
        row("s3_bucket", options["uploads_bucket"], intelligent_tiering=True),
        row("ecr_repository", options["repository"]),
        row("log_group", f"/{name}/api", retention_days=options["log_days"]),
    ]
