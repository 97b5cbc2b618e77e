"""What an archive may hold, what its folder becomes, and what a killed run leaves."""

from __future__ import annotations

import hashlib
import http.server
import io
import multiprocessing
import os
import pathlib
import platform
import signal
import tarfile
import threading
import time
import typing as t

import pytest

from ansible_collections.nexod.infra.plugins.module_utils._core.errors import InfraError
from ansible_collections.nexod.infra.plugins.module_utils._files import archive as archives
from ansible_collections.nexod.infra.plugins.module_utils._files.release import Releases

ARCH = archives.architecture(platform.machine())
SCRIPT = b"#!/bin/sh\necho 1.2.3\n"
Member = tuple[str, t.Any]


def packed(path: pathlib.Path, members: t.Sequence[Member], mode: str = "w:gz") -> str:
    """An archive of files (bytes), folders (None), links (text) and TarInfo; returns its sha256."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, bytes):
                info.size, info.mode = len(content), 0o4755
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def options(tmp_path: pathlib.Path, **more: t.Any) -> dict[str, t.Any]:
    return {"name": "tool", "version": "1.2.3", "programs": ["tool"], "timeout": 5, "url": "", **more}


def installed(tmp_path: pathlib.Path, members: t.Sequence[Member], **more: t.Any) -> pathlib.Path:
    """Install an archive with these members; returns the version's folder."""
    home = tmp_path / "opt" / "tool"
    home.mkdir(parents=True)
    checksum = packed(tmp_path / "archive", members)
    given = options(tmp_path, **more)
    archives.install(Releases("tool", str(tmp_path / "opt")), given, checksum, str(tmp_path / "archive"))
    return home / "1.2.3"


@pytest.mark.parametrize(
    ("names", "wrapped"),
    [
        (["tool-1/tool", "tool-1/LICENSE"], "tool-1"),
        (["./tool-1/", "./tool-1/tool"], "tool-1"),
        (["tool", "LICENSE"], ""),
        (["tool"], ""),
        (["tool-1/tool", "LICENSE"], ""),
    ],
)
def test_the_folder_around_everything(names: list[str], wrapped: str) -> None:
    assert archives.wrapping_folder(names) == wrapped


def test_an_archive_becomes_the_folder_of_its_version(tmp_path: pathlib.Path) -> None:
    members = [("tool-1", None), ("tool-1/tool", SCRIPT), ("tool-1/public/a.js", b"x"), ("tool-1/link", "public/a.js")]
    folder = installed(tmp_path, members)
    assert (folder / "tool").stat().st_mode & 0o7777 == 0o755
    assert (folder / "link").read_bytes() == b"x"
    releases = Releases("tool", str(tmp_path / "opt"))
    checksum = hashlib.sha256((tmp_path / "archive").read_bytes()).hexdigest()
    assert releases.installed() == {"1.2.3": archives.digest_of("tool", "1.2.3", checksum)}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["1.2.3"]


def device() -> tarfile.TarInfo:
    info = tarfile.TarInfo("t/device")
    info.type = tarfile.CHRTYPE
    return info


def hard_link() -> tarfile.TarInfo:
    info = tarfile.TarInfo("t/hard")
    info.type, info.linkname = tarfile.LNKTYPE, "../../etc/passwd"
    return info


@pytest.mark.parametrize(
    ("members", "cause"),
    [
        ([("t/../../evil", SCRIPT)], "would be written outside"),
        ([("/etc/evil", SCRIPT)], "would be written outside"),
        ([("t/tool", SCRIPT), ("t/link", "/etc")], "leads outside"),
        ([("t/tool", SCRIPT), ("t/sub/link", "../../out")], "leads outside"),
        ([("t/tool", SCRIPT), ("t/sub", "inside"), ("t/sub/file", b"x")], "behind a link"),
        ([("t/tool", SCRIPT), ("t/device", device())], "neither a file"),
        ([("t/tool", SCRIPT), ("t/hard", hard_link())], "neither a file"),
        ([("t/other", SCRIPT)], "has no tool, but other"),
        ([], "has no tool, but nothing"),
        ([("t/tool", b"\x7fELF\x02\x01" + bytes(12) + b"\xff\x00")], "was built for ELF machine 255"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path: pathlib.Path, members: list[Member], cause: str) -> None:
    with pytest.raises(InfraError, match=cause):
        installed(tmp_path, members)
    assert list((tmp_path / "opt" / "tool").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_what_is_no_archive_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "page").write_text("<html>Sign in</html>")
    with pytest.raises(InfraError, match="no tar file") as caught:
        archives.unpack(str(tmp_path / "page"), tmp_path, "tool 1.2.3")
    assert "upstream's archive for Linux" in caught.value.next_step


def test_one_that_was_cut_off_is_refused(tmp_path: pathlib.Path) -> None:
    packed(tmp_path / "whole", [("t/tool", os.urandom(100_000))])
    (tmp_path / "half").write_bytes((tmp_path / "whole").read_bytes()[:50_000])
    with pytest.raises(InfraError, match="damaged"):
        archives.unpack(str(tmp_path / "half"), tmp_path / "folder", "tool 1.2.3")


def test_a_wrong_sum_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InfraError, match="has the sha256 aa, but bb is pinned"):
        archives.refuse_wrong_sum("aa", "bb", "https://x/y", "tool 1.2.3")


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("i686", "386"), ("riscv64", "riscv64")]
)
def test_architectures_are_named_as_upstream_does(machine: str, arch: str) -> None:
    assert archives.architecture(machine) == arch


