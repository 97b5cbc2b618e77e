# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role awx declares on an AWX, from its options; and what is wrong with the options."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._services.awx_owned import mark_of
from ansible_collections.nexod.infra.plugins.plugin_utils._services.declarations import row

Options = t.Mapping[str, t.Any]
Row = dict[str, t.Any]

#: Others refer to declarations by their names, so these have no spaces and no dots.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
SLACK = "slack"
VERSION = {"variable": "backend_version", "question": "Version to deploy, such as 1.4.0"}
PLAN = {
    "variable": "plan_approved",
    "question": "The approved plan",
    "description": "The artifact plan_approved of a plan job, as JSON. Empty: none is required.",
    "type": "textarea",
    "required": False,
}
COST = {
    "variable": "cost_approved_usd",
    "question": "Approved cost in US$ a month",
    "description": "Estimate up to which going over the budget (cost_budget_usd) is approved. Empty: it is not.",
    "type": "float",
    "required": False,
}
LAYERS = {
    "variable": "caches_layers",
    "question": "Layers to flush",
    "type": "multiselect",
    "choices": ["l1", "l2", "l3"],
    "default": "l1\nl2\nl3",
    # What is required has to be answered by whatever launches it: the default is only what AWX's form shows first.
    "required": False,
}


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job template runs. `approval`: it must not run unapproved where the environment requires an approval."""

    playbook: str
    description: str
    check: bool = False
    approval: bool = False
    survey: tuple[t.Mapping[str, t.Any], ...] = ()
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    timeout_seconds: int = 0


#: Jobs that the collection has a playbook for.
BUILT_IN: dict[str, Job] = {
    "deploy": Job("deploy.yml", "Deploys a version", approval=True, survey=(VERSION, PLAN, COST)),
    "plan": Job("deploy.yml", "Lists what a deploy would change", check=True, survey=(VERSION, COST)),
    "roll-back": Job("roll_back.yml", "Returns the API to the previous version"),
    "migrate": Job("migrate.yml", "Migrates the database schema", approval=True),
    "migration-check": Job(
        "migrate.yml", "Checks pending migrations, drift and invalid indexes, and changes nothing", check=True
    ),
    "flush-cache": Job("flush_cache.yml", "Flushes caches, and keeps sessions", survey=(LAYERS,)),
    "verify": Job("verify.yml", "Verifies health, sessions and latency", survey=(VERSION,)),
    "cost": Job("cost.yml", "Estimates what the environment costs a month"),
    "drift-check": Job(
        "deploy.yml", "Fails if a deploy would change anything", check=True, variables={"plan_must_be_empty": True}
    ),
    "keep-awake": Job("keep_awake.yml", "Keeps a project at Supabase from being paused"),
    "profile": Job("profile.yml", "Profiles a running instance of the API"),
}
#: Only for environments that name them: the first needs Supabase, the second a process to profile.
NOT_EVERYWHERE = ("keep-awake", "profile")


def declarations(options: Options) -> list[Row]:
    """All rows, as the module service_resources takes them."""
    organization = options["organization"]
    return [
        row("awx_organization", organization, kept=not options["remove_organization"]),
        *credentials(options),
        *project(options),
        *inventories(options),
        *templates(options),
        *workflows(options),
        *schedules(options),
        *teams(options),
    ]


def described(options: Options, text: str = "") -> str:
    """The description of something, which ends with our mark."""
    return f"{text} {mark_of(options['organization'])}".strip()


def owner(options: Options) -> dict[str, str]:
    return {"organization": f"@awx_organization/{options['organization']}"}


# -- credentials and notifications


def credential_type(kind: Row) -> dict[str, t.Any]:
    """Fields, and how jobs get them: as an environment variable, or as a file that an environment variable names."""
    fields, env, files = [], {}, {}
    for field in kind["fields"]:
        name, secret = field["name"], field.get("secret", True)
        shown = {"id": name, "label": field.get("label", name), "type": "string"}
        more = {"multiline": True} if field.get("multiline", "file" in field) else {}
        fields.append({**shown, **({"secret": True} if secret else {}), **more})
        if field.get("env"):
            env[field["env"]] = f"{{{{ {name} }}}}"
        if field.get("file"):
            files[f"template.{name}"] = f"{{{{ {name} }}}}"
            env[field["file"]] = f"{{{{ tower.filename.{name} }}}}"
    required = [field["name"] for field in kind["fields"] if field.get("required", False)]
    inputs = {"fields": fields, **({"required": required} if required else {})}
    return {"inputs": inputs, "injectors": {"env": env, **({"file": files} if files else {})}}


def credentials(options: Options) -> t.Iterator[Row]:
    own = [kind["name"] for kind in options["credential_types"]]
    for kind in options["credential_types"]:
        described_so = described(options, kind.get("description", ""))
        yield row("awx_credential_type", kind["name"], description=described_so, **credential_type(kind))
    # A type that AWX has may be used by several.
    for name in dict.fromkeys(one["type"] for one in options["credentials"] if one["type"] not in own):
        yield row("awx_managed_credential_type", name)
    for one in options["credentials"]:
        kind = "awx_credential_type" if one["type"] in own else "awx_managed_credential_type"
        yield row(
            "awx_credential",
            one["name"],
            **owner(options),
            credential_type=f"@{kind}/{one['type']}",
            inputs=dict(one.get("inputs") or {}),
            secrets=dict(one.get("secrets") or {}),
        )
    if options["slack_channels"]:
        yield row(
            "awx_notification_template",
            SLACK,
            **owner(options),
            channels=list(options["slack_channels"]),
            token=options["slack_value_from"],
        )


def notified(options: Options, *names: str) -> dict[str, list[str]]:
    """Without channels, an empty list: what was declared before is removed."""
    return dict.fromkeys(names, [f"@awx_notification_template/{SLACK}"] if options["slack_channels"] else [])


# -- what jobs run, and where


def environment_image(options: Options) -> dict[str, str]:
    name = options["execution_environment_name"]
    return {"execution_environment": f"@awx_execution_environment/{name}"} if options["execution_image"] else {}


def project(options: Options) -> t.Iterator[Row]:
    if options["execution_image"]:
        yield row(
            "awx_execution_environment",
            options["execution_environment_name"],
            **owner(options),
            description=described(options),
            image=options["execution_image"],
            pull=options["execution_pull"],
        )
    credential = options["project_access"]
    yield row(
        "awx_project",
        options["project_name"],
        **owner(options),
        description=described(options),
        repository=options["project_repository"],
        branch=options["project_branch"],
        credential=f"@awx_credential/{credential}" if credential else None,
        update_on_launch=options["project_update_on_launch"],
    )


def of_type(options: Options, environment: Row, kind: str) -> str | None:
    """The environment's credential of a type; it has at most one of each."""
    types = {one["name"]: one["type"] for one in options["credentials"]}
    return next((name for name in environment.get("credentials") or () if types.get(name) == kind), None)


