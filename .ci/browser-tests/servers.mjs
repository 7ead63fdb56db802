// Web servers in this process: a proxy that terminates TLS, and sites with hostile
// pages.
import http from 'node:http';
import https from 'node:https';

const running = [];

// proxy listens on loopback, with TLS if there is a certificate. It passes all
// requests to the program that forwardTo sets later, because the program needs
// the proxy's port before it starts. It drops each Set-Cookie whose name
// contains lost.
export async function proxy(certificate, lost) {
  let target;
  const port = await listen(certificate, (request, response) => {
    const { method, url: path, headers } = request;
    const onward = http.request(target, { method, path, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, lost ? without(lost, answer.rawHeaders) : answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  return { port, forwardTo: (url) => { target = url; } };
}

// without removes the cookies whose name contains lost.
function without(lost, rawHeaders) {
  const kept = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = rawHeaders.slice(i, i + 2);
    if (name.toLowerCase() !== 'set-cookie' || !value.split('=')[0].includes(lost)) kept.push(name, value);
  }
  return kept;
}

// pages serves HTML by path, and returns the port.
export function pages(certificate, byPath) {
  return listen(certificate, (request, response) => {
    const page = byPath[request.url];
    response.writeHead(page ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><title>Another site</title>${page ?? ''}`);
  });
}

export function closeAll() {
  for (const server of running.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
}

function listen(certificate, handle) {
  const server = certificate ? https.createServer(certificate, handle) : http.createServer(handle);
  running.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}
