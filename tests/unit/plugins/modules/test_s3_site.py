"""Static files in a bucket behind CloudFront, through the module. On the emulator moto, each call recorded."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import re
import typing as t

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.s3 import models

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.endpoints import endpoints
from ansible_collections.nexod.infra.tests.fixtures import aws_resources
from ansible_collections.nexod.infra.tests.fixtures.aws_stand_ins import CloudFront
from ansible_collections.nexod.infra.tests.fixtures.emulated_aws import emulated_aws
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_delivery import rows
from ansible_collections.nexod.infra.tests.unit.plugins.plugin_utils._aws.test_environment import options

Run = t.Callable[..., dict[str, t.Any]]
REGION, BUCKET = "us-east-1", "nexod-staging-static"
CACHED = "public, max-age=3600, stale-while-revalidate=86400"
IMMUTABLE = "public, max-age=31536000, immutable"
READS = re.compile("(List|Get|Head)[A-Z]")
FILES = {
    "index.html": "<script src=/_next/static/app-1f.js></script>",
    "about/index.html": "<p>about",
    "_next/static/app-1f.js": "start()",
    "logo.svg": "<svg/>",
    "robots.txt": "User-agent: *",
}


@dataclasses.dataclass
class Aws:
    """The calls that were made, and a failure at one that writes."""

    distribution: str = ""
    calls: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    fail_at: int = 0

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if not READS.match(call[0])]

    def objects(self) -> dict[str, str]:
        s3 = boto3.client("s3", REGION)
        rows = s3.list_objects_v2(Bucket=BUCKET, Prefix="public/").get("Contents", ())
        return {
            row["Key"].removeprefix("public/"): s3.get_object(Bucket=BUCKET, Key=row["Key"])["Body"].read().decode()
            for row in rows
        }

    def invalidated(self) -> list[list[str]]:
        """The paths of each invalidation."""
        client = boto3.client("cloudfront", REGION)
        rows = client.list_invalidations(DistributionId=self.distribution)["InvalidationList"].get("Items", ())
        found = [client.get_invalidation(DistributionId=self.distribution, Id=row["Id"]) for row in rows]
        return [one["Invalidation"]["InvalidationBatch"]["Paths"]["Items"] for one in found]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Aws]:
    made = Aws()
    with emulated_aws(monkeypatch):
        s3 = boto3.client("s3", REGION)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        origin = {"Id": "o", "DomainName": "x.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        config: t.Any = {
            "CallerReference": "1",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
        }
        found = boto3.client("cloudfront", REGION).create_distribution(DistributionConfig=config)
        made.distribution = found["Distribution"]["Id"]
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def recorded(client: t.Any, operation: str, given: dict[str, t.Any]) -> t.Any:
            made.calls.append((operation, str(given.get("Key", ""))))
            if made.fail_at and not READS.match(operation) and len(made.writes) == made.fail_at:
                raise ClientError({"Error": {"Code": "InternalError", "Message": "killed"}}, operation)
            return call(client, operation, given)

        monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
        yield made


@pytest.fixture
def site(tmp_path: pathlib.Path) -> pathlib.Path:
    return written(tmp_path / "site", FILES)


def written(folder: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def publish(run_module: Run, aws: Aws, site: pathlib.Path) -> Run:
    def run(*, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        aws.calls.clear()
        given = {
            "bucket": BUCKET,
            "source": str(site),
            "immutable": ["_next/static/*"],
            "distribution_id": aws.distribution,
            "region": REGION,
            **more,
        }
        return run_module("s3_site", given, check_mode=check)

    return run


def test_from_an_empty_bucket_to_served_files(publish: Run, aws: Aws) -> None:
    predicted = publish(check=True)
    assert (predicted["changed"], aws.writes) == (True, [])
    made = publish()
    assert {**made, "warnings": []} == predicted
    assert made["created"] == sorted(FILES)
    assert (aws.objects(), made["invalidated"], aws.invalidated()) == (FILES, [], [])
    again = publish()
    assert (again["changed"], again["diff"]["after"]) == (False, "")
    # The whole of a run that changes nothing, for any number of files.
    assert [operation for operation, _key in aws.calls] == ["ListObjectsV2", "GetObject"]


@pytest.mark.parametrize(
    ("name", "content_type", "cache_control"),
    [
        ("index.html", "text/html; charset=utf-8", "no-cache"),
        ("about/index.html", "text/html; charset=utf-8", "no-cache"),
        # As Next.js keeps the content of a page.
        ("robots.txt", "text/plain; charset=utf-8", "no-cache"),
        ("_next/static/app-1f.js", "text/javascript; charset=utf-8", IMMUTABLE),
        ("logo.svg", "image/svg+xml", CACHED),
    ],
)
def test_each_file_has_its_headers(publish: Run, aws: Aws, name: str, content_type: str, cache_control: str) -> None:
    publish()
    found = boto3.client("s3", REGION).get_object(Bucket=BUCKET, Key=f"public/{name}")
    assert (found["ContentType"], found["CacheControl"]) == (content_type, cache_control)


def test_a_page_is_uploaded_after_what_it_names_and_the_first_page_last(publish: Run, aws: Aws) -> None:
    publish()
    keys = [key.removeprefix("public/") for _operation, key in aws.writes if key.startswith("public/")]
    assert keys[0] == "_next/static/app-1f.js"
    assert keys[-2:] == ["about/index.html", "index.html"]


def test_one_changed_file_is_one_upload_and_one_path(publish: Run, aws: Aws, site: pathlib.Path) -> None:
    publish()
    written(site, {"about/index.html": "<p>more"})
    predicted = publish(check=True)
    assert (aws.writes, predicted["updated"]) == ([], ["about/index.html"])
    made = publish()
    assert {**made, "warnings": []} == predicted
    assert [key for _operation, key in aws.writes if key.startswith("public/")] == ["public/about/index.html"]
    assert (made["invalidated"], aws.invalidated()) == (["/about/index.html"], [["/about/index.html"]])
    assert "about/index.html" in made["diff"]["before"]
    assert publish()["changed"] is False


def test_the_first_page_is_delivered_by_two_paths(publish: Run, aws: Aws, site: pathlib.Path) -> None:
    publish()
    written(site, {"index.html": "<p>new"})
    assert publish()["invalidated"] == ["/", "/index.html"]


def test_another_header_is_a_change(publish: Run, aws: Aws) -> None:
    publish()
    changed = publish(cache_control="no-store")
    assert changed["updated"] == ["logo.svg"]
    assert publish(cache_control="no-store")["changed"] is False
    given = {"cache_control": "no-store", "page_cache_control": "public, max-age=60"}
    assert publish(**given)["updated"] == sorted(set(FILES) - {"_next/static/app-1f.js", "logo.svg"})


def test_what_a_page_may_still_load_is_kept_for_a_while(publish: Run, aws: Aws, site: pathlib.Path) -> None:
    publish()
    (site / "_next/static/app-1f.js").unlink()
    (site / "robots.txt").unlink()
    written(site, {"_next/static/app-2e.js": "start(2)"})
    predicted = publish(check=True)
    made = publish()
    assert {**made, "warnings": []} == predicted
    assert (made["created"], made["unused"], made["removed"]) == (
        ["_next/static/app-2e.js"],
        ["_next/static/app-1f.js"],
        ["robots.txt"],
    )
    assert made["invalidated"] == ["/robots.txt"]
    assert publish()["changed"] is False
    # Back as it was before: what was kept is not uploaded again.
    (site / "_next/static/app-2e.js").unlink()
    written(site, FILES)
    back = publish()
    assert (back["created"], back["updated"], back["unused"]) == (["robots.txt"], [], ["_next/static/app-2e.js"])
    assert publish(keep_days=0)["removed"] == ["_next/static/app-2e.js"]
    assert aws.objects() == FILES


def test_an_immutable_file_with_other_content_is_published_with_a_warning(publish: Run, site: pathlib.Path) -> None:
    publish()
    written(site, {"_next/static/app-1f.js": "other()"})
    (warning,) = publish()["warnings"]
    assert "browsers that have it keep the former" in warning


@pytest.mark.parametrize("how", ["content", "header", "deleted"])
def test_what_was_changed_behind_our_back_is_published_again(
    publish: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    s3 = boto3.client("s3", REGION)
    named = {"Bucket": BUCKET, "Key": "public/logo.svg"}
    publish()
    if how == "content":
        s3.put_object(**named, Body=b"<svg>theirs</svg>", CacheControl=CACHED, ContentType="image/svg+xml")
    elif how == "header":
        later(monkeypatch)
        s3.copy_object(**named, CopySource=named, MetadataDirective="REPLACE", CacheControl="no-store")
    else:
        s3.delete_object(**named)
    fixed = publish()
    assert fixed["created"] + fixed["updated"] == ["logo.svg"]
    assert aws.objects() == FILES
    assert s3.get_object(**named)["CacheControl"] == CACHED
    assert publish()["changed"] is False


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's clock, a minute on: S3 shows when an object was written in whole seconds."""
    now = models.utcnow
    monkeypatch.setattr(models, "utcnow", lambda: now() + datetime.timedelta(minutes=1))


