"""Starts the load generator beside a test or a bench, tells it where its phases begin, and reads its report."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Load:
    """A running generator. Its options are those of load.py, by keyword. As a context it never outlives its block."""

    def __init__(self, url: str, report: Path, **options: object) -> None:
        self.report = report
        self.slow_seconds = float(str(options.get("slow_seconds", 30)))
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        argv = [sys.executable, HERE / "load.py", "--url", url, "--report", report]
        for name, value in options.items():
            argv += [f"--{name.replace('_', '-')}", str(value)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def tell(self, line: str) -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            why = f"it had ended with {self.process.wait()}, perhaps after its --max-seconds; its words are above"
            raise RuntimeError(f"Cannot tell the load {line!r}: {why}.") from error

    def until_ready(self) -> None:
        """Wait until all have signed in; the generator says so or ends."""
        assert self.process.stdout
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise RuntimeError(f"The load ended with {self.process.wait()} before it was ready; its words are above.")

    def mark(self, phase: str) -> None:
        self.tell(f"mark {phase}")

    def end(self) -> dict[str, t.Any]:
        """Begin nothing more, let running calls end, and return the report."""
        self.tell("end")
        self.process.wait(self.slow_seconds + 60)
        return json.loads(self.report.read_text(encoding="utf-8"))
