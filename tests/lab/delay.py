"""A slow network: pass connections on to an address, everything in both directions some time later.

    delay.py --port 25432 --to 10.213.77.11:5432 --seconds 0.2

In place of `tc netem`, which not every kernel has. Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib

CHUNK = 65536


async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each part `seconds` after it came, and then the end."""
    clock = asyncio.get_running_loop().time
    due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def send() -> None:
        while True:
            moment, data = await due.get()
            await asyncio.sleep(max(0.0, moment - clock()))
            if not data:
                return
            writer.write(data)
            await writer.drain()

    sender = asyncio.create_task(send())
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            due.put_nowait((clock() + seconds, data))
    due.put_nowait((clock(), b""))
    with contextlib.suppress(OSError):
        await sender
    writer.close()


async def serve(port: int, host: str, to: int, seconds: float) -> None:
    """Accept connections until the process ends."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(late(reader, far_writer, seconds), late(far_reader, writer, seconds))

    server = await asyncio.start_server(accept, "0.0.0.0", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True, help="HOST:PORT")
    parser.add_argument("--seconds", type=float, required=True, help="the delay in each direction")
    arguments = parser.parse_args()
    host, port = arguments.to.rsplit(":", 1)
    asyncio.run(serve(arguments.port, host, int(port), arguments.seconds))


if __name__ == "__main__":
    main()
