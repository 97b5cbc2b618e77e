# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``cache_flush`` decides and does: prefixes, protected ones, and the walk over the keys."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._errors import InfraError

try:
    import redis
except ImportError:
    MISSING: str | None = traceback.format_exc()
else:
    MISSING = None

Facts = t.Mapping[str, t.Any]


class Client(t.Protocol):
    """What is used of redis-py's client; keys are bytes, for a key may hold any byte."""

    def scan(self, cursor: int, match: bytes, count: int) -> tuple[int, list[bytes]]: ...
    def unlink(self, *keys: bytes) -> int: ...
    def pipeline(self, transaction: bool) -> t.Any: ...


@dataclasses.dataclass(frozen=True)
class Kept:
    """The protected keys at one moment: their lifetimes in milliseconds, None for a key without one."""

    lifetimes: t.Mapping[bytes, int | None]
    taken: float

    @property
    def without_lifetime(self) -> int:
        return sum(lifetime is None for lifetime in self.lifetimes.values())


@dataclasses.dataclass(frozen=True)
class Flushed:
    deleted: t.Mapping[str, int]
    kept: int
    without_lifetime: int
    ended: int  # protected keys that were there before, are not any more, and had lifetime left

    @property
    def total(self) -> int:
        return sum(self.deleted.values())


def check_prefixes(prefixes: t.Sequence[str], protected: t.Sequence[str]) -> None:
    """Refuse a prefix that is empty, or through which a protected key could be reached."""
    for prefix in prefixes:
        if not prefix:
            raise InfraError(
                "flush prefix",
                '""',
                "an empty prefix is every key",
                "Name the prefixes that may go, for example api: and user:.",
            )
        for shield in protected:
            if prefix.startswith(shield) or shield.startswith(prefix):
                raise InfraError(
                    "flush prefix",
                    f'"{prefix}"',
                    f'it reaches keys under the protected "{shield}"',
                    "Name a longer prefix beside it, or take it from the prefixes; nothing was deleted.",
                )
    if not all(protected):
        raise InfraError(
            "protect prefix", '""', "an empty prefix is every key", "Name the prefixes whose keys must stay."
        )


def pattern(prefix: str) -> bytes:
    r"""The glob that matches exactly the keys beginning with `prefix`; unescaped, ``cache[1]:`` would match none."""
    escaped = "".join("\\" + letter if letter in "\\*?[]^-" else letter for letter in prefix)
    return (escaped + "*").encode()


def batches(client: Client, prefix: str, batch: int) -> t.Iterator[list[bytes]]:
    """The keys under `prefix`, as the server hands them out: a key may come twice, a batch may be empty."""
    cursor = 0
    while True:
        cursor, keys = client.scan(cursor, match=pattern(prefix), count=batch)
        if keys:
            yield keys
        if int(cursor) == 0:
            return


def protected_keys(client: Client, protected: t.Sequence[str], batch: int) -> Kept:
    lifetimes: dict[bytes, int | None] = {}
    for prefix in protected:
        for keys in batches(client, prefix, batch):
            asked = client.pipeline(transaction=False)
            for key in keys:
                asked.pttl(key)
            for key, left in zip(keys, asked.execute(), strict=True):
                if left != -2:  # -2: gone since the scan; -1: without a lifetime
                    lifetimes[key] = None if left == -1 else left
    return Kept(lifetimes, time.monotonic())


def delete(client: Client, prefix: str, protected: t.Sequence[bytes], batch: int) -> int:
    """Unlink the keys under `prefix`; counted is what the server says it unlinked."""
    deleted = 0
    for keys in batches(client, prefix, batch):
        if any(key.startswith(shield) for key in keys for shield in protected):
            raise InfraError(
                "flush prefix",
                f'"{prefix}"',
                "the server answered with a protected key",
                "Report this: it must not happen. Nothing of that batch was deleted.",
            )
        deleted += int(client.unlink(*keys))
    return deleted


