"""A stand-in for the API of ECS: ListTasks in pages, DescribeTasks. The tasks are in /opt/tasks.json.

An answer {"fail": "AccessDeniedException"} in that file is an error of AWS.
"""

import http.server
import json
import pathlib

TASKS = pathlib.Path("/opt/tasks.json")
PAGE = 1


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        there = json.loads(TASKS.read_text(encoding="utf-8"))
        if isinstance(there, dict):
            self.answer(400, {"__type": there["fail"], "message": "not allowed"})
        elif self.headers["X-Amz-Target"].endswith("ListTasks"):
            first = int(asked.get("nextToken") or 0)
            arns = [task["taskArn"] for task in there]
            more = {"nextToken": str(first + PAGE)} if first + PAGE < len(arns) else {}
            self.answer(200, {"taskArns": arns[first : first + PAGE], **more})
        else:
            self.answer(200, {"tasks": [task for task in there if task["taskArn"] in asked["tasks"]], "failures": []})

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", 4566), Handler).serve_forever()
