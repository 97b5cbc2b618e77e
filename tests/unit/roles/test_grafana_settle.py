# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Grafana keeps in its database follows the set: asked of the stand-in, which answers over HTTP."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.nexod.infra.tests.programs import load

ROOT = pathlib.Path(__file__).parents[3]
PASSWORD = "canary-1c77f0"
WANTED = {"name": "deploys", "serial": 1, "days": 0}

settle = load(ROOT / "roles/grafana/files/settle.py")
prove = load(ROOT / "roles/grafana/files/prove.py")
stand_in = load(ROOT / "tests/fixtures/grafana_stand_in/grafana_stand_in.py", "stand_in_to_settle")


class Grafana(t.NamedTuple):
    """A running stand-in: its address, and what it keeps."""

    url: str
    database: t.Any
    handler: t.Any

    @property
    def kept(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.database.memory)

    def admin(self, password: str = PASSWORD) -> t.Any:
        return settle.Admin(settle.client(self.url), settle.basic("admin", password))

    def reset(self, password: str = PASSWORD) -> t.Callable[[], None]:
        def reset() -> None:
            self.kept["password"] = stand_in.hashed(password)

        return reset


@pytest.fixture
def grafana() -> t.Iterator[Grafana]:
    database = stand_in.Database()
    database.memory["password"] = stand_in.hashed(PASSWORD)
    handler = type("Own", (stand_in.Handler,), {"site": stand_in.Site({}, [], []), "database": database})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Grafana(f"http://127.0.0.1:{server.server_port}", database, handler)
        server.shutdown()


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    return {"state": str(tmp_path), "refused": str(tmp_path / "refused"), "account": WANTED}


# -- the password


def never() -> None:
    raise AssertionError("the password was set")


def test_a_password_that_opens_is_left_alone(grafana: Grafana) -> None:
    assert settle.settle_password(grafana.admin(), never) == ""


def test_a_password_that_was_changed_is_set_again(grafana: Grafana) -> None:
    grafana.reset("changed-by-hand")()
    assert "was set" in settle.settle_password(grafana.admin(), grafana.reset())
    assert settle.settle_password(grafana.admin(), never) == ""


def test_a_password_that_the_proof_was_refused_is_not_tried_again(grafana: Grafana) -> None:
    grafana.reset("changed-by-hand")()
    for _check in range(4):
        assert grafana.admin("wrong").call("GET", "/api/user", None, settle.basic("admin", "wrong"))[0] == 401
    assert "was set" in settle.settle_password(grafana.admin(), grafana.reset(), refused=True)


def test_five_refused_attempts_lock_the_account_and_the_error_says_so(grafana: Grafana) -> None:
    for _attempt in range(5):
        assert grafana.admin("wrong").call("GET", "/api/user", None, settle.basic("admin", "wrong"))[0] == 401
    with pytest.raises(settle.FailedError, match="five minutes"):
        settle.settle_password(grafana.admin(), grafana.reset())


def test_an_administrator_with_another_name_is_no_matter_of_the_password(grafana: Grafana) -> None:
    other = settle.Admin(settle.client(grafana.url), settle.basic("operator", PASSWORD))
    with pytest.raises(settle.FailedError, match="grafana_admin_user"):
        settle.settle_password(other, grafana.reset())


