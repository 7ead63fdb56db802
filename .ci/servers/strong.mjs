// Certified providers behind TLS, with every feature for strong clients. Standard input
// has their settings as JSON: ca, cert and key (PEM), and servers, each with port,
// mtlsPort, fapi and clients. Prints "ready" when all of them listen.
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import https from 'node:https';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const jwks = { keys: [jwk('ec', { namedCurve: 'P-256' }), jwk('rsa', { modulusLength: 2048 })] };
const { ca, cert, key, servers } = JSON.parse(await text(process.stdin));
await Promise.all(servers.map(start));
console.log('ready');

function jwk(type, options) {
  return generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
}

async function start({ port, mtlsPort, fapi, clients }) {
  const issuer = `https://127.0.0.1:${port}`;
  const provider = new Provider(issuer, configuration(fapi, clients, `https://127.0.0.1:${mtlsPort}`));
  provider.on('server_error', (_, error) => console.error(error));
  for (const event of ['authorization.error', 'grant.error', 'userinfo.error', 'pushed_authorization_request.error', 'revocation.error']) {
    provider.on(event, ({ oidc }, { error, error_description: description, error_detail: detail }) => {
      console.error(`${event} for ${oidc.client?.clientId}: ${error} (${description}; ${detail})`);
    });
  }
  const callback = provider.callback();
  const handle = (request, response) => (request.url === '/resource' ? payments(provider, request, response) : callback(request, response));
  // DPoP proofs are for the URL that the client requested, so the alias keeps its host.
  const listen = (at, options) => new Promise((resolve, reject) => {
    https.createServer({ ca, cert, key, ...options }, handle).once('error', reject).listen(at, '127.0.0.1', resolve);
  });
  await listen(port, {});
  await listen(mtlsPort, { requestCert: true, rejectUnauthorized: false }); // which certificates are good depends on the client
}

// payments is an API for access tokens whose details allow payments.
async function payments(provider, request, response) {
  const token = await provider.AccessToken.find(request.headers.authorization?.match(/^Bearer (.*)$/)?.[1] ?? '');
  response.statusCode = token?.rar?.some(({ type }) => type === 'payment') ? 200 : 403;
  response.end('paid');
}

function configuration(fapi, clients, mtls) {
  const signing = fapi ? ['PS256', 'ES256', 'EdDSA'] : ['RS256', 'PS256', 'ES256', 'EdDSA'];
  const certificate = ({ socket }) => {
    const raw = socket.getPeerCertificate?.().raw;
    return raw && new X509Certificate(raw);
  };
  return {
    jwks,
    clients: clients.map((client) => ({
      grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256', ...client,
    })),
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false, // claims of scopes are in ID tokens
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: 'Ada Lovelace', email: `${sub}@example.test`, email_verified: true }),
    }),
    clientAuthMethods: fapi
      ? ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']
      : ['client_secret_basic', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
    enabledJWA: {
      clientAuthSigningAlgValues: fapi ? signing : ['HS256', ...signing],
      idTokenSigningAlgValues: signing, userinfoSigningAlgValues: signing, authorizationSigningAlgValues: signing,
      requestObjectSigningAlgValues: signing, dPoPSigningAlgValues: ['ES256', 'PS256', 'EdDSA'],
      idTokenEncryptionAlgValues: ['RSA-OAEP', 'RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
      userinfoEncryptionAlgValues: ['RSA-OAEP', 'RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
    },
    discovery: {
      mtls_endpoint_aliases: {
        token_endpoint: `${mtls}/token`, userinfo_endpoint: `${mtls}/me`, revocation_endpoint: `${mtls}/token/revocation`,
        pushed_authorization_request_endpoint: `${mtls}/request`,
      },
    },
    features: {
      backchannelLogout: { enabled: true },
      revocation: { enabled: true },
      userinfo: { enabled: true },
      jwtUserinfo: { enabled: true },
      encryption: { enabled: true },
      jwtResponseModes: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: fapi },
      requestObjects: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 'interop'), requireNonce: () => true },
      fapi: { enabled: fapi, profile: '2.0' },
      mTLS: {
        enabled: true, certificateBoundAccessTokens: true, tlsClientAuth: true, selfSignedTlsClientAuth: true,
        getCertificate: certificate,
        certificateAuthorized: ({ socket }) => socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) => (
          property === 'tls_client_auth_san_dns' && certificate(ctx).subjectAltName.split(', ').includes(`DNS:${expected}`)),
      },
      richAuthorizationRequests: {
        enabled: true,
        types: { payment: { validate: () => {} } },
        authorizationDetailsForGrantSource: (ctx) => ctx.oidc.params.authorization_details && JSON.parse(ctx.oidc.params.authorization_details),
        authorizationDetailsForAccessToken: (_, token, source) => source.rar,
        authorizationDetailsForIntrospection: (_, token) => token.rar,
      },
      resourceIndicators: { // the details are for a resource
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: '', accessTokenFormat: 'opaque' }),
      },
    },
    fetch: (url, { dispatcher, ...options }) => fetch(url, options), // the default fetch does not reach loopback
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: 12 },
    pkce: { required: () => true },
    cookies: { keys: ['interop'] },
  };
}
