# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the cache modules have in common: how to reach a Redis or Valkey."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - redis-py 4.3 or newer with hiredis, on the host that runs the module (python3-redis, python3-hiredis)
  - Redis 4 or newer, or Valkey
options:
  url:
    description:
      - The server's address as V(redis://user@host:6379/0), or V(rediss://) for TLS. Its parts override the other
        options.
      - Set the password in O(password) rather than in the URL. A password in the URL is hidden in all output, and the
        URL with it.
    type: str
  host:
    description:
      - Address of the server. In a cluster, any of its nodes.
      - One of O(url), O(host) and O(sentinels) is required.
    type: str
  port:
    description: Its TCP port.
    type: int
    default: 6379
  db:
    description: Number of the database.
    type: int
    default: 0
  username:
    description: ACL account. Defaults to the server's default account.
    type: str
  password:
    description: Its password.
    type: str
  tls:
    description: Whether to use TLS. The certificate and its host name are verified.
    type: bool
    default: false
  ca_cert:
    description: Path of the certificates to trust. Defaults to the system's.
    type: path
  sentinels:
    description: Addresses of Sentinels, C(host:port), which name the primary. O(tls) applies to them too.
    type: list
    elements: str
  sentinel_service:
    description: The service name of the primary in Sentinel.
    type: str
  sentinel_username:
    description: ACL account of the Sentinels themselves.
    type: str
  sentinel_password:
    description: Its password.
    type: str
  iam_cache:
    description:
      - Sign in to ElastiCache with IAM, as O(username), with a token instead of a password. The value is the name of
        the replication group or of the serverless cache, in lower case.
      - Requires TLS and boto3, which finds its credentials as usual.
    type: str
  iam_serverless:
    description: Whether O(iam_cache) is a serverless cache.
    type: bool
    default: false
  region:
    description: Its AWS region.
    type: str
  timeout:
    description: Seconds to wait for each reply.
    type: int
    default: 30
"""
