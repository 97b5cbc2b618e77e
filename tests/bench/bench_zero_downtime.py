"""What users notice of an upgrade and of a roll-back of a lab: nothing, or what and when.

    bench_zero_downtime.py [--env lab_aws] [--warm-up 30] [--between 15] [--cool-down 30] [--rate 70] ...

Deploys FIRST where the lab is not there, holds a load on the edge (tests/load/load.py), deploys SECOND with its
migrations and its cache flush, rolls back, and prints the figures; .report/bench-deploy.json keeps them. Ends with 1
when anything was noticed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
import typing as t
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Neighbours are found too where this is imported by a test.
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "tests" / "load")]

from bench_deploy import timed  # noqa: E402
from driver import Load  # noqa: E402
from figures import faults, table  # noqa: E402

FIRST, SECOND = "1.0.0", "1.1.0"
REPORT = ROOT / ".report" / "bench-deploy.json"


@dataclasses.dataclass(frozen=True)
class Lab:
    """Where users enter a lab, and what of the load it can take."""

    name: str
    edge: str
    load: t.Mapping[str, object] = dataclasses.field(default_factory=dict)

    def timed(self, *target: str) -> float:
        return timed(*target, f"ENV={self.name}")


LABS = {
    lab.name: lab
    for lab in (
        Lab("lab", "http://10.213.77.61"),
        # The emulator's balancer forwards no WebSockets, and no host serves static files there.
        Lab("lab_aws", "http://10.213.81.1:4566/_alb/nexod-lab-aws", {"websockets": 0, "static": "/health"}),
    )
}


@dataclasses.dataclass(frozen=True)
class Held:
    """How long each quiet phase lasts, in seconds, and what load is held meanwhile."""

    warm_up: float = 30
    between: float = 15
    cool_down: float = 30
    load: t.Mapping[str, object] = dataclasses.field(default_factory=dict)


def serving(lab: Lab = LABS["lab"]) -> str | None:
    """The version that the edge serves; None where there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{lab.edge}/health", timeout=3) as answer:
            return str(json.load(answer)["version"])
    except (OSError, ValueError):
        return None


def hold(held: Held, report: Path = REPORT, lab: Lab = LABS["lab"]) -> dict[str, t.Any]:
    """The load's report on an upgrade and a roll-back of the lab, which serves FIRST before and after.

    `make` ends this process when one of its targets fails; the load ends with it.
    """
    took: dict[str, float] = {}
    with Load(lab.edge, report, **held.load, **lab.load) as load:
        load.until_ready()
        load.mark("before")
        time.sleep(held.warm_up)
        load.mark("upgrade")
        took["upgrade"] = lab.timed("deploy", f"VERSION={SECOND}")
        upgraded = serving(lab)
        load.mark("between")
        time.sleep(held.between)
        load.mark("roll-back")
        took["roll-back"] = lab.timed("roll-back")
        returned = serving(lab)
        load.mark("after")
        time.sleep(held.cool_down)
        found = load.end()
    wrong = [
        f"the edge serves {is_there}, not {wanted}, after the {what}"
        for what, is_there, wanted in (("upgrade", upgraded, SECOND), ("roll-back", returned, FIRST))
        if is_there != wanted
    ]
    found |= {"cores": os.cpu_count(), "took": {what: round(seconds, 1) for what, seconds in took.items()}}
    found["faults"] = wrong + faults(found, websockets=lab.load.get("websockets") != 0)
    report.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("warm-up", 30), ("between", 15), ("cool-down", 30)):
        parser.add_argument(f"--{name}", type=float, default=default, metavar="SECONDS")
    parser.add_argument("--rate", type=float, default=70)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--slow-seconds", type=float, default=30)
    parser.add_argument("--env", choices=sorted(LABS), default="lab")
    options = parser.parse_args()
    lab = LABS[options.env]
    if (version := serving(lab)) != FIRST:
        print(f"{lab.name} serves {version or 'nothing'}: deploying {FIRST} ...", flush=True)
        lab.timed("deploy", f"VERSION={FIRST}")
    load = {name: vars(options)[name] for name in ("rate", "sessions", "slow_seconds")}
    print(f"holding {options.rate:g} requests a second; upgrade to {SECOND}, then roll-back ...", flush=True)
    found = hold(Held(options.warm_up, options.between, options.cool_down, load), lab=lab)
    print(table(found))
    print(f"upgrade {found['took']['upgrade']} s, roll-back {found['took']['roll-back']} s, {found['cores']} cores")
    print(
        f"the load itself took {found['generator_cpu'] * 100:.0f} % of a core; all figures: {REPORT.relative_to(ROOT)}"
    )
    for fault in found["faults"]:
        print(f"NOTICED: {fault}")
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
