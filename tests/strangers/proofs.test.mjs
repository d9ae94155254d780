// Postroom proves its app to a certified OpenID provider that nobody here wrote: private_key_jwt with its certificate, and a token in a file.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Provider from 'oidc-provider';
import { newKey, signed } from './issuer.mjs';
import { LIMIT, PYTHON, run } from './stage.mjs';

const RESOURCE = 'https://graph.example';

/** The provider at http://127.0.0.1:PORT, with these clients; how many tokens it gave, and every refusal. */
async function provider(clients) {
  const server = createServer((request, response) => there(request, response));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const oidc = new Provider(origin, {
    clients: clients.map((client) => ({
      redirect_uris: [], response_types: [], grant_types: ['client_credentials'], token_endpoint_auth_method: 'private_key_jwt', scope: `${RESOURCE}/.default`, ...client,
    })),
    scopes: [`${RESOURCE}/.default`],
    features: { clientCredentials: { enabled: true } },
  });
  const there = oidc.callback();
  const seen = { given: 0, refused: [] };
  oidc.on('grant.success', () => { seen.given += 1; });
  oidc.on('grant.error', (ctx, error) => seen.refused.push(`${error.error} ${error.error_detail}`));
  return { origin, seen, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

/** The command line over a data directory of its own: exit code and what it said. */
function postroom(trusted, directory) {
  const env = { ...process.env, POSTROOM_DATA_DIR: join(directory, 'data'), POSTROOM_TRUST_ENDPOINTS: trusted };
  return (args) => new Promise((resolve) => {
    execFile(join(process.env.POSTROOM_BINARIES, 'postroom'), ['--json', ...args], { env }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
}

test('a certificate and a token in a file prove the app', { timeout: LIMIT }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postroom-proofs-'));
  const { own, other } = await run([PYTHON, 'clients/certificates.py'], {});
  const federated = newKey();
  const jwk = (key, alg) => ({ ...createPublicKey(key).export({ format: 'jwk' }), alg, use: 'sig' });
  const there = await provider([
    { client_id: 'by-certificate', token_endpoint_auth_signing_alg: 'PS256', jwks: { keys: [jwk(own.certificate, 'PS256')] } },
    { client_id: 'by-token', token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [jwk(federated.privateKey, 'RS256')] } },
  ]);
  const cli = postroom(there.origin, directory);
  const file = (name, text) => { writeFileSync(join(directory, name), text); return join(directory, name); };
  const add = (id, clientId, ...proof) => cli([
    'credential', 'add', '--id', id, '--grant', 'client-credentials', '--token-url', `${there.origin}/token`, '--client-id', clientId,
    '--scope', `${RESOURCE}/.default`, '--graph-url', `${there.origin}/v1.0`, ...proof,
  ]);
  const good = async (done) => { const { code, stdout, stderr } = await done; assert.equal(code, 0, `${stdout}${stderr}`); };
  try {
    await good(add('own', 'by-certificate', '--certificate', file('own.pem', own.certificate + own.key)));
    await good(add('other', 'by-certificate', '--certificate', file('other.pem', other.certificate + other.key)));
    await good(cli(['credential', 'authorize', 'own']));
    // A new assertion each time: the provider takes none twice.
    await good(cli(['credential', 'authorize', 'own']));
    const refused = await cli(['credential', 'authorize', 'other']);
    assert.notEqual(refused.code, 0, refused.stdout);
    assert.match(there.seen.refused.at(-1), /^invalid_client/);

    const token = (aud) => signed({ iss: 'by-token', sub: 'by-token', aud }, federated.privateKey);
    const path = file('token', token(`${there.origin}/token`));
    await good(add('token', 'by-token', '--federated-token-file', path));
    await good(cli(['credential', 'authorize', 'token']));
    const twice = await cli(['credential', 'authorize', 'token']);
    assert.notEqual(twice.code, 0, 'the same token again is refused by this provider');
    assert.match(there.seen.refused.at(-1), /used once/);
    file('token', token('https://somebody.example'));
    assert.notEqual((await cli(['credential', 'authorize', 'token'])).code, 0, 'another audience');
    file('token', token(there.origin));
    await good(cli(['credential', 'authorize', 'token']));
    assert.equal(there.seen.given, 4);
    assert.equal(there.seen.refused.length, 3, there.seen.refused.join('\n'));
  } finally {
    await there.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
