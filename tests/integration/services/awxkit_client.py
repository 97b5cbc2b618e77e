"""Call awxkit: each line of standard input is [URL, token, operation, arguments], each line of output its outcome.

The operations `get`, `post`, `patch`, `put` and `delete` are sent to the end point `at`, below /api/v2/, with the
`json` or `query` that is given; `all` reads all pages. `call` reads the object at `at` and calls the `method` that
awxkit has for it, with the object at projects/3/ in the place of an argument `@projects/3/`.
"""

from __future__ import annotations

import json
import re
import sys
import typing as t

import awxkit.api.pages  # registers the classes of all pages
from awxkit import exceptions
from awxkit.api.client import Connection
from awxkit.api.pages.page import get_registered_page
from awxkit.utils import PseudoNamespace

ROOT = "/api/v2/"


def page_at(connection: t.Any, at: str, method: str = ".*") -> t.Any:
    return get_registered_page(ROOT + at, method)(connection, endpoint=ROOT + at)


def plain(value: t.Any) -> t.Any:
    """What awxkit made of an answer, as JSON."""
    if isinstance(value, awxkit.api.pages.page.Page):
        return plain(value.json)
    if isinstance(value, awxkit.api.pages.page.TentativePage):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def called(connection: t.Any, at: str, method: str, arguments: t.Any = (), named: t.Any = None) -> t.Any:
    def meant(value: t.Any) -> t.Any:
        given = isinstance(value, str) and value.startswith("@")
        return page_at(connection, value[1:]).get() if given else value

    page = page_at(connection, at).get()
    return getattr(page, method)(
        *[meant(each) for each in arguments], **{name: meant(each) for name, each in (named or {}).items()}
    )


def done(connection: t.Any, operation: str, arguments: dict[str, t.Any]) -> t.Any:
    if operation == "call":
        return called(connection, **arguments)
    page = page_at(connection, arguments["at"])
    if operation == "get":
        return page.get(**arguments.get("query", {}))
    if operation == "all":
        return page.get(all_pages=True, **arguments.get("query", {}))
    if operation == "delete":
        return page.delete()
    sent = PseudoNamespace(arguments.get("json", {}))
    return page.patch(**sent) if operation == "patch" else getattr(page, operation)(sent)


def outcome(url: str, token: str, operation: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    connection = Connection(url)
    name, _colon, password = token.partition(":")
    if password:
        connection.login(username=name, password=password)
    else:
        connection.login(token=token)
    try:
        return {"value": plain(done(connection, operation, arguments))}
    except exceptions.NoContent:
        return {"value": None}
    except exceptions.Common as error:
        # awxkit keeps the status only as text: Bad Request (400) received.
        status = re.search(r"\((\d+)\)", str(error.status_string))
        body = {"body": plain(error.msg), "message": str(error)}
        return {"error": type(error).__name__, "status": int(status[1]) if status else 0, **body}
    except Exception as error:
        return {"error": type(error).__name__, "status": 0, "body": "", "message": str(error)}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(outcome(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
