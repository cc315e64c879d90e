# SPDX-License-Identifier: Apache-2.0
"""nginx is told to read its configuration again, with a download going on; then to be another binary; each time it goes
on answering."""

import hashlib
import http.client
import os
import pathlib
import signal

from stage import Stage, free_port, program

_CONF = '''
daemon on;
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {dir}/www;
    location = /which {{ return 200 "{which}"; }}
    location = /missing {{ return 404 "gone"; }}
  }}
}}
'''


def main():
    stage, port = Stage(), free_port()
    user = 'user www-data;' if os.geteuid() == 0 else ''

    def configure(which):
        return stage.write('nginx.conf', _CONF.format(dir=stage.dir, port=port, which=which, user=user))

    def ask(path):
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        connection.request('GET', path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return [answer.status, body.decode() if len(body) < 100 else hashlib.sha256(body).hexdigest()]

    def answers(paths=('/which', '/missing', '/big')):
        for path in paths:
            stage.answer(path, ask(path))

    def pid():
        return int(stage.read('nginx.pid') or 0)

    def children(master):
        listed = pathlib.Path(f'/proc/{master}/task/{master}/children')
        return listed.read_text().split() if listed.exists() else []

    def workers(master):
        return len(children(master))

    def takes_no_more(worker):
        try:
            return b'shutting down' in pathlib.Path(f'/proc/{worker}/cmdline').read_bytes()
        except OSError:
            return True

    stage.write('www/big', bytes(range(251)) * 20_000)
    # As a daemon: nginx takes a new binary only when its parent is not the one that started it.
    stage.start([program('nginx'), '-c', configure('first')], 'nginx.log').wait()
    old = stage.until(pid, 'nginx to write its pid')
    stage.until(lambda: workers(old) == 2, 'nginx to start')
    answers()

    # A download begun before the reload is finished by the worker that began it.
    slow = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    slow.request('GET', '/big')
    answer = slow.getresponse()
    begun = answer.read(1000)
    configure('second')
    first = children(old)
    os.kill(old, signal.SIGHUP)
    stage.until(lambda: ask('/which')[1] == 'second', 'the new configuration')
    stage.until(lambda: all(map(takes_no_more, first)), 'the old workers to take no more')
    answers()
    stage.answer('download over the reload', hashlib.sha256(begun + answer.read()).hexdigest())
    slow.close()
    stage.until(lambda: workers(old) == 2, 'the old workers to end')

    # The upgrade as nginx's manual has it: USR2, WINCH, QUIT.
    configure('third')
    os.kill(old, signal.SIGUSR2)
    new = stage.until(lambda: pid() not in (0, old) and pid(), 'the new binary')
    stage.until(lambda: workers(new) == 2, "the new binary's workers")
    stage.look()
    os.kill(old, signal.SIGWINCH)
    stage.until(lambda: workers(old) <= 1, 'the old workers to end')  # what is left is the new master
    answers()
    os.kill(old, signal.SIGQUIT)
    stage.until(lambda: stage.gone(old), 'the old binary to end')
    answers()
    stage.answer('pid file', pid() == new)
    stage.end(new, signal.SIGQUIT)
    stage.finish()


if __name__ == '__main__':
    main()
