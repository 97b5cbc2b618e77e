# ruff: noqa: T201
"""The steps of the workflows of GitHub Actions (.github/workflows), so that those only say when a step runs.

    delivery.py pin .github/workflows     add the workflows to a product, with the commit of this release
    delivery.py pinned .github/workflows  fail if one of them still has no commit
    delivery.py setup                     the locked packages, in .venv beside the collection
    delivery.py release api --dest dist   find the release of this source, or build it
    delivery.py plan staging ...          make a plan, and its fingerprint
    delivery.py comment staging ...       write the plan to the pull request, or edit the comment that is there
    delivery.py approved staging ...      find the plan that was approved with the pull request
    delivery.py migrated staging ...      fail if an environment lacks migrations of a release
    delivery.py deploy staging ...        deploy, and nothing but the approved plan
    delivery.py roll_back staging
    delivery.py remove_previews staging --branch NAME

Secrets arrive in two variables, NEXOD_VARIABLES (lines of NAME=value) and NEXOD_SSH_KEY. Playbooks get the variables
that the first one contains, and neither the token of the job nor what it could ask for another one with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
# The checkout of the collection resolves as ansible_collections.nexod.infra below .collections.
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / ".collections")]
try:
    import make_venv

    make_venv.link_collection()
    from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
    from ansible_collections.nexod.infra.tools import pins
    from ansible_collections.nexod.infra.tools.github import GitHub, Plan, comment_text, fingerprint
except ModuleNotFoundError as error:
    sys.exit(f"Cannot import {error.name} from the collection. Run this program from a checkout of the collection.")

#: What a playbook has no use for: secrets of other steps, and tokens of the job.
WITHHELD = re.compile(r"NEXOD_VARIABLES|NEXOD_SSH_KEY|GITHUB_TOKEN|ACTIONS_\w+")
LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
#: GitHub would hide a shorter text wherever it occurs.
SHORTEST_MASK = 4


def variables(text: str) -> dict[str, str]:
    """Lines of NAME=value; empty ones and comments are skipped. A value may be in quotes, which are removed."""
    found = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        row = LINE.fullmatch(line)
        if not row:
            raise InfraError(
                "read the secret",
                "NEXOD_VARIABLES",
                f"line {number} is not NAME=value",
                "Correct it in the settings of the repository, under the environment's secrets.",
            )
        name, value = row[1], row[2].strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name] = value[1:-1] if quoted else value
    return found


def environment_of(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a playbook: ours, less what it has no use for, with the variables of the secret."""
    kept = {name: value for name, value in given.items() if not WITHHELD.fullmatch(name)}
    return {
        **kept,
        **variables(given.get("NEXOD_VARIABLES", "")),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "PATH": f"{BIN}{os.pathsep}{given.get('PATH', os.defpath)}",
    }


def mask(text: str) -> None:
    """GitHub hides a secret as a whole: each value of it has to be named."""
    for value in variables(text).values():
        if len(value) >= SHORTEST_MASK:
            print(f"::add-mask::{value}", flush=True)


