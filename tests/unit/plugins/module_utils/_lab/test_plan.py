"""Tables: what a machine needs for systemd in containers, and which host gets what."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._lab import plan as _lab
from ansible_collections.nexod.infra.plugins.module_utils._lab.plan import (
    INIT_ON_CGROUP_V1,
    SHARED_MOUNTS,
    Container,
    Host,
    Machine,
    Recipe,
    Server,
    mirror_of,
    plan_boot,
    plan_hosts,
    plan_limits,
    plan_servers,
)

ALL = (1 << 41) - 1
USUAL = Machine(0, "v2", ("cpu", "memory", "pids"), ALL, ("crun",), "crun", 1024, 4096)
PLAIN = ("--systemd=always", "--privileged")
OWN_CGROUP = ("--cgroupns=private",)
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")


INIT = ("/bin/sh", "-c", f"{SHARED_MOUNTS} && exec /sbin/init")
INIT_V1 = ("/bin/sh", "-c", f"{INIT_ON_CGROUP_V1} && {SHARED_MOUNTS} && exec /sbin/init")


@pytest.mark.parametrize(
    ("machine", "podman", "run", "command"),
    [
        pytest.param({}, (), PLAIN, INIT, id="a usual machine needs nothing"),
        pytest.param({"user": 1000}, (), PLAIN, INIT, id="rootless, delegated"),
        pytest.param({"runtimes": ("runc",)}, ("--runtime", "runc"), PLAIN, INIT, id="only runc is there"),
        pytest.param(
            {"cgroups": "hybrid", "runtimes": ("crun", "runc")},
            ("--runtime", "runc"),
            (*PLAIN, *OWN_CGROUP),
            INIT_V1,
            id="hybrid cgroups: runc and a cgroup v2 of its own",
        ),
        pytest.param(
            {"cgroups": "v1", "runtimes": ("runc",), "runtime": "runc"},
            ("--runtime", "runc"),
            (*PLAIN, *OWN_CGROUP),
            INIT_V1,
            id="cgroup v1",
        ),
        pytest.param({"capabilities": ALL & ~(1 << 24)}, (), (*PLAIN, *LIMITS), INIT, id="limits can't be raised"),
    ],
)
def test_boot(
    machine: dict[str, object], podman: tuple[str, ...], run: tuple[str, ...], command: tuple[str, ...]
) -> None:
    boot = plan_boot(dataclasses.replace(USUAL, **machine))  # type: ignore[arg-type]
    assert (boot.podman, boot.run, boot.command) == (podman, run, command)


@pytest.mark.parametrize(
    ("machine", "next_step"),
    [
        pytest.param({"user": 1000, "cgroups": "hybrid"}, "sudo make deploy", id="rootless on hybrid cgroups"),
        pytest.param({"user": 1000, "controllers": ("cpu",)}, "sudo make deploy", id="rootless, nothing delegated"),
        pytest.param({"cgroups": "v1"}, "apt-get install runc", id="crun alone on cgroup v1"),
        pytest.param({"runtimes": ()}, "apt-get install crun", id="no runtime"),
    ],
)
def test_boot_refused(machine: dict[str, object], next_step: str) -> None:
    with pytest.raises(InfraError, match=next_step):
        plan_boot(dataclasses.replace(USUAL, **machine))  # type: ignore[arg-type]


API = Host("api-1", "image:1", "10.0.0.51")
DB = Host("db-1", "image:1", "10.0.0.11")
API_RUNS = Container("api-1", "running", API.shape("net"))


@pytest.mark.parametrize(
    ("wanted", "seen", "steps"),
    [
        pytest.param([], [], [], id="nothing wanted, nothing there"),
        pytest.param([API], [], ["create api-1"], id="first run"),
        pytest.param([API], [API_RUNS], [], id="second run"),
        pytest.param([API, DB], [API_RUNS], ["create db-1"], id="a host was added"),
        pytest.param([], [API_RUNS], ["remove api-1"], id="a host was removed"),
        pytest.param([API], [dataclasses.replace(API_RUNS, state="exited")], ["start api-1"], id="stopped"),
        pytest.param([API], [dataclasses.replace(API_RUNS, state="created")], ["recreate api-1"], id="never started"),
        pytest.param([API], [dataclasses.replace(API_RUNS, answers=False)], ["restart api-1"], id="silent"),
        pytest.param(
            [API],
            [dataclasses.replace(API_RUNS, state="exited", answers=False)],
            ["start api-1"],
            id="stopped is silent",
        ),
        pytest.param(
            [dataclasses.replace(API, image="image:2")], [API_RUNS], ["recreate api-1"], id="the image's recipe changed"
        ),
        pytest.param(
            [dataclasses.replace(API, address="10.0.0.52")], [API_RUNS], ["recreate api-1"], id="another address"
        ),
        pytest.param(
            [dataclasses.replace(API, image="image:2")],
            [dataclasses.replace(API_RUNS, state="exited", answers=False)],
            ["recreate api-1"],
            id="old, stopped and silent: once",
        ),
    ],
)
def test_hosts(wanted: list[Host], seen: list[Container], steps: list[str]) -> None:
    assert [f"{step.action} {step.host}" for step in plan_hosts(wanted, seen, "net")] == steps


@pytest.mark.parametrize(
    ("rootless", "watchers", "steps"),
    [
        pytest.param(False, 128, ["raise fs.inotify.max_user_instances to 1024"], id="the kernel's default"),
        pytest.param(False, 8192, [], id="more than enough is left alone"),
        pytest.param(True, 128, [], id="not ours to raise"),
    ],
)
def test_limits(rootless: bool, watchers: int, steps: list[str]) -> None:
    assert [f"{step.action} {step.host}" for step in plan_limits(rootless, watchers)] == steps


MOTO = Server("moto", ("python", "moto.py"), 5555)


@pytest.mark.parametrize(
    ("running", "started", "steps"),
    [
        pytest.param({}, True, ["start moto"], id="not there"),
        pytest.param({"moto": MOTO.argv}, True, [], id="runs as wanted"),
        pytest.param({"moto": ("python", "old.py")}, True, ["restart moto"], id="runs with other arguments"),
        pytest.param({"moto": ("python", "old.py")}, False, ["stop moto"], id="goes, whatever its arguments"),
        pytest.param({}, False, [], id="gone already"),
    ],
)
def test_servers(running: dict[str, tuple[str, ...]], started: bool, steps: list[str]) -> None:
    assert [f"{step.action} {step.host}" for step in plan_servers([MOTO], running, started)] == steps


RECIPE = Recipe("trixie", ("systemd-sysv",), ("haproxy",), "http://mirror/debian")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({}, True, id="the same recipe"),
        pytest.param({"release": "forky"}, False, id="another release"),
        pytest.param({"packages": ("systemd-sysv", "acl")}, False, id="a package more"),
        pytest.param({"carried": ()}, False, id="carries less"),
        pytest.param({"mirror": "http://other/debian"}, False, id="another mirror"),
    ],
)
def test_image_name_follows_the_recipe(change: dict[str, object], same: bool) -> None:
    assert (dataclasses.replace(RECIPE, **change).reference == RECIPE.reference) is same  # type: ignore[arg-type]


def test_recipe_carries_packages_without_installing_them() -> None:
    lines = RECIPE.script().splitlines()
    assert [line for line in lines if "haproxy" in line] == ["apt-get -q -y install --download-only haproxy"]
    assert RECIPE.containerfile("docker.io/library/debian").startswith("FROM docker.io/library/debian:trixie\n")


def test_lists_name_what_servers_need_and_whatever_is_there(tmp_path: pathlib.Path) -> None:
    lists, archives, programs = (tmp_path / name for name in ("var/lib/apt/lists", "var/cache/apt/archives", "bin"))
    for folder in (lists, archives, programs):
        folder.mkdir(parents=True)
    rows = [
        ("libssl", "libs", "libz (>= 1), libq | libr:any"),
        ("nginx", "httpd", "libssl (>= 3)"),
        ("tex-base", "tex", "libtex"),
        ("carried", "games", ""),
        ("installed", "x11", ""),
        *((name, "libs", "") for name in ("libtex", "libz", "libq", "libr")),
    ]
    entries = [f"Package: {name}\nDepends: {needs}\nSection: {section}\nSize: 1\n\n" for name, section, needs in rows]
    (lists / "mirror_dists_trixie_main_binary-amd64_Packages").write_text("".join(entries))
    (archives / "carried_1%3a2_amd64.deb").touch()
    (programs / "dpkg-query").write_text("#!/bin/sh\necho installed\n")
    (programs / "dpkg-query").chmod(0o755)
    script = _lab.SHORTER_LISTS.replace("/tmp/", f"{programs}/").replace(" /var/", f" {tmp_path}/var/")
    path = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-eu", "-c", script], check=True, env=path)
    kept = [line.split()[1] for line in next(lists.iterdir()).read_text().splitlines() if line.startswith("Package")]
    assert kept == ["libssl", "nginx", "carried", "installed", "libz", "libq", "libr"]


def test_a_host_compiles_the_source_of_a_module_once(tmp_path: pathlib.Path) -> None:
    """What a zip archive contains, which is compiled at each import otherwise; another source is another module."""
    folder, archive = tmp_path / "run", tmp_path / "modules.zip"
    folder.mkdir()
    (tmp_path / "lab_compiled.py").write_text(_lab.COMPILED_ONCE.replace("/run/", f"{folder}/"))
    first = "import sys; sys.path[:0] = sys.argv[1:]; import lab_compiled, module; print(module.number)"
    said, kept = [], []
    for number in (1, 1, 2):
        with zipfile.ZipFile(archive, "w") as stream:
            stream.writestr("module.py", f"number = {number}\n")
        argv = [sys.executable, "-c", first, str(tmp_path), str(archive)]
        said.append(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip())
        kept.append(len([path for path in folder.rglob("*") if path.is_file()]))
    assert (said, kept) == (["1", "1", "2"], [1, 1, 2])
    # Of root alone: nobody else reads it, or has root run what they have put there.
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o700]


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        (["deb http://mirror.example/debian bookworm main\n"], "http://mirror.example/debian"),
        (["deb [signed-by=/k.gpg] https://mirror.example/debian/ trixie main\n"], "https://mirror.example/debian"),
        (
            ["Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian\n"],
            "http://mirror.example/debian",
        ),
        (["deb cdrom:[Debian]/ bookworm main\n# deb http://x.example/debian bookworm main\n"], ""),
        (
            ["deb http://other.example/apt stable main\n", "deb http://m.example/debian sid main\n"],
            "http://m.example/debian",
        ),
        ([], ""),
    ],
)
def test_mirror_of(sources: list[str], mirror: str) -> None:
    assert mirror_of(sources) == mirror


def test_a_host_keeps_its_network_card() -> None:
    assert _lab.mac_of("10.213.77.21") == "02:00:0a:d5:4d:15"
