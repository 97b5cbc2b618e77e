# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX and Automation Controller: job templates, workflows with approvals, schedules, and who may what."""

from __future__ import annotations

import json
import re
import typing as t
import zoneinfo

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.client import Client
from ansible_collections.nexod.infra.plugins.module_utils._services.kinds.awx import (
    API,
    DESCRIPTION,
    ORGANIZATION,
    AwxKind,
    accept,
    associate,
    document_of,
    one,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import declared_part

QUESTION_TYPES = ("text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect")
NUMBERS: dict[str, tuple[type, ...]] = {"integer": (int,), "float": (int, float)}
GRANTED_ON = (
    "organizations",
    "projects",
    "inventories",
    "credentials",
    "job_templates",
    "workflow_job_templates",
    "teams",
)
NOTIFIED = "Ids of notification templates, such as @awx_notification_template/slack."


def question_of(row: Facts) -> dict[str, t.Any]:
    """A question as AWX has it."""
    choices = {"choices": "\n".join(row["choices"])} if row.get("choices") else {}
    return {
        "variable": row["variable"],
        "question_name": row.get("question", row["variable"]),
        "question_description": row.get("description", ""),
        "type": row.get("type", "text"),
        "required": row.get("required", True),
        "default": row.get("default", ""),
        **choices,
    }


def question_faults(row: Facts) -> list[str]:
    """What AWX refuses in a question, beside its type."""
    kind, default, choices = row.get("type", "text"), row.get("default", ""), row.get("choices") or ()
    found = []
    if not isinstance(row.get("required", True), bool):
        found.append(f"has required {row['required']}, which is neither true nor false")
    if kind in ("multiplechoice", "multiselect"):
        given = str(default).splitlines()
        found += [] if choices else [f"is a {kind} without choices"]
        found += [f"has the default {one}, which is not one of its choices" for one in given if one not in choices]
        found += ["has several defaults, and allows one"] if kind == "multiplechoice" and len(given) > 1 else []
    elif kind in NUMBERS:
        if default != "" and (isinstance(default, bool) or not isinstance(default, NUMBERS[kind])):
            found.append(f"has the default {default!r}, which is not a number of the type {kind}")
    elif not isinstance(default, str):
        found.append(f"has the default {default!r}, which is not a text")
    return found


def same_survey(wanted: t.Any, seen: t.Any) -> bool:
    return declared_part([question_of(row) for row in wanted], seen or [])


SURVEY = Property(
    "list",
    same=same_survey,
    about="Questions that a launch asks: rows of `variable`, `question`, `description`, `type` (`text` by default), "
    "`required` (true by default), `default` and `choices`.",
)
VARIABLES = Property("dict", about="Variables of each job. No secrets: AWX shows them.")
FAILURE = Property("list", same=same_set, about=f"Who is notified of a failure. {NOTIFIED}")
APPROVAL = Property("list", same=same_set, about=f"Who is notified that an approval is needed. {NOTIFIED}")


class Template(AwxKind):
    """What job templates and workflows share."""

    #: Properties that are lists below the object, and the names of those.
    below: t.ClassVar[dict[str, str]] = {}

    def faults(self, given: Facts) -> list[str]:
        rows = given.get("survey") or []
        wrong = [f"survey[{place}] lacks variable" for place, row in enumerate(rows) if not row.get("variable")]
        wrong += [
            f"survey.{row.get('variable')} is a password, whose default can't be compared: remove the default"
            for row in rows
            if row.get("type") == "password" and row.get("default")
        ]
        names = [str(row.get("variable")) for row in rows]
        wrong += [f"survey asks for {name} twice" for name in sorted({one for one in names if names.count(one) > 1})]
        wrong += [f"survey.{row.get('variable')} {fault}" for row in rows for fault in question_faults(row)]
        kinds = sorted({str(row.get("type", "text")) for row in rows} - set(QUESTION_TYPES))
        return wrong + [f"survey has the type {kind}; there are {', '.join(QUESTION_TYPES)}" for kind in kinds]

    def parts(self) -> set[str]:
        """Properties that are requests of their own."""
        return {*self.below, "survey"}

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        sent = super().document(wanted, [name for name in names if name not in self.parts()])
        if "variables" in names:
            sent["extra_vars"] = json.dumps(wanted["variables"], sort_keys=True)
        return sent

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        super().create(api, wanted)
        return [name for name in wanted.properties if name in self.parts() and wanted[name]]

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:
        at = self.member.format(id=row["id"])
        seen: dict[str, t.Any] = {
            name: [each["id"] for each in client.rows(f"{at}{below}/")]
            for name, below in self.below.items()
            if name in wanted.properties
        }
        if "survey" in wanted.properties:
            found = client.get(f"{at}survey_spec/") or {}
            seen["survey"] = found.get("spec") or [] if row.get("survey_enabled") else []
        if "variables" in wanted.properties:
            seen["variables"] = document_of(row.get("extra_vars"))
        return seen

    def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str] | None:
        client = self.client(api)
        at = self._one(client, wanted, seen)
        for name, below in self.below.items():
            if name in changed:
                associate(client, f"{at}{below}/", wanted[name], seen.properties[name])
        document = self.document(wanted, changed)
        if "survey" in changed:
            questions = [question_of(row) for row in wanted["survey"]]
            if questions:
                client.send("POST", f"{at}survey_spec/", {"name": "", "description": "", "spec": questions})
            document["survey_enabled"] = bool(questions)
        if document:
            client.send("PATCH", at, document)
        return None


