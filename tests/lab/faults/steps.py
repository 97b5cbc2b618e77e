"""What tests of faults do to a lab before and after."""

from __future__ import annotations

import subprocess

from ansible_collections.nexod.infra.tests.lab.support import ROLL_BACK, ROOT, get, on, run

FIRST_REVISION = "0008_contract_name"
ALEMBIC = (
    'DATABASE_URL="postgresql+psycopg://app_owner:$(cat)@10.213.77.11/app?sslmode=prefer"'
    " {python} -m alembic -c $({python} -m nexod_api.migrations)"
)


def back_to_the_start() -> None:
    """1.0.0 at its own revision, as before the upgrade; the way down is a test's, no playbook of ours goes it."""
    if get("/health")["version"] != "1.0.0":
        done = run(*ROLL_BACK, report="roll_back", quiet=True)
        assert done.rc == 0, done.said[-4000:]
    release = next((name for name in on("pooler-1", "ls -r /opt/api").split() if name.startswith("1.1.")), "")
    if release:
        downgrade(release, FIRST_REVISION)


def downgrade(release: str, revision: str) -> None:
    password = (ROOT / ".lab" / "secrets" / "database-owner").read_text().split()[0]
    alembic = ALEMBIC.format(python=f"/opt/api/{release}/bin/python")
    argv = ["podman", "exec", "-i", "nexod-lab-pooler-1", "sh", "-c", f"{alembic} downgrade {revision}"]
    done = subprocess.run(argv, input=password, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
