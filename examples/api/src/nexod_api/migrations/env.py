"""Alembic's environment: one synchronous, direct connection; the address comes from the process's environment."""

from __future__ import annotations

import os
from logging.config import fileConfig

import sqlalchemy
from alembic import context

from nexod_api.settings import database_url

config = context.config

if config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)

# The revisions are written by hand: there are no models to compare the database with.
target_metadata = None


def run_migrations_offline() -> None:
    """Print SQL instead of running it."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=target_metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    engine = sqlalchemy.create_engine(
        database_url(os.environ), poolclass=sqlalchemy.pool.NullPool, connect_args={"connect_timeout": 10}
    )
    with engine.connect() as connection:
        # One transaction a revision: what failed is undone alone, what was done stays done and recorded.
        context.configure(connection=connection, target_metadata=target_metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
