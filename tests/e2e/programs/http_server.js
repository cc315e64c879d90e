// SPDX-License-Identifier: Apache-2.0
// http_server.js PORT: answers /chunks with twenty chunks and /echo with the body it was sent. Ends at SIGTERM.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
  if (request.url === '/echo') {
    response.writeHead(200, {'Content-Type': 'application/octet-stream'});
    request.pipe(response);
    return;
  }
  response.writeHead(200, {'Content-Type': 'text/plain'});
  let line = 0;
  const next = () => {
    if (line === 20) return response.end();
    response.write(`chunk ${line++}\n`);
    setImmediate(next);
  };
  next();
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
