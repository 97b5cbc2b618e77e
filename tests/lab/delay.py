"""A slow network: pass connections on to an address, everything in both directions some time later.

    delay.py --port 25432 --to 10.213.77.11:5432 --seconds 0.2

With --every 10, that is a tenth of what comes; the rest passes at once, unless it is behind something late. With
--when-told, nothing is late before the process gets SIGUSR1: connections can be made through it at full speed.
In place of `tc netem`, which not every kernel has. Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import signal

CHUNK = 65536


@dataclasses.dataclass
class Delay:
    """In each direction, of each part whose number `every` divides."""

    seconds: float
    every: int


async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Delay) -> None:
    """Pass on what comes, each part later by the delay, and then the end."""
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
    number = 0
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            number += 1
            due.put_nowait((clock() + (0 if number % delay.every else delay.seconds), data))
    due.put_nowait((clock(), b""))
    with contextlib.suppress(OSError):
        await sender
    writer.close()


async def serve(port: int, host: str, to: int, seconds: float, every: int, *, told: bool) -> None:
    """Accept connections until the process ends."""
    delay = Delay(0 if told else seconds, every)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, setattr, delay, "seconds", seconds)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(late(reader, far_writer, delay), late(far_reader, writer, delay))

    server = await asyncio.start_server(accept, "0.0.0.0", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True, help="HOST:PORT")
    parser.add_argument("--seconds", type=float, required=True, help="the delay in each direction")
    parser.add_argument("--every", type=int, default=1, help="which parts are late")
    parser.add_argument("--when-told", action="store_true", help="begin with SIGUSR1")
    arguments = parser.parse_args()
    host, port = arguments.to.rsplit(":", 1)
    late_parts = (arguments.seconds, arguments.every)
    asyncio.run(serve(arguments.port, host, int(port), *late_parts, told=arguments.when_told))


if __name__ == "__main__":
    main()
