"""`sentry-cli` takes the stand-in for Sentry's API, with all that a deploy asks of Sentry; it knows no alerts."""

from __future__ import annotations

import datetime
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import sentry
from ansible_collections.nexod.infra.tests.fixtures.services.running import Services

from .clients import called, python_clients

VERSION = "facts@1.2.0+abc"
Command = t.Callable[..., str]


@pytest.fixture
def run(services: Services, tmp_path: Path) -> t.Callable[..., subprocess.CompletedProcess[str]]:
    program = python_clients() / "bin/sentry-cli"
    services.sentry.seed(
        {
            "projects": {
                "api": {
                    "id": "101",
                    "slug": "api",
                    "name": "API",
                    "platform": "python-fastapi",
                    "dateCreated": "2026-01-01T00:00:00Z",
                    "organization": sentry.ORGANIZATION,
                    "teams": [sentry.TEAM],
                    "settings": {},
                }
            }
        }
    )

    def run(*arguments: str, token: str = sentry.TOKEN) -> subprocess.CompletedProcess[str]:
        settings = {"SENTRY_URL": services.sentry.url, "SENTRY_AUTH_TOKEN": token, "SENTRY_ORG": sentry.ORGANIZATION}
        settings |= {"SENTRY_PROJECT": "api", "SENTRY_DISABLE_UPDATE_CHECK": "true"}
        return called([program, *arguments], tmp_path, **settings)

    return run


@pytest.fixture
def command(run: t.Callable[..., subprocess.CompletedProcess[str]]) -> Command:
    def checked(*arguments: str) -> str:
        done = run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    return checked


def test_who_it_is(command: Command) -> None:
    assert "project:releases" in command("info")
    assert sentry.ORGANIZATION in command("organizations", "list")
    assert " api " in command("projects", "list")
    assert "nexod/facts" in command("repos", "list")


def test_a_list_of_several_pages_is_read_to_its_end(services: Services, command: Command) -> None:
    services.sentry.page = 2
    one = services.sentry.state["projects"]["api"]
    services.sentry.seed({"projects": {f"p{n}": {**one, "id": str(200 + n), "slug": f"p{n}"} for n in range(4)}})
    shown = command("projects", "list")
    assert all(f" p{n} " in shown for n in range(4))
    assert len(services.sentry.calls("list_projects")) == 3


def test_a_release_with_commits_and_a_deploy(services: Services, command: Command) -> None:
    command("releases", "new", VERSION)
    command("releases", "new", VERSION)
    assert [seen.status for seen in services.sentry.calls("create_release")] == [201, 208]
    command("releases", "set-commits", VERSION, "--commit", "nexod/facts@" + "a" * 40)
    command("releases", "finalize", VERSION)
    assert VERSION.split("@")[1] in command("releases", "list")
    command("deploys", "new", "--release", VERSION, "--env", "production", "--name", "1.2.0")
    assert "production" in command("deploys", "list", "--release", VERSION)
    (release,) = services.sentry.state["releases"].values()
    assert release["commits"][0]["id"] == "a" * 40
    assert [each["environment"] for each in release["deploys"]] == ["production"]
    assert [each["name"] for each in services.sentry.state["environments"].values()] == ["production"]


def test_deploys_are_not_idempotent(services: Services, command: Command) -> None:
    command("releases", "new", VERSION)
    for _try in range(2):
        command("deploys", "new", "--release", VERSION, "--env", "production")
    assert len(services.sentry.state["releases"][VERSION]["deploys"]) == 2


def test_source_maps(services: Services, command: Command, tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text("console.log(1)\n//# sourceMappingURL=app.js.map\n")
    (tmp_path / "app.js.map").write_text(
        '{"version":3,"sources":["app.ts"],"names":[],"mappings":"AAAA","file":"app.js"}'
    )
    command("sourcemaps", "inject", str(tmp_path))
    command("sourcemaps", "upload", "--release", VERSION, str(tmp_path))
    (bundle,) = services.sentry.state["bundles"].values()
    assert bundle["projects"] == ["api"]
    assert bundle["version"] == VERSION
    assert set(bundle["chunks"]) == set(services.sentry.state["chunks"])


def test_issues_by_their_first_release(services: Services, command: Command) -> None:
    old = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)).isoformat()
    services.sentry.add_issue("api", "KeyError: old", firstSeen=old)
    services.sentry.add_issue("api", "ValueError: new", firstRelease=VERSION)
    assert "ValueError" in (found := command("issues", "list", "--query", f"firstRelease:{VERSION}"))
    assert "KeyError" not in found
    assert "KeyError" not in command("issues", "list", "--query", "firstSeen:-5m")
    assert "KeyError" in command("issues", "list")


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("sntryu_" + "c" * 64, "Invalid token"),
        (sentry.TOKEN_OF_ANOTHER, "You do not have permission"),
        (sentry.TOKEN_READ_ONLY, "You do not have permission"),
    ],
)
def test_a_token_that_may_not(
    run: t.Callable[..., subprocess.CompletedProcess[str]], services: Services, token: str, text: str
) -> None:
    done = run("releases", "new", VERSION, token=token)
    assert done.returncode != 0
    assert text in done.stdout + done.stderr
    assert services.sentry.state["releases"] == {}


def test_a_vendor_that_adds_fields(services: Services, command: Command) -> None:
    services.sentry.rearranges = True
    command("releases", "new", VERSION)
    command("projects", "list")
