# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that services listen on, and the URLs at which their own host reaches them. Pure functions."""

from __future__ import annotations

import ipaddress
import re
import typing as t
import urllib.parse

#: What reaches a service that listens on all addresses.
LOOPBACK: t.Final[dict[str, str]] = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 compared
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def bare(address: str) -> str:
    """An address without the brackets that IPv6 has in URLs."""
    return address.removeprefix("[").removesuffix("]")


def socket_address(address: str, port: int | str) -> str:
    """Address and port in one text, IPv6 in brackets."""
    plain = bare(address)
    return f"[{plain}]:{port}" if ":" in plain else f"{plain}:{port}"


def local_url(address: str, port: int | str, prefix: str = "", scheme: str = "http") -> str:
    """The URL at which the host itself reaches a service that listens on `address`; no slash at its end."""
    plain = bare(address)
    path = prefix.strip("/")
    return f"{scheme}://{socket_address(LOOPBACK.get(plain, plain), port)}{'/' + path if path else ''}"


def is_loopback(address: str) -> bool:
    """Whether only the host itself reaches a service that listens on `address`."""
    plain = bare(address)
    try:
        return ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return plain == "localhost"


def url_path(url: str) -> str:
    """The path of a URL without the slash at its end; empty for none."""
    return urllib.parse.urlsplit(url).path.rstrip("/")


def address_fault(option: str, address: str) -> list[str]:
    """What is wrong with an address to listen on."""
    plain = bare(address)
    if plain == "" or _HOST_NAME.fullmatch(plain):
        return []
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        return [
            f'{option} is "{address}", not an address; give an IPv4 or IPv6 address without its port, or a host name'
        ]
    return []


def url_fault(option: str, url: str) -> list[str]:
    """What is wrong with a service's external URL; an empty one is fine."""
    if not url:
        return []
    try:
        parts = urllib.parse.urlsplit(url)
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        well = False
    if well and not (parts.query or parts.fragment) and not re.search(r"\s", url):
        return []
    return [f'{option} is "{url}", not a URL to reach the service by; write it as https://host:port/path']


def prefix_fault(option: str, prefix: str) -> list[str]:
    """What is wrong with a route prefix; an empty one is fine."""
    if not prefix or re.fullmatch(r"/[A-Za-z0-9._~/-]*", prefix):
        return []
    return [f'{option} is "{prefix}", not the path of a URL; begin it with a slash, such as /prometheus']
