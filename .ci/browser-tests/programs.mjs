// The programs under test: the examples and their provider.
import { spawn } from 'node:child_process';
import net from 'node:net';

const running = new Set();
process.on('exit', stopAll);

// start runs a program until stopAll, and waits for the URL that it prints.
export function start(binary, { args = [], env = {} }) {
  const child = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let printed = '';
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${binary} ${why}; it printed:\n${printed}`));
    child.on('error', reject);
    child.on('exit', (code) => fail(`ended with ${code}`));
    setTimeout(fail, 30_000, 'prints no URL').unref();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        printed += chunk;
        const url = printed.match(/open (http:\/\/\S+)\/ in a browser/)?.[1];
        if (url) resolve({ url, output: () => printed });
      });
    }
  });
}

// stopAll ends the programs with a signal that lets them stop their children.
export function stopAll() {
  for (const child of running) child.kill('SIGTERM');
  running.clear();
}

// freePort finds a free port below the ephemeral range, so that no connection
// takes it before the program listens.
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
