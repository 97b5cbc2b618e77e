#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_image
short_description: Build the images that a lab's hosts boot from
description:
  - Builds systemd images of Debian releases for podman, each once per recipe.
  - Images contain package lists and packages as files, so that hosts can install them without a network.
  - The lists leave out sections that servers don't need, such as games and desktops. C(apt-get update) on a host
    fetches the whole lists.
version_added: "1.0.0"
author: The nexod.infra maintainers (@nexod)
options:
  releases:
    description: Debian releases, by code name.
    type: list
    elements: str
    default: []
  packages:
    description: Packages installed in every image.
    type: list
    elements: str
    default: []
  carried:
    description: Packages that are stored in the image as files but not installed, by release.
    type: dict
    default: {}
  mirror:
    description:
      - Debian mirror for building and for the hosts.
      - The default is the mirror that this machine's apt uses.
    type: str
    default: ""
  registry_base:
    description: Registry image without its tag, used if mmdebstrap can't run.
    type: str
    default: docker.io/library/debian
  method:
    description: How to build. V(auto) uses mmdebstrap if it is installed, otherwise the registry's image.
    type: str
    choices: [auto, mmdebstrap, registry]
    default: auto
  state:
    description: V(absent) removes all images built by this module that no container uses.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Build the images
  nexod.infra.lab_image:
    releases: [bookworm, trixie]
    packages: [systemd-sysv, openssh-server, python3, python3-apt]
    carried:
      trixie: [haproxy]
"""

RETURN = r"""
images:
  description: The image of each release.
  type: dict
  returned: always
  sample: {trixie: "localhost/nexod-lab:trixie-0123456789ab"}
built:
  description: The images that were built or removed.
  type: list
  elements: str
  returned: always
"""

import pathlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._lab.plan import Recipe, mirror_of
from ansible_collections.nexod.infra.plugins.module_utils._lab.podman import (
    at_once,
    build_image,
    image_exists,
    images,
    remove_images,
)

ARGUMENTS = {
    "releases": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "list", "elements": "str", "default": []},
    "carried": {"type": "dict", "default": {}},
    "mirror": {"type": "str", "default": ""},
    "registry_base": {"type": "str", "default": "docker.io/library/debian"},
    "method": {"type": "str", "choices": ["auto", "mmdebstrap", "registry"], "default": "auto"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def own_mirror() -> str:
    """The mirror that this machine's apt uses."""
    apt = pathlib.Path("/etc/apt")
    lists = [
        apt / "sources.list",
        *sorted(apt.glob("sources.list.d/*.list")),
        *sorted(apt.glob("sources.list.d/*.sources")),
    ]
    found = mirror_of(path.read_text(encoding="utf-8", errors="replace") for path in lists if path.is_file())
    if not found:
        next_step = "Name one: lab_hosts_mirror."
        raise InfraError("choose a Debian mirror", "for the hosts' images", "this machine's apt names none", next_step)
    return found


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    asked = module.params
    with edge(module, "find", "Debian's mirror", "/etc/apt"):
        mirror = asked["mirror"] or own_mirror()
    recipes = [
        Recipe(release, tuple(asked["packages"]), tuple(asked["carried"].get(release, ())), mirror)
        for release in asked["releases"]
    ]
    with edge(module, "build" if asked["state"] == "present" else "remove", "the lab's images"):
        if asked["state"] == "absent":
            steps = images()
            if not module.check_mode:
                remove_images(steps)
        else:
            steps = [recipe.reference for recipe in recipes if not image_exists(recipe.reference)]
            if not module.check_mode:
                at_once(lambda recipe: build_image(recipe, asked["registry_base"], asked["method"]), recipes)
    diff = {"before": "", "after": "".join(f"{reference}\n" for reference in steps)}
    if asked["state"] == "absent":
        diff = {"before": diff["after"], "after": ""}
    module.exit_json(
        changed=bool(steps), built=steps, images={recipe.release: recipe.reference for recipe in recipes}, diff=diff
    )


if __name__ == "__main__":
    main()
