from __future__ import annotations

import base64
import io
import zipfile

from ansible_collections.nexod.infra.plugins.module_utils._alembic.archive import history


def test_the_history_of_a_release_is_read_without_alembic() -> None:
    """In the order of an upgrade, a merge after both of its parents, files that are no revision left out."""
    sources = {
        "app/versions/c_merge.py": '"""Join.\n\nMore."""\nrevision: str = "c"\ndown_revision = ("a", "b")',
        "app/versions/a.py": 'revision = "a"\ndown_revision = "base1"\n',
        "app/versions/b.py": '"""B."""\nrevision = "b"\ndown_revision = "base1"\ndepends_on = ["a"]',
        "app/versions/base.py": '"""Begin."""\nrevision = "base1"\ndown_revision = None',
        "app/versions/__init__.py": "",
        "app/versions/broken.py": "revision = (",
        "app/env.py": 'revision = "not one"',
    }
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w") as tree:
        for name, text in sources.items():
            tree.writestr(name, text)
    rows = history(base64.b64encode(small.getvalue()).decode())
    assert [(row["revision"], row["doc"]) for row in rows] == [
        ("base1", "Begin."),
        ("a", ""),
        ("b", "B."),
        ("c", "Join."),
    ]
