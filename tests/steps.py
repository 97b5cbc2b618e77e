"""The steps of `make test`: each shows its progress, is timed, and fails if it has tested nothing."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
LOGS = ROOT / ".cache" / "tests"
COLLECTION = ROOT / ".collections" / "ansible_collections" / "nexod" / "infra"
# The servers that the tests of modules and of the application use, and the packages that contain them.
SERVERS = {
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
    "redis-server": "redis-server",
    "haproxy": "haproxy",
    "pgbouncer": "pgbouncer",
}
# For what runs beside the labs, whose hosts leave a third of the processor time unused but must not wait for it.
# Linux weighs the processes of a session among themselves and sessions with each other, so `nice` alone would only
# order a step's own processes: its session is given a lower weight too. Containers are weighed apart from both.
LESS = '{{ echo {} >/proc/self/autogroup; }} 2>/dev/null; exec nice -n 19 "$@"'
BEHIND = ("sh", "-c", LESS.format(19), "behind")
# Half of the usual weight, for tests that have time limits of their own: they must not wait for minutes.
BESIDE = ("sh", "-c", LESS.format(3), "beside")
# Characters of a reason in the last lines, which are all that some CI systems show.
REASON = 300
BROWSER = {"chromium": "chromium"}
# Two keep two cores busy: with three, all of them together took as long.
PARALLEL_SCENARIOS = 2
# Started first, so that none of them runs alone at the end.
LONGEST_SCENARIOS = (
    "pgbouncer",
    "migration_runner",
    "prometheus",
    "backend",
    "grafana",
    "verify",
    "archives",
    "postgresql",
    "exporters",
)
TALKS = threading.Lock()
INSTALLS = threading.Lock()


@dataclasses.dataclass
class Count:
    """What a step found: how many tests passed, failed, were skipped; the names of those that failed, with reasons."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    names: list[str] = dataclasses.field(default_factory=list)

    def __add__(self, other: Count) -> Count:
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            [*self.names, *other.names],
        )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def named(name: str, reason: str) -> str:
    """A failed test and, on the same line, why it failed."""
    return " ".join(f"{name}: {reason}".split())[:REASON] if reason else name


def plain(said: str) -> str:
    """The output without colours and without the frame that molecule draws around Ansible's."""
    return re.sub(r"^ *│ ?", "", re.sub(r"\x1b\[[0-9;]*m", "", said), flags=re.M)


def failed_task(said: str) -> str:
    """The last task that failed in Ansible's output: errors that a play handled come before it. Empty without one."""
    failures = re.split(r"^(?=(?:fatal|failed): )", plain(said), flags=re.M)
    if len(failures) == 1:
        return ""
    tasks = re.findall(r"^(?:TASK|RUNNING HANDLER) (\[[^\]]*\])", "".join(failures[:-1]), re.M)
    return " ".join([*tasks[-1:], re.split(r"\n\s*\n", failures[-1])[0]])


def say(text: str) -> None:
    with TALKS:
        print(text, flush=True)


def environment(**more: str) -> dict[str, str]:
    """The environment of the tests, without the caller's Ansible configuration."""
    others = ("ANSIBLE_", "MOLECULE_", "NEXOD_")
    kept = {
        name: value
        for name, value in os.environ.items()
        # NEXOD_TEST_ is the tests' own.
        if name.startswith("NEXOD_TEST_") or not name.startswith(others)
    }
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        **more,
    }


