"""What the role expects on moto: place.py ENDPOINT creates the cluster, or reports what it runs."""

from __future__ import annotations

import json
import sys
import typing as t

import boto3

CLUSTER, REGION = "molecule", "us-east-1"


def client(name: str) -> t.Any:
    return boto3.client(name, endpoint_url=sys.argv[1], region_name=REGION)


def network() -> tuple[list[str], str]:
    """Two of the default subnets, and their network."""
    subnets = client("ec2").describe_subnets()["Subnets"][:2]
    return [row["SubnetId"] for row in subnets], subnets[0]["VpcId"]


def target_group(network_id: str, subnets: list[str]) -> str:
    """A target group that a load balancer forwards to."""
    balancing = client("elbv2")
    found = balancing.describe_target_groups()["TargetGroups"]
    if not found:
        form: dict[str, t.Any] = {"Name": CLUSTER, "Protocol": "HTTP", "Port": 8000, "TargetType": "ip"}
        found = balancing.create_target_group(VpcId=network_id, **form)["TargetGroups"]
        balancer = balancing.create_load_balancer(Name=CLUSTER, Subnets=subnets)["LoadBalancers"][0]
        forward = {"Type": "forward", "TargetGroupArn": found[0]["TargetGroupArn"]}
        listener = {"LoadBalancerArn": balancer["LoadBalancerArn"], "DefaultActions": [forward]}
        balancing.create_listener(Protocol="HTTP", Port=80, **listener)
    return str(found[0]["TargetGroupArn"])


def role(name: str) -> str:
    """A role of this name that tasks may assume."""
    iam = client("iam")
    names = [row["RoleName"] for row in iam.list_roles()["Roles"]]
    if name not in names:
        tasks = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = {"Version": "2012-10-17", "Statement": [tasks]}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def log_group(name: str) -> str:
    logs = client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
        logs.create_log_group(logGroupName=name)
    return name


def main() -> None:
    ecs = client("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    subnets, network_id = network()
    groups = client("ec2").describe_security_groups()["SecurityGroups"]
    services = ecs.describe_services(cluster=CLUSTER, services=["api"])["services"]
    running = [row for row in services if row["status"] == "ACTIVE"]
    place = {
        "cluster": CLUSTER,
        "region": REGION,
        "endpoint_url": sys.argv[1],
        "subnets": subnets,
        "security_groups": [groups[0]["GroupId"]],
        "target_group": target_group(network_id, subnets),
        "execution_role": role("execution"),
        "task_role": role("task"),
        "log_group": log_group("/ecs/api"),
    }
    images = [
        ecs.describe_task_definition(taskDefinition=row["taskDefinition"])["taskDefinition"]["containerDefinitions"][0][
            "image"
        ]
        for row in running
    ]
    modes = [
        ecs.describe_task_definition(taskDefinition=row["taskDefinition"])["taskDefinition"].get("pidMode")
        for row in running
    ]
    counts = [row["desiredCount"] for row in running]
    sys.stdout.write(json.dumps({"place": place, "images": images, "counts": counts, "modes": modes}))


if __name__ == "__main__":
    main()