def ended(before: Kept, after: Kept) -> int:
    """Protected keys that are gone though their lifetime had not run out: logged out, or deleted by somebody else."""
    passed = (after.taken - before.taken) * 1000
    return sum(
        lifetime is None or lifetime > passed
        for key, lifetime in before.lifetimes.items()
        if key not in after.lifetimes
    )


def flush(client: Client, prefixes: t.Sequence[str], protected: t.Sequence[str], *, batch: int, check: bool) -> Flushed:
    check_prefixes(prefixes, protected)
    before = protected_keys(client, protected, batch)
    if check:
        counts: dict[str, int] = {}
        counted: set[bytes] = set()  # a key under two of the prefixes goes once
        for prefix in prefixes:
            new = {key for keys in batches(client, prefix, batch) for key in keys} - counted
            counts[prefix] = len(new)
            counted |= new
        return Flushed(counts, len(before.lifetimes), before.without_lifetime, 0)
    shields = [shield.encode() for shield in protected]
    deleted = {prefix: delete(client, prefix, shields, batch) for prefix in prefixes}
    after = protected_keys(client, protected, batch)
    return Flushed(deleted, len(after.lifetimes), after.without_lifetime, ended(before, after))


def warnings_of(flushed: Flushed, protected: t.Sequence[str]) -> list[str]:
    under = ", ".join(protected)
    told = []
    if flushed.without_lifetime:
        told.append(f"{flushed.without_lifetime} keys under {under} have no lifetime: they stay for ever.")
    if flushed.ended:
        told.append(
            f"{flushed.ended} keys under {under} ended during the flush with lifetime left. This module did not delete "
            "them: users logged out, or the server is short of memory and evicts."
        )
    return told


def as_diff(flushed: Flushed, place: str) -> dict[str, str]:
    lines = [f"{prefix}* {count} keys\n" for prefix, count in flushed.deleted.items() if count]
    return {"before_header": place, "after_header": place, "before": "".join(lines), "after": ""}


class NobodyThereError(InfraError):
    """Nothing listens at the cache's address: check mode before the cache is installed."""


@contextlib.contextmanager
def opened(parameters: Facts) -> t.Iterator[Client]:
    """A client for the server that `parameters` name; the server's refusals become errors that mend."""
    place = f"{parameters['host']}:{parameters['port']}"
    client = redis.Redis(
        host=parameters["host"],
        port=parameters["port"],
        db=parameters["db"],
        username=parameters["username"],
        password=parameters["password"],
        socket_timeout=parameters["timeout"],
        socket_connect_timeout=min(10, parameters["timeout"]),
        **({"ssl": True, "ssl_ca_certs": parameters["ca_cert"]} if parameters["tls"] else {}),
    )
    what = "flush the cache at"
    try:
        client.ping()
        yield client
    except redis.exceptions.TimeoutError as error:
        raise NobodyThereError(
            what, place, f"no answer within {parameters['timeout']} s", "Check the address and the network."
        ) from error
    except (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError) as error:
        raise InfraError(what, place, f"it refuses the account: {error}", "Check username and password.") from error
    except redis.exceptions.NoPermissionError as error:
        raise InfraError(
            what,
            place,
            f"the account lacks a right: {error}",
            "It needs +scan +unlink +pttl +ping, on the prefixes to flush and the protected ones.",
        ) from error
    except redis.exceptions.ConnectionError as error:
        fault = InfraError if isinstance(error.__cause__, OSError) and parameters["tls"] else NobodyThereError
        raise fault(
            what, place, str(error).rstrip("."), "Check that it is up, lets this host in, and whether it wants TLS."
        ) from error
    except redis.exceptions.ResponseError as error:
        clustered = str(error).startswith(("MOVED", "CROSSSLOT", "ASK"))
        mend = "Give the address of a server that is not a cluster." if clustered else "Check the account's rights."
        raise InfraError(what, place, f"it answered: {error}", mend) from error
    finally:
        client.close()
