#!/usr/bin/python
# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publish a folder of static files in a bucket of S3 that CloudFront delivers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_site
short_description: Publish a folder of static files in a bucket of S3 that CloudFront delivers
version_added: "1.1.0"
author: The nexod.infra maintainers (@nexod)
description:
  - Uploads the files that differ, with their headers C(Content-Type) and C(Cache-Control). First what pages load, then
    the pages, and C(index.html) last, so that no page names a file that is not there yet.
  - Then invalidates, at the distribution, the paths of files that were replaced or removed, and no others. If the run
    is killed before that, the next one does it.
  - A record of what was published lies in the bucket beside the folder, where it is not delivered. An object that
    somebody else has changed since is replaced; one that the record does not know is left alone unless the folder has a
    file of its name.
  - Files that are no longer in the folder are removed after the others were published. Those of O(immutable) are kept
    for O(keep_days), because pages that are open in a browser or kept by a cache load them later.
  - C(community.aws.s3_sync) has no check mode, compares no headers, sets one C(Cache-Control) for all files, uploads in
    the order of the folder, and does not return which paths have changed for others.
  - In check mode nothing is uploaded, removed or invalidated.
  - Has been run against the emulator moto, never against AWS.
requirements:
  - boto3 on the host that runs the module
extends_documentation_fragment: [nexod.infra.internal, nexod.infra.aws_account]
options:
  bucket:
    description: Name of the bucket, which must exist. Let it keep versions, so that a removed file can be restored.
    type: str
    required: true
  folder:
    description: Folder of the bucket for the files, which is the distribution's origin path without its slash.
    type: str
    default: public
  source:
    description: Folder with the files, on the host that runs the module.
    type: path
    required: true
  cache_control:
    description: Header C(Cache-Control) of files that are neither pages nor O(immutable).
    type: str
    default: public, max-age=3600, stale-while-revalidate=86400
  page_cache_control:
    description:
      - Header C(Cache-Control) of pages, which are the files that end in C(.html), C(.htm) and C(.txt). The last is
        where Next.js keeps the content of a page for a navigation within the browser.
      - With V(no-cache), browsers and CloudFront ask for a page each time, and get it only if it has changed. A page
        that is kept longer is one of an earlier release.
    type: str
    default: no-cache
  immutable:
    description:
      - Patterns of the files whose name changes with their content, such as V(_next/static/*) of Next.js or V(assets/*)
        of Vite. An asterisk stands for slashes too. Browsers and caches keep these for a year without asking.
      - With a file that keeps its name and not its content, a warning says so. Browsers that have it never ask again.
    type: list
    elements: str
    default: []
  keep_days:
    description: Days that files of O(immutable) are kept after the folder has lost them. V(0) removes them at once.
    type: int
    default: 30
  distribution_id:
    description: The distribution that delivers the bucket. Without it, nothing is invalidated.
    type: str
  wait:
    description: Whether to wait until the invalidation is completed.
    type: bool
    default: true
  wait_seconds:
    description: Maximum number of seconds for the invalidation.
    type: int
    default: 900
  region:
    description: AWS region of the bucket.
    type: str
    required: true
seealso:
  - module: nexod.infra.aws_resources
  - module: nexod.infra.cloudfront_invalidation
"""

EXAMPLES = r"""
- name: Publish the front end
  nexod.infra.s3_site:
    bucket: example-static
    source: dist/site
    immutable: ["_next/static/*"]
    distribution_id: E2ABCDEFGHIJKL
    region: us-east-1
"""

RETURN = r"""
created:
  description: Files that the bucket did not have, by name.
  returned: success
  type: list
  elements: str
updated:
  description: Files that were replaced because their content or their headers differed.
  returned: success
  type: list
  elements: str
removed:
  description: Files that were removed because the folder lacks them.
  returned: success
  type: list
  elements: str
unused:
  description: Files that the folder lacks since this run, and that are kept for O(keep_days).
  returned: success
  type: list
  elements: str
invalidated:
  description: Paths that caches had to drop, those of a killed run before this one included.
  returned: success
  type: list
  elements: str
  sample: [/, /index.html]
digest:
  description: A checksum of all files with their headers.
  returned: success
  type: str
"""

import datetime

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.nexod.infra.plugins.module_utils._aws.api import MISSING, Api
from ansible_collections.nexod.infra.plugins.module_utils._aws.site import (
    Caching,
    diff_of,
    plan,
    read_folder,
    result_of,
)
from ansible_collections.nexod.infra.plugins.module_utils._aws.site_bucket import Bucket, Cdn, publish
from ansible_collections.nexod.infra.plugins.module_utils._core.edge import edge
from ansible_collections.nexod.infra.plugins.module_utils._core.lines import told_lines
from ansible_collections.nexod.infra.plugins.module_utils._core.ranges import check_ranges

ARGUMENTS = {
    "bucket": {"type": "str", "required": True},
    "folder": {"type": "str", "default": "public"},
    "source": {"type": "path", "required": True},
    "cache_control": {"type": "str", "default": "public, max-age=3600, stale-while-revalidate=86400"},
    "page_cache_control": {"type": "str", "default": "no-cache"},
    "immutable": {"type": "list", "elements": "str", "default": []},
    "keep_days": {"type": "int", "default": 30},
    "distribution_id": {"type": "str"},
    "wait": {"type": "bool", "default": True},
    "wait_seconds": {"type": "int", "default": 900},
    "region": {"type": "str", "required": True},
    "profile": {"type": "str"},
    "endpoint_url": {"type": "str"},
    "_internal": {"type": "dict"},
}
RANGES = {"keep_days": (0, None), "wait_seconds": (0, None)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if MISSING:
        module.fail_json(msg=missing_required_lib("boto3 (Debian: python3-boto3)"), exception=MISSING)
    path = (given["_internal"] or {}).get("progress_file")
    with edge(module, "publish the files of", given["source"], given["source"]), told_lines(path) as tell:
        check_ranges(given, RANGES)
        connection = {name: given[name] for name in ("profile", "endpoint_url")}
        api = Api(given["region"], check=module.check_mode, **connection)
        files = read_folder(
            given["source"], Caching(given["page_cache_control"], given["cache_control"], tuple(given["immutable"]))
        )
        bucket = Bucket(api, given["bucket"], given["folder"].strip("/"))
        stored, record = bucket.stored(), bucket.record()
        now = datetime.datetime.now(datetime.UTC)
        planned = plan(files, stored, record, immutable=given["immutable"], keep_days=given["keep_days"], now=now)
        for name in planned.renamed_not:
            module.warn(f"{name} is immutable and has other content than before: browsers that have it keep the former")
        if planned.changes and not module.check_mode:
            cdn = None
            if given["distribution_id"]:
                place = {**connection, "region": given["region"]}
                cdn = Cdn(given["distribution_id"], given["wait"], given["wait_seconds"], place)
            publish(bucket, planned, files, record, cdn=cdn, tell=tell)
    title = f"{given['bucket']}/{bucket.folder}"
    module.exit_json(
        changed=planned.changes,
        diff={"before_header": title, "after_header": title, **diff_of(planned, record, given["keep_days"])},
        **result_of(planned, files, stored, delivered=bool(given["distribution_id"])),
    )


if __name__ == "__main__":
    main()
