# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic's configuration, script directory and env.py, run as the alembic command runs them."""

from __future__ import annotations

import argparse
import importlib.util
import os
import typing as t
from pathlib import Path

from .errors import located, message_of
from .protocol import Fault, Request

# The releases of Alembic that the tests run with (tests/integration/test_alembic_matrix.py).
TESTED = "1.13 to 1.20"
# The engine calls these although Alembic does not document them: there is no other way to run its commands step by
# step. They are looked for before anything runs.
PRIVATE_OF_SCRIPTS = ("_upgrade_revs", "_downgrade_revs", "_stamp_revs")
PRIVATE_OF_OPERATIONS = ("_install_proxy",)
PRIVATE_OF_CONTEXT = ("_transaction",)


class Environment:
    """The application's Alembic environment."""

    def __init__(self, request: Request, config: t.Any, script: t.Any) -> None:
        self.request = request
        self.config = config
        self.script = script
        self.rendering: t.Any = None  # the offline context, while a revision is rendered
        self.arguments: dict[str, t.Any] = {}  # what env.py passes to run_migrations()

    def run(self, function: t.Callable[..., t.Any], name: str, **options: t.Any) -> None:
        """Run env.py as Alembic does. `name`: of Alembic's own function, which some env.py files look at."""
        from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415

        function.__name__ = name
        with EnvironmentContext(
            self.config, self.script, fn=function, destination_rev=self.request.revision, **options
        ) as environment:
            run_migrations, get_context = environment.run_migrations, environment.get_context
            is_offline_mode = environment.is_offline_mode

            def recorded(**arguments: t.Any) -> None:
                self.arguments = arguments
                run_migrations(**arguments)

            # Set on the object, where Alembic's module-level functions find them. A revision that is being rendered
            # must get the answers of offline mode.
            environment.run_migrations = recorded
            environment.get_context = lambda: self.rendering or get_context()
            environment.is_offline_mode = lambda: self.rendering is not None or is_offline_mode()
            self.script.run_env()

    def check_target(self) -> None:
        """Refuse a target that the release does not have, or that names several revisions."""
        try:
            heads = sorted(self.script.get_heads())
        except Exception as error:
            raise Fault("config", path=self.config.config_file_name, detail=located(error)) from error
        target = self.request.revision
        if target == "head" and len(heads) > 1:
            raise Fault("many_heads", heads=heads)
        if target not in ("head", "heads", "base"):
            try:
                self.script.get_revision(target)
            except Exception as error:
                raise Fault("unknown_revision", revision=target, heads=heads) from error

    def known(self, heads: t.Iterable[str]) -> tuple[list[str], list[str]]:
        """The `heads` that the release has, and those that it does not have."""
        here: list[str] = []
        unknown: list[str] = []
        for head in heads:
            try:
                found = self.script.get_revision(head)
            except Exception:
                found = None
            (unknown if found is None else here).append(head)
        return here, unknown


def open_environment(request: Request, url: str) -> Environment:
    """Read alembic.ini, in the folder that env.py expects to run in."""
    try:
        import alembic  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.operations import Operations  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415
    except ImportError as error:
        raise Fault("no_alembic", detail=str(error)) from error
    require(alembic, ScriptDirectory, PRIVATE_OF_SCRIPTS)
    require(alembic, Operations, PRIVATE_OF_OPERATIONS)
    if request.chdir:
        try:
            os.chdir(request.chdir)
        except OSError as error:
            raise Fault("no_config", path=request.chdir) from error
    path = config_path(request.config)
    if not request.chdir:
        os.chdir(path.parent)
    arguments = argparse.Namespace(
        config=str(path),
        name=request.name,
        raiseerr=False,
        x=[f"{key}={value}" for key, value in request.x_args.items()],
        cmd=None,
        revision=request.revision,
        sql=False,
        tag=None,
    )
    config = Config(str(path), ini_section=request.name, cmd_opts=arguments)
    try:
        if not config.file_config.has_section(request.name):
            raise Fault("no_section", path=str(path), section=request.name)
        # `%` begins an interpolation for the parser.
        config.set_section_option(request.name, request.url_option, url.replace("%", "%%"))
        # Revisions are not read yet: env.py may still set where they are.
        script = ScriptDirectory.from_config(config)
    except Fault:
        raise
    except Exception as error:
        raise Fault("config", path=str(path), detail=message_of(error)) from error
    return Environment(request, config, script)


def require(alembic: t.Any, owner: t.Any, names: t.Sequence[str]) -> None:
    """Refuse an Alembic that lacks what the engine calls."""
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        version = getattr(alembic, "__version__", "of unknown version")
        raise Fault("unsupported_alembic", version=version, missing=missing, tested=TESTED)


def require_context(context: t.Any) -> None:
    import alembic  # noqa: PLC0415

    require(alembic, context, PRIVATE_OF_CONTEXT)


def config_path(named: str) -> Path:
    """``/path/alembic.ini``, or ``package:alembic.ini`` for one inside an installed package."""
    if ":" not in named:
        path = Path(named).absolute()
    else:
        package, _colon, inside = named.partition(":")
        try:
            spec = importlib.util.find_spec(package)
        except ImportError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise Fault("no_package", package=package)
        path = Path(next(iter(spec.submodule_search_locations))) / inside
    if not path.is_file():
        raise Fault("no_config", path=str(path))
    return path
