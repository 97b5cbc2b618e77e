# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Written by nexod.infra (role migration_runner): the code of the modules alembic_*, as a command for people."""

import sys
from pathlib import Path

# No byte code: the next run compares the whole folder.
sys.dont_write_bytecode = True
HOME = Path(__file__).resolve().parent
# Outside a host, as in CI, it is run from the installed collection.
ENGINE = HOME / "engine"
sys.path.insert(0, str(ENGINE if ENGINE.exists() else Path(__file__).absolute().parents[6]))

from ansible_collections.nexod.infra.plugins.module_utils._alembic.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(HOME, sys.argv[1:]))
