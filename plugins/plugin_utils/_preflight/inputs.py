# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight without any host: checks the name, type, presence and references of every input."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import datetime
import functools
import re
import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._preflight import formats
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.specs import (
    Options,
    did_you_mean,
    is_missing,
    is_secret,
    misfits,
    summary,
)
from ansible_collections.nexod.infra.plugins.plugin_utils._preflight.tables import (
    CONNECTION_VARIABLES,
    EMPTY_GROUPS,
    FOUND_AT,
    GROUP_OF_ROLE,
    KNOWN_GROUPS,
    KNOWN_TO_ANSIBLE,
    NEEDED_GROUPS,
    NEEDED_SECRETS,
    OF_OTHER_PLUGINS,
    PREFIX_OF_ROLE,
    PROVIDER_NEEDS,
    PROVIDER_OF_ROLE,
    PUBLISHED,
    ROLE_GROUPS,
    ROLE_REQUIRES,
)

CONTROLLER: t.Final = "localhost"


@dataclasses.dataclass(frozen=True, order=True)
class Fault:
    """One problem: the subject, the cause, the next step, the hosts concerned, and where the value was written."""

    subject: str
    cause: str
    next_step: str
    hosts: tuple[str, ...] = ()
    where: str = ""


class EvaluationError(Exception):
    """A variable's template cannot be evaluated; the text says why."""


@dataclasses.dataclass(frozen=True)
class HostInputs:
    """What the inventory gives one host: names to unevaluated values, and how to evaluate a name."""

    name: str
    groups: frozenset[str]
    raw: t.Mapping[str, object]
    evaluate: t.Callable[[str], object]
    where: t.Callable[[str], str] = lambda _: ""


@dataclasses.dataclass
class Inputs:
    """The whole of what a deploy was given."""

    environment: str
    provider: str
    specs: t.Mapping[str, Options]
    groups: t.Mapping[str, t.Sequence[str]]
    hosts: t.Mapping[str, HostInputs]
    values: dict[tuple[str, str], object] = dataclasses.field(default_factory=dict)
    faulty: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    secrets: set[str] = dataclasses.field(default_factory=set)
    missing: set[str] = dataclasses.field(default_factory=set)
    locked: set[str] = dataclasses.field(default_factory=set)
    evaluated: dict[str, list[tuple[dict[str, object], object]]] = dataclasses.field(default_factory=dict)
    #: Hosts that are declared and do not exist yet.
    pending: frozenset[str] = frozenset()

    def evaluate(self, host: HostInputs, name: str, reached: t.Iterable[str]) -> object:
        """The value of a variable; taken from another host where all that it is made of is the same."""
        parts = {part: host.raw[part] for part in reached}
        known = self.evaluated.setdefault(name, [])
        for others, value in known:
            if others == parts:
                return value
        known.append((parts, host.evaluate(name)))
        return known[-1][1]

    def value(self, host: str, name: str) -> object:
        """The checked value of an option on a host, its specification's default where none is given, else None."""
        if (host, name) in self.faulty:
            return None
        if (host, name) in self.values:
            return self.values[host, name]
        spec = next((options[name] for options in self.specs.values() if name in options), {})
        default = spec.get("default")
        # A template is evaluated by the role only.
        return None if "{{" in str(default) else default

    def number(self, host: str, name: str) -> int | None:
        """The same as a whole number; None where it is none."""
        value = self.value(host, name)
        try:
            return None if value is None else int(str(value))
        except ValueError:
            return None

    def roles_of(self, host: HostInputs) -> list[str]:
        """The roles that run on a host, the environment's own first: its faults explain those of the others."""
        groups = host.groups | {"all"} | ({CONTROLLER} if host.name == CONTROLLER else set())
        roles = [
            role
            for role, wanted in ROLE_GROUPS.items()
            if role in self.specs
            and groups & set(wanted)
            and PROVIDER_OF_ROLE.get(role, self.provider) == self.provider
            and GROUP_OF_ROLE.get(role, "all") in (*self.groups, "all")
        ]
        return sorted(roles, key=lambda role: (role != "environment", role))


