"""Delays what a client and a server send each other, as a distant network does. Pieces do not wait for each other.

delay.py HOST PORT MS: the server, and how many milliseconds each direction takes. The first line on standard output is
the port on 127.0.0.1 at which clients connect.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

_PIECE: Final = 1 << 18
_MOST_PIECES: Final = 256


async def _late(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    """Write each piece when it is due. An empty one is the end."""
    clock = asyncio.get_running_loop().time
    while True:
        due, piece = await queue.get()
        await asyncio.sleep(max(0.0, due - clock()))
        if not piece:
            break
        writer.write(piece)
        await writer.drain()
    writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_PIECES)
    clock = asyncio.get_running_loop().time
    writing = asyncio.create_task(_late(queue, writer))
    piece = b"-"
    while piece:
        piece = await reader.read(_PIECE)
        await queue.put((clock() + seconds, piece))
    await writing


async def main(host: str, port: int, seconds: float) -> None:
    """Serve until the process is ended."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(host, port, limit=_PIECE)
        await asyncio.gather(_carry(reader, to_server, seconds), _carry(from_server, writer, seconds))

    server = await asyncio.start_server(connect, "127.0.0.1", 0, limit=_PIECE)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