def outputs(**values: object) -> None:
    """Outputs of the step; elsewhere, they are printed."""
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    if path := os.environ.get("GITHUB_OUTPUT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(lines)
    print(lines, end="")


def summarize(text: str) -> None:
    """Show Markdown on the page of the run."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")


def github() -> GitHub:
    given = os.environ
    return GitHub(given["GITHUB_API_URL"], given["GITHUB_REPOSITORY"], given["GITHUB_TOKEN"])


def page() -> str:
    given = os.environ
    return f"{given['GITHUB_SERVER_URL']}/{given['GITHUB_REPOSITORY']}/actions/runs/{given['GITHUB_RUN_ID']}"


# -- releases


def release_name(source: Path, requirements: Path | None) -> str:
    """The name of the artifact with the release of this source: that of the content, as git knows it."""
    tree = hashlib.sha256()
    for path in (source, *([requirements] if requirements else [])):
        argv = ["git", "rev-parse", f"HEAD:./{path.as_posix()}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InfraError("find", f'"{path}"', "it is not in the commit that is checked out", "Correct its path.")
        tree.update(done.stdout.encode())
    return f"release-{tree.hexdigest()[:16]}"


def archive_in(folder: Path) -> Path:
    found = sorted(folder.glob("*.tar"))
    if len(found) != 1:
        cause = f"it holds {len(found)} archives"
        raise InfraError("find the release in", f'"{folder}"', cause, "Run the job that builds the release again.")
    return found[0]


def version_of(archive: Path) -> str:
    """What docs/releases.md describes: release.json is the first member."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("release.json")
            assert member
            return str(json.load(member)["version"])
    except (KeyError, ValueError, tarfile.TarError, AssertionError) as error:
        cause = f"it is no release ({error!r})"
        raise InfraError("read", f'"{archive}"', cause, "Build it with nexod.infra.build_release.") from error


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- playbooks


def playbook(name: str, *arguments: str, given: Mapping[str, Any], inventory: str = "") -> int:
    """Run a playbook of the collection. Values are in a file, so that no process list shows them."""
    mask(os.environ.get("NEXOD_VARIABLES", ""))
    environment = environment_of(os.environ)
    with tempfile.TemporaryDirectory(prefix="nexod-") as folder:
        values = Path(folder, "values.json")
        values.write_text(json.dumps(given), encoding="utf-8")
        argv = [str(BIN / "ansible-playbook"), *(["-i", inventory] if inventory else []), f"nexod.infra.{name}"]
        argv += ["-e", f"@{values}", *arguments]
        if key := os.environ.get("NEXOD_SSH_KEY"):
            file = Path(folder, "key")
            file.touch(mode=0o600)
            file.write_text(key.strip() + "\n", encoding="utf-8")
            argv += ["--private-key", str(file)]
        print(f"$ {' '.join(argv)}", flush=True)
        return subprocess.run(argv, env=environment, check=False).returncode


def values_of(options: argparse.Namespace) -> dict[str, Any]:
    """What a plan and the deploy that follows are both given: they have to be the same."""
    archive = archive_in(options.release).resolve()
    commit = {"services_vercel_commit": options.commit} if options.commit else {}
    cost = {"cost_approved_usd": dollars(options.cost_approved)} if options.cost_approved.strip() else {}
    return {"backend_version": version_of(archive), "backend_archive": str(archive), **commit, **cost}


def dollars(text: str) -> float:
    """A number that a person has typed."""
    if not re.fullmatch(r"\d+(\.\d+)?", text.strip()):
        raise InfraError(
            "approve the cost",
            f'"{text}"',
            "it is not a number of US dollars",
            "Give it as in 2100 or 2100.50, or leave it empty.",
        )
    return float(text)


def inventory_of(options: argparse.Namespace) -> str:
    return str(options.inventory or f"inventories/{options.environment}")


def planned(name: str, options: argparse.Namespace) -> tuple[int, Path | None]:
    """Run a playbook in check mode: its exit code, and the folder with its report if there is one."""
    with tempfile.TemporaryDirectory(prefix="nexod-report-") as folder:
        os.environ["NEXOD_REPORT_DIR"] = folder
        arguments = ("--check", "--diff")
        rc = playbook(name, *arguments, given=values_of(options), inventory=inventory_of(options))
        report = next(Path(folder).rglob(f"{name}-plan.json"), None)
        options.out.mkdir(parents=True, exist_ok=True)
        if report is None:
            return rc or 1, None
        shutil.copytree(report.parent, options.out, dirs_exist_ok=True)
    return rc, options.out


# -- the commands


def pin(options: argparse.Namespace) -> int:
    """For whoever sets a product up, and again for each new release; it runs on their machine."""
    if options.commit:
        found = pins.of_commit(options.commit, options.version)
    else:
        found = pins.of_version(options.version) if options.version else pins.of_checkout()
    for sentence in pins.pin(options.folder, found) or [f"{options.folder} has {found.commit[:12]} already"]:
        print(sentence)
    return 0


def pinned(options: argparse.Namespace) -> int:
    pins.refuse_placeholders(options.folder)
    return 0


def setup(_options: argparse.Namespace) -> int:
    argv = [sys.executable, str(ROOT / "tools" / "make_venv.py"), "requirements.txt"]
    return subprocess.run(argv, check=False).returncode


def release(options: argparse.Namespace) -> int:
    """One build serves all environments: what the branches have built already is only named."""
    name = release_name(options.source, options.requirements)
    found = github().built(name, options.branches) if options.branches else None
    if found:
        outputs(name=name, run=found["workflow_run"]["id"], built="false")
        return 0
    given = {"release_source": str(options.source.resolve()), "release_dest": str(options.dest.resolve())}
    if options.requirements:
        given["release_requirements"] = str(options.requirements.resolve())
    rc = playbook("build_release", given=given)
    if not rc:
        outputs(name=name, run=os.environ["GITHUB_RUN_ID"], built="true")
    return rc


def plan(options: argparse.Namespace) -> int:
    rc, folder = planned("deploy", options)
    text = (
        (folder / "deploy-plan.md").read_text(encoding="utf-8") if folder else "## No plan: the run ended before one."
    )
    if not folder:
        (options.out / "deploy-plan.md").write_text(text, encoding="utf-8")
    summarize(text)
    if rc == 0 and folder:
        report = json.loads((folder / "deploy-plan.json").read_text(encoding="utf-8"))
        outputs(fingerprint=fingerprint(report, checksum(archive_in(options.release))))
    return rc


def comment(options: argparse.Namespace) -> int:
    markdown = (options.plan / "deploy-plan.md").read_text(encoding="utf-8")
    made = Plan(options.environment, options.commit, int(os.environ["GITHUB_RUN_ID"]), options.fingerprint)
    done = github().write_comment(options.pull, made, comment_text(made, markdown, page()))
    print(f"The comment with the plan of {options.environment} was {done}.")
    return 0


def approved(options: argparse.Namespace) -> int:
    found = github().approved(options.commit, options.environment)
    outputs(run=found.run, fingerprint=found.fingerprint)
    summarize(f"The deploy does what the plan `{found.fingerprint[:12]}` lists, or nothing.")
    return 0


def migrated(options: argparse.Namespace) -> int:
    rc, folder = planned("migrate", options)
    if rc or not folder:
        return rc or 1
    report = json.loads((folder / "migrate-plan.json").read_text(encoding="utf-8"))
    if rows := lacking(report["changes"]):
        raise InfraError(
            "deploy a release before its migrations have run in",
            options.environment,
            f"that environment would still {'; '.join(rows)}",
            f"Deploy the release to {options.environment} first.",
        )
    print(f"{options.environment} has every migration of the release.")
    return 0


def lacking(changes: Sequence[Mapping[str, str]]) -> list[str]:
    """The migrations that a plan lists, or why it can list none: it is not installed there, or a task runs them."""
    kinds = ("migration", "ECS task", "release")
    return [f"{row['action']} {row['kind']} {row['object']}" for row in changes if row["kind"] in kinds]


def deploy(options: argparse.Namespace) -> int:
    given = values_of(options)
    if options.fingerprint:
        given["plan_approved"] = str(verified(options.plan, options.fingerprint, archive_in(options.release)).resolve())
    os.environ["NEXOD_REPORT_DIR"] = str(options.report.resolve())
    return playbook("deploy", given=given, inventory=inventory_of(options))


def verified(folder: Path, expected: str, archive: Path) -> Path:
    """The file of the approved plan; refuses another plan, and another release than that it was made for."""
    path = folder / "deploy-plan.json"
    try:
        found = fingerprint(json.loads(path.read_text(encoding="utf-8")), checksum(archive))
    except (OSError, ValueError, KeyError, TypeError) as error:
        cause = f"it can't be read ({error!r})"
        raise InfraError("deploy the plan", f'"{path}"', cause, "Make another plan and have it approved.") from error
    if found != expected:
        raise InfraError(
            "deploy the plan",
            f'"{path}"',
            f"the plan and its release have the fingerprint {found[:12]}, and {expected[:12]} was approved",
            "Make another plan and have it approved. Nothing was changed.",
        )
    return path


def roll_back(options: argparse.Namespace) -> int:
    os.environ["NEXOD_REPORT_DIR"] = str(options.report.resolve())
    return playbook("roll_back", given={}, inventory=inventory_of(options))


def remove_previews(options: argparse.Namespace) -> int:
    """Of a branch, whose name anybody who can push has chosen: Ansible would evaluate a template in it.

    A pull request from `develop` to `main` ends too, and staging delivers what was built of `develop`.
    """
    if options.branch in options.branches:
        print(f"{options.branch} goes on: its previews stay.")
        return 0
    if re.search(r"\{[{%#]", options.branch):
        raise InfraError(
            "remove the previews of",
            options.branch,
            "the branch's name is a template of Ansible",
            "Remove them in Vercel's dashboard, on the page Deployments of the project.",
        )
    return playbook("remove_previews", given={"preview_branch": options.branch}, inventory=inventory_of(options))


# -- the command line


def names(text: str) -> list[str]:
    return text.replace(",", " ").split()


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="delivery.py", description="The steps of the workflows of GitHub Actions.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Callable[[argparse.Namespace], int], *options: str) -> argparse.ArgumentParser:
        one = commands.add_parser(run.__name__)
        one.set_defaults(run=run)
        known: dict[str, dict[str, Any]] = {
            "environment": {},
            "--inventory": {"default": ""},
            "--release": {"type": Path, "default": Path("dist"), "help": "folder with the archive"},
            "--commit": {"default": ""},
            "--cost-approved": {"default": "", "help": "US$ a month up to which a plan over the budget is approved"},
            "--plan": {"type": Path, "default": Path(".plan"), "help": "folder with the plan"},
            "--out": {"type": Path, "default": Path(".plan"), "help": "folder that the plan is written to"},
            "--fingerprint": {"default": ""},
            "--report": {"type": Path, "default": Path(".report"), "help": "folder of the report"},
        }
        for name in options:
            one.add_argument(name, **known[name])
        return one

    pinning = command(pin)
    pinning.add_argument("folder", type=Path, nargs="?", default=Path(".github/workflows"))
    pinning.add_argument("--version", default="", help="a release, whose commit is asked of GitHub")
    pinning.add_argument("--commit", default="", help="the commit itself, of 40 digits; nothing is asked then")
    command(pinned).add_argument("folder", type=Path, nargs="?", default=Path(".github/workflows"))
    command(setup)
    building = command(release)
    building.add_argument("source", type=Path)
    building.add_argument("--requirements", type=Path)
    building.add_argument("--dest", type=Path, default=Path("dist"))
    building.add_argument("--branches", type=names, default=[], help="whose builds are used again")
    shared = ("environment", "--inventory", "--release", "--commit", "--cost-approved")
    command(plan, *shared, "--out")
    command(migrated, *shared, "--out")
    command(deploy, *shared, "--plan", "--fingerprint", "--report")
    commenting = command(comment, "environment", "--commit", "--plan", "--fingerprint")
    commenting.add_argument("--pull", type=int, required=True)
    command(approved, "environment", "--commit")
    command(roll_back, "environment", "--inventory", "--report")
    removing = command(remove_previews, "environment", "--inventory")
    removing.add_argument("--branch", required=True)
    removing.add_argument("--branches", type=names, default=[], help="of which nothing is removed")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except InfraError as error:
        if os.environ.get("GITHUB_ACTIONS"):
            # One line for the page of the run; the whole error is below.
            print(f"::error::{str(error).splitlines()[0]}")
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