def inventories(options: Options) -> t.Iterator[Row]:
    for one in options["environments"]:
        # The inventory may ask AWS for its hosts. A source takes a single credential, and none of a machine or a vault.
        name, aws = one["name"], of_type(options, one, "aws")
        yield row("awx_inventory", name, **owner(options), description=described(options))
        yield row(
            "awx_inventory_source",
            name,
            inventory=f"@awx_inventory/{name}",
            description=described(options),
            project=f"@awx_project/{options['project_name']}",
            path=one.get("inventory_path", f"inventories/{name}"),
            credential=f"@awx_credential/{aws}" if aws else None,
        )


def jobs(options: Options) -> dict[str, Job]:
    """The collection's own whose playbook exists, and those of the inventory, which replace one of the same name."""
    own = {
        one["name"]: Job(
            one["playbook"],
            one.get("description", ""),
            check=one.get("check", False),
            approval=one.get("approval", not one.get("check", False)),
            survey=tuple(one.get("survey") or ()),
            variables=one.get("variables") or {},
            timeout_seconds=one.get("timeout_seconds", 0),
        )
        for one in options["jobs"]
    }
    folder = options["playbooks_folder"].rstrip("/")
    known = {
        name: dataclasses.replace(job, playbook=f"{folder}/{job.playbook}".lstrip("/"))
        for name, job in BUILT_IN.items()
        if job.playbook in options["playbooks"]
    }
    return {**known, **own}


