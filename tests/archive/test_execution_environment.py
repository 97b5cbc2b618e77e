"""The execution environment of the example, on Debian: built here, and a plan made in it as AWX does."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from moto.server import ThreadedMotoServer

from ansible_collections.nexod.infra.plugins.module_utils._lab import podman
from ansible_collections.nexod.infra.plugins.module_utils._lab.plan import Recipe, plan_boot
from ansible_collections.nexod.infra.plugins.modules.lab_image import own_mirror
from ansible_collections.nexod.infra.tests.archive.support import BIN, ROOT, ansible
from ansible_collections.nexod.infra.tests.fixtures.as_awx import Job, ended, imported, prepared
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.unit.playbooks.test_aws_plan import GIVEN

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="builds images by mmdebstrap, as root only"),
    pytest.mark.timeout(2400),
]
IMAGE = "localhost/nexod-infra-ee:test"
PACKAGES = ("ca-certificates", "git", "openssh-client", "python3", "python3-pip")
#: Where pip finds packages on this machine, and what it trusts.
PIP = ("PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "SSL_CERT_FILE")


def definition(base: str) -> dict[str, t.Any]:
    """The example's, with its options for Debian; what it would install from Galaxy is in the package ansible."""
    found = yaml.safe_load((ROOT / "examples/execution-environment.yml").read_text())
    found["images"]["base_image"]["name"] = base
    found["options"] = {"package_manager_path": "/usr/bin/apt-get", "skip_pip_install": True}
    found["dependencies"]["ansible_core"] = {"package_pip": "ansible>=12.3.0"}
    found["build_arg_defaults"] = {"ANSIBLE_GALAXY_CLI_COLLECTION_OPTS": "--offline --no-deps"}
    return dict(found)


@pytest.fixture(scope="module")
def image(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    folder = tmp_path_factory.mktemp("image")
    # As the hosts of the lab: a Debian made by mmdebstrap, without a registry.
    base = Recipe("trixie", PACKAGES, (), own_mirror())
    podman.build_image(base, "docker.io/library/debian", "auto")
    shutil.copy(archive, folder)
    (folder / "execution-environment.yml").write_text(yaml.safe_dump(definition(base.reference), sort_keys=False))
    done = ansible(BIN / "ansible-builder", "create", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    given = {name: os.environ[name] for name in PIP if os.environ.get(name)}
    files = {value for value in given.values() if Path(value).is_file()}
    argv = ["podman", "build", "--isolation=chroot", "--network=host", f"--tag={IMAGE}"]
    argv += [f"--env={name}={value}" for name, value in given.items()]
    argv += [f"--volume={path}:{path}:ro" for path in files]
    argv += [f"--file={folder}/context/Containerfile", f"{folder}/context"]
    built = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-4000:]
    yield IMAGE
    subprocess.run(["podman", "rmi", "--force", IMAGE], capture_output=True, check=False)


def ran(folder: Path, image: str, environment: dict[str, str], *options: str, **variables: t.Any) -> Job:
    """A job of AWX: a container of a user without rights, and a project that is mounted read-only."""
    # AWX reads it with the credential of its source.
    keys = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    inventory = imported(ROOT / "inventories/staging", **keys)
    private = prepared(folder, inventory, {"NEXOD_REPORT_DIR": "/runner/reports", **environment}, **variables)
    project = folder / "project"
    # A product's own repository: the collection is in the image.
    (project / "playbooks").mkdir(parents=True)
    shutil.copy(ROOT / "ansible.cfg", project)
    (project / "playbooks/deploy.yml").write_text("- ansible.builtin.import_playbook: nexod.infra.deploy\n")
    (project / "dist").mkdir()
    (project / "dist/api-1.0.0.tar").write_bytes(b"")
    for path in (private, *private.rglob("*")):
        shutil.chown(path, 1000, 0)
    boot = plan_boot(podman.look_at_machine())
    limits = boot.run[boot.run.index("--ulimit") :] if "--ulimit" in boot.run else ()
    argv = ["podman", *boot.podman, "run", "--rm", "--network=host", *limits]
    argv += [f"--volume={private}:/runner", f"--volume={project}:/runner/project:ro", "--user=1000:0", image]
    argv += ["ansible-runner", "run", "/runner", "-p", "playbooks/deploy.yml", "--ident", "job", "-q"]
    argv += [f"--cmdline={' '.join(options)}"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return ended(private, private / "reports", done)


def test_a_plan_is_made_in_it(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    with emulated_aws(monkeypatch):
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        # moto knows no policies of CloudFront.
        given = {"backend_version": "1.0.0", "provider_aws_cdn": False, "services_vendors": []}
        job = ran(tmp_path, image, {**GIVEN, "AWS_ENDPOINT_URL": endpoint}, "--check", **given)
        server.stop()
    assert job.status == "successful", job.said[-6000:]
    plan = job.artifacts["plan_approved"]
    assert plan["environment"] == "staging"
    assert {"vpc/nexod-staging", "rds_instance/nexod-staging"} <= {one["object"] for one in plan["changes"]}
    assert "staging: deploy done" in job.said
    assert list((job.reports / "staging").glob("*-deploy-plan/deploy-plan.html"))
    assert [value for value in GIVEN.values() if "canary" in value and value in job.shown] == []
