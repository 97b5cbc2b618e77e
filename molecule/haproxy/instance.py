"""An instance of an API as HAProxy sees it: its name, and a response that never ends. Standard library only."""

from __future__ import annotations

import http.server
import sys
import time


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{sys.argv[1]} {self.path} {self.headers['X-Forwarded-Proto']}\n".encode()
        self.send_response(200)
        if self.path.startswith("/stream"):
            self.send_header("Connection", "close")
            self.end_headers()
            while True:
                self.wfile.write(body)
                time.sleep(0.2)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Answer).serve_forever()
