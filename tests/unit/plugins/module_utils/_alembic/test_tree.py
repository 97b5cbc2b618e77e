"""What the lint of a tree passes on to the application's code."""

from __future__ import annotations

import argparse
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._alembic import tree as _tree


def test_a_host_s_credentials_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, t.Any]] = []
    monkeypatch.setattr(_tree, "tree", lambda given: asked.append(given) or [])
    monkeypatch.setattr(_tree, "squawk_of_ci", lambda _settings: "squawk")
    settings = {
        "url": "postgresql://owner:canary@db/app",
        "environment": {"DATABASE_PASSWORD": "canary"},
        "x_args": ["tenant=a"],
    }
    options = argparse.Namespace(
        config="alembic.ini",
        since=["base"],
        since_git=None,
        revision="heads",
        python="/usr/bin/python3",
        statistics=None,
        waivers=None,
        postgresql=15,
        lint="error",
        unknown="warn",
        format="text",
    )
    assert _tree.lint_tree(settings, options)[0] == 0
    assert asked[0]["x_args"] == ["tenant=a"]
    assert "canary" not in str(asked)
