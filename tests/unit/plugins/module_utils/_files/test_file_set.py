"""The set of files: plans by table, the swap on a real folder."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files import file_set as fs

ME = fs._account(fs.pwd.getpwuid, os.getuid())
MINE = fs._account(fs.grp.getgrgid, os.getgid())


def entry(path: str, content: str = "x", **other: t.Any) -> fs.Entry:
    row = {"mode": "0644", "owner": ME, "group": MINE, "on_change": "restart", "link": None, "secret": False, **other}
    return fs.Entry(path, content.encode(), **row)


def tree(*entries: fs.Entry) -> dict[str, fs.Found]:
    return {e.path: fs.Found(e.attributes, e.on_change, e.secret) for e in entries}


CONF, RULES = entry("a.conf", on_change="reload"), entry("rules/r.yml", on_change="none")
UNIT = entry("a.service")


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        pytest.param(None, [CONF], (("a.conf",), (), (), "restart"), id="bare host: created, and the service starts"),
        pytest.param(tree(CONF, UNIT), [CONF, UNIT], ((), (), (), "none"), id="nothing to do"),
        pytest.param(
            tree(CONF, UNIT),
            [entry("a.conf", "y", on_change="reload"), UNIT],
            ((), ("a.conf",), (), "reload"),
            id="content of a reloadable file",
        ),
        pytest.param(
            tree(CONF, UNIT),
            [entry("a.conf", "y", on_change="reload"), entry("a.service", "y")],
            ((), ("a.conf", "a.service"), (), "restart"),
            id="restart outweighs reload",
        ),
        pytest.param(
            tree(CONF), [entry("a.conf", on_change="reload", mode="0600")], ((), ("a.conf",), (), "reload"), id="mode"
        ),
        pytest.param(
            tree(CONF),
            [entry("a.conf", on_change="reload", owner="me")],
            ((), ("a.conf",), (), "reload"),
            id="owner",
        ),
        pytest.param(
            tree(UNIT), [entry("a.service", link="/etc/x")], ((), ("a.service",), (), "restart"), id="link wanted"
        ),
        pytest.param(tree(CONF, RULES), [CONF], ((), (), ("rules/r.yml",), "none"), id="pruned, by what it asked for"),
        pytest.param(tree(CONF, UNIT), [CONF], ((), (), ("a.service",), "restart"), id="a removed unit restarts"),
        pytest.param(tree(CONF), [CONF, RULES], (("rules/r.yml",), (), (), "none"), id="a new file that nobody reads"),
    ],
)
def test_plan(found: fs.Tree | None, wanted: list[fs.Entry], expected: tuple[t.Any, ...]) -> None:
    steps = fs.plan(found, wanted)
    assert (steps.created, steps.updated, steps.removed, steps.action) == expected


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        pytest.param([entry("/etc/passwd")], "must be relative", id="absolute"),
        pytest.param([entry("a/../../x")], "must be relative", id="leaves the set"),
        pytest.param([entry("a//b")], "must be relative", id="not plain"),
        pytest.param([entry("a"), entry("a")], "named twice", id="twice"),
        pytest.param([entry("a"), entry("a/b")], "below another file", id="file as folder"),
        pytest.param([entry("a/b"), entry("a")], "below another file", id="file as folder, in the other order"),
        pytest.param([entry("a", link="etc/x")], "absolute, plain path", id="relative link"),
        pytest.param([entry("a", link="/etc/../x")], "absolute, plain path", id="link that is not plain"),
        pytest.param([entry("a", link="/x"), entry("b", link="/x")], 'link "/x" is named twice', id="two of one link"),
        pytest.param([entry("a", link="/x/y"), entry("b", link="/x")], "another link", id="link as folder"),
        pytest.param([], "no files", id="none"),
        pytest.param([entry("a", secret=True, mode="0644")], "readable by everybody", id="open secret"),
    ],
)
def test_bad_entries_are_refused(entries: list[fs.Entry], words: str) -> None:
    with pytest.raises(InfraError, match=words):
        fs.refuse_bad_entries("a", entries)


def test_entries_survive_the_crossing() -> None:
    entries = [entry("ä.conf", "bytes \x00 ü"), entry("s", "p", secret=True, mode="0600")]
    assert fs.unpack(fs.pack(entries)) == entries


@pytest.fixture
def files(tmp_path: pathlib.Path) -> fs.FileSet:
    return fs.FileSet("a", str(tmp_path / "sets"))


def read(files: fs.FileSet, path: str, link: str = "current") -> str:
    return (files.home / link / path).read_text(encoding="utf-8")


def test_swap_keeps_the_live_set_and_sweeps_the_rest(files: fs.FileSet) -> None:
    for content in ("1", "2", "3", "4"):
        files.apply([entry("f", content)], [])
        files.mark_live()
    assert (read(files, "f"), read(files, "f", "live"), read(files, "f", "previous")) == ("4", "4", "3")
    assert len([p for p in (files.home / "generations").iterdir() if p.is_dir()]) == 2


KEEP = fs.Keep(("public/static/*",), 2)


def test_files_that_outlast_their_set(files: fs.FileSet) -> None:
    kept = files.home / "kept"

    def release(number: int, keep: fs.Keep = KEEP, **more: t.Any) -> set[str]:
        page, script = entry("public/index.html", str(number)), entry(f"public/static/a/{number}.js", str(number))
        files.apply([page, script, *more.values()], [], {}, keep)
        files.mark_live()
        return {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}

    def aged(path: str, days: float) -> None:
        os.utime(kept / path, (0, time.time() - days * fs.DAY))

    assert release(1) == {"public/static/a/1.js"}
    assert release(2) == {f"public/static/a/{number}.js" for number in (1, 2)}
    assert (kept / "public/static/a/1.js").read_text() == "1"
    # What the current set has is as new as the set's end, however old it is.
    aged("public/static/a/1.js", 1.9)
    aged("public/static/a/2.js", 9)
    assert release(3) == {f"public/static/a/{number}.js" for number in (1, 2, 3)}
    aged("public/static/a/1.js", 2.1)
    assert release(4) == {f"public/static/a/{number}.js" for number in (2, 3, 4)}
    # A set that is returned to removes nothing.
    files.point_to("previous")
    assert (kept / "public/static/a/4.js").exists()
    # One name of a file becomes a folder, and one of a folder a file.
    odd = release(5, one=entry("public/static/a/4.js/x"), two=entry("public/static/b"))
    assert {"public/static/a/4.js/x", "public/static/b"} <= odd
    assert "public/static/b/x" in release(6, one=entry("public/static/b/x"))
    assert release(7, fs.Keep(("public/static/*",), 0)) == release(8, fs.Keep()) == set()
    assert list(kept.rglob("*")) == []


def test_a_refused_set_leaves_the_running_one_and_no_trace(files: fs.FileSet) -> None:
    files.apply([entry("f", "good")], [])
    before = sorted(p.name for p in files.home.rglob("*"))
    with pytest.raises(InfraError, match=r"grep refuses it \(rc 1\)"):
        files.apply([entry("f", "bad")], [["grep", "good", "{staged}/f"]])
    assert read(files, "f") == "good"
    assert sorted(p.name for p in files.home.rglob("*")) == before


def test_a_missing_checker_is_an_error_but_not_in_a_rehearsal(files: fs.FileSet) -> None:
    check = [["no-such-program", "{staged}"]]
    assert fs.rehearse("a", [entry("f")], check) == ["the program no-such-program is not on this host yet"]
    with pytest.raises(InfraError, match="not on this host"):
        files.apply([entry("f")], check)


def test_a_checker_that_misses_a_program_is_quoted(files: fs.FileSet) -> None:
    check = [["sh", "-c", "echo pgbouncer is not installed; exit 127"]]
    assert fs.rehearse("a", [entry("f")], check) == ["pgbouncer is not installed"]
    with pytest.raises(InfraError, match="a program that sh needs is not on this host") as caught:
        files.apply([entry("f")], check)
    assert str(caught.value).endswith("\npgbouncer is not installed")


def test_a_rehearsal_takes_accounts_that_are_not_there_yet_and_leaves_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs.tempfile, "tempdir", str(tmp_path))
    wanted = [entry("f", owner="not-made-yet", group="not-made-yet")]
    assert fs.rehearse("a", wanted, [["test", "-s", "{staged}/f"]]) == []
    assert not list(tmp_path.iterdir())


def test_a_missing_account_is_named(files: fs.FileSet) -> None:
    with pytest.raises(InfraError, match="no account not-made-yet"):
        files.apply([entry("f", owner="not-made-yet")], [])
    assert files.generation("current") is None


def test_a_manual_edit_is_seen_and_asks_for_what_the_file_asks(files: fs.FileSet) -> None:
    wanted = [entry("f", "1", on_change="reload")]
    files.apply(wanted, [])
    files.mark_live()
    (files.home / "current" / "f").write_text("edited")
    assert fs.plan(files.tree(files.generation("current")), wanted).updated == ("f",)
    assert files.action(wanted) == "reload"
    files.apply(wanted, [])
    assert read(files, "f") == "1"


def test_a_run_killed_before_the_proof_still_asks_for_the_action(files: fs.FileSet) -> None:
    files.apply([entry("f", "1", on_change="reload")], [])
    files.mark_live()
    wanted = [entry("f", "2", on_change="reload")]
    files.apply(wanted, [])  # and here the run is killed
    assert not fs.plan(files.tree(files.generation("current")), wanted).changed
    assert files.action(wanted) == "reload"


def test_what_a_killed_run_left_half_done_is_swept(files: fs.FileSet) -> None:
    files.apply([entry("f", "1")], [])
    (files.home / "generations" / ".staging-0009-dead").mkdir()
    (files.home / "generations" / "0002-dead.json").write_text("{}")
    files.apply([entry("f", "2")], [])
    assert sorted(p.suffix for p in (files.home / "generations").iterdir()) == ["", ".json"]


def test_return_to_previous_once_and_then_nothing(files: fs.FileSet) -> None:
    for content in ("1", "2"):
        files.apply([entry("f", content)], [])
        files.mark_live()
    target = files.previous()
    files.point_to("previous")
    assert read(files, "f") == "1"
    assert files.action(files.entries(files.previous())) == "restart", "killed here, the service still has to follow"
    files.mark_live()
    assert files.previous() == target == files.generation("current"), "asked again, it is there already"
    files.apply([entry("f", "3")], [])
    files.mark_live()
    assert (read(files, "f"), read(files, "f", "previous")) == ("3", "1")


def deployed(files: fs.FileSet, *contents: str) -> None:
    for content in contents:
        files.apply([entry("f", content)], [])
        files.mark_live()


#: A file that says that the set has no passwords, as none before it has.
SAFE = entry("safe", "yes", keep_previous=False)


@pytest.mark.parametrize(
    ("sets", "kept"),
    [
        pytest.param([[], [SAFE]], "", id="a set with passwords goes"),
        pytest.param([[SAFE], [SAFE]], "1", id="one without stays"),
        pytest.param([[SAFE], []], "1", id="one without stays behind one with"),
        pytest.param([[entry("safe", "almost")], [SAFE]], "", id="one with others goes"),
        pytest.param([[], [SAFE], [SAFE]], "2", id="what comes after it stays"),
        pytest.param([[], [entry("safe", "yes")]], "1", id="usually all stay"),
    ],
)
def test_a_set_with_secrets_that_are_to_leave_the_host(
    files: fs.FileSet, sets: list[list[fs.Entry]], kept: str
) -> None:
    for number, further in enumerate(sets, 1):
        files.apply([entry("f", str(number)), *further], [])
        files.mark_live()
    assert (read(files, "f", "previous") if files.generation("previous") else "") == kept
    assert len([p for p in (files.home / "generations").iterdir() if p.is_dir()]) == 1 + bool(kept)
    if not kept:
        with pytest.raises(InfraError, match="no set was live before"):
            files.previous()


def test_a_set_with_secrets_stays_until_the_next_is_proven_and_goes_if_it_fails(files: fs.FileSet) -> None:
    files.apply([entry("f", "secret")], [])
    files.mark_live()
    files.apply([entry("f", "1"), SAFE], [])
    assert read(files, "f", "live") == "secret", "what a service that fails is returned to"
    files.mark_live()
    files.apply([entry("f", "secret")], [])
    files.point_to("live")
    assert read(files, "f", "returned") == "secret"
    assert files.mark_live() is False
    assert [p.name for p in (files.home / "generations").iterdir() if p.is_dir()] == [files.generation("live")]


def test_after_a_failed_trial_all_is_as_it_was(files: fs.FileSet) -> None:
    deployed(files, "1", "2")
    files.apply([entry("f", "bad")], [])
    assert read(files, "f", "live") == "2", "proven, but on trial: nobody has marked it"
    files.point_to("live")
    assert [read(files, "f", link) for link in ("current", "live", "previous")] == ["2", "2", "1"]
    assert files.action([entry("f", "2")]) == "none"
    files.apply([entry("f", "3")], [])
    files.mark_live()
    assert [read(files, "f", link) for link in ("current", "live", "previous")] == ["3", "3", "2"]
    files.point_to("previous")
    files.mark_live()
    assert read(files, "f") == "2", "never the bad one"


def test_a_roll_back_after_a_failed_trial_goes_to_what_was_before_the_good_one(files: fs.FileSet) -> None:
    deployed(files, "1", "2")
    files.apply([entry("f", "bad")], [])
    files.point_to("live")
    files.point_to("previous")
    files.mark_live()
    assert (read(files, "f"), read(files, "f", "live")) == ("1", "1")


def test_a_roll_back_of_a_run_killed_in_its_trial_goes_to_what_is_live(files: fs.FileSet) -> None:
    deployed(files, "1", "2")
    files.apply([entry("f", "bad")], [])
    assert files.action([entry("f", "bad")]) == "restart", "the next run replaces it anew, and tries it"
    assert files.action([entry("f", "2")]) == "restart", "it runs the bad one, whatever is marked live"
    for _again in range(2):
        assert (files.generation("live")) == files.previous()
        files.point_to("previous")
        files.mark_live()
        assert (read(files, "f"), read(files, "f", "live")) == ("2", "2")


def test_a_first_set_that_fails_its_trial_has_nothing_to_return_to(files: fs.FileSet) -> None:
    files.apply([entry("f", "bad")], [])
    with pytest.raises(InfraError, match="ever proven live"):
        files.point_to("live")
    with pytest.raises(InfraError, match="no set was live before"):
        files.previous()


def test_no_previous_set_is_a_clear_error(files: fs.FileSet) -> None:
    files.apply([entry("f", "1")], [])
    files.mark_live()
    with pytest.raises(InfraError, match="no set was live before"):
        files.previous()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "-x"])
def test_a_name_that_is_no_folder_is_refused(name: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InfraError, match="can't be a folder's name"):
        fs.FileSet(name, str(tmp_path))


@pytest.mark.parametrize("missing", ["f", "g/h", None])
def test_a_previous_set_that_is_not_whole_is_refused(files: fs.FileSet, missing: str | None) -> None:
    for content in ("1", "2"):
        files.apply([entry("f", content), entry("g/h")], [])
        files.mark_live()
    previous = files.previous()
    folder = files.home / "generations" / previous
    (folder / missing if missing else folder.with_name(f"{previous}.json")).unlink()
    with pytest.raises(InfraError, match="Cannot return the file set") as caught:
        files.entries(previous)
    assert "by its number" in caught.value.next_step


def test_the_numbers_go_on_beyond_four_digits(files: fs.FileSet) -> None:
    files.apply([entry("f", "1")], [])
    current = files.generation("current") or ""
    for suffix in ("", ".json"):
        (files.home / "generations" / f"{current}{suffix}").rename(
            files.home / "generations" / f"9999-{current.partition('-')[2]}{suffix}"
        )
    fs._replace_link(f"generations/9999-{current.partition('-')[2]}", str(files.home / "current"))
    seen = []
    for content in ("2", "1", "2"):
        files.apply([entry("f", content)], [])
        files.mark_live()
        seen.append((files.generation("current") or "").partition("-")[0])
    assert seen == ["10000", "10001", "10002"]


class Killed(BaseException):
    """As by SIGKILL: no handler of ours is to run, and none that runs is to be able to write."""


#: What changes a disk, but for the content of files.
WRITES = ("mkdir", "open", "rename", "replace", "rmdir", "symlink", "unlink")


@pytest.fixture
def places(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Two places for links: one where a package's file lies, and one that is free."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "a.service").write_text("a package's")
    return tmp_path / "etc" / "a.service", tmp_path / "etc" / "b.service"


def killed_at(number: int, monkeypatch: pytest.MonkeyPatch, act: t.Callable[[], object]) -> bool:
    """Run `act` until it is about to change the disk for the time `number`; False where it does so less often."""
    left, dead = number, False
    with monkeypatch.context() as patch:
        for name in WRITES:
            real = getattr(os, name)

            def deadly(*arguments: t.Any, real: t.Any = real, name: str = name, **more: t.Any) -> t.Any:
                nonlocal left, dead
                if name != "open" or arguments[1] & os.O_CREAT:
                    left -= 1
                    dead = dead or left <= 0
                    if dead:
                        raise Killed
                return real(*arguments, **more)

            patch.setattr(os, name, deadly)
        try:
            act()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("first", ["link that goes", "link that stays", "no set"])
@pytest.mark.parametrize("second", ["no link", "other link", "same link"])
def test_whenever_a_run_is_killed_the_next_one_ends_as_if_it_had_not_been(
    first: str,
    second: str,
    tmp_path: pathlib.Path,
    places: tuple[pathlib.Path, pathlib.Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken, free = places
    links = {"no link": None, "other link": str(free), "same link": str(taken)}
    wanted = [entry("f", "2"), entry("u", "2", link=links[second])]
    for number in range(1, 200):
        files = fs.FileSet(f"set{number}", str(tmp_path / "sets"))
        if first != "no set":
            files.apply([entry("f", "1"), entry("u", "1", link=str(taken))], [])
        if first == "link that stays":
            files.mark_live()
        killed = killed_at(number, monkeypatch, lambda files=files: files.apply(wanted, []))
        if files.generation("current"):
            assert {path.name for path in (files.home / "current").iterdir()} == {"f", "u"}, "all of one set, always"
        if fs.plan(files.tree(files.generation("current")), wanted).changed:
            files.apply(wanted, [])
        elif files.stray_links():
            files.remove_stray_links()
        assert not fs.plan(files.tree(files.generation("current")), wanted).changed
        assert files.stray_links() == []
        assert read(files, "f") == "2"
        if second == "same link":
            assert os.readlink(taken) == str(files.home / "current" / "u")
        else:
            assert (taken.is_symlink(), taken.read_text()) == (False, "a package's")
        assert free.is_symlink() == (second == "other link")
        files.remove()
        assert (taken.is_symlink(), taken.read_text(), os.path.lexists(free)) == (False, "a package's", False)
        assert not files.home.exists()
        if not killed:
            return
    pytest.fail("it was killed each time")


def test_whenever_a_removal_is_killed_the_next_one_ends_it(
    tmp_path: pathlib.Path, places: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, free = places
    for number in range(1, 200):
        files = fs.FileSet(f"set{number}", str(tmp_path / "sets"))
        files.apply([entry("u", link=str(taken)), entry("v", link=str(free))], [])
        killed = killed_at(number, monkeypatch, files.remove)
        if files.home.exists():
            files.remove()
        assert (taken.is_symlink(), taken.read_text(), os.path.lexists(free)) == (False, "a package's", False)
        if not killed:
            return
    pytest.fail("it was killed each time")


def test_a_displaced_file_comes_back_from_another_file_system(
    files: fs.FileSet, places: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, _free = places
    files.apply([entry("u", "ours", link=str(taken))], [])
    real = os.replace

    def replace(source: t.Any, target: t.Any) -> None:
        if "/displaced/" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    files.apply([entry("u", "ours")], [])
    assert (taken.is_symlink(), taken.read_text(), read(files, "u")) == (False, "a package's", "ours")


def test_links_are_made_moved_and_taken_away_and_the_displaced_comes_back(
    files: fs.FileSet, tmp_path: pathlib.Path
) -> None:
    place, other = tmp_path / "a.service", tmp_path / "sub" / "b.service"
    place.write_text("a package's")
    files.apply([entry("u", "1", link=str(place))], [])
    assert place.is_symlink()
    assert place.read_text() == "1"
    files.apply([entry("u", "2", link=str(other))], [])
    assert (place.read_text(), other.read_text()) == ("a package's", "2")
    files.apply([entry("u", "2", link=str(place))], [])
    files.remove()
    assert place.read_text() == "a package's"
    assert not place.is_symlink()
    assert not os.path.lexists(other)
    assert not files.home.exists()


def test_a_link_that_somebody_took_away_counts_as_a_change(files: fs.FileSet, tmp_path: pathlib.Path) -> None:
    wanted = [entry("u", link=str(tmp_path / "a.service"))]
    files.apply(wanted, [])
    (tmp_path / "a.service").unlink()
    assert fs.plan(files.tree(files.generation("current")), wanted).updated == ("u",)


def test_a_secret_is_never_open_and_never_shown(files: fs.FileSet) -> None:
    before, after = [entry("s", "old", secret=True, mode="0600")], [entry("s", "new", secret=True, mode="0600")]
    files.apply(before, [])
    assert (files.home / "current" / "s").stat().st_mode & 0o777 == 0o600
    current = files.generation("current")
    rows = files.diff(current, after, fs.plan(files.tree(current), after))
    assert len(rows) == 1
    assert "old" not in str(rows).replace("(absent)", "")
    assert "new\n" not in str(rows)
    assert rows[0]["before"] != rows[0]["after"], "that it changes is shown"


def test_a_diff_shows_text_and_counts_bytes_of_the_rest(files: fs.FileSet) -> None:
    wanted = [entry("t", "text\n"), fs.Entry("b", b"\xff\x00", "0644", ME, MINE, "none", None, False)]
    rows = {r["after_header"].rsplit("/", 1)[-1]: r["after"] for r in files.diff(None, wanted, fs.plan(None, wanted))}
    assert rows["t"].endswith("\ntext\n")
    assert "binary, 2 bytes" in rows["b"]


def test_a_diff_counts_a_long_file_that_comes_and_shows_what_changes_in_it(files: fs.FileSet) -> None:
    long = "".join(f"line {number}\n" for number in range(1000))
    first = [entry("t", long)]
    (row,) = files.diff(None, first, fs.plan(None, first))
    assert "(8890 bytes, sha256 " in row["after"]
    files.apply(first, [])
    second = [entry("t", long.replace("line 7\n", "line seven\n"))]
    (row,) = files.diff(files.generation("current"), second, fs.plan(files.tree(files.generation("current")), second))
    assert ("line 7\n" in row["before"], "line seven\n" in row["after"]) == (True, True)


def test_a_second_run_at_the_same_time_is_refused_and_a_dead_one_holds_nothing(files: fs.FileSet) -> None:
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from ansible_collections.nexod.infra.plugins.module_utils._files.file_set import FileSet
with FileSet("a", {str(files.home.parent)!r}).locked():
    print("held", flush=True); sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InfraError, match="another run"):
            files.apply([entry("f")], [])
        holder.kill()
        holder.wait()
    files.apply([entry("f")], [])
    assert read(files, "f") == "x"
