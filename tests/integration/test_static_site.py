"""The stage frontend where the endpoints name a bucket behind a CDN: its play, against a server of moto."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t
import urllib.request

import boto3
import yaml

from ansible_collections.nexod.infra.tests.playbook import AS_JSON, ROOT, Done, play, tasks_of

BUCKET = "nexod-staging-static"
KEYS = {"AWS_ACCESS_KEY_ID": "moto-takes-any", "AWS_SECRET_ACCESS_KEY": "moto-takes-any"}
VALUES = "infra_environment: staging\ninfra_provider: hosts\ninfra_domain: example.com\nbackend_version: 1.0.0\n"
HOSTS = "all: {children: {database_primary: {hosts: {db: {ansible_host: 192.0.2.1}}}}}\n"


class Stage:
    """The stage's play on the controller, in an environment whose endpoints are declared."""

    def __init__(self, aws: str, folder: pathlib.Path) -> None:
        self.aws, self.folder, self.site = aws, folder, folder / "site"
        given = {"endpoint_url": aws, "region_name": "us-east-1"}
        self.keys = {name.lower(): value for name, value in KEYS.items()}
        self.s3 = boto3.client("s3", **given, **self.keys)
        self.cloudfront = boto3.client("cloudfront", **given, **self.keys)
        self.s3.create_bucket(Bucket=BUCKET)
        origin = {"Id": "o", "DomainName": "x.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        config: t.Any = {
            "CallerReference": "1",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
        }
        self.distribution = self.cloudfront.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
        (self.site / "_next/static").mkdir(parents=True)
        (self.site / "index.html").write_text("<p>one")
        (self.site / "_next/static/a.js").write_text("start()")
        inventory = folder / "inventory"
        inventory.mkdir()
        (inventory / "hosts.yml").write_text(HOSTS)
        (inventory / "nexod.yml").write_text("plugin: nexod.infra.environment\n")
        one = yaml.safe_load((ROOT / "playbooks/stages/frontend.yml").read_text())[-1]
        assert one["hosts"] == "localhost"
        (folder / "stage.yml").write_text(yaml.safe_dump([one]))

    def run(self, *arguments: str, origin: bool = True, source: bool = True) -> Done:
        place = {"bucket": BUCKET, "folder": "public", "region": "us-east-1", "distribution": self.distribution}
        cdn = {"url": "https://www.example.com", **({"origin": {**place, "endpoint_url": self.aws}} if origin else {})}
        declared = json.dumps({"cdn": cdn})
        named = f"frontend_source: {self.site}\n" if source else ""
        group = self.folder / "inventory/group_vars"
        group.mkdir(exist_ok=True)
        (group / "all.yml").write_text(f"{VALUES}{named}infra_endpoints_declared: {declared}\n")
        python = ("-e", f"ansible_python_interpreter={sys.executable}")
        done = play(
            *("-i", self.folder / "inventory", self.folder / "stage.yml", *python, *arguments),
            cwd=self.folder,
            **AS_JSON,
            **KEYS,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        return done

    def objects(self) -> list[str]:
        return sorted(row["Key"] for row in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()))

    def invalidations(self) -> int:
        found = self.cloudfront.list_invalidations(DistributionId=self.distribution)["InvalidationList"]
        return len(found.get("Items", ()))


def published(done: Done) -> dict[str, t.Any]:
    """The result of the task that publishes; empty if it was left out."""
    results = [
        task["hosts"]["localhost"] for task in tasks_of(done) if "s3_site" in task["hosts"]["localhost"]["action"]
    ]
    return results[0] if results else {}


def test_the_stage_publishes_what_changed_and_no_more(aws: str, tmp_path: pathlib.Path) -> None:
    stage = Stage(aws, tmp_path)
    assert published(stage.run(origin=False)) == published(stage.run(source=False)) == {}
    predicted = published(stage.run("--check", "--diff"))
    assert (stage.objects(), stage.invalidations()) == ([], 0)
    made = published(stage.run("--diff"))
    assert predicted["changed"]
    assert made["diff"] == predicted["diff"]
    assert stage.objects() == [".nexod/public.json", "public/_next/static/a.js", "public/index.html"]
    for path, header in (("index.html", "no-cache"), ("_next/static/a.js", "immutable")):
        url = stage.s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": f"public/{path}"})
        with urllib.request.urlopen(url) as served:
            assert served.read() == (stage.site / path).read_bytes()
            assert header in served.headers["Cache-Control"]
    assert published(stage.run())["changed"] is False
    (stage.site / "index.html").write_text("<p>two")
    changed = published(stage.run())
    assert (changed["updated"], changed["created"]) == (["index.html"], [])
    assert (changed["invalidated"], stage.invalidations()) == (["/", "/index.html"], 1)
    assert published(stage.run())["changed"] is False
    assert stage.invalidations() == 1