def test_a_host_without_a_pin_for_its_architecture() -> None:
    with pytest.raises(InfraError, match="checksums for s390x only"):
        archives.checksum_of({"name": "tool", "version": "1", "checksums": {"s390x": "a" * 64}}, "amd64")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:pw@host/a.tar.gz?token=x", "https://host/a.tar.gz"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1:80/a"),
    ],
)
def test_messages_show_no_password(url: str, text: str) -> None:
    assert archives.shown(url) == text


class Server(http.server.BaseHTTPRequestHandler):
    """`/slow` stops in the middle until it is let go, `/short` ends in the middle, `/whole` is complete."""

    content = b""
    go = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        half = len(self.content) // 2
        self.wfile.write(self.content[:half])
        self.wfile.flush()
        if self.path == "/slow":
            self.go.wait(20)
        if self.path != "/short":
            self.wfile.write(self.content[half:])

    def log_message(self, *_arguments: t.Any) -> None:
        """Not in the output of the tests."""


@pytest.fixture
def server(tmp_path: pathlib.Path) -> t.Iterator[tuple[str, str]]:
    """Its address, and the sha256 of the archive that it has."""
    checksum = packed(tmp_path / "served", [("t/tool", SCRIPT), ("t/data", os.urandom(3 << 20))])
    Server.content, Server.go = (tmp_path / "served").read_bytes(), threading.Event()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", checksum
    Server.go.set()
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("path", "cause", "next_step"),
    [
        ("/gone", "answers 404", "a mirror may not have this version"),
        ("/short", "cut off", "use another `mirror`"),
        ("no host", "Connection refused", "give a `mirror`"),
    ],
)
def test_downloads_that_fail(
    server: tuple[str, str], tmp_path: pathlib.Path, path: str, cause: str, next_step: str
) -> None:
    url = server[0] + path if path.startswith("/") else "http://127.0.0.1:1/x"
    with pytest.raises(InfraError, match=cause) as caught:
        archives.download(url, tmp_path / "got", "tool 1.2.3", 3)
    assert next_step in caught.value.next_step


def test_a_full_disk_is_not_taken_for_a_broken_download(server: tuple[str, str]) -> None:
    with pytest.raises(OSError, match="No space left"):
        archives.download(server[0] + "/whole", pathlib.Path("/dev/full"), "tool 1.2.3", 3)


def test_a_run_that_is_killed_in_the_middle_is_continued(server: tuple[str, str], tmp_path: pathlib.Path) -> None:
    address, checksum = server
    home = tmp_path / "opt" / "tool"
    home.mkdir(parents=True)
    releases = Releases("tool", str(tmp_path / "opt"))
    slow = options(tmp_path, url=address + "/slow")
    process = multiprocessing.get_context("fork").Process(target=archives.install, args=(releases, slow, checksum))
    process.start()
    deadline = time.monotonic() + 10
    while not list(home.glob(".archive-*/archive")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(t.cast("int", process.pid), signal.SIGKILL)
    process.join()
    assert list(home.glob(".archive-*"))
    assert releases.installed() == {}
    archives.install(releases, options(tmp_path, url=address + "/whole"), checksum)
    assert [path.name for path in home.iterdir()] == ["1.2.3"]
    assert releases.installed() == {"1.2.3": archives.digest_of("tool", "1.2.3", checksum)}
