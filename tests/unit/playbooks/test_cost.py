# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventories of this repository cost, by the real playbook; it needs no credentials and calls nothing."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import typing as t

import pytest
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, play, said_by, tasks_of
from ansible_collections.nexod.infra.tests.unit.playbooks.test_aws_plan import GIVEN


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The collection's prices, as if they had been looked up today."""
    text = (ROOT / "roles/cost/files/prices.yml").read_text()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    path = tmp_path_factory.mktemp("prices") / "prices.yml"
    path.write_text("\n".join(f"dated: {today}" if line.startswith("dated:") else line for line in text.splitlines()))
    return path


def run(
    environment: str, prices: pathlib.Path, folder: pathlib.Path, playbook: str, *more: str, **variables: str
) -> t.Any:
    # A relative path begins where the playbook is called, and not where it is.
    given = ("-e", f"cost_prices_file={prices}", "-e", f"cost_folder={os.path.relpath(folder, ROOT)}", *more)
    return play(
        "-i",
        f"inventories/{environment}",
        f"playbooks/{playbook}.yml",
        *given,
        **{**AS_JSON, "AWS_EC2_METADATA_DISABLED": "true", **variables},
    )


def results(done: t.Any) -> dict[str, dict[str, t.Any]]:
    return {task["task"]["name"].rpartition(" : ")[2]: task["hosts"].get("localhost", {}) for task in tasks_of(done)}


# Production and staging had been stated as 1,646 together, with neither replicas nor gateways nor hosts.
ESTIMATES = {
    "production": (1426.73, 1656.14, 2330.27),
    "staging": (297.39, 302.41, 359.88),
    "dev": (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("environment", ESTIMATES)
def test_what_an_environment_costs(environment: str, prices: pathlib.Path, tmp_path: pathlib.Path) -> None:
    first = results(run(environment, prices, tmp_path / "new", "cost"))
    found = first["estimate | Compute what it costs a month"]
    assert tuple(found["total"][name] for name in ("min", "expected", "max")) == ESTIMATES[environment]
    assert found["difference_usd"] is None
    page, record = tmp_path / "new/cost.html", tmp_path / "new/cost.json"
    assert [oct(path.stat().st_mode & 0o777) for path in (page, record)] == ["0o600", "0o600"]
    assert json.loads(record.read_text())["total"] == found["total"]
    second = results(run(environment, prices, tmp_path / "new", "cost"))
    assert second["estimate | Compute what it costs a month"]["difference_usd"] == 0
    assert [name for name, result in second.items() if result.get("changed")] == []


def test_check_mode_writes_nothing(prices: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done = run("dev", prices, tmp_path / "new", "cost", "--check")
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])


REFUSED = [
    (["-e", "cost_budget_usd=100"], "cost_approved_usd=303"),
    # The levers, of what is declared for staging.
    (["-e", "cost_budget_usd=100"], "a month: RDS reserved for a year"),
    (["-e", "cost_vercel_plan=none", "-e", '{"services_vercel_project": {"name": "web"}}'], "cost_vercel_plan"),
    (["-e", "provider_aws_rds_instance_class=db.r9g.large"], "rds/db.r9g.large"),
    (["-e", '{"cost_usage": {"spread": 2}}'], "spread"),
]


@pytest.mark.parametrize(("arguments", "named"), REFUSED)
def test_what_is_refused(arguments: list[str], named: str, prices: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done = run("staging", prices, tmp_path / "new", "cost", *arguments)
    assert done.returncode == 2
    assert named in str(results(done)) + said_by(done)
    assert not (tmp_path / "new").exists()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    """An empty account on the emulator moto."""
    with emulated_aws(monkeypatch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        yield "http://{}:{}".format(*server.get_host_and_port())
        server.stop()


def test_a_deploy_over_the_budget_stops_before_the_lock(prices: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Without credentials, it is compared with the last estimate."""
    (tmp_path / "cost.json").write_text('{"total": {"expected": 90}}')
    done = run("staging", prices, tmp_path, "stages/infrastructure", "-e", "cost_budget_usd=100")
    assert done.returncode == 2
    refused = results(done)["estimate | Compute what it costs a month"]
    assert "against the last estimate, and the budget is 100.00" in refused["msg"]
    assert refused["expected_usd"] == ESTIMATES["staging"][1]


def test_a_plan_over_the_budget_is_refused_by_what_runs(
    account: str, prices: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    # The last estimate is higher, and says nothing of what runs.
    (tmp_path / "cost.json").write_text('{"total": {"expected": 900}}')
    given = ("-e", "cost_budget_usd=100", "-e", json.dumps({"provider_aws_cdn": False}), "--check")
    done = run("staging", prices, tmp_path, "stages/infrastructure", *given, **GIVEN, AWS_ENDPOINT_URL=account)
    assert done.returncode == 2
    assert "estimate | Compute what it costs a month" in results(done), said_by(done)
    refused = results(done)["estimate | Compute what it costs a month"]
    assert "against what runs, and the budget is 100.00" in refused["msg"], refused
    assert refused["difference_usd"] == refused["expected_usd"] > 200
