# SPDX-License-Identifier: Apache-2.0
"""python3's asyncio, client and server."""

import unittest

from scenario import HERE, PYTHON, Scenario


class AsyncioTest(Scenario):

    def test_asyncio_client_and_server(self):
        port = self.free_port()
        self.record({
            'servers': [{'argv': [PYTHON, str(HERE / 'programs' / 'asyncio_server.py'), str(port)],
                         'ready': {'tcp': port}, 'status': [0]}],
            'clients': [[{'argv': [PYTHON, str(HERE / 'programs' / 'asyncio_client.py'), str(port), '8'],
                          'stdout': self.path('answers')}]],
        }, [port])
        self.assertEqual(self.read('answers'), b'8 clients, 200 answers\n')
        self.assert_told_right(port, 8, [b'client 0 asks 0\n', b'client 7 asks 24\n'], [b'ready\n', b'bye\n'])


if __name__ == '__main__':
    unittest.main()
