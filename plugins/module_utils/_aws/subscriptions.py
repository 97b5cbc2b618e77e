# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subscriptions of a topic of SNS: what is declared, what AWS lists, and what to do about the difference.

The URL of a pager contains its key, so URLs are given by the names of secrets, and only their hosts are ever shown.
"""

from __future__ import annotations

import re
import typing as t
import urllib.parse

Rows = t.Sequence[t.Mapping[str, t.Any]]
#: Protocols that need nothing but an endpoint, with the form of the endpoint and how a message calls it.
PROTOCOLS = {
    "email": (re.compile(r"[^@\s]+@[^@\s]+"), "an address"),
    "https": (re.compile(r"https://[^/\s]+\S*"), "a URL that begins with https://"),
    "lambda": (re.compile(r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:\S+"), "the ARN of a function of Lambda"),
    "sqs": (re.compile(r"arn:[\w-]+:sqs:[\w-]+:\d{12}:\S+"), "the ARN of a queue of SQS"),
}
#: Whose endpoint is the name of a secret.
BY_NAME = "https"
#: AWS lists this in the place of an ARN until the receiver has confirmed, and deletes what nobody confirms in time.
PENDING, PENDING_HOURS = "PendingConfirmation", 48
#: Amazon Q Developer in chat applications, formerly AWS Chatbot, subscribes itself to the topics of its channels.
CHATBOT = re.compile(r"https://[\w.-]*sns-api\.chatbot\.amazonaws\.com(/.*)?")
Secrets = t.Mapping[str, t.Any]


def revealed(value: t.Any, secrets: Secrets) -> tuple[list[dict[str, str]], list[str]]:
    """The declared subscriptions with their URLs, and what is wrong with them, without showing a URL."""
    rows, faults = [], []
    for number, row in enumerate(value):
        given = dict(row) if isinstance(row, t.Mapping) else {}
        if given.keys() != {"protocol", "endpoint"} or given["protocol"] not in PROTOCOLS:
            faults.append(f"[{number}] must have a protocol ({', '.join(PROTOCOLS)}) and an endpoint")
            continue
        protocol, name = str(given["protocol"]), str(given["endpoint"])
        endpoint = str(secrets.get(name) or "") if protocol == BY_NAME else name
        form, called = PROTOCOLS[protocol]
        if protocol == BY_NAME and not endpoint:
            faults.append(f"[{number}] names {name}, and secrets has no such entry, or an empty one")
        elif not form.fullmatch(endpoint):
            faults.append(f"[{number}].endpoint must be {called}")
        rows.append({"protocol": protocol, "endpoint": endpoint})
    return rows, faults


def listed(rows: Rows) -> list[dict[str, str]]:
    """The subscriptions of AWS' list. One that its receiver has ended stays in the list for a while, as deleted."""
    return [
        {"protocol": row["Protocol"], "endpoint": row["Endpoint"], "arn": row["SubscriptionArn"]}
        for row in rows
        if row["SubscriptionArn"] == PENDING or row["SubscriptionArn"].startswith("arn:")
    ]


def identity(row: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """By which a subscription is recognised: AWS lists a URL with asterisks in the place of its password."""
    return row["protocol"], re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:****@", row["endpoint"])


def lacking(wanted: Rows, seen: Rows) -> list[t.Mapping[str, t.Any]]:
    """What must be subscribed. What waits for its confirmation is: another request would only send another one."""
    there = {identity(row) for row in seen}
    return [row for row in wanted if identity(row) not in there]


def surplus(wanted: Rows, seen: Rows) -> list[t.Mapping[str, t.Any]]:
    """What must be unsubscribed. AWS can't do that with what was not confirmed."""
    declared = {identity(row) for row in wanted}
    return [
        row
        for row in seen
        if identity(row) not in declared and row["arn"] != PENDING and not CHATBOT.fullmatch(row["endpoint"])
    ]


def same_subscriptions(wanted: t.Any, seen: t.Any) -> bool:
    return not lacking(wanted, seen or ()) and not surplus(wanted, seen or ())


def shown_subscription(row: t.Mapping[str, t.Any]) -> str:
    """Of a URL, the host: the rest is the key of a pager, or a password."""
    endpoint = row["endpoint"]
    if row["protocol"] in ("http", "https"):
        endpoint = f"{row['protocol']}://{urllib.parse.urlsplit(endpoint).hostname}/..."
    return f"{row['protocol']} {endpoint}"


def shown_subscriptions(rows: t.Any) -> list[str]:
    return sorted(
        shown_subscription(row) + (" (not confirmed)" if row.get("arn") == PENDING else "") for row in rows or ()
    )


def unconfirmed(wanted: Rows, seen: Rows) -> str:
    """What waits for a confirmation; empty without any."""
    declared = {identity(row) for row in wanted}
    waiting = [row for row in seen if row["arn"] == PENDING]
    ours, others = (
        [shown_subscription(row) for row in waiting if (identity(row) in declared) is one] for one in (True, False)
    )
    parts = []
    if ours:
        parts.append(
            f"{', '.join(sorted(ours))} must be confirmed by the receiver and gets no notifications until then; AWS "
            f"deletes it after {PENDING_HOURS} hours, and the next run subscribes it again"
        )
    if others:
        parts.append(
            f"{', '.join(sorted(others))} is not declared and was never confirmed; AWS deletes it after "
            f"{PENDING_HOURS} hours"
        )
    return "; ".join(parts)
