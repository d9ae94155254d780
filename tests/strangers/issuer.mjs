// An issuer of tokens that an app may trust: its discovery document and keys on loopback, and tokens signed with them.
import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** RS256, which is the only one Entra takes. */
export function signed(claims, privateKey, header = {}) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${encoded({ alg: 'RS256', typ: 'JWT', ...header })}.${encoded({ iat: now, nbf: now, exp: now + 300, jti: randomUUID(), ...claims })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey).toString('base64url')}`;
}

export const newKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 });

/** The issuer at http://127.0.0.1:PORT. */
export async function issuer() {
  const { publicKey, privateKey } = newKey();
  const server = createServer((request, response) => {
    const document = request.url === '/keys' ? { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1' }] } : { issuer: url, jwks_uri: `${url}/keys` };
    response.end(JSON.stringify(document));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const token = (claims, key = privateKey) => signed({ iss: url, ...claims }, key, { kid: 'k1' });
  return { url, token, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}