def prefix_of(role: str) -> str:
    """What a role's variables begin with."""
    return PREFIX_OF_ROLE.get(role, f"{role}_")


def check_inputs(inputs: Inputs) -> list[Fault]:
    """Every fault of names, types, presence and groups. Fills `values`, `faulty` and `secrets` of `inputs`."""
    found = [*check_groups(inputs), *check_names(inputs)]
    for host in inputs.hosts.values():
        found += check_address(host)
        for role in inputs.roles_of(host):
            for name, spec in inputs.specs[role].items():
                found += check_option(inputs, host, name, spec, role)
    return found


def check_groups(inputs: Inputs) -> list[Fault]:
    """Groups that a stage needs and that have no host, that must be empty, or whose name was misspelt."""
    found = []
    for group, stage in NEEDED_GROUPS.get(inputs.provider, {}).items():
        if not inputs.groups.get(group):
            cause = f"has no hosts, but the stage {stage} needs one"
            found.append(Fault(f"group {group}", cause, "Add a host to it in the inventory's hosts file."))
    for group in EMPTY_GROUPS.get(inputs.provider, ()):
        if inputs.groups.get(group):
            cause = f"has hosts, but the provider {inputs.provider} manages that layer"
            next_step = "Empty it in the inventory's hosts file, or change infra_provider."
            found.append(Fault(f"group {group}", cause, next_step, tuple(inputs.groups[group])))
    for group in sorted(set(inputs.groups) - KNOWN_GROUPS):
        meant = did_you_mean(group, KNOWN_GROUPS, cutoff=0.8)
        if meant:
            found.append(Fault(f"group {group}", "is not used by any stage", f"Did you mean {meant}?"))
    return found


def check_names(inputs: Inputs) -> list[Fault]:
    """Variables that begin like ours and are in no specification, or that resemble one of ours too closely."""
    known = {name for options in inputs.specs.values() for name in options}
    prefixes = {prefix_of(role): role for role in inputs.specs}
    names = sorted({(name, host.where(name)) for host in inputs.hosts.values() for name in host.raw})
    found = []
    for name, where in names:
        if name in known or name in PUBLISHED or name.startswith("_"):
            continue
        if name.startswith("ansible_"):
            found += _check_connection_name(inputs, name, where)
            continue
        role = next((role for prefix, role in prefixes.items() if name.startswith(prefix)), None)
        meant = did_you_mean(name, known, cutoff=0.75 if role else 0.9)
        if meant or role:
            next_step = (
                f"Did you mean {meant}?" if meant else f"Remove it; roles/{role}/README.md lists the valid names."
            )
            found.append(Fault(name, "is not a known variable", next_step, _hosts_with(inputs, name, where), where))
    return found


def _hosts_with(inputs: Inputs, name: str, where: str) -> tuple[str, ...]:
    return tuple(host.name for host in inputs.hosts.values() if name in host.raw and host.where(name) == where)


def _check_connection_name(inputs: Inputs, name: str, where: str) -> list[Fault]:
    """A variable that resembles one of Ansible's own for the connection. Others may be a connection plugin's."""
    if name in KNOWN_TO_ANSIBLE or name.startswith(OF_OTHER_PLUGINS):
        return []
    if not (meant := did_you_mean(name, CONNECTION_VARIABLES, cutoff=0.85)):
        return []
    facts = (host.raw.get("ansible_facts") for host in inputs.hosts.values())
    if any(isinstance(known, c.Mapping) and name.removeprefix("ansible_") in known for known in facts):
        return []
    cause = "is not a variable that Ansible knows"
    return [Fault(name, cause, f"Did you mean {meant}?", _hosts_with(inputs, name, where), where)]


