// A world is an example with its provider and other sites, on the same or on
// different origins and sites.
//
// A site is a scheme and a registrable domain, without the port. 127.0.0.1 and
// localhost are two sites, and so are app.pixy.test and evil.test. Sibling.pixy.test
// is another origin of the same site as app.pixy.test.
import { fileURLToPath } from 'node:url';
import { freePort, start } from './programs.mjs';
import { pages, proxy } from './servers.mjs';

// names are the hosts of the certificate.
export const names = ['app.pixy.test', 'id.pixy.test', 'sibling.pixy.test', 'evil.test', 'localhost'];

const sessionKey = 'a session key of thirty-two bytes or more';
const onLoopback = { evil: 'http://localhost', sibling: 'http://127.0.0.1' };
const onTLS = { evil: 'https://evil.test', sibling: 'https://sibling.pixy.test' };

// embedded is an example without settings: http on loopback, with its own provider.
export async function embedded({ binaries }, example) {
  const address = `127.0.0.1:${await freePort()}`;
  const program = await start(`${binaries}/${example}`, { env: { ADDR: address, PATH: process.env.PATH } });
  return world(`${example}, http, embedded provider`, `http://${address}`, program, onLoopback);
}

// below is embedded for an example below a base path.
export const below = (basePath) => async ({ binaries }, example) => {
  const address = `127.0.0.1:${await freePort()}`;
  const program = await start(`${binaries}/${example}`, { env: { ADDR: address, BASE_PATH: basePath } });
  return world(`${example}, http, embedded provider, below ${basePath}`, `http://${address}`, program, onLoopback);
};

// tenants is an application with a host for each customer, on http.
export async function tenants({ binaries }, example) {
  const port = await freePort();
  const password = 'the administrator\'s password';
  const program = await start(`${binaries}/${example}`, { env: { ADDR: `127.0.0.1:${port}`, ADMIN_PASSWORD: password } });
  const at = (label) => `http://${label}.localhost:${port}`;
  return {
    ...await world(`${example}, http, embedded providers`, at('app'), program, onLoopback),
    at, password, unused: program.output().match(/issuer (http:\S+),/)[1],
  };
}

// entering is an application with providers of its own, on http, in many languages. It
// may have customers: ask, or mail.
export const entering = (signIn, customers = '') => async ({ binaries }, example) => {
  const address = `127.0.0.1:${await freePort()}`;
  const german = fileURLToPath(new URL('../../core/testdata/de.json', import.meta.url));
  const program = await start(`${binaries}/${example}`, { env: { ADDR: address, SIGN_IN: signIn, GERMAN: german, CUSTOMERS: customers } });
  return world(`${example}, http, two embedded providers, sign-in page ${signIn || 'of pixy'}${customers && `, customers: ${customers}`}`, `http://${address}`, program, onLoopback);
};

// loopback has its provider on another site: every login crosses sites twice.
export async function loopback({ binaries }, example) {
  const address = `127.0.0.1:${await freePort()}`;
  const provider = await startProvider(binaries, `http://${address}`);
  const program = await start(`${binaries}/${example}`, { env: { ADDR: address, ...provider } });
  return world(`${example}, http, provider on another site`, `http://${address}`, program, onLoopback);
}

// tls is like production: https names, and a proxy in front of each program.
export const tls = (parts, example) => behindProxy(parts, example);

// losing is tls with a proxy that drops the session's cookie.
export const losing = (parts, example) => behindProxy(parts, example, '-session');

async function behindProxy({ binaries, certificate }, example, lost) {
  const front = await proxy(certificate, lost);
  const app = `https://app.pixy.test:${front.port}`;
  const provider = await startProvider(binaries, app, certificate);
  const env = { ADDR: '127.0.0.1:0', OIDC_REDIRECT_URL: `${app}/auth/callback`, SSL_CERT_FILE: certificate.ca, ...provider };
  const program = await start(`${binaries}/${example}`, { env });
  front.forwardTo(program.url);
  const name = `${example}, https, provider on another site${lost ? ', a proxy that drops a cookie' : ''}`;
  return world(name, app, program, onTLS, certificate);
}

// lasting has an application that keeps tokens, and a provider that notifies it of a
// logout by back or front channel. They are on one site or two, with https or http.
export const lasting = ({ secure, sameSite, channel, providedBy }) => async ({ binaries, certificate }, example) => {
  const tlsOrNone = secure ? certificate : undefined;
  const [scheme, host, sibling] = secure ? ['https', 'app.pixy.test', 'id.pixy.test'] : ['http', '127.0.0.1', '127.0.0.1'];
  const fronts = { app: await proxy(tlsOrNone), provider: await proxy(tlsOrNone) };
  const app = `${scheme}://${host}:${fronts.app.port}`;
  const issuer = `${scheme}://${sameSite ? sibling : 'localhost'}:${fronts.provider.port}`;
  const trusting = { SSL_CERT_FILE: certificate.ca };
  const provider = await start(`${binaries}/${providedBy ?? example}`, { args: ['provider', issuer, app], env: trusting });
  fronts.provider.forwardTo(provider.url);
  const program = await start(`${binaries}/${example}`, {
    env: {
      ADDR: '127.0.0.1:0', OIDC_REDIRECT_URL: `${app}/auth/callback`, OIDC_ISSUER: issuer, OIDC_CLIENT_ID: channel,
      SESSION_KEY: sessionKey, SCRIPTS: fileURLToPath(new URL('node_modules', import.meta.url)), ...trusting,
    },
  });
  fronts.app.forwardTo(program.url);
  const name = `${example}, ${scheme}, provider on ${sameSite ? 'the same' : 'another'} site, ${channel} channel`;
  return {
    ...await world(name, app, program, secure ? onTLS : onLoopback, tlsOrNone),
    provider: issuer, channel, seen: async () => (await fetch(`${provider.url}/seen`)).json(),
  };
};

// withoutProvider starts an example whose provider is down, and returns its URL.
export async function withoutProvider({ binaries }, example) {
  const address = `127.0.0.1:${await freePort()}`;
  const issuer = `http://127.0.0.1:${await freePort()}`;
  await start(`${binaries}/${example}`, {
    env: { ADDR: address, OIDC_ISSUER: issuer, OIDC_CLIENT_ID: 'any', SESSION_KEY: sessionKey },
  });
  return `http://${address}`;
}

// startProvider starts a provider at localhost, and returns the settings for an
// example.
async function startProvider(binaries, app, certificate) {
  const front = await proxy(certificate);
  const issuer = `${certificate ? 'https' : 'http'}://localhost:${front.port}`;
  const program = await start(`${binaries}/provider`, { args: [issuer, `${app}/auth/callback`, `${app}/`] });
  front.forwardTo(program.url);
  return { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: 'pixy-example', SESSION_KEY: sessionKey };
}

// world adds two other origins to an application, which serve the same pages.
async function world(name, app, program, { evil, sibling }, certificate) {
  const port = await pages(certificate, {
    '/link': `<a href="${app}/me">To the application</a>`,
    '/trap': `<a href="${app}/auth/login?return_to=//evil.test/">To the application</a>`,
    '/forms': `<form method="post" action="${app}/me"><button>Look</button></form>
      <form method="post" action="${app}/auth/logout"><button>You have won</button></form>`,
    '/frames': `<iframe src="${app}/auth/login"></iframe><iframe src="${app}/me"></iframe>`,
  });
  return {
    name, app, evil: `${evil}:${port}`, sibling: `${sibling}:${port}`,
    secure: app.startsWith('https:'), output: program.output,
  };
}
