"""A load on the example API as users bring it, and what they noticed, as JSON.

    load.py --url http://10.213.77.61 --report .report/load.json [--sessions 500] [--rate 70] ...

Visitors sign in, then ask by turns for their session and for something else; callers begin a slow call every second;
listeners hold WebSockets open. Phases are marked on standard input: `mark NAME`, and `end`. It says `ready` once all
have signed in. It ends by itself: at `end`, when standard input closes, or after --max-seconds.

Locust carries it, with two things of its own way set aside:

- **The arrivals are open.** Every request has its time on one common clock. A visitor has its own turn every
  sessions/rate seconds (7 s), far apart enough that a slow answer delays nobody's next request; where one does, the
  latency still counts from when the request was due. So a stall shows as what all who came during it have waited,
  not as one slow request (coordinated omission).
- **HttpUser, not FastHttpUser**: the client below the latter (geventhttpclient) sends a GET anew by itself when its
  connection ends before an answer, and what was to be counted would be gone. Below HttpUser (requests, urllib3) nothing
  is sent twice. Its pool drops a connection that is seen closed before a request is written to it, as a browser does;
  one that closes while the request is on its way is a failure.

Each visitor has its own keep-alive connection. Redirects are not followed, proxies not used.
"""

from __future__ import annotations

# Before all else: it puts gevent's sockets below the standard library's.
import locust  # isort: skip

import argparse
import contextlib
import datetime
import itertools
import json
import math
import os
import random
import resource
import struct
import sys
import time
import typing as t
from pathlib import Path

import gevent
import gevent.event
import gevent.fileobject
import websocket
from figures import ABNORMAL, Book, refused_target
from locust.env import Environment

ANSWER_SECONDS = 10
# Callers beyond those whose call is running: a late answer must not hold up the next call.
SPARE = 10
BORN_A_SECOND = 100


class Plan:
    """What all users share: the clock, the options, the book."""

    options: argparse.Namespace
    book: Book
    begin: float
    ending: gevent.event.Event
    numbers: t.ClassVar[dict[str, t.Iterator[int]]] = {
        name: itertools.count() for name in ("visitor", "caller", "listener")
    }
    ready: t.ClassVar[set[str]] = set()

    @classmethod
    def turn(cls, due: float) -> bool:
        """Sleep until `due`; False where the load ends before."""
        return not cls.ending.wait(max(0.0, due - time.monotonic()))


