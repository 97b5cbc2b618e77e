"""Stands for an API: reports the release that /run/release names, or answers with the status that it names."""

import http.server
import pathlib


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Any path."""
        said = pathlib.Path("/run/release").read_text(encoding="utf-8").strip()
        self.send_response(int(said) if said.isdigit() else 200)
        self.end_headers()
        self.wfile.write(f"release={said};".encode())


http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Answer).serve_forever()
