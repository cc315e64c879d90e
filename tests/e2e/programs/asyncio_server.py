# SPDX-License-Identifier: Apache-2.0
"""asyncio_server.py PORT: answers lines `… N` with N × 37 bytes in upper case, says bye at the end. Ends at SIGTERM."""

import asyncio
import signal
import sys


async def serve(reader, writer):
    writer.write(b'ready\n')
    while line := await reader.readline():
        number = int(line.split()[-1])
        writer.write(b'%d ' % number + line.upper().rstrip() * number + b'\n')
        await writer.drain()
    writer.write(b'bye\n')
    writer.close()
    await writer.wait_closed()


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, '127.0.0.1', int(sys.argv[1]), limit=1 << 20)
    async with server:
        await stop.wait()

asyncio.run(main())
