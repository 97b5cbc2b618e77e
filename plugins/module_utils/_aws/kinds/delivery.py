# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivery by CloudFront: what may read the bucket, how long answers are cached, and the distribution."""

from __future__ import annotations

import typing as t

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.kind import AwsKind, as_tags, from_tags, owned
from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._resources.kind import (
    OWNER,
    Facts,
    Property,
    Seen,
    Wanted,
    same_set,
)


def listed(rows: t.Iterable[t.Any]) -> dict[str, t.Any]:
    """A list as CloudFront takes it, which refuses an empty one."""
    found = list(rows)
    return {"Quantity": len(found), **({"Items": found} if found else {})}


class Marked(AwsKind):
    """What CloudFront finds by a name, gives no tags, and changes as a whole; the comment says whose it is."""

    #: Such as CachePolicy, by which all operations and fields are named, and its plural.
    thing: t.ClassVar[str]
    things: t.ClassVar[str]
    comment: t.ClassVar[str] = "Comment"
    kind_of_list: t.ClassVar[Facts] = {"Type": "custom"}

    def config(self, wanted: Wanted) -> dict[str, t.Any]:
        """The properties as CloudFront takes them."""
        raise NotImplementedError

    def shown(self, config: Facts) -> dict[str, t.Any]:
        """The reverse of config."""
        raise NotImplementedError

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        identity = next((key for key, name in self._names(api) if name == wanted.name), None)
        if identity is None:
            return None
        found = api.call("cloudfront", f"Get{self.thing}", Id=identity)
        config = found[self.thing][f"{self.thing}Config"]
        owner = str(config.get(self.comment) or "").partition(f"{OWNER}=")[2] or None
        return Seen(self.shown(config), {"id": identity, "etag": found["ETag"]}, owned(wanted, owner))

    def _names(self, api: Api) -> t.Iterator[tuple[str, str]]:
        marker: dict[str, str] = {}
        while True:
            page = api.call("cloudfront", f"List{self.things}", **self.kind_of_list, **marker)[f"{self.thing}List"]
            for row in page.get("Items") or ():
                one = row.get(self.thing, row)
                yield one["Id"], one.get(f"{self.thing}Config", one)["Name"]
            if not page.get("NextMarker"):
                return
            marker = {"Marker": page["NextMarker"]}

    def _arguments(self, wanted: Wanted) -> dict[str, t.Any]:
        named = {"Name": wanted.name, self.comment: f"{OWNER}={wanted.tags[OWNER]}"}
        return {f"{self.thing}Config": {**named, **self.config(wanted)}}

    def create(self, api: Api, wanted: Wanted) -> None:
        api.call("cloudfront", f"Create{self.thing}", **self._arguments(wanted))

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        named = {"Id": seen.outputs["id"], "IfMatch": seen.outputs["etag"]}
        api.call("cloudfront", f"Update{self.thing}", **named, **self._arguments(wanted))

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("cloudfront", f"Delete{self.thing}", Id=seen.outputs["id"], IfMatch=seen.outputs["etag"])

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        named = {"Id": seen.outputs["id"]}
        found = api.call("cloudfront", f"Get{self.thing}", **named)
        config = {**found[self.thing][f"{self.thing}Config"], self.comment: f"{OWNER}={tags[OWNER]}"}
        config_of = {f"{self.thing}Config": config}
        api.call("cloudfront", f"Update{self.thing}", **named, IfMatch=found["ETag"], **config_of)


class OriginAccessControl(Marked):
    """By which a distribution signs its requests to a bucket, so that the bucket can let nobody else read."""

    name, title = "origin_access_control", "origin access control"
    outputs = ("id",)
    thing, things, comment, kind_of_list = "OriginAccessControl", "OriginAccessControls", "Description", {}
    properties = {
        "signing": Property(
            default="always", choices=("always", "no-override", "never"), about="Which requests are signed."
        )
    }

    def config(self, wanted: Wanted) -> dict[str, t.Any]:
        origin = {"OriginAccessControlOriginType": "s3", "SigningProtocol": "sigv4"}
        return {**origin, "SigningBehavior": wanted["signing"]}

    def shown(self, config: Facts) -> dict[str, t.Any]:
        return {"signing": config["SigningBehavior"]}