def test_checks_of_a_refused_password_do_not_lock_the_account(
    grafana: Grafana, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.reset("changed-by-hand")()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/admin-password").write_text(PASSWORD)
    (tmp_path / "settle.json").write_text(
        json.dumps({"refused": str(tmp_path / "refused"), "state": str(tmp_path), "url": grafana.url, "user": "admin"})
    )
    (tmp_path / "plugins.json").write_text(json.dumps({"folder": "", "plugins": {}}))
    monkeypatch.setattr("sys.argv", ["prove.py", str(tmp_path), "grafana"])
    with monkeypatch.context() as check_mode:
        check_mode.setenv("NEXOD_CHECK_MODE", "1")
        assert prove.main() == prove.IN_VAIN
    assert not (tmp_path / "refused").exists()
    for _check in range(8):
        assert prove.main() == prove.IN_VAIN
        assert "the administrator's password is refused" in capsys.readouterr().err
    # One in check mode, which writes nothing, and one that is remembered.
    assert len(grafana.kept["attempts"]) == 2
    settings = {"state": str(tmp_path), "refused": str(tmp_path / "refused"), "account": None}
    assert settle.settle(grafana.admin(), settings, grafana.reset()) == ["the administrator's password was set"]
    assert prove.main() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["/opt/g/bin/grafana", "server", "--config=c"], ["/opt/g/bin/grafana"], id="a program"),
        pytest.param(["/usr/bin/python3", "/g", "server"], ["/usr/bin/python3", "/g"], id="a script"),
        pytest.param(["/usr/sbin/grafana-server", "--config=c"], None, id="the older program"),
    ],
)
def test_the_running_program_sets_the_password(arguments: list[str], words: list[str] | None) -> None:
    if words is not None:
        assert settle.program(arguments) == words
        return
    with pytest.raises(settle.FailedError, match="grafana server"):
        settle.program(arguments)


# -- the service account


def test_account_and_token_are_created_once(grafana: Grafana, settings: dict[str, t.Any]) -> None:
    done = settle.settle(grafana.admin(), settings, never)
    assert done == ["the service account deploys was created", "the token deploys-1 was created"]
    file = pathlib.Path(settings["state"], "annotations-token")
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().strip()
    assert token not in json.dumps(grafana.kept) + str(done)
    assert grafana.kept["accounts"][0]["role"] == "Editor"
    assert settle.settle(grafana.admin(), settings, never) == []
    assert file.read_text().strip() == token


@pytest.mark.parametrize(
    ("change", "done"),
    [
        pytest.param(
            lambda kept: kept["tokens"].clear(),
            ["the token deploys-1 was created"],
            id="revoked",
        ),
        pytest.param(
            lambda kept: kept["tokens"][0].update(expires=1), ["the token deploys-1 was created"], id="expired"
        ),
        pytest.param(
            lambda kept: kept["accounts"][0].update(role="Viewer"),
            ["the service account deploys was given the role Editor"],
            id="another role",
        ),
        pytest.param(
            lambda kept: kept["accounts"][0].update(isDisabled=True),
            ["the service account deploys was given the role Editor"],
            id="disabled",
        ),
        pytest.param(
            lambda kept: kept["tokens"].append({"id": 99, "account": kept["accounts"][0]["id"], "name": "by hand"}),
            [],
            id="a token that a person has made stays",
        ),
    ],
)
def test_what_was_changed_in_grafana_is_corrected(
    grafana: Grafana, settings: dict[str, t.Any], change: t.Callable[[t.Any], None], done: list[str]
) -> None:
    settle.settle(grafana.admin(), settings, never)
    for row in grafana.kept["tokens"]:
        row.setdefault("expires", 0)
    change(grafana.kept)
    for row in grafana.kept["tokens"]:
        row.setdefault("expires", 0)
    assert settle.settle(grafana.admin(), settings, never) == done
    assert settle.settle(grafana.admin(), settings, never) == []


def test_a_token_that_the_host_has_lost_is_replaced(grafana: Grafana, settings: dict[str, t.Any]) -> None:
    settle.settle(grafana.admin(), settings, never)
    pathlib.Path(settings["state"], "annotations-token").unlink()
    assert settle.settle(grafana.admin(), settings, never) == ["the token deploys-1 was created"]
    assert [row["name"] for row in grafana.kept["tokens"]] == ["deploys-1"]


def test_another_number_rotates_the_token(grafana: Grafana, settings: dict[str, t.Any]) -> None:
    settle.settle(grafana.admin(), settings, never)
    before = settle.read(pathlib.Path(settings["state"], "annotations-token"))
    rotated = {**settings, "account": {**WANTED, "serial": 2, "days": 90}}
    assert settle.settle(grafana.admin(), rotated, never) == [
        "the token deploys-2 was created",
        "the token deploys-1 was deleted",
    ]
    assert not settle.works(settle.client(grafana.url), before)
    assert grafana.kept["tokens"][0]["expires"] > 0


