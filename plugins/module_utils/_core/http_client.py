# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only HTTP client of the collection's own code: one request, an answer or a reason, never an exception.

By default no proxy is used: what is asked is mostly the host itself or its neighbours.
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import pathlib
import ssl
import time
import typing as t
import urllib.error
import urllib.request

JSON = "application/json"
BLOCK = 1 << 16


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back: `status` 0 where nothing complete did, then `reason` says why. `headers`: names in lower case.

    `seconds`: how long it took until the answer began, connecting included.
    """

    status: int
    body: str
    reason: str = ""
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = dataclasses.field(default=0.0, compare=False)

    @property
    def document(self) -> t.Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclasses.dataclass(frozen=True)
class Access:
    """What a protected service is asked with. Files are on the host that asks; what is empty is not used.

    `ca_file` holds the certificates that the service's must be one of, or be issued by; without `names`, its names are
    not compared with the URL's, as a service on the same host is asked at the loopback address.
    """

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    names: bool = True

    @property
    def authorization(self) -> str:
        """The header of basic authentication; empty without a user. Raises OSError if the file can't be read."""
        if not self.user:
            return ""
        password = self.password
        if self.password_file:
            password = pathlib.Path(self.password_file).read_text(encoding="utf-8").rstrip("\n")
        return "Basic " + base64.b64encode(f"{self.user}:{password}".encode()).decode()

    @property
    def context(self) -> ssl.SSLContext:
        """How TLS is spoken. Raises OSError (ssl.SSLError is one) where a file is missing or is no certificate."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.ca_file:
            # Trusts a service's own certificate without its CA: X509_V_FLAG_PARTIAL_CHAIN, in ssl from Python 3.10.
            context.verify_flags |= ssl.VerifyFlags(0x80000)
        context.check_hostname = self.names
        if self.certificate_file:
            context.load_cert_chain(self.certificate_file, self.key_file or None)
        return context


def ask(
    url: str,
    *,
    document: t.Any = None,
    method: str | None = None,
    timeout: float = 10,
    accept: str = JSON,
    authorization: str = "",
    access: Access | None = None,
    proxies: bool = False,
    headers: t.Mapping[str, str] | None = None,
    redirects: bool = True,
) -> Answer:
    """Send one request; with `document` a POST of it as JSON. Redirects are followed, without the `authorization`.

    `headers` are sent in addition, and follow no redirect either. Without `redirects`, one is the answer.

    `proxies`: use those that the environment names (HTTPS_PROXY, NO_PROXY), as for what is on the Internet.
    `timeout` limits each wait for the other side, and the whole answer as well: one that only trickles is given up.
    """
    if not url.startswith(("http://", "https://")):
        return Answer(0, "", "not an http or https URL")
    begun = time.monotonic()
    ends = begun + timeout
    try:
        body = None if document is None else json.dumps(document).encode()
        usual = {"Accept": accept, **({"Content-Type": JSON} if body else {})}
        request = urllib.request.Request(url, data=body, headers=usual, method=method)  # noqa: S310 - checked above
        for name, value in {**(headers or {}), **({"Authorization": authorization} if authorization else {})}.items():
            request.add_unredirected_header(name, value)
        opener = _opener(request, access, proxies=proxies, redirects=redirects)
        try:
            with opener.open(request, timeout=timeout) as answer:
                seconds = time.monotonic() - begun
                return Answer(answer.status, _read(answer, ends), headers=_headers(answer), seconds=seconds)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _read(error, ends), str(error.reason), _headers(error))
    except urllib.error.URLError as error:
        return Answer(0, "", str(error.reason))
    # Half an answer (IncompleteRead), another protocol (BadStatusLine) and a URL that is none (InvalidURL) are neither
    # OSError nor ValueError.
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(0, "", _reason(error))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: t.Any) -> None:
        """A request that does not exist: the redirect itself is the answer, as an HTTPError."""


def _opener(
    request: urllib.request.Request, access: Access | None, *, proxies: bool, redirects: bool
) -> urllib.request.OpenerDirector:
    """What sends `request`, to which it adds the password; not as a header that would follow a redirect elsewhere."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(None if proxies else {})]
    if not redirects:
        handlers.append(_NoRedirects())
    if access and access.authorization:
        request.add_unredirected_header("Authorization", access.authorization)
    if access and (access.ca_file or access.certificate_file or not access.names):
        handlers.append(urllib.request.HTTPSHandler(context=access.context))
    return urllib.request.build_opener(*handlers)


def _headers(answer: t.Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in answer.headers.items()}


def _read(answer: t.Any, ends: float) -> str:
    parts = []
    while part := answer.read1(BLOCK):
        parts.append(part)
        if time.monotonic() > ends:
            raise TimeoutError(f"its answer was not complete in time ({sum(map(len, parts))} bytes came)")
    content = b"".join(parts)
    # read1 takes a connection that closes early for the end.
    if missing := getattr(answer, "length", None):
        raise http.client.IncompleteRead(content, missing)
    return content.decode(errors="replace")


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "its answer was cut off"
    # A connection that is closed at once is both.
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, OSError):
        return f"its answer is not HTTP: {str(error).strip()[:100]}"
    return str(error) or type(error).__name__
