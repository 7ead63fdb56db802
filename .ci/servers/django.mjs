// Starts django_server.py: an OpenID provider by other authors, in another language.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Browser } from './browser.mjs';
import * as program from './program.mjs';

export const client = { id: 'django', secret: 'dj:ango%and+its/toolkit' };

// start runs it for an application at appURL with one callback. Python needs the
// packages in requirements.txt.
export async function start(python, port, appURL, callback) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pixy-django-'));
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const issuer = `http://127.0.0.1:${port}/o`;
  const script = path.join(import.meta.dirname, 'django_server.py');
  const running = program.start(python, [script], {
    PORT: String(port), ISSUER: issuer, DATABASE: path.join(folder, 'sqlite'), CALLBACK: callback, HOME_URL: `${appURL}/`,
    CLIENT_ID: client.id, CLIENT_SECRET: client.secret,
    OAUTHLIB_INSECURE_TRANSPORT: '1', // loopback
  });
  const tell = (what) => new Browser().get(`http://127.0.0.1:${port}/${what}`);
  const tokenRequests = async () => Number((await tell('token-requests')).body);
  try {
    await program.eventually(tokenRequests);
  } catch (error) {
    throw new Error(`Django did not start: ${running.output()}`, { cause: error });
  }
  return { issuer, tokenRequests, endGrants: () => tell('end-grants'), output: running.output, stop: running.kill };
}
