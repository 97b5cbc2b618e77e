"""Discovery on AWS as promtool of each Debian release reads it: what is refused by version is what it refuses."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.prometheus import DISTRIBUTED, as_numbers
from ansible_collections.nexod.infra.plugins.plugin_utils._monitoring.scrape import (
    AWS_SINCE,
    aws_faults,
    scrape_config,
)
from ansible_collections.nexod.infra.tests.fixtures.monitoring_programs import programs


@pytest.mark.parametrize("release", DISTRIBUTED)
def test_what_promtool_accepts_is_what_is_not_refused(release: str, tmp_path: Path) -> None:
    accepted, refused = set(), set()
    for role in AWS_SINCE:
        given: dict[str, t.Any] = {"role": role, "region": "eu-west-1", "port": 9100}
        given |= {"tags": {"nexod:environment": "staging"}} if role == "ec2" else {"clusters": ["arn:aws:ecs:a"]}
        job = {"name": "node", "aws_sd": given}
        config = tmp_path / f"{role}.yml"
        # JSON is YAML.
        config.write_text(json.dumps({"scrape_configs": [scrape_config(job)]}), encoding="utf-8")
        argv = [programs(release) / "promtool", "check", "config", config]
        done = subprocess.run(argv, text=True, capture_output=True, check=False)
        (refused if done.returncode else accepted).add(role)
        assert not done.returncode or "field aws_sd_configs not found" in done.stdout + done.stderr
        assert bool(aws_faults(job, as_numbers(DISTRIBUTED[release]))) == bool(done.returncode), role
    assert accepted == {"ec2"}
    assert refused == set(AWS_SINCE) - accepted
