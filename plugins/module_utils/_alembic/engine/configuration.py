# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic's configuration, as the alembic command and Flask-Migrate's read it."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import typing as t
from pathlib import Path

from .environment import PRIVATE_OF_OPERATIONS, PRIVATE_OF_SCRIPTS, Environment, require
from .errors import located
from .protocol import Fault, Request

PYPROJECT = "pyproject.toml"


def open_environment(request: Request, url: str) -> Environment:
    """Read the configuration, in the folder that env.py expects to run in."""
    try:
        import alembic  # noqa: PLC0415
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
        # Flask finds the application from the folder above that of the migrations.
        os.chdir(path.parent.parent if request.flask_app else path.parent)
    sys.argv = command_line(request)
    app = flask_application(request)
    try:
        config = configuration(request, path)
        # `%` begins an interpolation for the parser.
        config.set_section_option(request.name, request.url_option, url.replace("%", "%%"))
        if app is not None:
            config = of_flask_migrate(app, config, path)
        # Revisions are not read yet: env.py may still set where they are.
        script = ScriptDirectory.from_config(config)
    except Fault:
        raise
    except Exception as error:
        raise Fault("config", path=str(path), detail=located(error)) from error
    return Environment(request, url, config, script)


def configuration(request: Request, path: Path) -> t.Any:
    """alembic.ini, pyproject.toml (Alembic 1.16 and newer), or one beside the other."""
    from alembic.config import Config  # noqa: PLC0415

    options = options_of(request, path)
    toml = path if path.name == PYPROJECT else path.with_name(PYPROJECT)
    ini = path if path.name != PYPROJECT else path.with_name("alembic.ini")
    given: dict[str, t.Any] = {"ini_section": request.name, "cmd_opts": options}
    if ini.is_file():
        given["file_"] = str(ini)
    if has_alembic(toml):
        if not reads_pyproject(Config):
            if path.name == PYPROJECT:
                import alembic  # noqa: PLC0415

                raise Fault("no_pyproject", path=str(path), version=getattr(alembic, "__version__", ""))
        else:
            given["toml_file"] = str(toml)
    elif path.name == PYPROJECT:
        raise Fault("no_section", path=str(path), section="tool.alembic")
    config = Config(**given)
    if ini.is_file() and "toml_file" not in given and not config.file_config.has_section(request.name):
        raise Fault("no_section", path=str(path), section=request.name)
    return config


def reads_pyproject(config_class: t.Any) -> bool:
    return "toml_file" in config_class.__init__.__code__.co_varnames


def has_alembic(path: Path) -> bool:
    """Whether a pyproject.toml has Alembic's table. Python before 3.11 can't parse it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.strip().replace(" ", "").startswith("[tool.alembic") for line in lines)


def options_of(request: Request, path: Path) -> argparse.Namespace:
    """What env.py finds in ``config.cmd_opts``."""
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    return argparse.Namespace(
        config=[str(path)] if reads_pyproject(Config) else str(path),
        name=request.name,
        raiseerr=False,
        x=[f"{key}={value}" for key, value in request.x_args.items()],
        cmd=(getattr(command, command_of(request)), ["revision"], ["sql", "tag"]),
        revision=request.revision,
        sql=False,
        tag=None,
    )


def command_of(request: Request) -> str:
    """Alembic's command; a look at the database runs env.py as an upgrade does."""
    return request.command if request.command in ("downgrade", "stamp") else "upgrade"


def command_line(request: Request) -> list[str]:
    """``sys.argv`` of the alembic command, which some env.py read."""
    words = [str(Path(sys.executable).with_name("alembic")), "-c", request.config]
    if request.name != "alembic":
        words += ["-n", request.name]
    for key, value in request.x_args.items():
        words += ["-x", f"{key}={value}"]
    return [*words, command_of(request), request.revision]


def flask_application(request: Request) -> t.Any:
    """The application, in whose context env.py runs from here on; None if it is not one of Flask's."""
    if not request.flask_app:
        return None
    try:
        from flask.cli import ScriptInfo  # noqa: PLC0415

        app = ScriptInfo(app_import_path=request.flask_app).load_app()
        app.app_context().push()
    except (Exception, SystemExit) as error:
        raise Fault("flask", app=request.flask_app, detail=located(error)) from error
    return app


def of_flask_migrate(app: t.Any, config: t.Any, path: Path) -> t.Any:
    """Flask-Migrate's own additions: alembic.ini does not say where the migrations are, and the application may."""
    if not config.get_main_option("script_location"):
        config.set_main_option("script_location", str(path.parent).replace("%", "%%"))
    extension = (getattr(app, "extensions", None) or {}).get("migrate")
    migrate = getattr(extension, "migrate", None)
    return migrate.call_configure_callbacks(config) if migrate is not None else config


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
    if not path.is_file() and path.name == "alembic.ini" and has_alembic(path.with_name(PYPROJECT)):
        return path.with_name(PYPROJECT)
    if not path.is_file():
        raise Fault("no_config", path=str(path))
    return path
