"""The archive, built once, and a folder that it is installed into."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.archive.support import BIN, ROOT, ansible


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    done = ansible(BIN / "ansible-galaxy", "collection", "build", "--output-path", folder, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("nexod-infra-*.tar.gz")
    return built


@pytest.fixture(scope="session")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout with nothing but the installed collection in its collections path."""
    home = tmp_path_factory.mktemp("installed")
    done = ansible(
        BIN / "ansible-galaxy", "collection", "install", "--offline", archive, "-p", home / "collections", cwd=home
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "collections/ansible_collections/nexod/infra/MANIFEST.json").exists()
    return home