def jobs_of(options: Options, environment: Row) -> list[str]:
    """Names of the jobs of an environment."""
    everywhere = [name for name in jobs(options) if name not in NOT_EVERYWHERE]
    return list(environment.get("jobs") or everywhere)


def template_name(job: str, environment: str) -> str:
    return f"{job}-{environment}"


def templates(options: Options) -> t.Iterator[Row]:
    known = jobs(options)
    for environment in options["environments"]:
        for name in jobs_of(options, environment):
            job = known[name]
            yield row(
                "awx_job_template",
                template_name(name, environment["name"]),
                **owner(options),
                **environment_image(options),
                **notified(options, "notify_on_failure"),
                description=described(options, job.description),
                project=f"@awx_project/{options['project_name']}",
                inventory=f"@awx_inventory/{environment['name']}",
                playbook=job.playbook,
                job_type="check" if job.check else "run",
                variables={**(environment.get("variables") or {}), **job.variables},
                credentials=[f"@awx_credential/{one}" for one in environment.get("credentials") or ()],
                survey=[dict(question) for question in job.survey],
                timeout_seconds=job.timeout_seconds,
            )


# -- workflows


def before(nodes: t.Sequence[Row]) -> dict[str, list[str]]:
    """The nodes whose success each follows: the one before it in the list, unless it says otherwise."""
    found: dict[str, list[str]] = {}
    for place, node in enumerate(nodes):
        above = [nodes[place - 1]["name"]] if place and not node.get("after_failure") else []
        found[node["name"]] = list(node["after"] if node.get("after") is not None else above)
    return found


def node_name(workflow: Row, node: str) -> str:
    """Identifiers are only unique within a workflow, declarations are everywhere."""
    return f"{workflow['name']}-{node}"


