"""The example front end in headless Chromium, over a deploy that renames a column by expand and contract.

The column is that of the example's own migrations: users.name becomes users.full_name (0004 to 0008). The API and the
front end of before, which know only `name`, are made of today's sources.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nexod.infra.tests import chromium, edge, front_end

postgres, redis, old, bench = edge.app.postgres, edge.app.redis, edge.app.old, edge.app.bench

# Old and new code write during the rollout, each its own column.
SYNC = '''

def sync() -> None:
    op.execute(
        """
        CREATE FUNCTION users_sync_name() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'INSERT' THEN
            NEW.full_name := coalesce(NEW.full_name, NEW.name);
            NEW.name := NEW.full_name;
          ELSIF NEW.full_name IS DISTINCT FROM OLD.full_name THEN
            NEW.name := NEW.full_name;
          ELSE
            NEW.full_name := coalesce(NEW.name, NEW.full_name);
          END IF;
          RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER users_sync_name BEFORE INSERT OR UPDATE ON users"
        " FOR EACH ROW EXECUTE FUNCTION users_sync_name()"
    )
'''
EXPANDED = 'op.add_column("users", sa.Column("full_name", sa.Text, nullable=True))\n'
DROPPED = 'op.drop_column("users", "name")\n'
UNSYNC = 'op.execute("DROP FUNCTION users_sync_name CASCADE")\n    '
# Path below the package, what is there, what is there instead, and how often.
BEFORE = [(f"features/{name}.py", "full_name", "name", 0) for name in ("clerk", "sessions", "users")]
BETWEEN = [
    ("migrations/versions/0004_expand_full_name.py", EXPANDED, f"{EXPANDED}    sync()\n{SYNC}", 1),
    ("migrations/versions/0008_contract_name.py", DROPPED, UNSYNC + DROPPED, 1),
    # It answers with both fields, and takes both.
    ("features/users.py", "id, email, full_name, user_type", "id, email, full_name, full_name AS name, user_type", 3),
    ("features/users.py", "BaseModel, ", "AliasChoices, BaseModel, Field, ", 1),
    (
        "features/users.py",
        "    full_name: Name | None = None",
        '    full_name: Name | None = Field(None, validation_alias=AliasChoices("full_name", "name"))',
        1,
    ),
]


def changed(release: t.Any, folder: Path, changes: t.Sequence[tuple[str, str, str, int]]) -> t.Any:
    """The release with changes to its code: what is installed, and a copy of the package before it."""
    (package,) = release.venv.glob("lib/python3*/site-packages/nexod_api")
    shutil.copytree(package, folder / "code" / "nexod_api", ignore=shutil.ignore_patterns("__pycache__"))
    for path, now, then, times in changes:
        file = folder / "code" / "nexod_api" / path
        text = file.read_text()
        assert text.count(now) == times or (not times and now in text), f"{path} has changed: adapt this test"
        file.write_text(text.replace(now, then))
    (folder / "bin").mkdir()
    for name in ("alembic", "nexod-api", "python"):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec env PYTHONPATH={folder}/code {release.venv}/bin/{name} "$@"\n')
        script.chmod(0o755)
    return dataclasses.replace(release, venv=folder)


@dataclasses.dataclass
class Page:
    """A tab with the front end, and what a user does and sees in it."""

    tab: chromium.Tab

    def sees(self, name: str, tasks: t.Sequence[str]) -> None:
        self.tab.until("document.querySelector('#name')?.textContent", name)
        self.tab.until("[...document.querySelectorAll('#tasks li')].map((row) => row.textContent.trim())", list(tasks))
        assert self.tab.run("document.querySelector('[role=alert]') === null")

    def works(self, name: str, *tasks: str) -> None:
        """A name is changed, and the first of the tasks is new."""
        self.tab.submit("#rename", name)
        self.tab.submit("#add", tasks[0])
        self.sees(name, tasks)

    def kept(self) -> dict[str, t.Any]:
        return json.loads(self.tab.run("localStorage.getItem('app-storage')"))


@pytest.fixture
def browser(tmp_path: Path) -> t.Iterator[chromium.Browser]:
    with chromium.running(tmp_path) as it:
        yield it


def test_an_old_tab_works_on_over_a_deploy_that_renames_a_column(
    bench: t.Any, old: t.Any, browser: chromium.Browser, tmp_path: Path
) -> None:
    before, between = changed(old, tmp_path / "before", BEFORE), changed(old, tmp_path / "between", BETWEEN)
    files = tmp_path / "files"
    files.symlink_to(front_end.build(front_end.source_before()))
    new_files = front_end.build(front_end.source())
    bench.migrate(before, "upgrade", "0003_index_tasks_user")
    with edge.running(bench, before, files, tmp_path) as entry:
        url = f"http://127.0.0.1:{entry.port}"
        page = Page(chromium.Tab(browser, url))
        page.tab.submit("#sign-in", "ada@example.com")
        page.sees("ada@example.com", [])
        page.works("Ada", "one")
        page.tab.click("#open")
        state = page.kept()
        assert (state["version"], state["state"]["hideDone"], bool(state["state"]["sessionId"])) == (1, True, True)

        # The first deploy: expand. Old and new code serve, then new code alone.
        bench.migrate(between, "upgrade", "0007_full_name_required")
        page.works("Ada L", "two", "one")
        entry.replace("api-1", between)
        for number, tasks in ((1, ("three", "two", "one")), (2, ("four", "three", "two", "one"))):
            page.works(f"Ada L {number}", *tasks)
            assert bench.sql("SELECT name = full_name FROM users") == "t"
        entry.replace("api-2", between)
        # The stage caches: the old code has left users there that lack the new field.
        bench.redis.ask("DEL", *bench.redis.ask("KEYS", "user:*").split(), "user:")
        files.unlink()
        files.symlink_to(new_files)
        page.works("Ada Lovelace", "five", "four", "three", "two", "one")

        # A new tab gets the new front end, and what the old one has kept. Vercel lets no browser keep the page itself;
        # this web server is silent about it, and Chromium would guess.
        new = Page(chromium.Tab(browser, url, cached=False))
        new.sees("Ada Lovelace", ["five", "four", "three", "two", "one"])
        assert new.tab.run("document.querySelector('#open').checked")
        new.tab.click("#tasks li input")
        new.sees("Ada Lovelace", ["four", "three", "two", "one"])
        new.tab.click("#open")
        new.sees("Ada Lovelace", ["five", "four", "three", "two", "one"])
        session = {"id": state["state"]["sessionId"], "userId": state["state"]["userId"]}
        assert new.kept() == {"version": 2, "state": {"session": session, "filter": "all"}}
        # The old tab, still open, writes its own version again.
        page.tab.click("#open")
        page.tab.click("#open")
        assert page.kept()["version"] == 1
        new.tab.run("location.reload()")
        new.sees("Ada Lovelace", ["four", "three", "two", "one"])

        # The second deploy: contract. What the new front end reads is still there.
        bench.migrate(between, "upgrade", "0008_contract_name")
        for name in entry.instances:
            entry.replace(name, old)
        bench.redis.ask("DEL", *bench.redis.ask("KEYS", "user:*").split(), "user:")
        new.works("Countess", "six", "four", "three", "two", "one")

        # The tab of before is now too old. It says so, and is not left with an empty page.
        page.tab.submit("#rename", "Nameless")
        page.tab.until("document.querySelector('#outdated') !== null")
        assert bench.sql("SELECT full_name FROM users") == "Countess"
        page.tab.click("#outdated button")
        page.sees("Countess", ["six", "four", "three", "two", "one"])

        vitals = sum(
            edge.app.Server(port, entry.running[name]).metric('web_vitals_seconds_count{name="TTFB"}') or 0
            for name, port in entry.instances.items()
        )
        assert vitals >= 1
        for one in (page.tab, new.tab):
            one.close()
            assert one.errors == []
            # Without keys, neither Sentry nor Clerk is asked; nor is anybody else.
            assert [asked for asked in one.requests if not asked.startswith(url)] == []
