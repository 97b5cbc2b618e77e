# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about errors of boto3 that no server has sent: credentials, profiles, addresses."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

UNREACHABLE = (
    "Check from the host that runs the module that the name is resolved and port 443 is reachable: endpoint_url, DNS, "
    "proxy, and in a private subnet the NAT gateway or the VPC endpoint of the service."
)
# By the name of botocore's exception, so that botocore need not be installed.
NEXT_STEPS = {
    "NoCredentialsError": (
        "there are no AWS credentials",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile. Both are read on the host that runs the "
        "module.",
    ),
    "PartialCredentialsError": (
        "the AWS credentials are incomplete",
        "Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither.",
    ),
    "ProfileNotFound": (
        "",
        "Check the name (option profile or AWS_PROFILE) and ~/.aws/config of the account that runs the module.",
    ),
    "ConfigParseError": ("", "Correct the file."),
    "InvalidConfigError": ("", "Correct the profile in ~/.aws/config."),
    "NoRegionError": ("no AWS region is set", "Set region."),
    "TokenRetrievalError": ("", "Sign in again with `aws sso login`."),
    "UnauthorizedSSOTokenError": ("", "Sign in again with `aws sso login`."),
    "SSOTokenLoadError": ("", "Sign in with `aws sso login`."),
    "CredentialRetrievalError": ("", "Check the program or role that the profile takes its credentials from."),
    "InvalidRegionError": ("", "Check region: it is no name of a region, such as us-east-1."),
    "UnknownRegionError": ("", "Check region: it is no name of a region, such as us-east-1."),
    "UnknownServiceError": ("", "Install a newer boto3 on the host that runs the module."),
    "ParamValidationError": ("", "Correct the declaration by what it says; nothing was sent."),
    "ProxyConnectionError": ("", "Check HTTPS_PROXY and NO_PROXY on the host that runs the module."),
    "SSLError": (
        "",
        "Check what intercepts TLS between this host and AWS; its certificate authority is set with AWS_CA_BUNDLE.",
    ),
    "EndpointConnectionError": ("", UNREACHABLE),
    "ConnectTimeoutError": ("", UNREACHABLE),
    "ReadTimeoutError": (
        "",
        "AWS has accepted the request, and its answer did not come. Run again: what was done is found.",
    ),
    "ConnectionClosedError": (
        "",
        "The connection was closed before the answer came. Run again: what was done is found.",
    ),
    "ValueError": ("", "Check endpoint_url and region."),
}
#: These are the same for every call, so that one of them says it all.
EVERYWHERE = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "ConfigParseError",
    "InvalidConfigError",
    "NoRegionError",
    "InvalidRegionError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "CredentialRetrievalError",
    "ProxyConnectionError",
    "SSLError",
)


def aws_fault(action: str, place: str, error: Exception, region: str = "") -> InfraError:
    """An error of boto3 as an InfraError."""
    names = [kind.__name__ for kind in type(error).__mro__]
    everywhere = any(name in EVERYWHERE for name in names)
    for name in names:
        if name in NEXT_STEPS:
            cause, next_step = NEXT_STEPS[name]
            hint = f" Check the region as well: {region}." if region and next_step is UNREACHABLE else ""
            return InfraError(action, place, cause or str(error), f"{next_step}{hint}", everywhere=everywhere)
    return InfraError(action, place, str(error), "Check the address and the network.", everywhere=everywhere)
