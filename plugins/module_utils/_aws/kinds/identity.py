# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what, and what they know: roles of IAM, instance profiles, and secrets."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, as_tags, from_tags
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    FIXED,
    OWNER,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)


def canonical(value: t.Any) -> t.Any:
    """A policy document in one of the forms in which it can be written: to AWS, one text is a list of one text."""
    if isinstance(value, t.Mapping):
        return {name: canonical(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        # Of the statements too, the order means nothing.
        return sorted((one for row in value for one in (canonical(row) if is_text(row) else [canonical(row)])), key=str)
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def is_text(value: t.Any) -> bool:
    return not isinstance(value, (t.Mapping, list, tuple))


def document(value: t.Any) -> t.Any:
    """A document as AWS shows it, which is a text in older services."""
    found = json.loads(value) if isinstance(value, str) else dict(value)
    rows = found.get("Statement", [])
    return {**found, "Statement": rows if isinstance(rows, list) else [rows]}


def same_document(wanted: t.Any, seen: t.Any) -> bool:
    return bool(seen) and canonical(document(wanted)) == canonical(document(seen))


def same_documents(wanted: t.Any, seen: t.Any) -> bool:
    return wanted.keys() == (seen or {}).keys() and all(same_document(wanted[name], seen[name]) for name in wanted)


def trust(service: str) -> dict[str, t.Any]:
    """The policy by which a service may take a role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def trusted(found: t.Any) -> t.Any:
    """The service that a role trusts, or the whole document if it says something else."""
    rows = document(found)["Statement"]
    service = (rows[0].get("Principal") or {}).get("Service") if rows else None
    service = service[0] if isinstance(service, list) and len(service) == 1 else service
    return service if isinstance(service, str) and same_document(trust(service), found) else found


class Role(AwsKind):
    """A role for one service, with exactly these policies: `policies` are its own, by name.

    Without the property `permissions_boundary`, that which it has is left alone: nothing here takes a boundary away.
    """

    name, title = "iam_role", "IAM role"
    outputs = ("id", "arn", "name")
    properties = {
        "service": Property(required=True, about="Which may take it, such as ecs-tasks.amazonaws.com."),
        "policies": Property(
            "dict", default={}, same=same_documents, about="Its own policies, exactly - documents by name."
        ),
        "managed_policies": Property("list", default=[], same=same_set, about="ARNs of other policies, exactly."),
        "permissions_boundary": Property(about="ARN of the policy beyond which its policies grant nothing."),
    }

    def faults(self, given: Facts) -> list[str]:
        boundary = given.get("permissions_boundary")
        if boundary is None or re.fullmatch(r"arn:[\w-]+:iam::(\d{12}|aws):policy/\S+", str(boundary)):
            return []
        return [f"permissions_boundary is {boundary!r}, and must be the ARN of a policy"]

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        found = api.call("iam", "GetRole", ("NoSuchEntity",), RoleName=wanted.name)
        if not found:
            return None
        row, named = found["Role"], {"RoleName": wanted.name}
        names = api.call("iam", "ListRolePolicies", **named)["PolicyNames"]
        attached = api.call("iam", "ListAttachedRolePolicies", **named)["AttachedPolicies"]
        policies = {
            name: api.call("iam", "GetRolePolicy", PolicyName=name, **named)["PolicyDocument"] for name in sorted(names)
        }
        properties = {
            "service": trusted(row["AssumeRolePolicyDocument"]),
            "policies": policies,
            "managed_policies": sorted(one["PolicyArn"] for one in attached),
            "permissions_boundary": row.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        }
        return Seen(properties, {"id": wanted.name, "arn": row["Arn"], "name": wanted.name}, from_tags(row.get("Tags")))

    def create(self, api: Api, wanted: Wanted) -> None:
        document_of = json.dumps(trust(wanted["service"]))
        tags = as_tags(wanted.tags)
        boundary = wanted.properties.get("permissions_boundary")
        bounded = {"PermissionsBoundary": boundary} if boundary else {}
        api.call("iam", "CreateRole", RoleName=wanted.name, AssumeRolePolicyDocument=document_of, Tags=tags, **bounded)
        self._set(api, wanted, {}, [])

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        # First: with it in force, the right to change the others can depend on it.
        if "permissions_boundary" in changed:
            boundary = wanted["permissions_boundary"]
            api.call("iam", "PutRolePermissionsBoundary", RoleName=wanted.name, PermissionsBoundary=boundary)
        if "service" in changed:
            policy = json.dumps(trust(wanted["service"]))
            api.call("iam", "UpdateAssumeRolePolicy", RoleName=wanted.name, PolicyDocument=policy)
        self._set(api, wanted, seen.properties["policies"], seen.properties["managed_policies"])

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        for arn in seen.properties["managed_policies"]:
            api.call("iam", "DetachRolePolicy", RoleName=wanted.name, PolicyArn=arn)
        for name in seen.properties["policies"]:
            api.call("iam", "DeleteRolePolicy", RoleName=wanted.name, PolicyName=name)
        api.call("iam", "DeleteRole", RoleName=wanted.name)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("iam", "TagRole", RoleName=seen.outputs["name"], Tags=as_tags(tags))

    @staticmethod
    def _set(api: Api, wanted: Wanted, policies: Facts, attached: t.Collection[str]) -> None:
        """What is new first: a right that is only granted in another way is never missing."""
        named = {"RoleName": wanted.name}
        for name, policy in sorted(wanted["policies"].items()):
            if not same_document(policy, policies.get(name)):
                api.call("iam", "PutRolePolicy", PolicyName=name, PolicyDocument=json.dumps(document(policy)), **named)
        for arn in sorted(set(wanted["managed_policies"]) - set(attached)):
            api.call("iam", "AttachRolePolicy", PolicyArn=arn, **named)
        for name in sorted(policies.keys() - wanted["policies"].keys()):
            api.call("iam", "DeleteRolePolicy", PolicyName=name, **named)
        for arn in sorted(set(attached) - set(wanted["managed_policies"])):
            api.call("iam", "DetachRolePolicy", PolicyArn=arn, **named)


class InstanceProfile(AwsKind):
    """By which an instance of EC2 has a role."""

    name, title = "instance_profile", "instance profile"
    outputs = ("id", "arn", "name")
    properties = {"role": Property(required=True, about="Its role.")}

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        found = api.call("iam", "GetInstanceProfile", ("NoSuchEntity",), InstanceProfileName=wanted.name)
        if not found:
            return None
        row = found["InstanceProfile"]
        roles = [one["RoleName"] for one in row["Roles"]]
        outputs = {"id": wanted.name, "arn": row["Arn"], "name": wanted.name}
        return Seen({"role": roles[0] if roles else None}, outputs, from_tags(row.get("Tags")))

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call("iam", "CreateInstanceProfile", InstanceProfileName=wanted.name, Tags=as_tags(wanted.tags))
        api.call("iam", "AddRoleToInstanceProfile", InstanceProfileName=wanted.name, RoleName=wanted["role"])

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._clear(api, wanted, seen)
        api.call("iam", "AddRoleToInstanceProfile", InstanceProfileName=wanted.name, RoleName=wanted["role"])

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        self._clear(api, wanted, seen)
        api.call("iam", "DeleteInstanceProfile", InstanceProfileName=wanted.name)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("iam", "TagInstanceProfile", InstanceProfileName=seen.outputs["name"], Tags=as_tags(tags))

    @staticmethod
    def _clear(api: Api, wanted: Wanted, seen: Seen) -> None:
        """It has at most one role."""
        if role := seen.properties["role"]:
            api.call("iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=wanted.name, RoleName=role)


def without_scheme(url: t.Any) -> str:
    """An issuer without its scheme, as AWS shows it and as ARNs have it."""
    return str(url).removeprefix("https://").rstrip("/")


class OidcProvider(AwsKind):
    """An issuer of tokens that roles can trust, such as GitHub Actions. An account has one of each.

    All environments of an account share it, so it belongs to none of them: it gets no tags, what others have added
    stays, and state absent leaves it.
    """

    name, title = "oidc_provider", "identity provider of OpenID Connect"
    tagged = False
    outputs = ("id", "arn")
    properties = {
        "audiences": Property(
            "list",
            required=True,
            same=lambda wanted, seen: set(wanted) <= set(seen or ()),
            about="Whom its tokens may be for, such as sts.amazonaws.com; others that it has are kept.",
        ),
    }

    def faults(self, given: Facts) -> list[str]:
        return [] if given["audiences"] else ["audiences is empty, so no token would be accepted"]

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        arn = self._arn(api, wanted)
        found = api.call("iam", "GetOpenIDConnectProvider", ("NoSuchEntity",), OpenIDConnectProviderArn=arn)
        return Seen({"audiences": sorted(found["ClientIDList"])}, {"id": wanted.name, "arn": arn}) if found else None

    def create(self, api: Api, wanted: Wanted) -> None:
        # Without a thumbprint: AWS takes that of the issuer's certificate, and needs none of issuers that it knows.
        issuer = f"https://{without_scheme(wanted.name)}"
        api.call("iam", "CreateOpenIDConnectProvider", Url=issuer, ClientIDList=list(wanted["audiences"]))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        for audience in sorted(set(wanted["audiences"]) - set(seen.properties["audiences"])):
            named = {"OpenIDConnectProviderArn": seen.outputs["arn"]}
            api.call("iam", "AddClientIDToOpenIDConnectProvider", ClientID=audience, **named)

    def stays(self, wanted: Wanted) -> bool:
        return True

    @staticmethod
    def _arn(api: Api, wanted: Wanted) -> str:
        return f"arn:aws:iam::{api.account}:oidc-provider/{without_scheme(wanted.name)}"


class Secret(AwsKind):
    """A secret in Secrets Manager. A removed one can be restored for some days, which a later run does."""

    name, title = "secret", "secret"
    outputs = ("id", "arn", "name")
    properties = {
        "description": Property(default="", about="What it is for."),
        "value": Property(
            required=True, secret=True, about="Another value makes a new version; the former is kept as AWSPREVIOUS."
        ),
        "kms_key": Property(change=FIXED, about="By which it is encrypted; by default that of AWS."),
        "recovery_days": Property(
            "int",
            default=30,
            same=lambda _wanted, _seen: True,
            about="For which a removed one can be restored.",
            least=7,
            most=30,
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        row = self._row(api, wanted)
        if row is None or row.get("DeletedDate"):
            return None
        missing = ("ResourceNotFoundException",)
        value = api.call("secretsmanager", "GetSecretValue", missing, SecretId=wanted.name)
        properties = {
            "description": row.get("Description") or "",
            "value": (value or {}).get("SecretString"),
            "kms_key": row.get("KmsKeyId"),
        }
        return Seen(properties, {"id": wanted.name, "arn": row["ARN"], "name": wanted.name}, from_tags(row.get("Tags")))

    @staticmethod
    def _row(api: Api, wanted: Wanted) -> Facts | None:
        missing = ("ResourceNotFoundException",)
        return t.cast("Facts | None", api.call("secretsmanager", "DescribeSecret", missing, SecretId=wanted.name))

    def create(self, api: Api, wanted: Wanted) -> None:
        if row := self._row(api, wanted):
            self._restore(api, wanted, row)
            return
        key = {"KmsKeyId": wanted["kms_key"]} if "kms_key" in wanted.properties else {}
        text = {"Description": wanted["description"], "SecretString": wanted["value"]}
        api.call("secretsmanager", "CreateSecret", Name=wanted.name, Tags=as_tags(wanted.tags), **text, **key)

    def _restore(self, api: Api, wanted: Wanted, row: Facts) -> None:
        """The name stays taken until a removed secret is deleted for good."""
        if from_tags(row.get("Tags")).get(OWNER) != wanted.tags[OWNER]:
            raise InfraError(
                "restore the secret",
                wanted.name,
                "a secret of this name was removed, and its tags don't say that it is ours",
                "Choose another name, or wait until it is deleted for good.",
            )
        api.call("secretsmanager", "RestoreSecret", SecretId=wanted.name)
        self.update(api, wanted, Seen({}, {}), self.properties)
        api.call("secretsmanager", "TagResource", SecretId=wanted.name, Tags=as_tags(wanted.tags))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        if "description" in changed:
            api.call("secretsmanager", "UpdateSecret", SecretId=wanted.name, Description=wanted["description"])
        if "value" in changed:
            # The former value is kept as the version AWSPREVIOUS.
            api.call("secretsmanager", "PutSecretValue", SecretId=wanted.name, SecretString=wanted["value"])

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        days = wanted["recovery_days"]
        api.call("secretsmanager", "DeleteSecret", SecretId=wanted.name, RecoveryWindowInDays=days)

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("secretsmanager", "TagResource", SecretId=seen.outputs["name"], Tags=as_tags(tags))
