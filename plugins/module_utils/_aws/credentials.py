# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about errors of boto3 that no server has sent: credentials, profiles, addresses."""

from __future__ import annotations

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError

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
    "ValueError": ("", "Check endpoint_url and region."),
}


def aws_fault(action: str, place: str, error: Exception) -> InfraError:
    """An error of boto3 as an InfraError."""
    for kind in type(error).__mro__:
        if kind.__name__ in NEXT_STEPS:
            cause, next_step = NEXT_STEPS[kind.__name__]
            return InfraError(action, place, cause or str(error), next_step)
    return InfraError(action, place, str(error), "Check the address and the network.")
