"""Prints where the release's alembic.ini is, for whoever runs the migrations."""

import sys
from importlib.resources import files

if __name__ == "__main__":
    sys.stdout.write(f"{files('nexod_api') / 'alembic.ini'}\n")
