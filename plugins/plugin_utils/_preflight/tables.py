# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight must know of the roles, read from each role's meta/environment.yml.

Which hosts a role runs on, which ports it listens on, which files on the controller it needs, and, for the role of a
provider, the groups, secrets and credentials that the provider asks for.
"""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.plugin_utils._environment.roles import inventory_groups, places

_PLACES: t.Final = places()

# A role's options are required on the hosts of these groups, and evaluated there. "all" is every host;
# "localhost" the controller.
ROLE_GROUPS: t.Final[dict[str, tuple[str, ...]]] = {role: tuple(place["groups"]) for role, place in _PLACES.items()}

# Options that a role needs unless its state is absent; they default to nothing.
ROLE_REQUIRES: t.Final[dict[str, tuple[str, ...]]] = {
    role: tuple(place.get("required", ())) for role, place in _PLACES.items()
}

# Roles that are used with one provider only; with another nothing of them is required.
PROVIDER_OF_ROLE: t.Final[dict[str, str]] = {
    role: place["provider"] for role, place in _PLACES.items() if "provider" in place
}

# Roles that are used only by inventories that have this group.
GROUP_OF_ROLE: t.Final[dict[str, str]] = {
    role: place["only_with_group"] for role, place in _PLACES.items() if "only_with_group" in place
}

# A role whose variables begin with something else than its name.
PREFIX_OF_ROLE: t.Final[dict[str, str]] = {
    role: place["prefix"] for role, place in _PLACES.items() if "prefix" in place
}

# Facts that the collection publishes itself under a checked prefix.
PUBLISHED: t.Final = frozenset(name for place in _PLACES.values() for name in place.get("published", ()))

# Groups that must have hosts, with the stage that needs them, and groups that must have none, by provider.
_PROVIDERS: t.Final = {place["provider"]: place for role, place in _PLACES.items() if role.startswith("provider_")}
PROVIDERS: t.Final = tuple(sorted(_PROVIDERS))
NEEDED_GROUPS: t.Final[dict[str, dict[str, str]]] = {
    provider: dict(place.get("needed_groups", {})) for provider, place in _PROVIDERS.items()
}
EMPTY_GROUPS: t.Final[dict[str, tuple[str, ...]]] = {
    provider: tuple(place.get("empty_groups", ())) for provider, place in _PROVIDERS.items()
}
KNOWN_GROUPS: t.Final = frozenset(
    {"all", "ungrouped", *(name for group, below in inventory_groups().items() for name in (group, *below))}
)

# Secrets of the environment as a whole that are needed, by provider.
NEEDED_SECRETS: t.Final[dict[str, tuple[str, ...]]] = {
    provider: tuple(place.get("needed_secrets", ())) for provider, place in _PROVIDERS.items()
}


# Where the value of an environment variable is found, by its name.
FOUND_AT: t.Final[dict[str, str]] = {
    name: text for place in _PLACES.values() for name, text in place.get("found_at", {}).items()
}


class Port(t.NamedTuple):
    """A port that a role listens on: the option that sets it, the units that may hold it, and whether it is used.

    `enabled` is a list option and the member without which the port is not used. `number` is the option with the number
    of ports, of which the others come after the first.
    """

    option: str
    units: tuple[str, ...]
    enabled: tuple[str, str] | None = None
    number: str = ""


def _port(row: t.Mapping[str, t.Any]) -> Port:
    enabled = row.get("enabled")
    return Port(row["option"], tuple(row["units"]), (enabled[0], enabled[1]) if enabled else None, row.get("count", ""))


# What each role listens on.
ROLE_PORTS: t.Final[dict[str, tuple[Port, ...]]] = {
    role: tuple(map(_port, place["ports"])) for role, place in _PLACES.items() if "ports" in place
}

# Options that name a file or folder on the controller, each with how to get it there.
CONTROLLER_FILES: t.Final[dict[str, str]] = {
    option: next_step for place in _PLACES.values() for option, next_step in place.get("controller_files", {}).items()
}

# Variables by which an inventory tells Ansible how to reach a host, as its documentation lists them.
CONNECTION_VARIABLES: t.Final = frozenset(
    f"ansible_{name}"
    for name in (
        *("host", "port", "user", "password", "connection", "timeout", "pipelining", "private_key_file"),
        *("ssh_host", "ssh_port", "ssh_user", "ssh_pass", "ssh_password", "ssh_timeout", "ssh_private_key_file"),
        *("ssh_common_args", "ssh_extra_args", "ssh_args", "ssh_executable", "ssh_pipelining", "ssh_transfer_method"),
        *(
            "ssh_host_key_checking",
            "ssh_retries",
            "ssh_use_tty",
            "host_key_checking",
            "control_path",
            "ssh_private_key",
        ),
        *("sftp_extra_args", "scp_extra_args", "sftp_executable", "scp_executable", "sftp_batch_mode"),
        *("become", "become_user", "become_method", "become_password", "become_pass", "become_exe", "become_flags"),
        *("python_interpreter", "remote_tmp", "shell_type", "shell_executable", "module_compression", "network_os"),
    )
)
# Others of Ansible's own whose names resemble one of those above.
KNOWN_TO_ANSIBLE: t.Final = CONNECTION_VARIABLES | frozenset(
    f"ansible_{name}"
    for name in (
        *("hostname", "hosts", "host_vars", "connection_user", "connection_path", "remote_user", "user_id", "users"),
        *("play_hosts", "play_name", "play_batch", "play_hosts_all", "version", "become_allow_same_user", "sudo_user"),
    )
)

# What the variables of other connection plugins begin with; there are too many to list.
OF_OTHER_PLUGINS: t.Final = tuple(
    f"ansible_{plugin}_"
    for plugin in (
        *("aws_ssm", "buildah", "chroot", "docker", "httpapi", "incus", "kubectl", "libssh", "lxc", "lxd", "netconf"),
        *("oc", "paramiko", "podman", "psrp", "qubes", "vmware_tools", "winrm"),
    )
)

# Debian releases on which every role is tested.
SUPPORTED_RELEASES: t.Final[dict[str, tuple[str, ...]]] = {"debian": ("bookworm", "trixie", "forky")}
# What ansible-core 2.19 asks of a host.
MINIMUM_PYTHON: t.Final = (3, 8)


class Credential(t.NamedTuple):
    """A way to prove who one is: all of `variables` in the environment, or one of `files` in place."""

    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Need(t.NamedTuple):
    """Something that the provider's API asks for, the ways to have it (any one is enough) and the next step without."""

    subject: str
    ways: tuple[Credential, ...]
    next_step: str


def _need(row: t.Mapping[str, t.Any]) -> Need:
    ways = [Credential(tuple(way.get("variables", ())), tuple(way.get("files", ()))) for way in row["ways"]]
    return Need(row["subject"], tuple(ways), row["next_step"])


PROVIDER_NEEDS: t.Final[dict[str, tuple[Need, ...]]] = {
    provider: tuple(map(_need, place.get("credentials", ()))) for provider, place in _PROVIDERS.items()
}