def test_objects_of_others_are_left_alone(publish: Run, aws: Aws) -> None:
    s3 = boto3.client("s3", REGION)
    s3.put_object(Bucket=BUCKET, Key="public/theirs.txt", Body=b"theirs")
    s3.put_object(Bucket=BUCKET, Key="uploads/photo.png", Body=b"theirs")
    publish()
    assert aws.objects() == {**FILES, "theirs.txt": "theirs"}
    assert s3.get_object(Bucket=BUCKET, Key="uploads/photo.png")["Body"].read() == b"theirs"


@pytest.mark.parametrize("content", [b"", b"[]", b"not JSON"])
def test_without_its_record_everything_is_published_again_and_nothing_removed(
    publish: Run, aws: Aws, site: pathlib.Path, content: bytes
) -> None:
    publish()
    boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=".nexod/public.json", Body=content)
    (site / "robots.txt").unlink()
    again = publish()
    assert (again["updated"], again["removed"]) == (sorted(set(FILES) - {"robots.txt"}), [])


@pytest.mark.parametrize("write", range(1, 9))
def test_a_run_that_is_killed_is_continued(publish: Run, aws: Aws, site: pathlib.Path, write: int) -> None:
    publish()
    written(site, {"index.html": "<p>new", "logo.svg": "<svg>new</svg>"})
    (site / "robots.txt").unlink()
    aws.fail_at = write
    killed = publish()
    aws.fail_at = 0
    # In all: the record twice, two uploads, a removal, the invalidation, and the record without what is pending.
    assert bool(killed.get("failed")) == (write <= 7)
    publish()
    assert aws.objects() == {
        "index.html": "<p>new",
        "logo.svg": "<svg>new</svg>",
        **{name: FILES[name] for name in ("about/index.html", "_next/static/app-1f.js")},
    }
    assert {"/", "/index.html", "/logo.svg", "/robots.txt"} <= {path for one in aws.invalidated() for path in one}
    # CloudFront is asked once for the same: only a run that died before could have changed something since.
    assert len(aws.invalidated()) == 1
    assert publish()["changed"] is False