class CachePolicy(Marked):
    """How long answers are kept: as their Cache-Control says within these bounds, or for `default_seconds`."""

    name, title = "cache_policy", "cache policy"
    outputs = ("id",)
    thing, things = "CachePolicy", "CachePolicies"
    properties = {
        "min_seconds": Property(
            "int", default=0, about="Least time for which an answer is kept, whatever its Cache-Control says.", least=0
        ),
        "default_seconds": Property("int", default=3600, about="If it says nothing.", least=0),
        "max_seconds": Property("int", default=86400, about="Most.", least=0),
        "headers": Property("list", default=[], same=same_set, about="On which an answer depends."),
        "query_strings": Property("list", default=[], same=same_set, about="On which an answer depends."),
    }

    def faults(self, given: Facts) -> list[str]:
        bounds = [given[f"{name}_seconds"] for name in ("min", "default", "max")]
        if bounds == sorted(bounds):
            return []
        return [f"min_seconds, default_seconds and max_seconds are {bounds}: each must be at least the one before"]

    def config(self, wanted: Wanted) -> dict[str, t.Any]:
        # CloudFront refuses compressed variants where nothing is kept.
        compressed = wanted["max_seconds"] > 0

        def only(field: str, behavior: str, names: t.Sequence[str]) -> dict[str, t.Any]:
            return {behavior: "whitelist", field: listed(sorted(names))} if names else {behavior: "none"}

        return {
            "MinTTL": wanted["min_seconds"],
            "DefaultTTL": wanted["default_seconds"],
            "MaxTTL": wanted["max_seconds"],
            "ParametersInCacheKeyAndForwardedToOrigin": {
                "EnableAcceptEncodingGzip": compressed,
                "EnableAcceptEncodingBrotli": compressed,
                "HeadersConfig": only("Headers", "HeaderBehavior", wanted["headers"]),
                "CookiesConfig": {"CookieBehavior": "none"},
                "QueryStringsConfig": only("QueryStrings", "QueryStringBehavior", wanted["query_strings"]),
            },
        }

    def shown(self, config: Facts) -> dict[str, t.Any]:
        key = config["ParametersInCacheKeyAndForwardedToOrigin"]
        return {
            "min_seconds": config["MinTTL"],
            "default_seconds": config.get("DefaultTTL"),
            "max_seconds": config.get("MaxTTL"),
            "headers": (key["HeadersConfig"].get("Headers") or {}).get("Items") or [],
            "query_strings": (key["QueryStringsConfig"].get("QueryStrings") or {}).get("Items") or [],
        }


def same_headers(wanted: t.Any, seen: t.Any) -> bool:
    return {name.lower(): str(value) for name, value in wanted.items()} == {
        name.lower(): value for name, value in (seen or {}).items()
    }


class ResponseHeadersPolicy(Marked):
    """Headers that every answer gets, such as Cache-Control for browsers, whatever the origin says."""

    name, title = "response_headers_policy", "response headers policy"
    outputs = ("id",)
    thing, things = "ResponseHeadersPolicy", "ResponseHeadersPolicies"
    properties = {
        "headers": Property(
            "dict",
            default={},
            same=same_headers,
            about="Values by name, such as Cache-Control for browsers; they replace those of the origin.",
        ),
        "hsts_seconds": Property(
            "int", default=31536000, about="Of Strict-Transport-Security; 0 leaves it out.", least=0
        ),
        "content_security_policy": Property(default="", about="Value of that header, which replaces the origin's."),
        "cors_origins": Property(
            "list",
            default=[],
            same=same_set,
            about="Other origins, such as https://app.example.com, whose pages may load fonts and modules from here.",
        ),
    }

    def config(self, wanted: Wanted) -> dict[str, t.Any]:
        rows = [{"Header": name, "Value": str(wanted["headers"][name]), "Override": True} for name in wanted["headers"]]
        security: dict[str, t.Any] = {"ContentTypeOptions": {"Override": True}}
        if seconds := wanted["hsts_seconds"]:
            security["StrictTransportSecurity"] = {"Override": True, "AccessControlMaxAgeSec": seconds}
        if policy := wanted["content_security_policy"]:
            security["ContentSecurityPolicy"] = {"Override": True, "ContentSecurityPolicy": policy}
        cors = {"CorsConfig": cross_origin(wanted["cors_origins"])} if wanted["cors_origins"] else {}
        return {"CustomHeadersConfig": listed(rows), "SecurityHeadersConfig": security, **cors}

    def shown(self, config: Facts) -> dict[str, t.Any]:
        rows = (config.get("CustomHeadersConfig") or {}).get("Items") or ()
        security = config.get("SecurityHeadersConfig") or {}
        hsts, policy = (security.get(name) or {} for name in ("StrictTransportSecurity", "ContentSecurityPolicy"))
        origins = (config.get("CorsConfig") or {}).get("AccessControlAllowOrigins") or {}
        return {
            "headers": {row["Header"]: row["Value"] for row in rows},
            "hsts_seconds": hsts.get("AccessControlMaxAgeSec", 0),
            "content_security_policy": policy.get("ContentSecurityPolicy", ""),
            "cors_origins": origins.get("Items") or [],
        }


