"""How long an environment on AWS takes: one task of aws_resources against the stock modules' 21, first and second time.

    bench_aws.py [--rounds 3]

Against the emulator moto on the loopback, empty before each first run; both by the same ansible-playbook, in the
package `ansible` that contains the stock modules. A parameter group of RDS is in neither, as the stock module can't
create one on moto. It ends with 1 where our second run changes something or takes more than a third of theirs, or where
the two did not make the same.

With NEXOD_TEST_MINISTACK (the URL of a MiniStack with podman's API) it also compares rollouts of two healthy tasks on
ECS: the module ecs_deploy, and update_service with the waiter services_stable, which is what the commands
`aws ecs update-service` and `aws ecs wait services-stable` do. In turn, a new task definition each.
NEXOD_TEST_MINISTACK_IMAGE is an image with Python in podman's store, by default one of the lab.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import typing as t
import urllib.request
import uuid
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from peers import environment

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests/bench/requirements-aws.txt"
REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
AIM = 1 / 3
#: Seconds between two looks of the waiter services_stable, and so how much slower than it a rollout of ours may be.
POLL = 15
SERVE = ["python3", "-m", "http.server", "8000"]
MODULE = (
    f"import importlib, json, sys; sys.path.insert(0, {str(ROOT / '.collections')!r});"
    "from ansible.module_utils.testing import patch_module_args;"
    "module = importlib.import_module('ansible_collections.nexod.infra.plugins.modules.ecs_deploy');"
    "patched = patch_module_args(json.load(sys.stdin)); patched.__enter__(); module.main()"
)


# -- an environment, on moto


@contextlib.contextmanager
def moto() -> t.Iterator[str]:
    """The address of a moto server of our own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "tests/fixtures/aws_server.py", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: answers(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def until(holds: t.Callable[[], t.Any], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            sys.exit(f"not within {seconds} s")
        time.sleep(0.1)


def play(programs: Path, name: str, url: str) -> tuple[float, int]:
    """Seconds and changed tasks of a playbook."""
    variables = {
        **os.environ,
        **KEYS,
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CONFIG": str(ROOT / "tests/bench/aws/ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_PYTHON_INTERPRETER": str(programs / "python"),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    variables.pop("AWS_PROFILE", None)
    variables.pop("AWS_SESSION_TOKEN", None)
    command = [programs / "ansible-playbook", "-i", "localhost,", "-c", "local", ROOT / f"tests/bench/aws/{name}.yml"]
    begun = time.monotonic()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    took = time.monotonic() - begun
    if done.returncode:
        sys.exit(f"{name}.yml ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return took, int(json.loads(done.stdout[done.stdout.index("{") :])["stats"]["localhost"]["changed"])


def made(url: str) -> dict[str, int]:
    """How many there are of each kind."""

    def client(service: str) -> t.Any:
        return boto3.client(
            service, REGION, endpoint_url=url, aws_access_key_id="emulator", aws_secret_access_key="emulator"
        )

    ec2, rds, elb = client("ec2"), client("rds"), client("elbv2")
    tagged = [{"Name": "tag-key", "Values": ["nexod:environment"]}]
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    found = {
        "VPCs": ec2.describe_vpcs(Filters=tagged)["Vpcs"],
        "subnets": ec2.describe_subnets(Filters=tagged)["Subnets"],
        "internet gateways": ec2.describe_internet_gateways(Filters=tagged)["InternetGateways"],
        "NAT gateways": ec2.describe_nat_gateways()["NatGateways"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "route tables": ec2.describe_route_tables(Filters=tagged)["RouteTables"],
        "endpoints": ec2.describe_vpc_endpoints(Filters=tagged)["VpcEndpoints"],
        "security groups": ec2.describe_security_groups(Filters=tagged)["SecurityGroups"],
        "subnet groups": rds.describe_db_subnet_groups()["DBSubnetGroups"],
        "databases": rds.describe_db_instances()["DBInstances"],
        "target groups": elb.describe_target_groups()["TargetGroups"],
        "load balancers": elb.describe_load_balancers()["LoadBalancers"],
        "listeners": elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"],
        "buckets": client("s3").list_buckets()["Buckets"],
        "roles": [one for one in client("iam").list_roles()["Roles"] if one["RoleName"].startswith("bench")],
        "log groups": client("logs").describe_log_groups()["logGroups"],
        "topics": client("sns").list_topics()["Topics"],
        "repositories": client("ecr").describe_repositories()["repositories"],
    }
    return {name: len(rows) for name, rows in found.items()}


def bench_environment(rounds: int) -> bool:
    programs = environment(PEERS)
    took: dict[tuple[str, str], list[float]] = {}
    with moto() as url:
        # What is imported and compiled once is in no round.
        for name in ("stock", "ours"):
            reset(url)
            play(programs, name, url)
        for number in range(1, rounds + 1):
            counted = {}
            for name in ("stock", "ours"):
                reset(url)
                for run in ("first", "second"):
                    seconds, changes = play(programs, name, url)
                    took.setdefault((name, run), []).append(seconds)
                    print(f"round {number}: {name}, {run} run: {seconds:.1f} s, {changes} changed", flush=True)
                    if name == "ours" and run == "second" and changes:
                        sys.exit("the second run of ours.yml changed something")
                counted[name] = made(url)
            if counted["stock"] != counted["ours"]:
                sys.exit(f"not the same was made: {counted}")
    ratio = 0.0
    for run in ("first", "second"):
        theirs, ours = (statistics.median(took[name, run]) for name in ("stock", "ours"))
        ratio = ours / theirs
        print(f"median {run} run: stock modules {theirs:.1f} s, aws_resources {ours:.1f} s, ratio {ratio:.2f}")
    print(f"aim of the second run: at most {AIM:.2f}: {'met' if ratio <= AIM else 'missed'}")
    return ratio <= AIM


def reset(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()


# -- a rollout, on MiniStack


class Rollouts:
    """A service with two tasks in a cluster of its own."""

    def __init__(self, url: str, image: str) -> None:
        self.url, self.image, self.cluster, self.release = url, image, f"bench-{uuid.uuid4().hex[:8]}", 0
        self.ecs = self.client("ecs")
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}
        with contextlib.suppress(ClientError):
            self.client("logs").create_log_group(logGroupName="/bench/ecs")
        with contextlib.suppress(ClientError):
            self.client("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))
        self.role = self.client("iam").get_role(RoleName="bench")["Role"]["Arn"]
        self.subnet = self.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
        self.ecs.create_cluster(clusterName=self.cluster)

    def client(self, service: str) -> t.Any:
        return boto3.client(
            service, REGION, endpoint_url=self.url, aws_access_key_id="emulator", aws_secret_access_key="emulator"
        )

    def ours(self) -> None:
        self.release += 1
        container = {
            "name": "app",
            "image": self.image,
            "command": SERVE,
            "environment": {"RELEASE": str(self.release)},
            "ports": [8000],
            "log": {"group": "/bench/ecs"},
        }
        definition = {"family": self.cluster, "cpu": 256, "memory_mb": 512, "execution_role": self.role}
        options = {
            "name": "api",
            "cluster": self.cluster,
            "region": REGION,
            "endpoint_url": self.url,
            "subnets": [self.subnet],
            "desired_count": 2,
            "wait_seconds": 300,
            "task_definition": {**definition, "containers": [container]},
        }
        variables = {**os.environ, **KEYS}
        command = [sys.executable, "-c", MODULE]
        done = subprocess.run(
            command, input=json.dumps(options), env=variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"ecs_deploy failed: {done.stdout[-2000:]}{done.stderr[-1000:]}")

    def theirs(self) -> None:
        """A new definition as the command line would have it, then `update-service` and `wait services-stable`."""
        self.release += 1
        service = self.ecs.describe_services(cluster=self.cluster, services=["api"])["services"][0]
        found = self.ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        taken = ("family", "cpu", "memory", "networkMode", "requiresCompatibilities", "executionRoleArn")
        containers = found["containerDefinitions"]
        containers[0]["environment"] = [{"name": "RELEASE", "value": str(self.release)}]
        made = self.ecs.register_task_definition(
            containerDefinitions=containers, **{name: found[name] for name in taken if found.get(name)}
        )
        arn = made["taskDefinition"]["taskDefinitionArn"]
        self.ecs.update_service(cluster=self.cluster, service="api", taskDefinition=arn)
        self.ecs.get_waiter("services_stable").wait(cluster=self.cluster, services=["api"])

    def end(self) -> None:
        self.ecs.delete_service(cluster=self.cluster, service="api", force=True)
        until(lambda: not self.ecs.list_tasks(cluster=self.cluster, desiredStatus="RUNNING")["taskArns"], 120)
        self.ecs.delete_cluster(cluster=self.cluster)


def image() -> str:
    if given := os.environ.get("NEXOD_TEST_MINISTACK_IMAGE"):
        return given
    asked = ["podman", "images", "--filter", "reference=localhost/nexod-lab", "--format", "{{.Repository}}:{{.Tag}}"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    return found[0] if found else sys.exit("there is no image of the lab: set NEXOD_TEST_MINISTACK_IMAGE")


def bench_rollouts(url: str, rounds: int) -> bool:
    rollouts, took = Rollouts(url, image()), {"ecs_deploy": list[float](), "update_service and services_stable": []}
    rollouts.ours()
    try:
        for number in range(1, rounds + 1):
            for name, roll_out in zip(took, (rollouts.ours, rollouts.theirs), strict=True):
                begun = time.monotonic()
                roll_out()
                took[name].append(time.monotonic() - begun)
                print(f"round {number}: {name}: {took[name][-1]:.1f} s", flush=True)
    finally:
        rollouts.end()
    ours, theirs = (statistics.median(seconds) for seconds in took.values())
    met = ours <= theirs + POLL
    print(f"median rollout of two tasks: ecs_deploy {ours:.1f} s, update_service and services_stable {theirs:.1f} s")
    print(f"aim: not slower by more than one poll ({POLL} s): {'met' if met else 'missed'}")
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["environment", "rollouts"])
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {given.rounds} rounds", flush=True)
    url, met = os.environ.get("NEXOD_TEST_MINISTACK", ""), []
    if given.only != "rollouts":
        met.append(bench_environment(given.rounds))
    if given.only != "environment" and url:
        met.append(bench_rollouts(url, given.rounds))
    elif given.only != "environment":
        print("no rollouts: NEXOD_TEST_MINISTACK is not set")
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