class JobTemplate(Template):
    """A playbook of a project with what it runs on and with. Its organization is its project's."""

    name, title = "awx_job_template", "job template"
    collection, member = f"{API}/job_templates/", f"{API}/job_templates/{{id}}/"
    places = frozenset({"organization"})
    below = {"credentials": "credentials", "notify_on_failure": "notification_templates_error"}
    properties = {
        "organization": ORGANIZATION,
        "description": DESCRIPTION,
        "project": one("awx_project"),
        "inventory": one("awx_inventory"),
        "playbook": Property(required=True, about="Its path in the project, such as `playbooks/deploy.yml`."),
        "execution_environment": one("awx_execution_environment", required=False),
        "job_type": Property(default="run", choices=("run", "check"), about="Whether it changes anything."),
        "variables": VARIABLES,
        "limit": Property(about="Hosts that it is limited to."),
        "tags": Property(about="Tags of tasks, separated by commas."),
        "credentials": Property("list", same=same_set, about="Ids of credentials, such as @awx_credential/aws."),
        "survey": SURVEY,
        "notify_on_failure": FAILURE,
        "simultaneous": Property("bool", default=False, about="Whether two of its jobs may run at the same time."),
        "timeout_seconds": Property(
            "int", default=0, least=0, most=604800, about="When a job is canceled; 0 is never."
        ),
    }
    fields = {
        "tags": "job_tags",
        "variables": "extra_vars",
        "simultaneous": "allow_simultaneous",
        "timeout_seconds": "timeout",
    }


class Workflow(Template):
    """A workflow; its nodes are declared apart."""

    name, title = "awx_workflow", "workflow"
    collection, member = f"{API}/workflow_job_templates/", f"{API}/workflow_job_templates/{{id}}/"
    below = {
        "notify_on_failure": "notification_templates_error",
        "notify_on_approval": "notification_templates_approvals",
    }
    properties = {
        "organization": ORGANIZATION,
        "description": DESCRIPTION,
        "variables": VARIABLES,
        "survey": SURVEY,
        "notify_on_failure": FAILURE,
        "notify_on_approval": APPROVAL,
        "simultaneous": Property("bool", default=False, about="Whether it may run twice at the same time."),
    }
    fields = {"variables": "extra_vars", "simultaneous": "allow_simultaneous"}