def check_address(host: HostInputs) -> list[Fault]:
    """A host whose address is set but empty, or cannot be evaluated."""
    if "ansible_host" not in host.raw:
        return []
    try:
        missing = is_missing(host.evaluate("ansible_host"))
        cause = "has no address"
    except EvaluationError as error:
        missing, cause = True, f"has an address that cannot be evaluated: {error}"
    if not missing:
        value = str(host.evaluate("ansible_host"))
        expected = formats.address(value)
        if not expected or asks_somebody(host.raw["ansible_host"]):
            return []
        cause = f"has the address {value!r}, which is not {expected}"
        return [Fault(f"host {host.name}", cause, "Correct its ansible_host.", (), host.where("ansible_host"))]
    return [
        Fault(
            f"host {host.name}",
            cause,
            missing_next_step(host.raw["ansible_host"], "ansible_host"),
            (),
            host.where("ansible_host"),
        )
    ]


def check_option(
    inputs: Inputs, host: HostInputs, name: str, spec: t.Mapping[str, t.Any], role: str = ""
) -> list[Fault]:
    """One option on one host. A problem that only follows from another variable's is not reported."""
    required = spec.get("required") or name in NEEDED_SECRETS.get(inputs.provider, ())
    if role and name in ROLE_REQUIRES.get(role, ()):
        required = host.raw.get(f"{role}_state", "present") != "absent"
    if name not in host.raw:
        if not required:
            return []
        inputs.faulty.add((host.name, name))
        inputs.missing.add(name)
        next_step = f"Set it in the inventory's group_vars/all: {summary(spec)}"
        return [Fault(name, "is not set", next_step, (host.name,))]
    reached = reached_from(name, host.raw)
    if any((host.name, other) in inputs.faulty for other in reached - {name}):
        inputs.faulty.add((host.name, name))
        return []
    if any(asks_somebody(host.raw[other]) for other in reached):
        return []
    found = _check_value(inputs, host, name, {**spec, "required": required}, reached)
    if found:
        inputs.faulty.add((host.name, name))
    return found


def _check_value(
    inputs: Inputs, host: HostInputs, name: str, spec: t.Mapping[str, t.Any], reached: t.Iterable[str]
) -> list[Fault]:
    raw = host.raw[name]
    hosts, where = (host.name,), host.where(name)
    try:
        value = inputs.evaluate(host, name, reached)
    except EvaluationError as error:
        inputs.missing.add(name)
        if is_locked(str(error)):
            inputs.locked.add(name)
        options = {option for role in inputs.specs.values() for option in role}
        next_step = evaluation_next_step(str(error), host.raw, options)
        return [Fault(name, f"cannot be evaluated: {error}", next_step, hosts, where)]
    if spec["required"] and is_missing(value):
        inputs.missing.add(name)
        return [Fault(name, "is empty", missing_next_step(raw, name), hosts, where)]
    if value is None:
        return []
    spec = {**spec, "no_log": is_secret(name, spec)}
    inputs.secrets |= secrets_in(value, spec)
    if altered := [Fault(name + at, *fault, hosts, where) for at, fault in altered_secrets(raw, value, spec)]:
        return altered
    inputs.values[host.name, name] = value
    return [
        Fault(name + fault.where, fault.cause, fault.next_step, hosts, where)
        for fault in misfits(value, spec, option=name)
    ]


def check_credentials(provider: str, environ: t.Mapping[str, str], exists: t.Callable[[str], bool]) -> list[Fault]:
    """Credentials of the provider that are missing. Checks only the names of variables and files."""
    return [
        Fault(need.subject, "are missing" if need.subject.endswith("s") else "is missing", need.next_step)
        for need in PROVIDER_NEEDS.get(provider, ())
        if not any(
            (way.variables and all(environ.get(name) for name in way.variables)) or any(map(exists, way.files))
            for way in need.ways
        )
    ]


@functools.lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    blocks = re.findall(r"{[{%](.*?)[}%]}", text, re.DOTALL)
    return frozenset(word for block in blocks for word in re.findall(r"\w+", block))


def mentions(value: object) -> set[str]:
    """The words of every template inside an unevaluated value."""
    return {word for text in _texts(value) for word in _words(str(text))}


