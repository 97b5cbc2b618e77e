# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What delivers static files: a private bucket, and the distribution of CloudFront that alone may read it."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.plugin_utils._aws.rows import Options, Row, row

#: Folder of the bucket that is delivered. What is published lies in it, the record of it beside it.
PUBLISHED = "public"
YEAR = 365 * 24 * 3600
#: What users have uploaded is data: a browser that opens it runs no script of it.
NO_SCRIPTS = "default-src 'none'; sandbox"


def delivery(options: Options) -> list[Row]:
    """The bucket of the static files, the distribution with its policies, and who may read."""
    if not options["cdn"]:
        return []
    name, bucket = options["prefix"], options["cdn_bucket"]
    uploads = uploads_behaviour(options)
    return [
        row("s3_bucket", bucket, old_versions_days=options["cdn_old_versions_days"]),
        row("origin_access_control", name),
        # Files that never change are kept for a year, and all others as long as their Cache-Control says.
        row("cache_policy", name, max_seconds=YEAR),
        row("response_headers_policy", name, cors_origins=options["cdn_cors_origins"]),
        *([uploads_headers(options)] if uploads else []),
        row(
            "cloudfront_distribution",
            name,
            bucket=f"@s3_bucket/{bucket}",
            origin_access_control=f"@origin_access_control/{name}",
            origin_path=f"/{PUBLISHED}",
            cache_policy=f"@cache_policy/{name}",
            response_headers_policy=f"@response_headers_policy/{name}",
            behaviours=uploads,
            error_pages=options["cdn_error_pages"],
            price_class=options["cdn_price_class"],
            aliases=options["cdn_domains"],
            certificate=options["cdn_certificate"],
        ),
        reader(options, bucket, delivered=True),
        reader(options, options["uploads_bucket"], delivered=bool(uploads)),
    ]


def uploads_behaviour(options: Options) -> list[Row]:
    """The rule by which uploads are delivered, where that is asked for."""
    if not options["cdn_uploads_path"]:
        return []
    name = options["prefix"]
    return [
        {
            "path": options["cdn_uploads_path"],
            "bucket": f"@s3_bucket/{options['uploads_bucket']}",
            "cache_policy": f"@cache_policy/{name}",
            "response_headers_policy": f"@response_headers_policy/{name}-uploads",
        }
    ]


def uploads_headers(options: Options) -> Row:
    # The application stores uploads without headers of its own.
    return row(
        "response_headers_policy",
        f"{options['prefix']}-uploads",
        headers={"Cache-Control": options["cdn_uploads_cache_control"]},
        content_security_policy=NO_SCRIPTS,
        cors_origins=options["cdn_cors_origins"],
    )


def reader(options: Options, bucket: str, *, delivered: bool) -> Row:
    """Who may read a bucket beside the account's own roles: the distribution, where it delivers it, or nobody."""
    distribution = f"@cloudfront_distribution/{options['prefix']}.arn" if delivered else ""
    return row("bucket_policy", bucket, bucket=f"@s3_bucket/{bucket}", distribution=distribution)