class Node(AwxKind):
    """A step of a workflow: a template, or an approval. The name of the declaration is its identifier."""

    name, title = "awx_workflow_node", "workflow node"
    identity, within = "identifier", ("workflow",)
    collection, member = f"{API}/workflow_job_template_nodes/", f"{API}/workflow_job_template_nodes/{{id}}/"
    properties = {
        "workflow": one("awx_workflow", change=FIXED),
        "template": one("awx_job_template", required=False),
        "approval": Property(about="What somebody approves, in a few words; instead of `template`."),
        "approval_seconds": Property(
            "int", default=0, least=0, most=2592000, about="When an approval that nobody gave is refused; 0 is never."
        ),
        "success": Property("list", default=[], same=same_set, about="Ids of the nodes that follow its success."),
        "failure": Property("list", default=[], same=same_set, about="Ids of the nodes that follow its failure."),
        "always": Property("list", default=[], same=same_set, about="Ids of the nodes that follow it in any case."),
    }
    fields = {"workflow": "workflow_job_template", "template": "unified_job_template"}
    below = {"success": "success_nodes", "failure": "failure_nodes", "always": "always_nodes"}

    def faults(self, given: Facts) -> list[str]:
        return [] if ("template" in given) != ("approval" in given) else ["it needs either template or approval"]

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return client.rows(self.collection, workflow_job_template=wanted["workflow"])

    def document(self, wanted: Wanted, names: t.Collection[str]) -> dict[str, t.Any]:
        return super().document(wanted, [name for name in names if name in self.fields])

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        super().create(api, wanted)
        left = [name for name in ("approval", *self.below) if wanted.properties.get(name)]
        return [*left, "approval_seconds"] if "approval" in left else left

    def seen_row(self, client: Client, wanted: Wanted, row: Facts) -> Facts:  # noqa: ARG002 - one signature
        summary = (row.get("summary_fields") or {}).get("unified_job_template") or {}
        approval = summary if summary.get("unified_job_type") == "workflow_approval" else {}
        seconds = approval.get("timeout", wanted["approval_seconds"] if "template" in wanted.properties else None)
        follow = {name: row.get(below) or [] for name, below in self.below.items()}
        return {"approval": approval.get("name"), "approval_seconds": seconds, **follow}

    def update(self, api: t.Any, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> t.Collection[str] | None:
        client = self.client(api)
        at = self._one(client, wanted, seen)
        if document := self.document(wanted, changed):
            client.send("PATCH", at, document)
        if {"approval", "approval_seconds"} & set(changed) and "approval" in wanted.properties:
            known = (client.get(at) or {}).get("unified_job_template") if seen.properties["approval"] else None
            sent = {"name": wanted["approval"], "timeout": wanted["approval_seconds"]}
            if known:
                client.send("PATCH", f"{API}/workflow_approval_templates/{known}/", sent)
            else:
                client.send("POST", f"{at}create_approval_template/", sent)
        for name, below in self.below.items():
            if name in changed:
                associate(client, f"{at}{below}/", wanted[name], seen.properties[name])
        return None


def same_words(wanted: t.Any, seen: t.Any) -> bool:
    """AWX stores the parts of a rule with one space between them."""
    return str(wanted).split() == str(seen).split()


class Schedule(AwxKind):
    """When a template or a project is run."""

    name, title = "awx_schedule", "schedule"
    within = ("template",)
    collection, member = f"{API}/schedules/", f"{API}/schedules/{{id}}/"
    properties = {
        "template": one("awx_job_template", change=FIXED, about="Id of a template, workflow or project."),
        "description": DESCRIPTION,
        "rule": Property(
            required=True,
            same=same_words,
            about="`DTSTART` and one `RRULE`, such as `DTSTART;TZID=Asia/Bangkok:20260101T020000 "
            "RRULE:FREQ=DAILY;INTERVAL=1`.",
        ),
        "variables": Property("dict", default={}, about="Variables of its jobs, if the template asks for them."),
        "enabled": Property("bool", default=True, about="Whether it runs."),
    }
    fields = {"template": "unified_job_template", "rule": "rrule", "variables": "extra_data"}

    def faults(self, given: Facts) -> list[str]:
        return [f"rule {fault}" for fault in rule_faults(given["rule"])]

    def rows(self, client: Client, wanted: Wanted) -> list[Facts]:
        return client.rows(self.collection, unified_job_template=wanted["template"])


#: What AWX refuses in a rule beside what is missing, each with what to do.
REFUSED_IN_RULES = (
    (r"DTSTART.*DTSTART", "has more than one DTSTART"),
    (r"(EXDATE|RDATE)[:;]", "has an EXDATE or RDATE, which AWX does not take: use several schedules"),
    (r"BYDAY[:=][0-9]", "has a BYDAY with a number, which AWX does not take: use BYDAY=MO;BYSETPOS=1"),
    (r"COUNT=\d{4}", "has a COUNT above 999"),
    # AWX takes a local time and stores it in UTC, so that the rule would differ from the declared one ever after.
    (r"UNTIL=(?!\d{8}T\d{6}Z(;|\s|$))", "has an UNTIL that is not a time in UTC: write it as UNTIL=20261231T235959Z"),
)


def rule_faults(rule: str) -> list[str]:
    """What AWX refuses in a rule, as far as the text shows it."""
    example = "such as DTSTART:20260101T020000Z RRULE:FREQ=DAILY;INTERVAL=1"
    if not re.match(r"DTSTART(;TZID=[^:;\s]+)?:\d{8}T\d{6}Z?\s", rule):
        return [f"does not begin with a DTSTART, {example}"]
    if re.match(r"DTSTART:\d{8}T\d{6}\s", rule):
        return ["has a DTSTART without a time zone: end it with Z, or begin it with DTSTART;TZID=Asia/Bangkok:"]
    rules = re.findall(r"RRULE:(\S+)", rule)
    if not rules:
        return [f"has no RRULE, {example}"]
    found = [text for pattern, text in REFUSED_IN_RULES if re.search(pattern, rule)]
    zone = (re.match(r"DTSTART;TZID=([^:;\s]+)", rule) or ("", ""))[1]
    # A controller without a database of time zones knows none.
    if zone and (known := zoneinfo.available_timezones()) and zone not in known:
        found.append(f"has the time zone {zone}, which does not exist: use one such as Asia/Bangkok, or UTC")
    for text in rules:
        parts = dict(part.partition("=")[::2] for part in text.split(";"))
        if parts.get("FREQ") not in {"YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"}:
            found.append(
                f"has the frequency {parts.get('FREQ')}; there are MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY"
            )
        if not parts.get("INTERVAL", "").isdigit():
            found.append("needs an INTERVAL in each RRULE, such as INTERVAL=1")
        elif not int(parts["INTERVAL"]):
            # AWX looks for the next time forever: a process of its web server hangs until it is killed.
            found.append("has INTERVAL=0, with which AWX hangs: use at least INTERVAL=1")
        if "COUNT" in parts and "UNTIL" in parts:
            found.append("has both COUNT and UNTIL")
    return found


class Role(AwxKind):
    """A right of a team, such as to approve in a workflow, or of a user, such as to be a member of a team.

    The name of the declaration is only for messages.
    """

    name, title = "awx_role", "role"
    within = ("team", "user", "object")
    places = frozenset({"team", "user", "on", "object", "role"})
    shows: t.ClassVar[t.Mapping[str, str]] = {"id": "id", "holder": "holder"}
    properties = {
        "team": one("awx_team", required=False),
        "user": one("awx_user", required=False, about="Id of a user, such as @awx_user/NAME, instead of `team`."),
        "role": Property(
            required=True, about="Such as `approval`, `execute`, `use`, `update`, `read`, `member` or `admin`."
        ),
        "on": Property(required=True, choices=GRANTED_ON, about="The type of the object."),
        "object": one("awx_workflow", about="Id of the object that the right is on."),
    }

    def faults(self, given: Facts) -> list[str]:
        return [] if ("team" in given) != ("user" in given) else ["it needs either team or user"]

    @staticmethod
    def holder(wanted: Wanted) -> tuple[str, str]:
        """The list of those that have it, and the id of its holder."""
        name = "team" if "team" in wanted.properties else "user"
        return f"{name}s", str(wanted[name])

    def find(self, client: Client, wanted: Wanted) -> Facts | None:
        accept(client)
        if self.within_later(wanted):
            return None
        role, (holders, number) = self.role_id(client, wanted), self.holder(wanted)
        rows = client.rows(f"{API}/roles/{role}/{holders}/")
        held = any(str(row["id"]) == number for row in rows)
        return {"id": role, "holder": f"{holders}/{number}"} if held else None

    def role_id(self, client: Client, wanted: Wanted) -> int:
        where = f"{API}/{wanted['on']}/{wanted['object']}/"
        roles = ((client.get(where) or {}).get("summary_fields") or {}).get("object_roles") or {}
        found = roles.get(f"{wanted['role']}_role")
        if not found:
            known = ", ".join(sorted(name.removesuffix("_role") for name in roles)) or "none"
            raise InfraError(
                "find",
                f"{self.name}/{wanted.name}",
                f"{where} has no role {wanted['role']}; it has {known}",
                "Correct it.",
            )
        return int(found["id"])

    def create(self, api: t.Any, wanted: Wanted) -> t.Collection[str] | None:
        client, (holders, number) = self.client(api), self.holder(wanted)
        client.send("POST", f"{API}/roles/{self.role_id(client, wanted)}/{holders}/", {"id": int(number)})
        return None

    def delete(self, api: t.Any, wanted: Wanted, seen: Seen) -> None:
        client, (holders, number) = self.client(api), self.holder(wanted)
        sent = {"id": int(number), "disassociate": True}
        client.send("POST", f"{API}/roles/{seen.outputs['id']}/{holders}/", sent)
