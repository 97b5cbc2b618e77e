"""Takes what Alertmanager sends, for 60 seconds, and writes one line a message: the path and the body."""

from __future__ import annotations

import http.server
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        """Write it down."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open(sys.argv[2], "a", encoding="utf-8") as file:
            file.write(f"{self.path} {body}\n")
        self.send_response(200)
        self.end_headers()


server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Timer(60, server.shutdown).start()
server.serve_forever()