def _texts(value: object) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (c.Mapping, list, tuple)):
        for below in value.values() if isinstance(value, c.Mapping) else value:
            yield from _texts(below)


def reached_from(name: str, raw: t.Mapping[str, object]) -> set[str]:
    """A variable and every variable that its template refers to, by however many steps."""
    found, open_ends = {name}, [name]
    while open_ends:
        new = {word for word in mentions(raw[open_ends.pop()]) if word in raw} - found
        found |= new
        open_ends += new
    return found


# Lookups that only read the controller's own files and environment. Preflight evaluates no others.
_OWN_LOOKUPS = frozenset(
    {"config", "dict", "env", "file", "fileglob", "first_found", "ini", "items", "password", "sequence", "template"}
    | {"unvault", "vars", "varnames", "yaml"}
)
_LOOKUP = re.compile(r"\b(?:lookup|query|q)\s*\(\s*['\"]([\w.]+)['\"]")


def asks_somebody(value: object) -> bool:
    """Whether evaluating a value would contact another system."""
    return any(plugin.split(".")[-1] not in _OWN_LOOKUPS for text in _texts(value) for plugin in _LOOKUP.findall(text))


def secrets_in(value: object, spec: t.Mapping[str, t.Any]) -> set[str]:
    """Every string in `value` that its specification marks as secret, if long enough to be recognised in a text."""
    secret, options = bool(spec.get("no_log")), spec.get("options") or {}
    if isinstance(value, c.Mapping):
        below = {
            key: {**options.get(key, {}), "no_log": secret or is_secret(str(key), options.get(key, {}))}
            for key in value
        }
        return {text for key, inner in value.items() for text in secrets_in(inner, below[key])}
    if isinstance(value, (list, tuple)):
        return {text for inner in value for text in secrets_in(inner, {"options": options, "no_log": secret})}
    return {str(value)} if secret and len(str(value)) >= 4 else set()