class Visitor(locust.HttpUser):
    """A signed-in user with a browser of its own."""

    def on_start(self) -> None:
        self.client.trust_env = False
        self.number = next(Plan.numbers["visitor"])
        self.session: dict[str, t.Any] | None = None
        self.task_id: int | None = None

    @locust.task
    def visit(self) -> None:
        options = Plan.options
        turns = options.sessions / options.rate
        signing_in = Plan.begin + self.number * options.ramp / options.sessions
        if not Plan.turn(signing_in):
            return
        self.sign_in(signing_in)
        Plan.ready.add(f"visitor {self.number}")
        for step in itertools.count():
            due = Plan.begin + options.ramp + turns * (step + self.number / options.sessions)
            if not Plan.turn(due):
                raise locust.exception.StopUser
            if self.session is None:
                self.sign_in(due)
            elif step % 2 == 0:
                self.read_session(due)
            else:
                self.ask_something((self.number + step // 2) % 6, due)

    def ask(self, due: float, method: str, path: str, wanted: int, name: str = "", body: object = None) -> t.Any:
        """The answer's JSON (None where it is none), or None after a failure; the book has noted it either way."""
        fault, found, late = None, None, time.monotonic() - due
        with self.client.request(
            method,
            path,
            name=name or path,
            json=body,
            timeout=ANSWER_SECONDS,
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            if answer.status_code != wanted:
                fault = f"status {answer.status_code}" if answer.status_code else repr(answer.error)
                answer.failure(fault)
            else:
                answer.success()
                found = answer.json() if "json" in answer.headers.get("Content-Type", "") else None
            self.status = answer.status_code
        Plan.book.answered(due, time.monotonic(), method, name or path, fault, late)
        return found

    def sign_in(self, due: float) -> None:
        self.session = self.ask(due, "POST", "/sessions", 201, body={"email": f"load-{self.number}@example.org"})
        Plan.book.sessions["created"] += self.session is not None

    def read_session(self, due: float) -> None:
        assert self.session
        session = self.ask(due, "GET", f"/sessions/{self.session['id']}", 200, "/sessions/{id}")
        other = session is not None and session["user_id"] != self.session["user_id"]
        if other or self.status == 404:
            Plan.book.sessions["lost"] += 1
            self.session = None

    def ask_something(self, what: int, due: float) -> None:
        assert self.session
        user = self.session["user_id"]
        if what == 0:
            self.ask(due, "GET", Plan.options.static[self.number % len(Plan.options.static)], 200)
        elif what == 1:
            self.ask(due, "GET", "/dashboard", 200)
        elif what in (2, 3):
            self.ask(due, "GET", f"/tasks?user_id={user}", 200, "/tasks?user_id=")
        elif what == 4 or self.task_id is None:
            task = self.ask(due, "POST", "/tasks", 201, body={"user_id": user, "title": "written under load"})
            self.task_id = task["id"] if task else None
        else:
            self.ask(due, "PATCH", f"/tasks/{self.task_id}", 200, "/tasks/{id}", body={"done": True})


class Caller(locust.HttpUser):
    """One of those who by turns begin a slow call, one every second."""

    def on_start(self) -> None:
        self.client.trust_env = False
        self.number = next(Plan.numbers["caller"])

    @locust.task
    def call(self) -> None:
        for turn in itertools.count():
            due = Plan.begin + Plan.options.ramp + self.number + turn * callers(Plan.options.slow_seconds)
            if not Plan.turn(due):
                raise locust.exception.StopUser
            self.begin(Plan.options.slow_seconds)

    def begin(self, seconds: float) -> None:
        slow, path, began = Plan.book.slow, f"/slow?seconds={seconds:g}", time.monotonic()
        slow["begun"] += 1
        with self.client.get(path, timeout=seconds + SPARE - 1, catch_response=True) as answer:
            now = time.monotonic()
            # 50 ms for two clocks that need not agree.
            if answer.status_code == 200 and now - began >= seconds - 0.05:
                answer.success()
                slow["whole"] += 1
                Plan.book.versions[answer.json()["version"]] += 1
                return
            fault = f"status {answer.status_code}" if answer.status_code else repr(answer.error)
            answer.failure(fault)
        Plan.book.fail(now, "GET", path, f"cut after {now - began:.1f} s: {fault}")


class Listener(locust.User):
    """Holds a WebSocket open and says something into it every few seconds; connects anew when told to go."""

    def on_start(self) -> None:
        self.number = next(Plan.numbers["listener"])

    @locust.task
    def listen(self) -> None:
        if not Plan.turn(Plan.begin + self.number * Plan.options.ramp / Plan.options.websockets):
            raise locust.exception.StopUser
        while not Plan.ending.is_set():
            try:
                url = self.host.replace("http", "ws", 1) + "/ws"
                connection = websocket.create_connection(url, timeout=ANSWER_SECONDS, http_no_proxy=["*"])
            except (OSError, websocket.WebSocketException) as error:
                Plan.book.not_opened += 1
                Plan.book.fail(time.monotonic(), "WS", "/ws", f"not opened: {error!r}")
                Plan.turn(time.monotonic() + 1)
            else:
                Plan.book.opened += 1
                self.hold(connection, time.monotonic())
            Plan.ready.add(f"listener {self.number}")
        raise locust.exception.StopUser

    def hold(self, connection: websocket.WebSocket, opened: float) -> None:
        Plan.ready.add(f"listener {self.number}")
        # Not all at once.
        said, said_at = "", opened - random.uniform(0, Plan.options.echo_seconds)
        code = None
        try:
            while code is None and not Plan.ending.is_set():
                now = time.monotonic()
                if said and now >= said_at + ANSWER_SECONDS:
                    Plan.book.fail(now, "WS", "/ws", f"no echo after {ANSWER_SECONDS} s")
                    code = ABNORMAL
                    break
                if not said and now >= said_at + Plan.options.echo_seconds:
                    said, said_at = f"{self.number} at {now}", now
                    connection.send(said)
                # At most a second, so that the load's end is heard.
                rest = said_at + Plan.options.echo_seconds - time.monotonic()
                connection.settimeout(min(1.0, rest) if rest > 0 else 1.0)
                try:
                    opcode, frame = connection.recv_data_frame(control_frame=True)
                except websocket.WebSocketTimeoutException:
                    continue
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    # 1005: a close frame that says no code.
                    code = struct.unpack("!H", frame.data[:2])[0] if len(frame.data) >= 2 else 1005
                elif opcode == websocket.ABNF.OPCODE_TEXT:
                    if frame.data.decode() != said:
                        Plan.book.fail(time.monotonic(), "WS", "/ws", f"echo of {said!r} was {frame.data!r}")
                    Plan.book.echoes += 1
                    said = ""
        except (OSError, websocket.WebSocketException):
            code = ABNORMAL
        if code is not None:
            Plan.book.closed(time.monotonic(), code, time.monotonic() - opened)
        with contextlib.suppress(OSError, websocket.WebSocketException):
            connection.close(timeout=1)


def callers(slow_seconds: float) -> int:
    """How many it takes to begin a call every second."""
    return math.ceil(slow_seconds) + SPARE


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="the edge: an address of this machine or of the lab")
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=500, help="signed-in users (default: %(default)s)")
    # By turns a session and something else: so 500 sessions are each read every 14.3 s.
    parser.add_argument("--rate", type=float, default=70, help="requests a second, of all of them (%(default)s)")
    parser.add_argument("--slow-seconds", type=float, default=30, help="a call that begins every second (%(default)s)")
    parser.add_argument("--websockets", type=int, default=20)
    parser.add_argument("--echo-seconds", type=float, default=5)
    parser.add_argument("--ramp", type=float, default=20, help="seconds in which all sign in (%(default)s)")
    parser.add_argument("--max-seconds", type=float, default=1200, help="after which it ends in any case (%(default)s)")
    parser.add_argument("--static", nargs="+", default=["/", "/index.html", "/robots.txt", "/assets/site.css"])
    options = parser.parse_args()
    if refused := refused_target(options.url):
        parser.error(refused)
    return options


def obey(book: Book, ending: gevent.event.Event) -> None:
    """Phases and the end, from standard input; whoever started the load and is gone wants it no longer."""
    for raw in gevent.fileobject.FileObjectThread(sys.stdin.buffer, "rb"):
        word, _space, rest = raw.decode().strip().partition(" ")
        if word == "mark" and rest:
            book.mark(rest, time.monotonic())
        elif word == "end":
            break
        else:
            print(f"not understood: {raw!r}; `mark NAME` or `end`", file=sys.stderr)
    ending.set()


def say_when_ready(wanted: int) -> None:
    while len(Plan.ready) < wanted:
        gevent.sleep(0.1)
    print("ready", flush=True)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    options = Plan.options = arguments()
    started = datetime.datetime.now(datetime.UTC)
    counts = {Visitor: options.sessions, Caller: callers(options.slow_seconds), Listener: options.websockets}
    counts = {user: count for user, count in counts.items() if count}
    for user, count in counts.items():
        user.fixed_count = count
    environment = Environment(user_classes=list(counts), host=options.url.rstrip("/"), stop_timeout=1)
    runner = environment.create_local_runner()
    Plan.ending = gevent.event.Event()
    # All of them are there before the first is due.
    Plan.begin = time.monotonic() + 1 + sum(counts.values()) / BORN_A_SECOND
    book = Plan.book = Book(Plan.begin)
    runner.start(sum(counts.values()), spawn_rate=BORN_A_SECOND)
    gevent.spawn(say_when_ready, options.sessions + options.websockets)
    gevent.spawn(obey, book, Plan.ending)
    before = cpu_seconds()
    Plan.ending.wait(options.max_seconds)
    Plan.ending.set()
    book.ended = time.monotonic()
    used = (cpu_seconds() - before) / max(0.001, book.ended - Plan.begin)
    # Running calls end first.
    limit = time.monotonic() + options.slow_seconds + SPARE + 5
    while runner.user_count and time.monotonic() < limit:
        gevent.sleep(0.1)
    found = {"url": options.url, "started": started.isoformat(timespec="seconds"), **book.report(time.monotonic())}
    found["generator_cpu"] = round(used, 3)
    found["options"] = {name: str(value) for name, value in sorted(vars(options).items())}
    new = options.report.with_name(options.report.name + ".new")
    new.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    new.replace(options.report)
    sys.stdout.flush()
    # No waiting for threads that still read standard input.
    os._exit(0)


if __name__ == "__main__":
    main()
