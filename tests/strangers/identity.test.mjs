// azure-identity, which Azure's SDKs get their tokens from, at the simulated Entra: by secret, certificate, an issuer's assertion, a code.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issuer, newKey } from './issuer.mjs';
import { ADA, DESK, LIMIT, PYTHON, claims, microsoft, run, visit } from './stage.mjs';

const AUDIENCE = 'api://AzureADTokenExchange';
const SUBJECT = 'system:serviceaccount:Mail:postroom';

test('azure-identity for Python, without and with a secret', { timeout: LIMIT }, async () => {
  const ms = await microsoft('--messages', '3');
  const trusted = await issuer();
  try {
    const { clientId, redirectUri } = ms.facts;
    const certificates = await run([PYTHON, 'clients/certificates.py'], ms.facts);
    await ms.control('add-certificate', { clientId, pem: certificates.own.certificate });
    await ms.control('add-federated', { clientId, issuer: trusted.url, subject: SUBJECT, audience: AUDIENCE });
    const assertions = {
      good: trusted.token({ sub: SUBJECT, aud: AUDIENCE }),
      otherSubject: trusted.token({ sub: 'somebody', aud: AUDIENCE }),
      otherCase: trusted.token({ sub: SUBJECT.toLowerCase(), aud: AUDIENCE }),
      otherKey: trusted.token({ sub: SUBJECT, aud: AUDIENCE }, newKey().privateKey),
    };
    const asked = { client_id: clientId, response_type: 'code', redirect_uri: redirectUri, scope: 'openid offline_access Mail.ReadWrite', state: 's', prompt: 'select_account' };
    const authorize = `${ms.facts.authorizationUrl}?${new URLSearchParams(asked)}`;
    const { result } = await run([PYTHON, 'clients/identity.py'], { ...ms.facts, certificates, assertions, authorize }, (url) => visit(ms, ADA, url));
    for (const proof of ['secret', 'certificate', 'assertion']) {
      assert.equal(typeof result[proof], 'string', `${proof}: ${JSON.stringify(result[proof])}`);
      assert.deepEqual(claims(result[proof]).roles, ['Mail.ReadWrite'], proof);
      const mail = await ms.ask('GET', `/v1.0/users/${DESK}/messages`, { authorization: `Bearer ${result[proof]}` });
      assert.deepEqual([mail.status, mail.json().value.length], [200, 3], proof);
    }
    const numbers = { wrongSecret: 7000215, otherCertificate: 700027, otherSubject: 700213, otherCase: 7002138, otherKey: 50012 };
    for (const [proof, number] of Object.entries(numbers)) assert.match(result[proof].refused ?? 'a token', new RegExp(`AADSTS${number}:`), proof);
    assert.equal(typeof result.person, 'string', JSON.stringify(result.person));
    assert.ok(claims(result.person).scp.split(' ').includes('Mail.ReadWrite'));
  } finally {
    await ms.stop();
    await trusted.stop();
  }
});
