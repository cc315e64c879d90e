// SPDX-License-Identifier: Apache-2.0
// http_client.js PORT: eight requests over two kept-alive connections to http_server.js, checking each answer.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const http = require('http');

const port = Number(process.argv[2]);
const agent = new http.Agent({keepAlive: true, maxSockets: 2});

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({host: '127.0.0.1', port, method, path, agent}, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve(Buffer.concat(parts)));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function echo(size) {
  const body = crypto.randomBytes(size);
  assert(body.equals(await ask('POST', '/echo', body)));
}

async function chunks() {
  const lines = Array.from({length: 20}, (_, line) => `chunk ${line}\n`).join('');
  assert.strictEqual((await ask('GET', '/chunks')).toString(), lines);
}

Promise.all([chunks(), echo(1), echo(300000), chunks(), echo(70000), chunks(), echo(16384), echo(16385)])
    .then(() => agent.destroy(), (error) => {
      console.error(error);
      process.exit(1);
    });
