# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications: topics of SNS, and alarms of CloudWatch."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, as_tags, from_tags
from ansible_collections.nexod.infra.plugins.module_utils._aws.subscriptions import (
    lacking,
    listed,
    revealed,
    same_subscriptions,
    shown_subscriptions,
    surplus,
    unconfirmed,
)
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    Facts,
    Property,
    Seen,
    Wanted,
    same_number,
    same_set,
)


class Topic(AwsKind):
    """A topic of SNS. Without the property `subscriptions`, those that it has are left alone."""

    name, title = "sns_topic", "SNS topic"
    outputs = ("id", "arn")
    properties = {
        "display_name": Property(default="", about="Shown to receivers."),
        "subscriptions": Property(
            "list",
            same=same_subscriptions,
            reveal=revealed,
            show=shown_subscriptions,
            about="Who gets the notifications, exactly - rows of `protocol` (`email`, `https`, `lambda` or `sqs`) and "
            "`endpoint`. A URL is a secret, and given by the name of its entry in the option `secrets`. What was not "
            "confirmed is reported. The subscription of Amazon Q Developer in chat applications is left alone.",
        ),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        arn = f"arn:aws:sns:{api.region}:{api.account}:{wanted.name}"
        found = api.call("sns", "GetTopicAttributes", ("NotFound", "NotFoundException"), TopicArn=arn)
        if found is None:
            return None
        tags = api.call("sns", "ListTagsForResource", ResourceArn=arn)["Tags"]
        properties: dict[str, t.Any] = {"display_name": found["Attributes"].get("DisplayName", "")}
        if "subscriptions" in wanted.properties:
            rows = api.call("sns", "ListSubscriptionsByTopic", TopicArn=arn)["Subscriptions"]
            properties["subscriptions"] = listed(rows)
        return Seen(properties, {"id": wanted.name, "arn": arn}, from_tags(tags))

    def create(self, api: Api, wanted: Wanted) -> t.Collection[str] | None:
        attributes = {"DisplayName": wanted["display_name"]}
        api.call("sns", "CreateTopic", Name=wanted.name, Attributes=attributes, Tags=as_tags(wanted.tags))
        return ["subscriptions"] if wanted.properties.get("subscriptions") else None

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        topic = seen.outputs["arn"]
        if "display_name" in changed:
            value = {"AttributeName": "DisplayName", "AttributeValue": wanted["display_name"]}
            api.call("sns", "SetTopicAttributes", TopicArn=topic, **value)
        if "subscriptions" in changed:
            declared, there = wanted["subscriptions"], seen.properties["subscriptions"]
            # What is new first: there is always somebody who is notified.
            for row in lacking(declared, there):
                api.call("sns", "Subscribe", TopicArn=topic, Protocol=row["protocol"], Endpoint=row["endpoint"])
            for row in surplus(declared, there):
                api.call("sns", "Unsubscribe", ("NotFound", "NotFoundException"), SubscriptionArn=row["arn"])

    def later(self, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> str:
        return unconfirmed(wanted.properties.get("subscriptions", ()), seen.properties.get("subscriptions", ()))

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("sns", "DeleteTopic", TopicArn=seen.outputs["arn"])

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("sns", "TagResource", ResourceArn=seen.outputs["arn"], Tags=as_tags(tags))


#: Properties of an alarm, and how AWS calls them.
ALARM = {
    "description": "AlarmDescription",
    "namespace": "Namespace",
    "metric": "MetricName",
    "statistic": "Statistic",
    "quantile": "ExtendedStatistic",
    "period_seconds": "Period",
    "periods": "EvaluationPeriods",
    "comparison": "ComparisonOperator",
    "threshold": "Threshold",
    "missing_data": "TreatMissingData",
    "actions": "AlarmActions",
    "ok_actions": "OKActions",
}


def same_dimensions(wanted: t.Any, seen: t.Any) -> bool:
    return {str(key): str(value) for key, value in wanted.items()} == (seen or {})


class Alarm(AwsKind):
    """An alarm on one metric. Missing data is bad by default: what is not seen is not called good."""

    name, title = "alarm", "CloudWatch alarm"
    outputs = ("id", "arn")
    properties = {
        "description": Property(default="", about="What it is for."),
        "namespace": Property(required=True, about="Such as AWS/RDS."),
        "metric": Property(required=True, about="Name of the metric."),
        "dimensions": Property("dict", default={}, same=same_dimensions, about="Of the metric, by name."),
        "statistic": Property(
            choices=("Average", "Minimum", "Maximum", "Sum", "SampleCount"),
            about="Of the values of a period; this or quantile.",
        ),
        "quantile": Property(about="Such as p95."),
        "period_seconds": Property("int", default=60, about="Length of a period.", least=10),
        "periods": Property("int", default=5, about="How many in a row.", least=1),
        "comparison": Property(
            default="GreaterThanThreshold",
            choices=(
                "GreaterThanThreshold",
                "GreaterThanOrEqualToThreshold",
                "LessThanThreshold",
                "LessThanOrEqualToThreshold",
            ),
            about="With the threshold.",
        ),
        "threshold": Property("float", required=True, same=same_number, about="In the unit of the metric."),
        "missing_data": Property(
            default="breaching",
            choices=("breaching", "notBreaching", "ignore", "missing"),
            about="What missing data means. What is not seen is not called good.",
        ),
        "actions": Property("list", default=[], same=same_set, about="ARNs of topics that it notifies."),
        "ok_actions": Property("list", default=[], same=same_set, about="ARNs of topics that its end notifies."),
    }

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        found = api.call("cloudwatch", "DescribeAlarms", AlarmNames=[wanted.name])["MetricAlarms"]
        if not found:
            return None
        row = found[0]
        tags = api.call("cloudwatch", "ListTagsForResource", ResourceARN=row["AlarmArn"])["Tags"]
        dimensions = {one["Name"]: one["Value"] for one in row.get("Dimensions", ())}
        properties = {name: row.get(sent) for name, sent in ALARM.items()}
        properties["description"] = properties["description"] or ""
        return Seen(
            {**properties, "dimensions": dimensions},
            {"id": wanted.name, "arn": row["AlarmArn"]},
            from_tags(tags),
        )

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call("cloudwatch", "PutMetricAlarm", **self._arguments(wanted), Tags=as_tags(wanted.tags))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        api.call("cloudwatch", "PutMetricAlarm", **self._arguments(wanted))

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("cloudwatch", "DeleteAlarms", AlarmNames=[wanted.name])

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("cloudwatch", "TagResource", ResourceARN=seen.outputs["arn"], Tags=as_tags(tags))

    @staticmethod
    def _arguments(wanted: Wanted) -> dict[str, t.Any]:
        dimensions = [{"Name": str(name), "Value": str(value)} for name, value in sorted(wanted["dimensions"].items())]
        given = {sent: wanted.properties[name] for name, sent in ALARM.items() if name in wanted.properties}
        return {"AlarmName": wanted.name, "Dimensions": dimensions, **given}
