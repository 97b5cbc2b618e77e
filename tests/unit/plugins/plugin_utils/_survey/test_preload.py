"""What the process that runs a playbook has loaded before it forks the first worker."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import ansible_collections.nexod.infra.plugins.plugin_utils._survey.preload as preloading

CHECKOUT = pathlib.Path(__file__).resolve().parents[5]
LOADED = """
import sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
from ansible_collections.nexod.infra.plugins.plugin_utils._survey.preload import preload
preload()
print(*sys.modules)
"""


def test_filters_tests_and_lookups_are_loaded_and_no_sdk() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.split()
    for name in ("filter.endpoints", "filter.web_protection", "lookup.option_faults", "test.installed", "test.proven"):
        assert f"ansible_collections.nexod.infra.plugins.{name}" in loaded
    # What takes long to import, and what only the tasks that use it need.
    assert not {"boto3", "cryptography.x509"} & set(loaded)


def test_every_plugin_is_named_in_full() -> None:
    assert "nexod.infra.endpoints" in preloading.names("filter")
    assert preloading.names("nothing") == []
