// The same way against a certified OpenID provider that nobody here wrote: PKCE, the id token, rotation with reuse detection.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import { LIMIT, browser, freePort, postroom, until } from './bench.mjs';

let chromium;
before(async () => { chromium = await browser(); });
after(async () => { await chromium?.close(); });

/** The provider on http://127.0.0.1:PORT; what it granted is kept, so that it can be taken back. */
async function provider(redirectUri) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const oidc = new Provider(origin, {
    clients: [{ client_id: 'postroom', client_secret: 'a-secret-of-the-test', redirect_uris: [redirectUri], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_post' }],
    scopes: ['openid', 'profile', 'offline_access', 'Mail.ReadWrite'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    // Over at once: every look at the token renews it.
    ttl: { AccessToken: 2, IdToken: 3600, RefreshToken: 86_400, Grant: 86_400, Interaction: 3600, Session: 86_400 },
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, name: `Person ${sub}`, preferred_username: `${sub}@provider.example` }) }),
  });
  const seen = { grants: 0, reused: 0, grantId: null };
  oidc.on('grant.success', (ctx) => { seen.grants += 1; seen.grantId = ctx.oidc.entities.Grant?.jti ?? seen.grantId; });
  oidc.on('grant.error', (ctx, error) => { if (`${error.error_detail}`.includes('already used')) seen.reused += 1; });
  const server = createServer(oidc.callback());
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { origin, oidc, seen, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

async function signIn(page, who) {
  await page.fill('input[name=login]', who);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  await page.locator('button[type=submit]:not(:has-text("Sign-in")), #outcome').first().waitFor();
  while (await page.locator('#outcome').count() === 0) {
    await page.click('button[type=submit]');
    await page.waitForLoadState();
  }
}

test('sign in, rotate, be revoked, sign in again', { timeout: 4 * LIMIT }, async () => {
  const port = await freePort();
  const there = await provider(`http://localhost:${port}/OAuth2Callback`);
  const desk = await postroom(there.origin, port);
  const context = await chromium.newContext();
  context.setDefaultTimeout(LIMIT);
  const page = await context.newPage();
  try {
    await desk.cli(['credential', 'add', '--id', 'other', '--description', 'a provider of somebody else', '--grant', 'authorization-code', '--authorization-url', `${there.origin}/auth?prompt=consent`,
      '--token-url', `${there.origin}/token`, '--client-id', 'postroom', '--client-secret-stdin', '--scope', 'Mail.ReadWrite offline_access', '--graph-url', `${there.origin}/v1.0`], 'a-secret-of-the-test');
    const link = async () => (await desk.cli(['credential', 'authorize', 'other', '--no-browser', '--no-wait'])).url;
    await page.goto(await link());
    await page.click('#continue');
    await signIn(page, 'ada');
    assert.equal(await page.textContent('h1'), 'Signed in', await page.textContent('main'));
    assert.equal(await page.textContent('#who'), 'ada@provider.example');
    await desk.cli(['account', 'add', '--id', 'mine', '--mailbox', 'me', '--credential', 'other', '--start', 'everything', '--disabled']);
    const check = async () => {
      const steps = (await desk.cli(['account', 'check', 'mine']).catch((error) => JSON.parse(error.message.slice(error.message.indexOf('{'), error.message.lastIndexOf('}') + 1)))).steps;
      return steps.find((step) => step.what === 'access token');
    };
    const before = there.seen.grants;
    for (let turn = 0; turn < 6; turn += 1) assert.equal((await check()).ok, true, JSON.stringify(await check()));
    assert.ok(there.seen.grants - before >= 6, `${there.seen.grants - before} renewals`);
    assert.equal(there.seen.reused, 0, 'no refresh token was used twice');
    await there.oidc.RefreshToken.revokeByGrantId(there.seen.grantId);
    assert.equal((await check()).ok, false, 'revoked');
    const shown = await desk.cli(['credential', 'show', 'other']);
    assert.equal(shown.needs_sign_in, false, 'one refusal troubles nobody yet');
    await page.goto(await link());
    await page.click('#continue');
    await page.locator('button[type=submit], #outcome').first().waitFor();
    while (await page.locator('#outcome').count() === 0) {
      await page.click('button[type=submit]');
      await page.waitForLoadState();
    }
    assert.equal(await page.textContent('h1'), 'Signed in', await page.textContent('main'));
    await until('a token', async () => (await check()).ok);
  } finally {
    await context.close();
    await desk.stop();
    await there.stop();
  }
});
