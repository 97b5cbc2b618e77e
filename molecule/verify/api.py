"""An API to verify: healthy, ready, with sessions and a histogram.

POST /down makes it unready; after POST /break each second request to / fails, until POST /repair.
"""

from __future__ import annotations

import http.server
import json

SESSION = json.dumps({"session": {"token": "1", "expires_in": 3600}})
STATE = {"ready": True, "broken": False, "sessions": 0, "requests": 0, "failed": 0}
METRICS = """# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{endpoint="/",le="0.1"}} {n}
http_request_duration_seconds_bucket{{endpoint="/",le="0.3"}} {n}
http_request_duration_seconds_bucket{{endpoint="/",le="+Inf"}} {n}
http_request_duration_seconds_count{{endpoint="/"}} {n}
http_request_duration_seconds_sum{{endpoint="/"}} {n}
# TYPE http_requests_total counter
http_requests_total{{endpoint="/",status="200"}} {good}
http_requests_total{{endpoint="/",status="500"}} {failed}
"""


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if self.path == "/metrics" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.answer(
                200,
                METRICS.format(n=STATE["requests"], good=STATE["requests"] - STATE["failed"], failed=STATE["failed"]),
            )
        elif self.path == "/ready" and not STATE["ready"]:
            self.answer(503, '{"status": "draining", "version": "1.1.0"}')
        elif self.path == "/sessions/1":
            known = STATE["sessions"] > 0
            self.answer(200 if known else 404, SESSION)
        else:
            STATE["requests"] += self.path == "/"
            if self.path == "/" and STATE["broken"] and STATE["requests"] % 2:
                STATE["failed"] += 1
                self.answer(500, "{}")
                return
            self.answer(200, '{"status": "ready", "version": "1.1.0"}')

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/sessions":
            known = json.loads(sent) == {"user": {"name": "somebody", "password": "canary-37fa"}}
            STATE["sessions"] += known
            self.answer(201 if known else 401, SESSION if known else "{}")
        else:
            STATE.update(ready=self.path != "/down", broken=self.path == "/break")
            self.answer(200, "{}")


http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Api).serve_forever()
