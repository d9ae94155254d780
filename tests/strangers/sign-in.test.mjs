// Microsoft's own libraries sign in at the simulated Entra: by secret, by certificate in both forms, as a person, and renew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADA, DESK, LIMIT, SIGN_IN, against, claims, microsoft, run, visit } from './stage.mjs';

// MSAL looks into its cache for scopes as it asked for them. Where Entra writes them in full it asks again each time: no harm done.
const cases = Object.entries(SIGN_IN).flatMap(([name, program]) => ['short', 'qualified'].map((scope) => [name, program, scope]));

for (const [name, program, scope] of cases) {
  test(`${name} signs in, scopes answered ${scope}`, { timeout: LIMIT }, async () => {
    const ms = await microsoft('--messages', '3', '--reading', `grantedScope=${scope}`);
    try {
      const certificates = await run([program[0].endsWith('python') ? program[0] : 'python/bin/python', 'clients/certificates.py'], ms.facts);
      await ms.control('add-certificate', { clientId: ms.facts.clientId, pem: certificates.own.certificate });
      const facts = { ...ms.facts, certificates };
      const { result } = await run(program, facts, (url) => visit(ms, ADA, url));
      for (const proof of ['secret', 'certificate', 'olderCertificate']) {
        assert.equal(typeof result[proof], 'string', `${proof}: ${JSON.stringify(result[proof])}`);
        assert.deepEqual(claims(result[proof]).roles, ['Mail.ReadWrite'], proof);
        const mail = await ms.ask('GET', `/v1.0/users/${DESK}/messages`, { authorization: `Bearer ${result[proof]}` });
        assert.deepEqual([mail.status, mail.json().value.length], [200, 3], proof);
      }
      const refused = (proof, number) => assert.match(result[proof].refused ?? 'a token', new RegExp(`invalid_client[^]*AADSTS${number}:`), proof);
      refused('wrongSecret', 7000215);
      refused('otherCertificate', 700027);
      refused('wrongKey', 700027);
      const { person } = result;
      assert.equal(person.who, ADA);
      assert.ok(person.name);
      assert.equal(claims(person.first).scp.split(' ').includes('Mail.ReadWrite'), true);
      assert.equal(person.cached === person.first, scope === 'short', 'nothing is asked for while the token lives');
      assert.notEqual(person.renewed, person.first, 'the refresh token was redeemed');
      const me = await ms.ask('GET', '/v1.0/me', { authorization: `Bearer ${person.renewed}` });
      assert.deepEqual([me.status, me.json().mail], [200, ADA]);
      assert.match(person.again, /invalid_grant[^]*AADSTS54005:/, 'a code is good once');
      assert.deepEqual(against(ms), []);
    } finally {
      await ms.stop();
    }
  });
}
