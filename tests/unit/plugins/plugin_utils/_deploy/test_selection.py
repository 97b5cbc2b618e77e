"""What --limit, --tags and --skip-tags may select."""

from __future__ import annotations

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.plugin_utils._deploy.selection import (
    TaggedTask,
    check_limit,
    check_tags,
    with_localhost,
)

KNOWN = ["api", "api-1", "api-2", "db-1", "all"]


@pytest.mark.parametrize(
    ("limit", "hosts", "advice"),
    [
        ("api-1", ["api-1"], "api-1,localhost"),
        ("api", ["api-1", "api-2"], "api,localhost"),
        ("api-1,db-1", ["api-1", "db-1"], "api-1,db-1,localhost"),
        ("api-*", ["api-1", "api-2"], "api-*,localhost"),
        ("@failed.retry", ["api-1"], "@failed.retry,localhost"),
        # After a comma, Ansible no longer splits at colons.
        ("api-1:db-1", ["api-1", "db-1"], "api-1,db-1,localhost"),
        # & and ! would remove localhost again.
        ("all:!localhost", ["api-1", "db-1"], "api-1,db-1,localhost"),
        ("all:&api", ["api-1", "api-2"], "api-1,api-2,localhost"),
        ("!db-1", ["api-1", "api-2"], "api-1,api-2,localhost"),
        ("api[0]", ["api-1"], "api-1,localhost"),
        ("all:!db-1", [f"web-{number}" for number in range(30)], "HOSTS,localhost"),
    ],
)
def test_a_limit_without_localhost_is_refused_with_one_that_has_it(limit: str, hosts: list[str], advice: str) -> None:
    with pytest.raises(InfraError, match="leaves out localhost") as caught:
        check_limit(limit, hosts, KNOWN)
    assert with_localhost(limit, hosts) == advice
    assert f"--limit '{advice}'" in str(caught.value)


@pytest.mark.parametrize("limit", ["api-1,localhost", "localhost", "all:!db-1", "api-?,localhost", "~api.*,localhost"])
def test_a_limit_with_localhost_is_accepted(limit: str) -> None:
    check_limit(limit, ["api-1", "localhost"], KNOWN)


@pytest.mark.parametrize("limit", ["api-11,localhost", "api-1:api-11:localhost", "all:!api-11", "all:&api-11"])
def test_a_limit_that_names_nothing_is_refused(limit: str) -> None:
    """Ansible only warns: the rest of the limit would be deployed, or with "!" what was to be spared."""
    with pytest.raises(InfraError, match="no host or group api-11") as caught:
        check_limit(limit, ["api-1", "localhost"], KNOWN)
    assert "Did you mean api-1?" in str(caught.value)


def tasks(only: set[str], skip: set[str]) -> list[TaggedTask]:
    """Three plays as those of a deploy: one that always runs, preflight, and two stages."""
    found = []
    for tags in ({"always"}, {"always", "preflight"}, {"backend"}, {"verify"}):
        selected = bool(tags & (only | {"always"})) or "all" in only
        skipped = bool(tags & skip) or ("all" in skip and "always" not in tags)
        found.append(TaggedTask(frozenset(tags), selected and not skipped))
    return found


@pytest.mark.parametrize(
    ("only", "skip"),
    [
        ({"verify"}, set()),
        ({"preflight"}, set()),
        ({"verify", "backend"}, {"preflight"}),
        ({"all"}, {"preflight"}),
        ({"all"}, {"always"}),
    ],
)
def test_tags_that_select_something_are_accepted(only: set[str], skip: set[str]) -> None:
    check_tags(tasks(only, skip), only, skip)


@pytest.mark.parametrize(
    ("only", "skip", "message"),
    [
        ({"verfy"}, set(), "with --tags verfy: nothing in this playbook has that tag. Nothing was changed.\n"),
        ({"verify", "x"}, set(), "with --tags x: nothing in this playbook has that tag"),
        ({"all"}, {"bakend"}, "with --skip-tags bakend: nothing in this playbook has that tag"),
        ({"always"}, set(), "with --tags always: it selects nothing of this playbook"),
        ({"untagged"}, set(), "with --tags untagged: it selects nothing"),
        ({"verify"}, {"verify"}, "with --tags verify --skip-tags verify: it selects nothing"),
        ({"all"}, {"all"}, "with --skip-tags all: it selects nothing"),
        ({"all"}, {"backend", "verify"}, "with --skip-tags backend,verify: it selects nothing"),
    ],
)
def test_tags_that_select_nothing_are_refused(only: set[str], skip: set[str], message: str) -> None:
    with pytest.raises(InfraError) as caught:
        check_tags(tasks(only, skip), only, skip)
    assert message in str(caught.value)
    assert "The tags are: preflight, backend, verify." in str(caught.value)


def test_a_misspelt_tag_is_suggested() -> None:
    with pytest.raises(InfraError, match=r"Did you mean verify\?"):
        check_tags(tasks({"verfy"}, set()), {"verfy"}, set())


def test_a_playbook_without_tags_says_so() -> None:
    with pytest.raises(InfraError, match="this playbook has no tags"):
        check_tags([TaggedTask(frozenset(), False)], {"x"}, set())
