"""Serves metrics to who has the token, takes remote writes from who has the password, and logs both to a file."""

from __future__ import annotations

import base64
import http.server
import sys

PORT, LOG, SECRET = int(sys.argv[1]), sys.argv[2], sys.argv[3]
BASIC = "Basic " + base64.b64encode(f"molecule:{SECRET}".encode()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers 200 to who is known, 401 to others."""

    def answer(self, expected: str) -> None:
        known = self.headers.get("Authorization") == expected
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with open(LOG, "a", encoding="utf-8") as file:
            file.write(f"{self.command} {self.path} {'known' if known else 'unknown'}\n")
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if self.command == "GET" and known:
            self.wfile.write(b"molecule_answer 42\n")

    def do_GET(self) -> None:
        self.answer(f"Bearer {SECRET}")

    def do_POST(self) -> None:
        self.answer(BASIC)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
