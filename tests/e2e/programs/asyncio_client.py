# SPDX-License-Identifier: Apache-2.0
"""asyncio_client.py PORT N: N connections at the same time to asyncio_server.py, 25 questions on each."""

import asyncio
import sys


async def ask(client):
    reader, writer = await asyncio.open_connection('127.0.0.1', int(sys.argv[1]), limit=1 << 20)
    assert await reader.readline() == b'ready\n'
    answers = 0
    for number in range(25):
        question = f'client {client} asks {number}\n'.encode()
        writer.write(question)
        await writer.drain()
        answer = await reader.readline()
        assert answer == b'%d ' % number + question.upper().rstrip() * number + b'\n', answer
        answers += 1
    writer.write_eof()
    assert await reader.read() == b'bye\n'
    writer.close()
    await writer.wait_closed()
    return answers


async def main():
    clients = int(sys.argv[2])
    answers = await asyncio.gather(*(ask(client) for client in range(clients)))
    print(f'{clients} clients, {sum(answers)} answers')

asyncio.run(main())
