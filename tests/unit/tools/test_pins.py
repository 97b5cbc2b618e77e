"""The commit of the collection in the workflows of a product: written by one command, refused where it is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.tools import delivery, pins
from ansible_collections.nexod.infra.tools.pins import EXAMPLES, PLACEHOLDER, ROOT, Release

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CALL = "    uses: nexod/nexod.infra/.github/workflows/deliver.yml@"
RELEASE = Release(COMMIT, "1.1.0")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{CALL}{PLACEHOLDER} # 1.1.0", f"{CALL}{COMMIT} # 1.1.0"),
        (f"{CALL}main", f"{CALL}{COMMIT} # 1.1.0"),
        (f"{CALL}{'a' * 40} # 1.0.0", f"{CALL}{COMMIT} # 1.1.0"),
        (f'    uses: "fork/infra/.github/workflows/roll_back.yml@{"a" * 40}"', None),
        ("      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", ""),
        ("    uses: shop/shop/.github/workflows/tests.yml@main", ""),
        (f"# uses: nexod/nexod.infra/.github/workflows/deliver.yml@{PLACEHOLDER}", ""),
    ],
)
def test_calls_of_ours_get_the_commit_and_nothing_else_does(before: str, after: str | None) -> None:
    if after is None:
        after = before.replace("a" * 40, COMMIT) + " # 1.1.0"
    assert pins.pinned(f"jobs:\n{before}\n  more:\n", RELEASE) == f"jobs:\n{after or before}\n  more:\n"
    if after:
        # A commit that no tag names has no version to be mentioned.
        assert pins.pinned(before, Release(COMMIT, "")) == after.removesuffix(" # 1.1.0")


def test_one_command_adds_the_workflows_and_sets_the_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(".github/workflows")
    assert delivery.main(["pin", "--commit", COMMIT, "--version", "1.1.0"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["delivery.yml", "previews.yml", "roll_back.yml"]
    for path in folder.iterdir():
        text = path.read_text()
        assert PLACEHOLDER not in text
        assert text == (EXAMPLES / path.name).read_text().replace(PLACEHOLDER, COMMIT)
        assert yaml.safe_load(text)
    assert delivery.main(["pinned"]) == 0
    # What a product has written itself stays, and a second time there is nothing to do.
    (folder / "delivery.yml").write_text("name: ours\n")
    capsys.readouterr()
    assert delivery.main(["pin", "--commit", COMMIT, "--version", "1.1.0"]) == 0
    assert (folder / "delivery.yml").read_text() == "name: ours\n"
    assert capsys.readouterr().out == ".github/workflows has 0123456789ab already\n"


def test_a_placeholder_is_refused_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pins.pin(tmp_path, RELEASE)
    (tmp_path / "roll_back.yml").write_text((EXAMPLES / "roll_back.yml").read_text())
    assert delivery.main(["pinned", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"placeholder of the example in {tmp_path}/roll_back.yml:21" in said
    assert "delivery.py pin .github/workflows" in said


def test_deliver_refuses_it_before_anything_is_installed_or_built() -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/deliver.yml").read_text())["jobs"]["release"]["steps"]
    runs = [step.get("run", step.get("uses", "")) for step in steps]
    assert [one.partition("@")[0] for one in runs[:2]] == ["actions/checkout"] * 2
    assert runs[2] == "python3 .infra/tools/delivery.py pinned .github/workflows"


@pytest.mark.parametrize("commit", ["", "main", "0123456", COMMIT.upper(), PLACEHOLDER])
def test_what_is_no_commit_is_refused(commit: str) -> None:
    with pytest.raises(InfraError, match="is no commit"):
        pins.of_commit(commit)


def git(folder: Path, *argv: str) -> str:
    identity = ("-c", "user.name=infra", "-c", "user.email=infra@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *identity, *argv], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A repository with a release by a plain tag, and one by an annotated tag, which has a commit of its own."""
    git(tmp_path, "init", "--quiet")
    for version, more in (("1.0.0", ()), ("1.1.0", ("--annotate", "--message", "1.1.0"))):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", version)
        git(tmp_path, "tag", *more, version)
    return tmp_path


def test_the_commit_of_a_version_and_of_a_checkout(released: Path) -> None:
    head, before = git(released, "rev-list", "main").split()
    assert pins.of_version("1.0.0", str(released)) == Release(before, "1.0.0")
    assert pins.of_version("1.1.0", str(released)) == Release(head, "1.1.0")
    assert pins.of_checkout(released) == Release(head, "1.1.0")


def test_what_is_no_release_is_refused(released: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(InfraError, match="no such tag"):
        pins.of_version("9.9.9", str(released))
    git(released, "commit", "--quiet", "--allow-empty", "--message", "later")
    with pytest.raises(InfraError, match="is no release"):
        pins.of_checkout(released)
    with pytest.raises(InfraError, match="no checkout of git"):
        pins.of_checkout(tmp_path_factory.mktemp("archive"))
