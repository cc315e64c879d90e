# SPDX-License-Identifier: Apache-2.0
"""curl and nginx: keep-alive, and 10 MB each way; node's own client and server."""

import os
import unittest

from scenario import HERE, Scenario, program

# What Debian's nginx.conf says of transfers, with everything it writes in the scenario's directory.
NGINX_CONF = '''
daemon {daemon};
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
{user}
events {{ worker_connections 768; }}
http {{
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log {dir}/access.log;
  client_body_temp_path {dir}/nginx-body;
  proxy_temp_path {dir}/nginx-proxy;
  fastcgi_temp_path {dir}/nginx-fastcgi;
  uwsgi_temp_path {dir}/nginx-uwsgi;
  scgi_temp_path {dir}/nginx-scgi;
  client_max_body_size 64m;
  gzip on;
  server {{
    listen 127.0.0.1:{port};
    root {dir}/www;
    location /put/ {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
'''


def nginx_conf(scenario, port, daemon='off'):
    """Writes an nginx.conf that serves the scenario's www/ and takes PUT below www/put/. Returns its path."""
    scenario.write('www/hello.txt', 'hello, world\n')
    scenario.write('www/page.html', '<!doctype html>\n' + ''.join(f'<p>line {n}</p>\n' for n in range(400)))
    put = scenario.dir / 'www' / 'put'
    put.mkdir(exist_ok=True)
    put.chmod(0o777)  # the workers' user writes here
    user = 'user www-data;' if os.geteuid() == 0 else ''
    return scenario.write('nginx.conf', NGINX_CONF.format(dir=scenario.dir, port=port, daemon=daemon, user=user))


class HttpTest(Scenario):

    def nginx(self, port):
        return {'argv': [program('nginx'), '-c', nginx_conf(self, port)], 'ready': {'tcp': port}, 'stop': 'SIGQUIT'}

    def test_curl_and_nginx_with_several_requests_on_one_connection(self):
        port = self.free_port()
        base = f'http://127.0.0.1:{port}'
        self.record({
            'servers': [self.nginx(port)],
            'clients': [[{'argv': [program('curl'), '-sS', f'{base}/hello.txt', f'{base}/page.html', f'{base}/missing',
                                   '--compressed', f'{base}/page.html', f'{base}/hello.txt'],
                          'stdout': self.path('answers')}]],
        }, [port])
        self.assertTrue(self.read('answers').endswith(b'hello, world\n'))
        self.assert_told_right(port, 1, [b'GET /hello.txt HTTP/1.1', b'GET /missing'],
                               [b'hello, world\n', b'404 Not Found', b'Content-Encoding: gzip'])
        if self.tale:
            conn, = self.tale.connections(port=port)
            self.assertEqual(self.tale.side(conn, 'client').count(b' HTTP/1.1\r\n'), 5)

    def test_curl_and_nginx_with_10_MB_each_way(self):
        port = self.free_port()
        base = f'http://127.0.0.1:{port}'
        down, up = os.urandom(10_000_000), os.urandom(10_000_000)
        self.write('www/big.bin', down)
        source = self.write('up.bin', up)
        self.record({
            'servers': [self.nginx(port)],
            'clients': [[{'argv': [program('curl'), '-sS', '-o', self.path('down.bin'), f'{base}/big.bin']}],
                        [{'argv': [program('curl'), '-sS', '-f', '-T', source, f'{base}/put/up.bin']}]],
        }, [port])
        self.assertTrue(self.read('down.bin') == down)
        self.assertTrue(self.read('www/put/up.bin') == up)
        self.assert_told_right(port, 2, [up, b'GET /big.bin'], [down, b'201 Created'])

    def test_node_client_and_server(self):
        port = self.free_port()
        self.record({
            'servers': [{'argv': [program('node'), str(HERE / 'programs' / 'http_server.js'), str(port)],
                         'ready': {'tcp': port}}],
            'clients': [[{'argv': [program('node'), str(HERE / 'programs' / 'http_client.js'), str(port)]}]],
        }, [port])
        self.assert_told_right(port, 2, [b'POST /echo', b'GET /chunks'], [b'chunk 19\n', b'Transfer-Encoding: chunked'])


if __name__ == '__main__':
    unittest.main()
