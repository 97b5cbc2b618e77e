# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subscriptions of a topic: exactly those that are declared, without showing a URL, and without asking twice.

moto confirms each subscription at once, so the state in which AWS waits for the receiver is set in its list.
"""

from __future__ import annotations

import typing as t

import boto3
import pytest
from moto.sns.models import Subscription, sns_backends

from ansible_collections.nexod.infra.plugins.module_utils._aws.subscriptions import (
    PENDING,
    lacking,
    revealed,
    shown_subscriptions,
    surplus,
)
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.outcome import reported
from ansible_collections.nexod.infra.tests.fixtures.aws_resources import REGION, Row, actions, bring, said, writes
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws

TOPIC = f"arn:aws:sns:{REGION}:123456789012:pages"
PAGER = "https://events.pagerduty.com/integration/canary-1/enqueue"
OTHER_KEY = "https://events.pagerduty.com/integration/canary-2/enqueue"
SECRETS = {"pager": PAGER, "other": OTHER_KEY}
MAIL = {"protocol": "email", "endpoint": "ops@example.com"}
URL = {"protocol": "https", "endpoint": "pager"}
QUEUE = {"protocol": "sqs", "endpoint": f"arn:aws:sqs:{REGION}:123456789012:alarms"}
FUNCTION = {"protocol": "lambda", "endpoint": f"arn:aws:lambda:{REGION}:123456789012:function:slack"}
CHATBOT = "https://global.sns-api.chatbot.amazonaws.com"
Given = dict[str, str]


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    with emulated_aws(monkeypatch):
        yield


def topic(*subscriptions: Given) -> Row:
    return ("sns_topic", "pages", {"subscriptions": list(subscriptions)})


def there() -> list[Subscription]:
    return list(sns_backends["123456789012"][REGION].subscriptions.values())


def endpoints() -> set[str]:
    return {one.endpoint for one in there()}


def subscribe(protocol: str, endpoint: str) -> None:
    boto3.client("sns", REGION).subscribe(TopicArn=TOPIC, Protocol=protocol, Endpoint=endpoint)


def not_confirmed(endpoint: str) -> None:
    (one,) = [one for one in there() if one.endpoint == endpoint]
    one.arn = PENDING


def test_exactly_the_declared_ones_are_there() -> None:
    rows = topic(MAIL, URL, QUEUE, FUNCTION)
    predicted, api = bring(rows, check=True, secrets=SECRETS)
    made, _api = bring(rows, secrets=SECRETS)
    assert (said(predicted), said(made), writes(api)) == ([], [], [])
    assert actions(predicted) == actions(made) == [("sns_topic/pages", "create")]
    assert endpoints() == {MAIL["endpoint"], PAGER, QUEUE["endpoint"], FUNCTION["endpoint"]}
    again, api = bring(rows, secrets=SECRETS)
    assert (again.changes, again.later, writes(api)) == ([], {}, [])
    # In another order they are the same.
    assert bring(topic(FUNCTION, QUEUE, URL, MAIL), secrets=SECRETS)[0].changes == []


def test_one_that_is_no_longer_declared_is_unsubscribed() -> None:
    bring(topic(MAIL, QUEUE))
    predicted, api = bring(topic(MAIL), check=True)
    assert (actions(predicted), writes(api)) == ([("sns_topic/pages", "update")], [])
    assert endpoints() == {MAIL["endpoint"], QUEUE["endpoint"]}
    done, api = bring(topic(MAIL))
    assert (said(done), writes(api), endpoints()) == ([], ["Unsubscribe"], {MAIL["endpoint"]})
    assert bring(topic(MAIL))[0].changes == []
    # An empty list is a declaration too.
    assert actions(bring(topic())[0]) == [("sns_topic/pages", "update")]
    assert endpoints() == set()


def test_what_was_changed_behind_our_back() -> None:
    bring(topic(MAIL, QUEUE))
    client = boto3.client("sns", REGION)
    (queue,) = [one for one in there() if one.protocol == "sqs"]
    client.unsubscribe(SubscriptionArn=queue.arn)
    subscribe("email", "stranger@example.com")
    done, api = bring(topic(MAIL, QUEUE))
    # What is new first: there is always somebody who is notified.
    assert (said(done), writes(api)) == ([], ["Subscribe", "Unsubscribe"])
    assert endpoints() == {MAIL["endpoint"], QUEUE["endpoint"]}
    assert "email stranger@example.com" in done.changes[0].before["subscriptions"]


def test_without_a_declaration_they_are_left_alone() -> None:
    plain: Row = ("sns_topic", "pages", {})
    bring(plain)
    subscribe("email", "by.hand@example.com")
    again, api = bring(plain)
    assert (again.changes, endpoints()) == ([], {"by.hand@example.com"})
    assert "ListSubscriptionsByTopic" not in [call.operation for call in api.calls]


def test_what_waits_for_its_confirmation_is_reported_and_not_requested_again() -> None:
    bring(topic(MAIL))
    not_confirmed(MAIL["endpoint"])
    for check in (True, False):
        again, api = bring(topic(MAIL), check=check)
        assert (again.changes, writes(api)) == ([], [])
        assert again.later["sns_topic/pages"].startswith("email ops@example.com must be confirmed by the receiver")


def test_what_was_never_confirmed_can_not_be_unsubscribed() -> None:
    bring(topic(MAIL, QUEUE))
    not_confirmed(MAIL["endpoint"])
    again, api = bring(topic(QUEUE))
    assert (again.changes, writes(api)) == ([], [])
    assert "email ops@example.com is not declared and was never confirmed" in again.later["sns_topic/pages"]
    (mail,) = [one for one in there() if one.protocol == "email"]
    mail.arn = f"{TOPIC}:1"
    assert actions(bring(topic(QUEUE), check=True)[0]) == [("sns_topic/pages", "update")]


def test_one_that_its_receiver_has_ended_is_subscribed_again() -> None:
    bring(topic(MAIL))
    (mail,) = there()
    mail.arn = "Deleted"
    predicted, _api = bring(topic(MAIL), check=True)
    assert actions(predicted) == [("sns_topic/pages", "update")]


def test_chatbot_subscribes_itself() -> None:
    bring(topic(MAIL))
    subscribe("https", CHATBOT)
    again, api = bring(topic(MAIL))
    assert (again.changes, writes(api)) == ([], [])


def test_a_url_is_never_shown() -> None:
    outcomes = [bring(topic(URL), secrets=SECRETS)[0], bring(topic({**URL, "endpoint": "other"}), secrets=SECRETS)[0]]
    assert endpoints() == {OTHER_KEY}
    not_confirmed(OTHER_KEY)
    outcomes += [
        bring(topic({**URL, "endpoint": "other"}), secrets=SECRETS)[0],
        bring(topic(URL), secrets=SECRETS, check=True)[0],
        bring(topic(URL), secrets=SECRETS, gone=True)[0],
    ]
    text = str([reported(one) for one in outcomes])
    assert "canary" not in text
    # The host is, so that a plan can be read.
    assert "https https://events.pagerduty.com/..." in text


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"protocol": "https", "endpoint": "unknown"}, "[0] names unknown, and secrets has no such entry"),
        ({"protocol": "https", "endpoint": "plain"}, "[0].endpoint must be a URL that begins with https://"),
        ({"protocol": "email", "endpoint": "ops"}, "[0].endpoint must be an address"),
        ({"protocol": "sqs", "endpoint": "https://sqs.us-east-1.amazonaws.com/1/q"}, "must be the ARN of a queue"),
        ({"protocol": "lambda", "endpoint": QUEUE["endpoint"]}, "must be the ARN of a function"),
        ({"protocol": "chatbot", "endpoint": "x"}, "[0] must have a protocol (email, https, lambda, sqs)"),
        ({"protocol": "email"}, "[0] must have a protocol"),
        ("ops@example.com", "[0] must have a protocol"),
    ],
)
def test_faults_before_any_call(row: t.Any, says: str) -> None:
    with pytest.raises(InfraError) as caught:
        bring(("sns_topic", "pages", {"subscriptions": [row]}), secrets={"plain": "http://canary"})
    (fault,) = caught.value.facts["faults"]
    assert fault.startswith("sns_topic/pages: subscriptions[0]")
    assert says in fault
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "listed", "new", "old"),
    [
        pytest.param("https://user:one@x.example/a", "https://user:****@x.example/a", 0, 0, id="a hidden password"),
        pytest.param("https://user:one@x.example/a", "https://user:****@x.example/b", 1, 1, id="another path"),
        pytest.param("https://x.example/a?k=1", "https://x.example/a?k=2", 1, 1, id="another query"),
        pytest.param("https://x.example/a:b@c", "https://x.example/a:d@c", 1, 1, id="no password"),
    ],
)
def test_urls_are_compared_as_aws_lists_them(declared: str, listed: str, new: int, old: int) -> None:
    wanted, faults = revealed([URL], {"pager": declared})
    seen = [{"protocol": "https", "endpoint": listed, "arn": "arn:aws:sns:1"}]
    assert (faults, len(lacking(wanted, seen)), len(surplus(wanted, seen))) == ([], new, old)
    assert shown_subscriptions(seen) == ["https https://x.example/..."]