@pytest.mark.parametrize(
    "account",
    [pytest.param(None, id="none any more"), pytest.param({**WANTED, "name": "others"}, id="another name")],
)
def test_an_account_that_is_no_longer_declared_is_deleted(
    grafana: Grafana, settings: dict[str, t.Any], account: dict[str, t.Any] | None
) -> None:
    settle.settle(grafana.admin(), settings, never)
    done = settle.settle(grafana.admin(), {**settings, "account": account}, never)
    assert done[0] == "the service account deploys was deleted"
    assert [row["name"] for row in grafana.kept["accounts"]] == ([account["name"]] if account else [])
    assert pathlib.Path(settings["state"], "annotations-token").exists() is bool(account)


def test_a_refusal_names_the_action_and_no_secret(grafana: Grafana, settings: dict[str, t.Any]) -> None:
    settle.settle(grafana.admin(), settings, never)
    token = settle.read(pathlib.Path(settings["state"], "annotations-token"))
    editor = settle.Admin(settle.client(grafana.url), f"Bearer {token}")
    with pytest.raises(settle.FailedError, match="Cannot list the service accounts: HTTP 403") as refused:
        settle.settle_account(editor, WANTED, settle.Kept(pathlib.Path(settings["state"], "annotations-token")))
    assert token not in str(refused.value)


# -- dashboards and provisioning


def test_stage_makes_a_copy_without_leftovers(tmp_path: pathlib.Path) -> None:
    source, target = tmp_path / "set", tmp_path / "state/dashboards"
    for path, text in {"a/1.json": "1", "a/2.json": "2", "b/3.json": "3"}.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    before = os.umask(0o077)
    settle.stage(source, target)
    os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in [target, *target.rglob("*")]} == {0o755, 0o644}
    kept = (target / "a/1.json").stat().st_ino
    (source / "a/2.json").write_text("two")
    (source / "b/3.json").unlink()
    (target / "a/.2.json.new").write_text("half, by a run that was killed")
    settle.stage(source, target)
    found = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert found == {"a/1.json": "1", "a/2.json": "two"}
    assert not (target / "b").exists()
    # What has not changed is not written again.
    assert (target / "a/1.json").stat().st_ino == kept


def test_a_dead_process_is_not_waited_for(grafana: Grafana) -> None:
    gone = settle.client("http://127.0.0.1:1")
    with pytest.raises(settle.FailedError, match="ended before its API answered"):
        settle.await_api(gone, lambda: False)
    with pytest.raises(settle.FailedError, match="did not answer within 0 s"):
        settle.await_api(gone, lambda: True, patience=0)
    settle.await_api(grafana.admin().call, lambda: False)


def test_a_reload_that_grafana_refuses_keeps_what_it_served(grafana: Grafana, tmp_path: pathlib.Path) -> None:
    provisioning = tmp_path / "provisioning/datasources"
    provisioning.mkdir(parents=True)
    (tmp_path / "grafana.ini").write_text(f"[paths]\nprovisioning = {tmp_path}/provisioning\n")
    source = {"name": "P", "uid": "p", "type": "prometheus", "url": "http://h:9090"}
    (provisioning / "a.yml").write_text(json.dumps({"apiVersion": 1, "datasources": [source]}))
    grafana.handler.config = tmp_path / "grafana.ini"
    settle.reload_provisioning(grafana.admin())
    assert grafana.handler.site.sources == [source]
    (provisioning / "a.yml").write_text(json.dumps({"apiVersion": 1, "datasources": [{**source, "type": "?"}]}))
    with pytest.raises(settle.FailedError, match="Cannot reload Grafana's datasources"):
        settle.reload_provisioning(grafana.admin())
    assert grafana.handler.site.sources == [source]
