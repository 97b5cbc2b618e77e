# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look prices up in the AWS Price List API."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._action.on_controller import ControllerAction
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.files import document_of
from ansible_collections.nexod.infra.plugins.plugin_utils._cost.refresh import refreshed

#: The region that has the API; it answers for all of them.
HOME: t.Final = "us-east-1"


class ActionModule(ControllerAction):
    """Asks AWS, and returns the new contents of the file. It changes nothing, neither there nor here."""

    ARGUMENTS = {
        "prices": {"type": "path", "required": True},
        "profile": {"type": "str"},
        "endpoint_url": {"type": "str"},
    }

    def act(self, _variables: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self.arguments
        if MISSING:
            raise InfraError("ask AWS for", "prices", "boto3 is not installed", "Install boto3 on the controller.")
        document = document_of(given["prices"])
        api = Api(HOME, check=True, profile=given["profile"], endpoint_url=given["endpoint_url"])

        def ask(service: str, fields: dict[str, str]) -> t.Iterable[t.Any]:
            asked = {**fields, "regionCode": str(document.get("region") or "")}
            filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in asked.items()]
            return list(api.call("pricing", "GetProducts", ServiceCode=service, Filters=filters)["PriceList"])

        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        new, found, kept = refreshed(document, today, ask)
        return {"document": {**new, "dated": str(new.get("dated"))}, "refreshed": found, "kept": kept}
