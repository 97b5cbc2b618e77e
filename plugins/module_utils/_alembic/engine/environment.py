# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic's script directory and env.py, run as the alembic command runs them."""

from __future__ import annotations

import contextlib
import typing as t

from .errors import located
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

    def __init__(self, request: Request, url: str, config: t.Any, script: t.Any) -> None:
        self.request = request
        self.url = url
        self.config = config
        self.script = script
        self.offline: t.Any = None  # the latest offline context, with the context that it was made for and its buffer
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
            with self.connection():
                self.script.run_env()

    @contextlib.contextmanager
    def connection(self) -> t.Iterator[None]:
        """Open ``config.attributes["connection"]``, for an env.py that gets its connection from there."""
        if not self.request.pass_connection:
            yield
            return
        import sqlalchemy as sa  # noqa: PLC0415

        engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool)
        if engine.dialect.is_async:
            raise Fault("async_connection", driver=engine.dialect.driver)
        with engine.connect() as connection:
            self.config.attributes["connection"] = connection
            yield
            if connection.in_transaction():
                # An env.py that leaves the end of its transaction to whoever has passed the connection.
                connection.commit()

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
                # LABEL@base is no revision; the label has to be one.
                label, _at, end = target.partition("@")
                self.script.get_revision(f"{label}@head" if end == "base" else target)
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


def require(alembic: t.Any, owner: t.Any, names: t.Sequence[str]) -> None:
    """Refuse an Alembic that lacks what the engine calls."""
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        version = getattr(alembic, "__version__", "of unknown version")
        raise Fault("unsupported_alembic", version=version, missing=missing, tested=TESTED)


def require_context(context: t.Any) -> None:
    import alembic  # noqa: PLC0415

    require(alembic, context, PRIVATE_OF_CONTEXT)
