# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clerk: redirect URLs, JWT templates, and the settings of the instance that its API can change.

What it can't is declared in its dashboard, and tested from outside: OAuth providers, MFA, endpoints of webhooks.
"""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    Facts,
    Property,
    same_set,
)
from ansible_collections.nexod.infra.plugins.module_utils._services.resource import ID, Resource, declared_part

INSTANCE = "/v1/instance"


class ClerkKind(Resource):
    party, service = "Clerk", "clerk"
    #: Seconds: nothing at Clerk takes time, so what is not shown soon was not accepted.
    patience = 20.0


class RedirectUrl(ClerkKind):
    """A URL that native applications and OAuth flows may return to; the name of the declaration is the URL."""

    name, title = "clerk_redirect_url", "redirect URL"
    outputs = ("id",)
    collection, member, identity = "/v1/redirect_urls", "/v1/redirect_urls/{id}", "url"
    properties = {"id": ID}


class JwtTemplate(ClerkKind):
    """A template of tokens. Clerk replaces the whole template at each change."""

    name, title = "clerk_jwt_template", "JWT template"
    outputs = ("id",)
    collection, member, whole = "/v1/jwt_templates", "/v1/jwt_templates/{id}", True
    properties = {
        "id": ID,
        "claims": Property("dict", required=True, same=declared_part, about="Claims of the tokens, with shortcodes."),
        "lifetime": Property("int", default=60, least=30, most=315360000, about="Seconds for which a token is valid."),
        "allowed_clock_skew": Property(
            "int", default=5, least=0, most=300, about="Seconds by which the clocks may differ."
        ),
    }


class Instance(ClerkKind):
    """Settings of the instance that the secret key belongs to. It exists, and state absent leaves it as it is."""

    name, title, permanent = "clerk_instance", "instance", True
    outputs = ("id", "environment_type")
    shows = {"id": "id", "environment_type": "environment_type"}
    collection = member = INSTANCE
    by_name = True
    properties = {
        "allowed_origins": Property(
            "list", same=same_set, about="Origins from which browsers and native applications may ask Clerk. Not empty."
        ),
    }

    def faults(self, given: Facts) -> list[str]:
        # Clerk answers 204 to null and to an empty list, and changes nothing.
        empty = [name for name in given if given[name] in ("", [], {})]
        return [f"{name} is empty, which Clerk ignores; remove it there in the dashboard" for name in empty]