def cross_origin(origins: t.Sequence[str]) -> dict[str, t.Any]:
    """Pages of these origins may read, without credentials."""
    return {
        "AccessControlAllowOrigins": listed(sorted(origins)),
        "AccessControlAllowHeaders": listed(["*"]),
        "AccessControlAllowMethods": listed(["GET", "HEAD"]),
        "AccessControlAllowCredentials": False,
        "OriginOverride": True,
    }


def behaviour(given: Facts) -> dict[str, t.Any]:
    """A behaviour as declared, with its defaults."""
    defaults = {"bucket": "", "compress": True, "response_headers_policy": ""}
    return {**defaults, **{name: value for name, value in given.items() if value is not None}}


def same_behaviours(wanted: t.Any, seen: t.Any) -> bool:
    """The first whose path fits is used, so the order counts."""
    return [behaviour(row) for row in wanted] == (seen or [])


def error_page(given: Facts) -> dict[str, t.Any]:
    return {"answer": 200, "seconds": 10, **given}


def same_error_pages(wanted: t.Any, seen: t.Any) -> bool:
    return same_set([sorted(error_page(row).items()) for row in wanted], [sorted(row.items()) for row in seen or ()])


class Distribution(AwsKind):
    """A distribution of a private bucket. It has no name in AWS: its comment is the declaration's name."""

    name, title, patience = "cloudfront_distribution", "CloudFront distribution", 1800.0
    outputs = ("id", "arn", "host")
    properties = {
        "bucket": Property(required=True, about="What it delivers."),
        "origin_access_control": Property(required=True, about="By which it signs its requests."),
        "origin_path": Property(default="", about="Folder of the bucket."),
        "cache_policy": Property(required=True, about="Id of the policy."),
        "response_headers_policy": Property(default="", about="Id of the policy."),
        "compress": Property("bool", default=True, about="Whether answers are compressed."),
        "behaviours": Property(
            "list",
            default=[],
            same=same_behaviours,
            about="Other rules for some paths, in this order - rows of path and cache_policy, and optionally "
            "bucket (another one, which has the whole path in its names), response_headers_policy and compress.",
        ),
        "error_pages": Property(
            "list",
            default=[],
            same=same_error_pages,
            about="Rows of code (such as 404) and page (/index.html), and optionally answer (200) and seconds for "
            "which it is kept (10).",
        ),
        "root_object": Property(default="index.html", about="What the path / delivers."),
        "price_class": Property(
            default="PriceClass_100",
            choices=("PriceClass_100", "PriceClass_200", "PriceClass_All"),
            about="From where it delivers.",
        ),
        "aliases": Property("list", default=[], same=same_set, about="Its names, for which it needs a certificate."),
        "certificate": Property(default="", about="ARN of a certificate of ACM in us-east-1, wherever the rest is."),
        "enabled": Property("bool", default=True, about="Whether it delivers."),
    }

    def faults(self, given: Facts) -> list[str]:
        found = ["aliases need a certificate"] if given["aliases"] and not given["certificate"] else []
        for field, needed, known in (
            ("behaviours", {"path", "cache_policy"}, {"bucket", "response_headers_policy", "compress"}),
            ("error_pages", {"code", "page"}, {"answer", "seconds"}),
        ):
            if all(isinstance(row, dict) and needed <= row.keys() <= needed | known for row in given[field]):
                continue
            found.append(f"each of {field} has {', '.join(sorted(needed))}, and may have {', '.join(sorted(known))}")
        return found

    def read(self, api: Api, wanted: Wanted) -> Seen | None:
        rows = api.call("cloudfront", "ListDistributions")["DistributionList"].get("Items") or ()
        found = []
        for row in (one for one in rows if one["Comment"] == wanted.name):
            tags = from_tags(api.call("cloudfront", "ListTagsForResource", Resource=row["ARN"])["Tags"].get("Items"))
            if tags.get(OWNER) == wanted.tags[OWNER]:
                found.append((row["Id"], tags))
        if len(found) > 1:
            ids = ", ".join(key for key, _tags in found)
            raise InfraError(
                "choose the",
                f"{self.title} {wanted.name}",
                f"there are {len(found)} with this comment in the environment: {ids}",
                "Change the comment of those that are not meant, or remove them.",
            )
        if not found:
            return None
        answer, tags = api.call("cloudfront", "GetDistribution", Id=found[0][0]), found[0][1]
        one = answer["Distribution"]
        outputs = {"id": one["Id"], "arn": one["ARN"], "host": one["DomainName"], "etag": answer["ETag"]}
        waiting = "" if one["Status"] == "Deployed" else f"its status is {one['Status']}"
        return Seen(self._shown(one["DistributionConfig"]), outputs, tags, waiting)

    @staticmethod
    def _shown(config: Facts) -> dict[str, t.Any]:
        def items(name: str) -> list[t.Any]:
            return list((config.get(name) or {}).get("Items") or ())

        def shown(row: Facts) -> dict[str, t.Any]:
            return {
                "cache_policy": row.get("CachePolicyId"),
                "response_headers_policy": row.get("ResponseHeadersPolicyId") or "",
                "compress": bool(row.get("Compress")),
            }

        default = config["DefaultCacheBehavior"]
        origin = next(row for row in config["Origins"]["Items"] if row["Id"] == default["TargetOriginId"])
        behaviours = [
            {
                "path": row["PathPattern"],
                "bucket": "" if row["TargetOriginId"] == origin["Id"] else row["TargetOriginId"],
                **shown(row),
            }
            for row in items("CacheBehaviors")
        ]
        pages = [
            {
                "code": row["ErrorCode"],
                "page": row.get("ResponsePagePath"),
                "answer": int(row.get("ResponseCode") or 0),
                "seconds": row.get("ErrorCachingMinTTL"),
            }
            for row in items("CustomErrorResponses")
        ]
        return {
            "bucket": origin["DomainName"].partition(".s3.")[0],
            "origin_access_control": origin.get("OriginAccessControlId"),
            "origin_path": origin.get("OriginPath") or "",
            **shown(default),
            "behaviours": behaviours,
            "error_pages": pages,
            "root_object": config.get("DefaultRootObject") or "",
            "price_class": config.get("PriceClass"),
            "aliases": items("Aliases"),
            "certificate": (config.get("ViewerCertificate") or {}).get("ACMCertificateArn") or "",
            "enabled": config["Enabled"],
        }

    def create(self, api: Api, wanted: Wanted) -> None:
        # Two of the same reference are refused, so a run that was killed here can't make it twice.
        reference = f"{OWNER}={wanted.tags[OWNER]}/{wanted.name}"
        config = {"CallerReference": reference, "Comment": wanted.name, **self._config(api, wanted, {})}
        tagged = {"DistributionConfig": config, "Tags": {"Items": as_tags(wanted.tags)}}
        api.call("cloudfront", "CreateDistributionWithTags", DistributionConfigWithTags=tagged)

    def update(self, api: Api, wanted: Wanted, seen: Seen, changed: t.Collection[str]) -> None:
        self._change(api, seen, lambda there: self._config(api, wanted, there))

    @staticmethod
    def _change(api: Api, seen: Seen, values: t.Callable[[Facts], Facts]) -> None:
        """CloudFront takes the whole configuration only: what is not declared here stays as it is."""
        found = api.call("cloudfront", "GetDistributionConfig", Id=seen.outputs["id"])
        config = {**found["DistributionConfig"], **values(found["DistributionConfig"])}
        named = {"Id": seen.outputs["id"], "IfMatch": found["ETag"]}
        api.call("cloudfront", "UpdateDistribution", **named, DistributionConfig=config)

    @staticmethod
    def _config(api: Api, wanted: Wanted, there: Facts) -> dict[str, t.Any]:
        bucket = wanted["bucket"]
        rows = [behaviour(row) for row in wanted["behaviours"]]
        others = sorted({row["bucket"] for row in rows} - {"", bucket})
        former = {row["Id"]: row for row in (there.get("Origins") or {}).get("Items") or ()}

        def origin(name: str, path: str) -> dict[str, t.Any]:
            return {
                "CustomHeaders": {"Quantity": 0},
                **former.get(name, {}),
                "Id": name,
                "DomainName": f"{name}.s3.{api.region}.amazonaws.com",
                "OriginPath": path,
                "OriginAccessControlId": wanted["origin_access_control"],
                "S3OriginConfig": {"OriginAccessIdentity": ""},
            }

        def behaves(given: Facts, target: str) -> dict[str, t.Any]:
            methods = ["GET", "HEAD", "OPTIONS"]
            headers = given["response_headers_policy"]
            return {
                "TargetOriginId": target,
                "ViewerProtocolPolicy": "redirect-to-https",
                "AllowedMethods": {**listed(methods), "CachedMethods": listed(methods[:2])},
                "Compress": given["compress"],
                "CachePolicyId": given["cache_policy"],
                **({"ResponseHeadersPolicyId": headers} if headers else {}),
            }

        by_path = {row["PathPattern"]: row for row in (there.get("CacheBehaviors") or {}).get("Items") or ()}
        behaviours = [
            {
                **without_headers(by_path.get(row["path"], {})),
                "PathPattern": row["path"],
                **behaves(row, row["bucket"] or bucket),
            }
            for row in rows
        ]
        pages = [
            {
                "ErrorCode": row["code"],
                "ResponsePagePath": row["page"],
                "ResponseCode": str(row["answer"]),
                "ErrorCachingMinTTL": row["seconds"],
            }
            for row in map(error_page, wanted["error_pages"])
        ]
        secure = {
            "ACMCertificateArn": wanted["certificate"],
            "SSLSupportMethod": "sni-only",
            "MinimumProtocolVersion": "TLSv1.2_2021",
        }
        return {
            "Origins": listed([origin(bucket, wanted["origin_path"]), *(origin(name, "") for name in others)]),
            "DefaultCacheBehavior": {
                **without_headers(there.get("DefaultCacheBehavior") or {}),
                **behaves(wanted.properties, bucket),
            },
            "CacheBehaviors": listed(behaviours),
            "CustomErrorResponses": listed(pages),
            "DefaultRootObject": wanted["root_object"],
            "PriceClass": wanted["price_class"],
            "Aliases": listed(sorted(wanted["aliases"])),
            "ViewerCertificate": secure if wanted["certificate"] else {"CloudFrontDefaultCertificate": True},
            "HttpVersion": "http2and3",
            "Enabled": wanted["enabled"],
        }

    def retire(self, api: Api, wanted: Wanted, seen: Seen) -> bool:
        """Only a distribution that is disabled everywhere can be deleted."""
        if seen.properties["enabled"]:
            self._change(api, seen, lambda _there: {"Enabled": False})
        return True

    def delete(self, api: Api, wanted: Wanted, seen: Seen) -> None:
        api.call("cloudfront", "DeleteDistribution", Id=seen.outputs["id"], IfMatch=seen.outputs["etag"])

    def tag(self, api: Api, seen: Seen, tags: Facts) -> None:
        api.call("cloudfront", "TagResource", Resource=seen.outputs["arn"], Tags={"Items": as_tags(tags)})


def without_headers(row: Facts) -> dict[str, t.Any]:
    """What a behaviour has beside what is declared; no policy for headers is declared by leaving it out."""
    return {name: value for name, value in row.items() if name != "ResponseHeadersPolicyId"}
