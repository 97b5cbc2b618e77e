"""Everything the process is told from outside: environment variables and credential files, never arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy

# What follows the issuer's own address in that of its keys.
JWKS_PATH = "/.well-known/jwks.json"


def words(text: str) -> tuple[str, ...]:
    """What is separated by spaces, commas or lines."""
    return tuple(text.replace(",", " ").split())


def secret(environment: Mapping[str, str], variable: str, credential: str) -> str:
    """A secret from systemd's credential folder (LoadCredential=), else from the environment, else nothing."""
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    file = Path(folder) / credential
    if folder and file.is_file():
        return file.read_text(encoding="utf-8").strip()
    return environment.get(variable, "")


def database_url(environment: Mapping[str, str]) -> sqlalchemy.URL:
    """`DATABASE_URL`, or the address put together from API_DATABASE_*; what neither gives, libpq takes from PG*."""
    if environment.get("DATABASE_URL"):
        return sqlalchemy.make_url(environment["DATABASE_URL"])
    sslmode = environment.get("API_DATABASE_SSLMODE")
    return sqlalchemy.URL.create(
        "postgresql+psycopg",
        username=environment.get("API_DATABASE_USER") or None,
        password=secret(environment, "API_DATABASE_PASSWORD", "database-password") or None,
        host=environment.get("API_DATABASE_HOST") or None,
        port=int(environment["API_DATABASE_PORT"]) if environment.get("API_DATABASE_PORT") else None,
        database=environment.get("API_DATABASE_NAME") or None,
        query={"sslmode": sslmode} if sslmode else {},
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    database: sqlalchemy.URL
    redis_host: str
    redis_port: int
    redis_db: int
    redis_tls: bool
    redis_password: str = dataclasses.field(repr=False)
    # Origins whose pages may call the API from another origin than its own. Empty: none.
    allowed_origins: tuple[str, ...]
    sentry_dsn: str = dataclasses.field(repr=False)
    # What Clerk signs tokens with, as PEM; several are accepted while one replaces another.
    clerk_jwt_key: str
    # Where its keys are read instead. If neither is given, no token is accepted.
    clerk_jwks_url: str
    # Empty: any, as the key belongs to one instance alone.
    clerk_issuer: str
    # Origins whose tokens are accepted. Empty: any.
    clerk_authorized_parties: tuple[str, ...]
    clerk_audience: str
    clerk_clock_skew_seconds: int
    # All are accepted: the old one is removed when Clerk signs with the new one.
    clerk_webhook_secrets: tuple[str, ...] = dataclasses.field(repr=False)
    # None: the name that the version has by itself.
    sentry_release: str | None
    sentry_traces_sample_rate: float
    sentry_profiles_sample_rate: float
    environment: str
    # Longest that a running request may take after SIGTERM; longer than the 30 s calls.
    drain_seconds: int
    # How long /ready says no before WebSockets and the port close. The entry point asks every second, and once more
    # half a second after the first no: 1.5 s at most.
    notice_seconds: float

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        jwks_url = environment.get("CLERK_JWKS_URL", "")
        return cls(
            database=database_url(environment),
            redis_host=environment.get("API_REDIS_HOST", "127.0.0.1"),
            redis_port=int(environment.get("API_REDIS_PORT", "6379")),
            redis_db=int(environment.get("API_REDIS_DB", "0")),
            redis_tls=environment.get("API_REDIS_TLS", "").lower() in {"1", "true", "yes"},
            redis_password=secret(environment, "API_REDIS_PASSWORD", "redis-password"),
            allowed_origins=words(environment.get("API_ALLOWED_ORIGINS", "")),
            sentry_dsn=secret(environment, "SENTRY_DSN", "sentry-dsn"),
            # On one line, as a file of environment variables has it.
            clerk_jwt_key=environment.get("CLERK_JWT_KEY", "").replace("\\n", "\n"),
            clerk_jwks_url=jwks_url,
            clerk_issuer=environment.get("CLERK_ISSUER") or jwks_url.removesuffix(JWKS_PATH),
            clerk_authorized_parties=words(environment.get("CLERK_AUTHORIZED_PARTIES", "")),
            clerk_audience=environment.get("CLERK_AUDIENCE", ""),
            clerk_clock_skew_seconds=int(environment.get("CLERK_CLOCK_SKEW_SECONDS") or "5"),
            clerk_webhook_secrets=words(
                secret(environment, "CLERK_WEBHOOK_SIGNING_SECRET", "clerk-webhook-signing-secret")
            ),
            sentry_release=environment.get("SENTRY_RELEASE") or None,
            sentry_traces_sample_rate=float(environment.get("SENTRY_TRACES_SAMPLE_RATE") or "0.1"),
            sentry_profiles_sample_rate=float(environment.get("SENTRY_PROFILES_SAMPLE_RATE") or "0.01"),
            environment=environment.get("SENTRY_ENVIRONMENT") or environment.get("API_ENVIRONMENT", "development"),
            drain_seconds=int(environment.get("API_DRAIN_SECONDS", "45")),
            notice_seconds=float(environment.get("API_NOTICE_SECONDS", "2")),
        )
