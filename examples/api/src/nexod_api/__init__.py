"""The example application that the lab deploys: a small, real API on PostgreSQL and Redis."""

from nexod_api._version import __version__

__all__ = ["__version__"]
