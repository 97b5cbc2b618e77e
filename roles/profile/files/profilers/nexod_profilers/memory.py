"""Summarize a capture of Memray as JSON: the peak, and what was still allocated at the end, by function."""

from __future__ import annotations

import collections
import json
import sys
import typing as t

import memray

SHOWN = 20


def rows(records: t.Iterable[t.Any]) -> dict[str, t.Any]:
    """Bytes and allocations in all, and of the functions that allocated most."""
    found: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0, 0])
    for record in records:
        stack = record.stack_trace(max_stacks=1)
        name, file, _line = stack[0] if stack else ("unknown", "", 0)
        total = found[name, file]
        total[0] += record.size
        total[1] += record.n_allocations
    top = sorted(found.items(), key=lambda row: (-row[1][0], row[0]))
    return {
        "bytes": sum(size for size, _count in found.values()),
        "allocations": sum(count for _size, count in found.values()),
        "top": [
            {"function": name, "file": file, "bytes": size, "allocations": count}
            for (name, file), (size, count) in top[:SHOWN]
        ],
    }


def main() -> None:
    """Print the summary of the capture that the first argument names."""
    reader = memray.FileReader(sys.argv[1])
    peak = rows(reader.get_high_watermark_allocation_records(merge_threads=True))
    left = rows(reader.get_leaked_allocation_records(merge_threads=True))
    print(json.dumps({"peak": peak, "left": left}))  # noqa: T201 - what the program is for


if __name__ == "__main__":
    main()
