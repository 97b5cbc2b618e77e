"""An instance of an API as an entry point sees it: its name, whether it is ready, a slow call. Standard library only."""

from __future__ import annotations

import http.server
import os
import sys
import time


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ready = not os.path.exists(f"/tmp/{sys.argv[1]}.down")
        if self.path.startswith("/slow"):
            time.sleep(6)
        code = 503 if self.path == "/ready" and not ready else 200
        body = f"{sys.argv[1]} {self.path}\n".encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Answer).serve_forever()