def call(
    argv: Sequence[str | Path],
    label: str,
    *,
    quiet: bool = False,
    limit: float = 1800,
    env: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command, print its lines as they come (`quiet`: only log them), and return its rc and output."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{label.replace(' ', '-').replace('/', '-')}.log"
    lines: list[str] = []
    with (
        log.open("w", encoding="utf-8") as stream,
        subprocess.Popen(
            [str(part) for part in argv],
            cwd=ROOT,
            env=dict(env or environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        # With its children, which would keep the pipe open.
        timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        assert process.stdout
        for line in process.stdout:
            stream.write(line)
            lines.append(line)
            if not quiet:
                say(f"  {label} | {line.rstrip()}")
        timer.cancel()
    return process.returncode, "".join(lines)


def check(label: str, argv: Sequence[str | Path], must_say: str = "") -> Count:
    """A tool that passes or fails as a whole; if its output lacks `must_say`, it has tested nothing."""
    begun = time.monotonic()
    rc, said = call([*BEHIND, *argv], label, quiet=True)
    empty = bool(must_say) and not re.search(must_say, said)
    if rc or empty:
        why = "it tested nothing" if empty and not rc else f"rc {rc}"
        say("\n".join(f"  {label} | {line}" for line in said.splitlines()[-200:]))
        say(f"  {label:<28} FAILED ({why}, {time.monotonic() - begun:.1f} s)")
        return Count(failed=1, names=[named(label, (said.strip().splitlines() or [why])[-1])])
    say(f"  {label:<28} passed ({time.monotonic() - begun:.1f} s)")
    return Count(passed=1)


def counted(said: str) -> Count:
    """The counts in the last line of pytest, and the lines of its summary."""
    summary = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - (.*))?$", said, re.M)
    count = Count(names=[named(*found) for found in summary])
    for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", (said.strip().splitlines() or [""])[-1]):
        if word == "passed":
            count.passed += int(number)
        elif word == "skipped":
            count.skipped += int(number)
        else:
            count.failed += int(number)
    return count


def pytest(label: str, *arguments: str, limit: float = 1800, each: float = 300, first: Sequence[str] = ()) -> Count:
    """`each`: seconds after which a test fails with a traceback, so that a hanging test is reported."""
    rc, said = call([*first, BIN / "pytest", f"--timeout={each:g}", *arguments], label, limit=limit)
    count = counted(said)
    if rc and not count.failed:
        count.failed, count.names = 1, [f"{label}: pytest ended with rc {rc}"]
    return count


# -- the steps


def lint() -> Count:
    """Each of them keeps one core busy."""
    workflows = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/github/workflows/*.yml")])
    tools: list[tuple[str, list[str | Path], str]] = [
        ("ansible-lint", [BIN / "ansible-lint", "--offline", "--nocolor"], r"in [1-9]\d* files processed"),
        ("mypy", [BIN / "mypy", "--cache-dir", ROOT / ".cache" / "mypy"], r"in \d+ source files"),
        ("ruff check", [BIN / "ruff", "check", "."], ""),
        ("ruff format", [BIN / "ruff", "format", "--check", "."], r"\d+ files"),
        ("yamllint", [BIN / "yamllint", "--strict", "."], ""),
        # Without -shellcheck, it would use any that is installed.
        (
            "actionlint",
            [BIN / "actionlint", "-verbose", "-shellcheck", BIN / "shellcheck", *workflows],
            r"Found 0 errors in \d+ files",
        ),
        (
            "zizmor",
            [BIN / "zizmor", "--offline", "--strict-collection", ".github", *workflows],
            "No findings to report",
        ),
        ("READMEs", [BIN / "python", "tools/readmes.py", "--check"], ""),
        ("changelog", [BIN / "antsibull-changelog", "lint"], ""),
    ]
    return sum((check(*tool) for tool in tools), Count())


def sanity() -> Count:
    rc, said = call([*BEHIND, ROOT / "tests" / "sanity.sh"], "sanity")
    run = re.findall(r'^Running sanity test "?([\w-]+)', said, re.M)
    # Below this sentence, each failing test is on a line of its own.
    failing = said.partition("listed below")[2].splitlines()[1:]
    errors = {
        part.split(None, 1)[0].strip('"'): "; ".join(re.findall(r"^ERROR: (\S+:\d+:\d+: .*)", part, re.M))
        for part in said.split("Running sanity test ")[1:]
    }
    names = [named(f"sanity {line}", errors[line]) for line in failing if line in errors]
    # If a test's program is missing, ansible-test only warns: that test has tested nothing.
    lacking = re.findall(r'^WARNING: Required program "([^"]+)" not found', said, re.M)
    names += [f"sanity: {program} is missing, so its test was not run" for program in dict.fromkeys(lacking)]
    failed = max(len(names), 1 if rc else 0)
    return Count(passed=len(run) - failed if run else 0, failed=failed, names=names or (["sanity"] if rc else []))


def unit() -> Count:
    """Most of them need nothing but a processor, so they get what the lab leaves unused."""
    return pytest("unit", "-n", "2", "--durations=20", "-m", "not long", "tests/unit", limit=3600, first=BESIDE)


def install(programs: Mapping[str, str]) -> None:
    """Install missing packages without starting their services: the tests start servers of their own."""
    with INSTALLS:
        install_missing(programs)


def install_missing(programs: Mapping[str, str]) -> None:
    missing = [package for program, package in programs.items() if not shutil.which(program)]
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        say(f"  cannot install {' '.join(missing)} here; without them, tests are skipped or fail")
        return
    policy = Path("/usr/sbin/policy-rc.d")
    made = not policy.exists()
    if made:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    apt = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    try:
        env = environment(DEBIAN_FRONTEND="noninteractive")
        if call(apt, "install", quiet=True, env=env)[0]:
            call(["apt-get", "update"], "install", quiet=True, env=env)
            if call(apt, "install", quiet=True, env=env)[0]:
                say(f"  could not install {' '.join(missing)}, see {LOGS}/install.log")
    finally:
        if made:
            policy.unlink()


def integration() -> Count:
    install(SERVERS)
    # The tests of a file share servers. A third of the time, they wait for locks, alerts and time limits.
    return pytest(
        "integration", "-n", "3", "--dist", "loadfile", "--durations=20", "-m", "not long", "tests/integration"
    )


def app() -> Count:
    """The example application: each version is built and run as on a host."""
    install(SERVERS)
    return pytest("app", "examples/api/tests")


def counted_by_node(said: str, rc: int) -> Count:
    """The counts in the last lines of Node.js's test runner, and each front end that was built."""
    numbers = {word: int(number) for word, number in re.findall(r"^\S (pass|fail|skipped) (\d+)$", said, re.M)}
    built = len(re.findall(r"^\w+ front end: /", said, re.M))
    names = [named("front_end", name) for name in dict.fromkeys(re.findall(r"^✖ (.+?) \([\d.]+ms\)$", said, re.M))]
    count = Count(numbers.get("pass", 0) + built, numbers.get("fail", 0), numbers.get("skipped", 0), names)
    if rc and not count.failed:
        count.failed, count.names = 1, [named("front_end", (said.strip().splitlines() or [f"rc {rc}"])[-1])]
    return count


def front_end() -> Count:
    """npm ci, npm test and npm run build. The builds are for the step browser."""
    rc, said = call([BIN / "python", "tests/front_end.py"], "front_end")
    return counted_by_node(said, rc)


def browser() -> Count:
    """Pages in Chromium: that of a run, whose screenshots are kept in .cache/tests/screenshots, and the front end."""
    install({**SERVERS, **BROWSER})
    return pytest("browser", "-n", "2", "tests/browser")


def scenarios() -> list[str]:
    names = (path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
    order = {name: place for place, name in enumerate(LONGEST_SCENARIOS)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def left(name: str) -> bool:
    """Whether an earlier run of the scenario has left something: what molecule noted, or hosts."""
    for place in (Path.home(), ROOT, Path(os.environ.get("VIRTUAL_ENV", ROOT))):
        for notes in place.glob(f".ansible/tmp/molecule.*.{name}/state.yml"):
            if re.search("^(created|prepared|converged): true", notes.read_text(encoding="utf-8"), re.M):
                return True
    argv = ["podman", "ps", "--all", "--quiet", "--filter", f"label=nexod.infra.lab=molecule-{name}"]
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    return bool(found.returncode or found.stdout.strip())


def scenario(name: str) -> Count:
    """One molecule scenario. Its output is in the log; only the outcome is printed."""
    begun = time.monotonic()
    say(f"  molecule {name:<19} started")
    # Removing what is not there takes four seconds.
    env = environment(NEXOD_TEST_MOLECULE_FIRST="destroy" if left(name) else "dependency")
    rc, said = call([BIN / "molecule", "test", "-s", name], f"molecule {name}", quiet=True, limit=1500, env=env)
    seconds = time.monotonic() - begun
    proven = "verify: Executed: Successful" in plain(said)
    if rc == 0 and proven:
        say(f"  molecule {name:<19} passed ({seconds:.0f} s)")
        return Count(passed=1)
    say("\n".join(f"  molecule {name} | {line}" for line in said.splitlines()[-80:]))
    say(f"  molecule {name:<19} FAILED (rc {rc}, {seconds:.0f} s; full output: {LOGS}/molecule-{name}.log)")
    return Count(failed=1, names=[named(f"molecule {name}", failed_task(said))])


def molecule() -> Count:
    with concurrent.futures.ThreadPoolExecutor(PARALLEL_SCENARIOS) as pool:
        return sum(pool.map(scenario, scenarios()), Count())


def lab() -> Count:
    way = ("tests/lab/test_lab.py", "tests/lab/faults", "tests/lab/test_destroy.py")
    return pytest("lab", "-x", "-s", "-v", "--durations=20", "-m", "not long", *way, limit=3600, each=1500)


def lab_aws() -> Count:
    """The second lab, whose AWS is an emulator with real containers."""
    return pytest("lab_aws", "-x", "-s", "-v", "--durations=10", "tests/lab_aws/test_lab_aws.py", limit=1800, each=900)


def archive() -> Count:
    return pytest("archive", "-m", "not long", "tests/archive")


STEPS: dict[str, Callable[[], Count]] = {
    "lint": lint,
    "sanity": sanity,
    "unit": unit,
    "integration": integration,
    "app": app,
    "front_end": front_end,
    "browser": browser,
    "molecule": molecule,
    "lab": lab,
    "lab_aws": lab_aws,
    "archive": archive,
}
# Lists of steps that run at the same time, one after another in each: the integration tests mostly wait for their
# servers, and the labs' hosts for each other and for alerts, so what needs only a processor runs behind them. Molecule
# uses all cores itself.
LANES: list[list[list[str]]] = [
    [["app", "front_end"], ["integration", "browser"]],
    [["molecule"]],
    [["lab", "lab_aws"], ["lint", "sanity", "unit", "archive"]],
]


def processors() -> tuple[float, float]:
    """Since the machine has started: how long its processors have worked, and how long they could have. In seconds."""
    if not Path("/proc/stat").exists():
        return 0.0, 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    spent = [int(word) / ticks for word in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:9]]
    return sum(spent) - spent[3] - spent[4], sum(spent)


def step(name: str) -> tuple[str, Count]:
    """Run a step; returns its line for the table of times, and what it found."""
    say(f"== {name}")
    begun = time.monotonic()
    count = STEPS[name]()
    if count.passed + count.failed == 0:
        count = Count(failed=1, names=[f"{name} tested nothing"])
    seconds = time.monotonic() - begun
    say(f"== {name}: {count} in {seconds:.1f} s\n")
    return f"  {name:<14}{seconds:8.1f} s   {count}", count


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs all tests, or the steps named.")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one of: {', '.join(STEPS)}; default: all")
    wanted = parser.parse_args().steps or list(STEPS)
    if unknown := [name for name in wanted if name not in STEPS]:
        parser.error(f"unknown step {', '.join(unknown)}; there are: {', '.join(STEPS)}")
    begun, found = time.monotonic(), []
    busy = []
    for lanes in LANES:
        before, start = processors(), time.monotonic()
        chosen = [[name for name in lane if name in wanted] for lane in lanes]
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            for lane in pool.map(lambda names: [step(name) for name in names], chosen):
                found += lane
        worked, could = (after - then for after, then in zip(processors(), before, strict=True))
        if could and any(chosen):
            names = " ".join(name for lane in chosen for name in lane)
            busy.append(f"  {worked / could:4.0%} of {time.monotonic() - start:6.1f} s   {names}")
    total = sum((count for _line, count in found), Count())
    say("\n".join(["times:", *(line for line, _count in found), f"  {'all':<14}{time.monotonic() - begun:8.1f} s"]))
    say("\n".join(["the processors worked:", *busy]))
    for name in total.names:
        say(f"FAILED {name}")
    say(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