_BLOCK = re.compile(r"{{(.*?)}}|{%(.*?)%}|({#.*?#})", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def _is_constant_block(text: str) -> bool:
    """Whether a text has a template block without any name in it, or a comment: nobody writes that on purpose."""
    return any(
        comment or not re.search(r"[A-Za-z_]", _QUOTED.sub("", expression or statement))
        for expression, statement, comment in _BLOCK.findall(text)
    )


def altered_secrets(
    raw: object, value: object, spec: t.Mapping[str, t.Any], at: str = ""
) -> t.Iterator[tuple[str, tuple[str, str]]]:
    """Secrets that are not what was written, each with where it is: Ansible evaluated it, or YAML made it a number."""
    if isinstance(value, c.Mapping):
        options = spec.get("options") or {}
        for key, inner in value.items():
            below = options.get(key, {})
            known = {**below, "no_log": spec.get("no_log") or is_secret(str(key), below)}
            yield from altered_secrets(raw[key] if _has(raw, key) else None, inner, known, f"{at}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            below_raw = raw[index] if isinstance(raw, (list, tuple)) and index < len(raw) else None
            yield from altered_secrets(below_raw, inner, spec, f"{at}[{index}]")
    elif not spec.get("no_log") or spec.get("type", "str") not in ("str", "list", "dict", "raw"):
        return
    elif isinstance(value, (bool, int, float, datetime.date)) and not isinstance(raw, str):
        cause = "is a secret that YAML has read as a number, a date or a truth value, not as what was written"
        yield at, (cause, "Write it in quotes.")
    elif isinstance(raw, str) and value != raw and _is_constant_block(raw):
        cause = "is a secret with template characters, which Ansible has evaluated: it differs from what was written"
        yield at, (cause, "Write !unsafe before the quoted value, or read it from an environment variable or a file.")


def _has(raw: object, key: object) -> t.TypeGuard[c.Mapping[object, object]]:
    return isinstance(raw, c.Mapping) and key in raw


_ENVIRONMENT_LOOKUP = re.compile(r"env['\"]\s*,\s*['\"]([A-Z][A-Z0-9_]*)['\"]")


def missing_next_step(raw: object, name: str) -> str:
    """How to set an empty variable: through the environment variable that it is read from, if there is one."""
    read_from = _ENVIRONMENT_LOOKUP.findall(raw) if isinstance(raw, str) else []
    if not read_from:
        return f"Set {name}."
    step = f"Export {' or '.join(read_from)}" + (f", or set {name} in a vault." if name != "ansible_host" else ".")
    return " ".join([step, *(FOUND_AT[one] for one in read_from if one in FOUND_AT)])


def is_locked(error: str) -> bool:
    """Whether a value could not be evaluated because it is in a vault without a password."""
    return "vault" in error.lower() or "decrypt" in error.lower()


def evaluation_next_step(error: str, raw: t.Mapping[str, object], options: t.Collection[str] = ()) -> str:
    """How to fix a template: set the option that it reads, correct the name, or provide the vault's password."""
    if is_locked(error):
        return "Provide the vault password: --vault-password-file FILE or ANSIBLE_VAULT_PASSWORD_FILE."
    undefined = re.search(r"'(\w+)' is undefined", error)
    if undefined and undefined[1] in options:
        return f"Set {undefined[1]}."
    meant = did_you_mean(undefined[1], raw) if undefined else None
    return f"Did you mean {meant}?" if meant else "Correct its template."


def scrub(faults: t.Iterable[Fault], secrets: t.Collection[str]) -> list[Fault]:
    """The same problems with every secret masked, whichever program wrote the text."""
    found = list(faults)
    # Longest first, so that a secret that contains another one is masked completely.
    for secret in sorted(secrets, key=len, reverse=True):
        found = [
            dataclasses.replace(
                fault, cause=fault.cause.replace(secret, "***"), next_step=fault.next_step.replace(secret, "***")
            )
            for fault in found
        ]
    return found


def cluster(faults: t.Iterable[Fault]) -> list[Fault]:
    """Merge the same problem on several hosts into one, in a stable order."""
    together: dict[tuple[str, str, str, str], list[str]] = {}
    for fault in faults:
        hosts = together.setdefault((fault.subject, fault.cause, fault.next_step, fault.where), [])
        hosts += [host for host in fault.hosts if host not in hosts]
    return sorted(
        Fault(subject, cause, next_step, tuple(sorted(hosts)), where)
        for (subject, cause, next_step, where), hosts in together.items()
    )


def as_rows(faults: t.Iterable[Fault]) -> list[dict[str, t.Any]]:
    """Problems as plain data, for programs and for passing them through Ansible."""
    return [{**dataclasses.asdict(fault), "hosts": list(fault.hosts)} for fault in faults]


def from_rows(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[Fault]:
    """Problems from plain data."""
    return [Fault(**{**row, "hosts": tuple(row["hosts"])}) for row in rows]


def render(environment: str, faults: t.Sequence[Fault], everybody: t.Collection[str], note: str = "") -> str:
    """The list that people read."""
    many = f"{len(faults)} problem{'s' * (len(faults) != 1)} to fix first"
    lines = [f"Cannot deploy {environment}: {many}. Nothing was changed."]
    for number, fault in enumerate(faults, 1):
        hosts = _named(fault, everybody)
        at = "; ".join(part for part in (hosts, fault.where) if part)
        lines += [
            "",
            f"{number:3}. {fault.subject} {fault.cause}." + (f" ({at})" if at else ""),
            f"     -> {fault.next_step}",
        ]
    return "\n".join([*lines, *(["", note] if note else [])])


def _named(fault: Fault, everybody: t.Collection[str]) -> str:
    """The hosts of a problem; if all hosts have it, the name of the file is enough."""
    if fault.hosts and set(fault.hosts) >= set(everybody):
        return "" if fault.where else "every host"
    most = 12
    names = ", ".join(fault.hosts[:most])
    return names if len(fault.hosts) <= most else f"{names} and {len(fault.hosts) - most} more"
