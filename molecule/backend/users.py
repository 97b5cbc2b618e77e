"""Users at the entry point until a file appears: quick calls all the time and a slow one always under way.

Prints what they were told, as JSON: answers by version, and everything that was not a good answer.
"""

from __future__ import annotations

import collections
import json
import os
import threading
import time
import urllib.request

END = "/run/users.end"
answers: collections.Counter[str] = collections.Counter()
faults: list[str] = []


def ask(path: str) -> None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1{path}", timeout=60) as answer:
            said = json.load(answer)
            answers["slow" if path.startswith("/slow") else said["version"]] += 1
    except (OSError, ValueError) as error:
        faults.append(f"{path}: {error}")


def keep_asking(path: str, pause: float) -> None:
    while not os.path.exists(END):
        ask(path)
        time.sleep(pause)


rows = (("/health", 0.1), ("/slow?seconds=5", 0), ("/slow?seconds=3", 0))
threads = [threading.Thread(target=keep_asking, args=row) for row in rows]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"answers": answers, "faults": faults}))  # noqa: T201
