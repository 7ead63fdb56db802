// A private certificate authority for one run.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';

// certify creates an authority and one certificate for names, in a directory.
export function certify(directory, names) {
  const file = (name) => `${directory}/${name}`;
  const common = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  run('openssl', ...common, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/CN=pixy test authority',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign');
  run('openssl', ...common, '-keyout', file('server.key'), '-out', file('server.pem'), '-subj', '/CN=pixy test server',
    '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-addext', 'basicConstraints=critical,CA:FALSE',
    '-addext', 'extendedKeyUsage=serverAuth', '-addext', `subjectAltName=${names.map((name) => `DNS:${name}`).join()}`);
  return { ca: file('ca.pem'), key: readFileSync(file('server.key')), cert: readFileSync(file('server.pem')) };
}

// trust makes Chromium trust an authority for servers when HOME is home. All
// checks stay on: a wrong name is still rejected.
export function trust(home, ca) {
  const database = `${home}/.pki/nssdb`;
  mkdirSync(database, { recursive: true });
  run('certutil', '-d', `sql:${database}`, '-N', '--empty-password');
  run('certutil', '-d', `sql:${database}`, '-A', '-t', 'C,,', '-n', 'pixy test authority', '-i', ca);
}

function run(program, ...options) {
  execFileSync(program, options, { stdio: ['ignore', 'ignore', 'pipe'] });
}