def followers(workflow: Row, node: str, after: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """References to the nodes that follow this one; `after` has for each node those before it."""
    names = [one["name"] for one in workflow["nodes"] if node in after[one["name"]]]
    return [f"@awx_workflow_node/{node_name(workflow, one)}" for one in names]


def workflows(options: Options) -> t.Iterator[Row]:
    for workflow in options["workflows"]:
        name, nodes = workflow["name"], workflow["nodes"]
        yield row(
            "awx_workflow",
            name,
            **owner(options),
            **notified(options, "notify_on_failure", "notify_on_approval"),
            description=described(options, workflow.get("description", "")),
            survey=[dict(one) for one in workflow.get("survey") or [VERSION, COST]],
        )
        after = before(nodes)
        failures = {node["name"]: node.get("after_failure") or [] for node in nodes}
        for node in nodes:
            runs: Row = {"approval": node.get("approval")}
            if node.get("job"):
                runs = {"template": f"@awx_job_template/{template_name(node['job'], node['environment'])}"}
            elif node.get("timeout_seconds"):
                runs["approval_seconds"] = node["timeout_seconds"]
            yield row(
                "awx_workflow_node",
                node_name(workflow, node["name"]),
                workflow=f"@awx_workflow/{name}",
                **runs,
                success=followers(workflow, node["name"], after),
                failure=followers(workflow, node["name"], failures),
            )


def unapproved(options: Options, workflow: Row) -> list[str]:
    """Nodes that run what needs an approval, and are reached without one.

    A node runs as soon as one of those before it has ended in that way, so one way without an approval is enough. What
    follows the failure of an approval follows its refusal.
    """
    after, known = before(workflow["nodes"]), jobs(options)
    by_name = {node["name"]: node for node in workflow["nodes"]}
    protected = {one["name"] for one in options["environments"] if one.get("approval", False)}
    free: set[str] = set()
    while True:
        more = {
            name
            for name, node in by_name.items()
            if name not in free
            and (
                not (after[name] or node.get("after_failure"))
                or any(one in free and not by_name[one].get("approval") for one in after[name] if one in by_name)
                or any(one in free for one in node.get("after_failure") or ())
            )
        }
        if not more:
            break
        free |= more
    return [
        name
        for name, node in by_name.items()
        if name in free and node.get("job") in known and known[node["job"]].approval
        if node.get("environment") in protected
    ]


# -- schedules and rights


def schedules(options: Options) -> t.Iterator[Row]:
    for one in options["schedules"]:
        targets = {one["workflow"]: f"@awx_workflow/{one['workflow']}"} if one.get("workflow") else {}
        for environment in one.get("environments") or ():
            name = template_name(str(one.get("job")), environment)
            targets[name] = f"@awx_job_template/{name}"
        for name, template in targets.items():
            yield row(
                "awx_schedule",
                name if not one.get("name") else f"{one['name']}-{name}",
                template=template,
                description=described(options),
                rule=one["rule"],
                variables=dict(one.get("variables") or {}),
                enabled=one.get("enabled", True),
            )


def teams(options: Options) -> t.Iterator[Row]:
    users = dict.fromkeys(user for team in options["teams"] for user in team.get("members") or ())
    for user in users:
        yield row("awx_user", user)
    for team in options["teams"]:
        name = team["name"]
        yield row("awx_team", name, **owner(options), description=described(options, team.get("description", "")))
        for user in team.get("members") or ():
            member = {"user": f"@awx_user/{user}", "role": "member", "on": "teams", "object": f"@awx_team/{name}"}
            yield row("awx_role", f"{name} has the member {user}", **member)
        for option, role, kind, verb in (
            ("approves", "approval", "workflow", "approves in"),
            ("starts", "execute", "workflow", "starts"),
            ("runs", "execute", "job_template", "runs"),
        ):
            for thing in team.get(option) or ():
                on = "workflow_job_templates" if kind == "workflow" else "job_templates"
                right = {"team": f"@awx_team/{name}", "role": role, "on": on, "object": f"@awx_{kind}/{thing}"}
                yield row("awx_role", f"{name} {verb} {thing}", **right)


# -- faults


def faults(options: Options) -> list[str]:
    """What the specification can't say. Each fault has its fix; those of rules and surveys are the module's."""
    found = [*account_faults(options), *name_faults(options)]
    if not found:
        found = [
            *credential_faults(options),
            *environment_faults(options),
            *workflow_faults(options),
            *schedule_faults(options),
            *team_faults(options),
        ]
    return found


def account_faults(options: Options) -> t.Iterator[str]:
    for name, text in (
        ("url", "set it to the URL of AWX, or CONTROLLER_HOST in the environment"),
        ("token", "create one in AWX (user, tokens, scope write), and set CONTROLLER_OAUTH_TOKEN in the environment"),
        ("project_repository", "set it to the URL of the git repository with the playbooks"),
    ):
        if not str(options[name] or "").strip():
            yield f"awx_{name} is empty: {text}"
    if options["slack_channels"] and not str(options["secrets"].get(options["slack_value_from"]) or ""):
        yield (
            f"awx_slack_value_from names {options['slack_value_from']}, and awx_secrets has no such entry, "
            "or an empty one: add it, or remove awx_slack_channels"
        )


def name_faults(options: Options) -> t.Iterator[str]:
    lists = ("credential_types", "credentials", "environments", "jobs", "workflows", "teams")
    for option in lists:
        names = [str(one.get("name") or "") for one in options[option]]
        yield from (f"awx_{option} has {name} twice: remove one" for name in sorted(repeated(names)))
        for name in names:
            if not NAME.fullmatch(name):
                yield f"awx_{option} has the name {name!r}: use letters, digits, - and _"
    for name in ("organization", "project_name", "execution_environment_name"):
        if not NAME.fullmatch(str(options[name])):
            yield f"awx_{name} is {options[name]!r}: use letters, digits, - and _"


def repeated(names: t.Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def credential_faults(options: Options) -> t.Iterator[str]:
    for kind in options["credential_types"]:
        for field in kind["fields"]:
            where = f"awx_credential_types.{kind['name']}.{field['name']}"
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field["name"]) or field["name"] == "tower":
                yield f"{where}: AWX takes no field of this name: use letters, digits and _, and not tower"
            given = [field[name] for name in ("env", "file") if field.get(name)]
            if not given:
                yield f"{where}: jobs would not get it: name an environment variable with env or file"
            for name in given:
                if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.startswith("ANSIBLE_"):
                    yield f"{where}: AWX sets no environment variable {name}: use another, not one of ANSIBLE_"
    for one in options["credentials"]:
        for name, entry in (one.get("secrets") or {}).items():
            if not str(options["secrets"].get(entry) or ""):
                yield (
                    f"awx_credentials.{one['name']}.secrets.{name} names {entry}, and awx_secrets has no such entry, "
                    "or an empty one: add it"
                )
    names = [one["name"] for one in options["credentials"]]
    credential = options["project_access"]
    types = {one["name"]: one["type"] for one in options["credentials"]}
    if credential and credential not in names:
        yield unknown("awx_project_access", credential, "awx_credentials", names)
    elif credential and types[credential] != "scm":
        yield (
            f"awx_project_access names {credential}, which is of the type {types[credential]}: AWX takes one of the "
            "type scm for a project"
        )


def unknown(where: str, name: t.Any, option: str, names: t.Collection[str]) -> str:
    return f"{where} names {name}, which {option} does not have: use one of {', '.join(names) or 'none'}, or add it"


def environment_faults(options: Options) -> t.Iterator[str]:
    known, names = jobs(options), [one["name"] for one in options["credentials"]]
    types = {one["name"]: one["type"] for one in options["credentials"]}
    for environment in options["environments"]:
        where = f"awx_environments.{environment['name']}"
        for job in environment.get("jobs") or ():
            if job not in known:
                yield unknown(f"{where}.jobs", job, "the collection or awx_jobs", known)
        given = environment.get("credentials") or []
        yield from (unknown(f"{where}.credentials", one, "awx_credentials", names) for one in given if one not in names)
        kinds = [types[one] for one in given if one in types and types[one] != "vault"]
        for kind in sorted(repeated(kinds)):
            yield f"{where}.credentials has several of the type {kind}, of which AWX gives a job one: keep one"


def template_names(options: Options) -> list[str]:
    return [template_name(job, one["name"]) for one in options["environments"] for job in jobs_of(options, one)]


def target_fault(options: Options, where: str, job: t.Any, environment: t.Any) -> str:
    """Why there is no template of this job in this environment; empty if there is."""
    environments = {one["name"]: one for one in options["environments"]}
    if environment not in environments:
        return unknown(f"{where}.environment", environment, "awx_environments", environments)
    names = jobs_of(options, environments[environment])
    return "" if job in names else unknown(f"{where}.job", job, f"awx_environments.{environment}.jobs", names)


def workflow_faults(options: Options) -> t.Iterator[str]:
    for workflow in options["workflows"]:
        where, nodes = f"awx_workflows.{workflow['name']}", workflow["nodes"]
        names = [str(node["name"]) for node in nodes]
        yield from (f"{where} has the node {name} twice: remove one" for name in sorted(repeated(names)))
        for node in nodes:
            own = f"{where}.{node['name']}"
            if not NAME.fullmatch(node["name"]):
                yield f"{own}: a node's name has letters, digits, - and _"
            if bool(node.get("job")) == bool(node.get("approval")):
                yield f"{own} needs either a job or an approval: set one of them"
            elif node.get("job") and (fault := target_fault(options, own, node["job"], node.get("environment"))):
                yield fault
            others = [*(node.get("after") or ()), *(node.get("after_failure") or ())]
            yield from (unknown(f"{own}.after", one, where, names) for one in others if one not in names)
        for name in unapproved(options, workflow):
            node = {one["name"]: one for one in nodes}[name]
            yield (
                f"{where}.{name} runs {node['job']} on {node['environment']} without an approval: let it follow a node "
                f"with approval, on every way to it (awx_environments.{node['environment']}.approval requires that)"
            )


def schedule_faults(options: Options) -> t.Iterator[str]:
    flows, known = [one["name"] for one in options["workflows"]], jobs(options)
    protected = {one["name"] for one in options["environments"] if one.get("approval", False)}
    for place, one in enumerate(options["schedules"]):
        where = f"awx_schedules[{place}]"
        if bool(one.get("workflow")) == bool(one.get("job")):
            yield f"{where} needs either a job with environments or a workflow: set one of them"
        elif one.get("workflow"):
            if one["workflow"] not in flows:
                yield unknown(f"{where}.workflow", one["workflow"], "awx_workflows", flows)
        elif not one.get("environments"):
            yield f"{where} has no environments: name those in which {one['job']} is run"
        yield from answer_faults(options, where, one)
        for environment in (one.get("environments") or ()) if one.get("job") else ():
            if fault := target_fault(options, where, one["job"], environment):
                yield fault
            elif environment in protected and known[one["job"]].approval:
                yield f"{where} runs {one['job']} on {environment} without an approval: schedule a workflow instead"
    names = [one["name"] for one in schedules(options)] if all(one.get("rule") for one in options["schedules"]) else []
    yield from (f"awx_schedules has {name} twice: give one of them a name" for name in sorted(repeated(names)))


def answer_faults(options: Options, where: str, schedule: Row) -> t.Iterator[str]:
    """What AWX refuses in the variables of a schedule: they are the answers to the questions of what it runs."""
    questions: t.Sequence[t.Mapping[str, t.Any]] | None = None
    if schedule.get("workflow"):
        surveys = {one["name"]: one.get("survey") or [VERSION, COST] for one in options["workflows"]}
        questions = surveys.get(schedule["workflow"])
    elif (known := jobs(options).get(str(schedule.get("job")))) is not None:
        questions = known.survey
    if questions is None:
        return
    name, given = schedule.get("workflow") or schedule.get("job"), schedule.get("variables") or {}
    asked = {str(one.get("variable")): one.get("required", True) for one in questions}
    for variable in [one for one, required in asked.items() if required and one not in given]:
        yield f"{where} runs {name}, which requires {variable}: add it to the variables of the schedule"
    for variable in [one for one in given if one not in asked]:
        yield (
            f"{where}.variables has {variable}, which {name} does not ask for: set it in awx_environments.variables, "
            "or add a question to its survey"
        )


def team_faults(options: Options) -> t.Iterator[str]:
    flows, templates_known = [one["name"] for one in options["workflows"]], template_names(options)
    for team in options["teams"]:
        for option, kind, names in (
            ("approves", "awx_workflows", flows),
            ("starts", "awx_workflows", flows),
            ("runs", "the job templates", templates_known),
        ):
            for thing in team.get(option) or ():
                if thing not in names:
                    yield unknown(f"awx_teams.{team['name']}.{option}", thing, kind, names)
