# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the cache modules have in common: how to reach a Redis or Valkey."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - hiredis on the host that runs the module (python3-hiredis)
  - Redis 4 or newer, or Valkey
options:
  url:
    description:
      - The server's address as V(redis://user@host:6379/0), V(rediss://) for TLS, or V(unix:///run/redis.sock). The
        parameters V(db), V(ssl_ca_certs), V(ssl_certfile) and V(ssl_keyfile) are understood.
      - Any other parameter, and a part that contradicts another one or an option, is an error. The characters
        V(@), V(/), V(?), V(#), V(%) and brackets must be percent-encoded in the user and password.
      - Set the password in O(password) rather than in the URL. A password in the URL is hidden in all output, and the
        URL with it.
    type: str
  host:
    description:
      - Address of the server. In a cluster, any of its nodes.
      - One of O(url), O(host), O(unix_socket) and O(sentinels) is required.
    type: str
  port:
    description: Its TCP port. Defaults to 6379.
    type: int
  unix_socket:
    description: Path of the server's Unix socket, on the host that runs the module.
    type: path
  db:
    description: Number of the database. Defaults to 0, the only one of a cluster.
    type: int
  username:
    description: ACL account. Defaults to the server's default account.
    type: str
  password:
    description: Its password.
    type: str
  tls:
    description: Whether to use TLS. The certificate and its host name are verified. Defaults to false.
    type: bool
  ca_cert:
    description: Path of the certificates to trust. Defaults to the system's.
    type: path
  client_cert:
    description: Path of the certificate that this client presents, in PEM.
    type: path
  client_key:
    description: Path of its key.
    type: path
  tls_server_name:
    description:
      - The name that the server's certificate must be for. Defaults to the address that is connected to. Set it behind
        a tunnel, a load balancer or with O(address_map).
    type: str
  sentinels:
    description:
      - Addresses of Sentinels, C(host:port), which name the primary. All are asked at the same time, for at most three
        seconds; the majority decides, and the primary itself must confirm it. O(tls) applies to them too.
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
  address_map:
    description:
      - Where to connect for an address that a cluster or a Sentinel names, if it is not reachable from here, as behind
        NAT or through ssh. Keys and values are C(host:port) or C(host).
      - 'For example: {10.0.0.5: bastion, "10.0.0.6:6379": "127.0.0.1:16379"}.'
    type: dict
  iam_cache:
    description:
      - Sign in to ElastiCache with IAM, as O(username), with a token instead of a password. The value is the name of
        the replication group or of the serverless cache, in lower case.
      - Requires boto3, which finds its credentials as usual, and TLS. Without TLS it is refused, because the token
        would cross the network in clear text.
    type: str
  iam_serverless:
    description: Whether O(iam_cache) is a serverless cache. Defaults to false.
    type: bool
  region:
    description: Its AWS region.
    type: str
  timeout:
    description: Seconds to wait for each reply, from 1 to 3600.
    type: int
    default: 30
"""
