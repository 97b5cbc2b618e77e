# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what AWS has charged for an environment with its estimate."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.actual import charged, compared_with_bill, last_month

#: The region that has the API.
HOME: t.Final = "us-east-1"


class ActionModule(ControllerAction):
    """Asks Cost Explorer, and changes nothing."""

    ARGUMENTS = {
        "environment": {"type": "str", "required": True},
        "rows": {"type": "list", "elements": "dict", "required": True},
        "account": {"type": "str"},
        "profile": {"type": "str"},
        "endpoint_url": {"type": "str"},
    }

    def act(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self.arguments
        if MISSING:
            raise InfraError("ask AWS for", "the bill", "boto3 is not installed", "Install boto3 on the controller.")
        api = Api(HOME, check=True, profile=given["profile"], endpoint_url=given["endpoint_url"])
        if given["account"]:
            api.require_account(given["account"])
        start, end = last_month(datetime.datetime.now(datetime.UTC).date())
        bill = charged(pages_of(api, given["environment"], start, end), given["environment"])
        lines = compared_with_bill(given["rows"], bill)
        return {"from": start, "to": end, "total_usd": round(sum(bill.values()), 2), "parts": lines}


def pages_of(api: Api, environment: str, start: str, end: str) -> t.Iterator[dict[str, t.Any]]:
    """The answer, which boto3 does not join by itself."""
    asked: dict[str, t.Any] = {
        "TimePeriod": {"Start": start, "End": end},
        "Granularity": "MONTHLY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
        "Filter": {"Tags": {"Key": "nexod:environment", "Values": [environment]}},
    }
    while True:
        page = api.call("ce", "GetCostAndUsage", **asked)
        yield page
        if not page.get("NextPageToken"):
            return
        asked["NextPageToken"] = page["NextPageToken"]
