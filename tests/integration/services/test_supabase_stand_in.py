"""The `supabase` command takes the stand-in for Supabase's API: it decodes each answer against the vendor's schema."""

from __future__ import annotations

import string
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests.fixtures.services import supabase
from ansible_collections.nexod.infra.tests.fixtures.services.running import Services

from .clients import answer, called, npm_client

Command = t.Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(services: Services, tmp_path: Path) -> Command:
    program = npm_client("supabase") / ".bin/supabase"
    profile = tmp_path / "profile.yaml"
    url = services.supabase.url
    lines = {"name": "stand-in", "api_url": url, "dashboard_url": url, "docs_url": url}
    lines |= {"project_host": "localhost", "pooler_host": "supabase.com"}
    profile.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))

    def run(*arguments: str, token: str = supabase.TOKEN) -> subprocess.CompletedProcess[str]:
        options = ["--profile", str(profile), "--output-format", "json"]
        more = {"SUPABASE_ACCESS_TOKEN": token, "SUPABASE_TELEMETRY_DISABLED": "1"}
        return called([program, *options, *arguments], tmp_path, **more)

    return run


def test_organizations_projects_and_keys(services: Services, command: Command) -> None:
    assert answer(command("orgs", "list"))["organizations"] == [{"id": "nexod", "slug": "nexod", "name": "Nexod"}]
    (project,) = answer(command("projects", "list"))["projects"]
    assert (project["ref"], project["status"]) == (supabase.REF, "ACTIVE_HEALTHY")
    keys = answer(command("projects", "api-keys", "--project-ref", supabase.REF))["keys"]
    assert {key["name"] for key in keys} == {"anon", "service_role", "default"}
    assert [seen.status for seen in services.supabase.calls("list_api_keys")] == [200]


def test_every_status_of_a_project_is_one_of_supabase_s(services: Services, command: Command) -> None:
    letters = zip(supabase.STATUSES, string.ascii_lowercase, strict=False)
    made = {letter * 20: supabase.project(letter * 20, status=status) for status, letter in letters}
    services.supabase.seed({"projects": made})
    found = {project["ref"]: project["status"] for project in answer(command("projects", "list"))["projects"]}
    assert found == {supabase.REF: "ACTIVE_HEALTHY", **{ref: each["status"] for ref, each in made.items()}}


def test_link_reads_the_project_and_its_pooler(services: Services, command: Command, tmp_path: Path) -> None:
    assert answer(command("link", "--project-ref", supabase.REF, "--yes"))["project_ref"] == supabase.REF
    pooler = (tmp_path / "supabase/.temp/pooler-url").read_text()
    assert f"postgres.{supabase.REF}" in pooler
    assert "pooler.supabase.com" in pooler
    assert {"get_project", "list_api_keys", "get_pooler"} <= {seen.operation for seen in services.supabase.calls()}
    # It goes on without the settings of the storage service, which nothing of ours asks for.
    services.supabase.broken.remove(
        f"GET /v1/projects/{supabase.REF}/config/storage is no operation of the stand-in for supabase"
    )


def test_a_token_that_is_not_known(command: Command) -> None:
    done = command("projects", "list", token="sbp_" + "0" * 40)
    assert done.returncode != 0
    assert "Unauthorized" in done.stdout + done.stderr or "401" in done.stdout + done.stderr


def test_a_vendor_that_adds_fields(services: Services, command: Command) -> None:
    services.supabase.rearranges = True
    assert answer(command("projects", "list"))["projects"][0]["name"] == "facts-dev"