def test_without_a_distribution_nothing_is_invalidated(publish: Run, aws: Aws, site: pathlib.Path) -> None:
    publish(distribution_id=None)
    written(site, {"logo.svg": "<svg>new</svg>"})
    assert publish(distribution_id=None)["invalidated"] == []
    assert publish(distribution_id=None)["changed"] is False


@pytest.mark.parametrize(
    ("files", "more", "words"),
    [
        ({}, {"source": "/no/such/folder"}, "there is no such folder"),
        ({}, {"bucket": "nexod-absent"}, "it does not exist.\nCreate it first"),
        ({"a*b.js": ""}, {}, r"a*b.js can't be the path of a URL"),
        ({}, {"keep_days": -1}, "Set it to a number at least 0"),
        ({}, {"distribution_id": "ENONE"}, "Check distribution_id"),
    ],
)
def test_what_is_refused(
    publish: Run, site: pathlib.Path, files: dict[str, str], more: dict[str, t.Any], words: str
) -> None:
    publish()
    written(site, {**files, "logo.svg": "<svg>new</svg>"})
    assert words in publish(**more)["msg"]


def test_an_empty_folder_and_a_link_to_a_folder_are_refused(publish: Run, aws: Aws, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "it contains no file" in publish(source=str(folder))["msg"]
    (folder / "linked").symlink_to(tmp_path)
    assert "is a link to a folder" in publish(source=str(folder))["msg"]
    assert aws.writes == []


def test_before_the_bucket_exists_check_mode_predicts(publish: Run, aws: Aws) -> None:
    predicted = publish(check=True, bucket="nexod-not-yet")
    assert (predicted["created"], aws.writes) == (sorted(FILES), [])


def test_from_an_empty_account_to_published_files(
    run_module: Run, site: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the provider declares, and CloudFront asks for, is what is published. CloudFront is a stand-in.

    Without the policies of the buckets: moto ignores their conditions, and refuses everybody by that on TLS.
    """
    cloudfront, declared = CloudFront(), [row for row in rows() if row[0] != "bucket_policy"]
    with emulated_aws(monkeypatch):
        s3 = boto3.client("s3", REGION)
        monkeypatch.setattr(aws_resources, "CLIENTS", {"cloudfront": cloudfront, "s3": s3})
        made, _api = aws_resources.bring(*declared)
        origin = endpoints(made.outputs, options(cdn=True))["cdn"]["origin"]
        given = {"source": str(site), "distribution_id": origin["distribution"]}
        given |= {name: origin[name] for name in ("bucket", "folder", "region")}
        first = run_module("s3_site", given)
        assert first.get("created") == sorted(FILES), first
        (distribution,) = cloudfront.found["Distribution"].values()
        (place,) = distribution["config"]["Origins"]["Items"]
        asked = f"{place['OriginPath']}/{distribution['config']['DefaultRootObject']}".lstrip("/")
        served = s3.get_object(Bucket=place["DomainName"].partition(".s3.")[0], Key=asked)
        assert served["Body"].read().decode() == FILES["index.html"]
        assert (served["CacheControl"], served["ContentType"]) == ("no-cache", "text/html; charset=utf-8")
        assert run_module("s3_site", given)["changed"] is False
        assert aws_resources.bring(*declared)[0].changes == []
