// The console's own sign-in in a real browser, against a certified OpenID provider: a public client, PKCE alone.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import Provider from 'oidc-provider';
import { LIMIT, browser, freePort, postroom, shot } from './bench.mjs';

let chromium;
before(async () => { chromium = await browser(); });
after(async () => { await chromium?.close(); });

const ROLES = { ada: ['ops'], ben: ['readers'], cat: ['others'] };

/** The provider on http://127.0.0.1:PORT. It asks for a name and believes it. */
async function provider(redirectUri) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const oidc = new Provider(origin, {
    clients: [{ client_id: 'console', redirect_uris: [redirectUri], grant_types: ['authorization_code'], token_endpoint_auth_method: 'none' }],
    scopes: ['openid', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, preferred_username: `${sub}@provider.example`, groups: ROLES[sub] }) }),
  });
  const server = createServer(oidc.callback());
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { origin, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

async function signIn(page, who) {
  await page.click('#sign-in');
  await page.fill('input[name=login]', who);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
  const ours = page.locator('span.brand');
  await page.locator('button[type=submit]:not(:has-text("Sign-in")), span.brand').first().waitFor();
  while (await ours.count() === 0) {
    await page.click('button[type=submit]');
    await page.waitForLoadState();
  }
}

test('an operator, a viewer and a stranger', { timeout: 4 * LIMIT }, async () => {
  const port = await freePort();
  const there = await provider(`http://localhost:${port}/sign-in/callback`);
  const desk = await postroom(there.origin, port, {
    POSTROOM_SIGN_IN_ISSUER: there.origin, POSTROOM_SIGN_IN_CLIENT_ID: 'console', POSTROOM_SIGN_IN_CLAIM: 'groups', POSTROOM_SIGN_IN_OPERATORS: 'ops', POSTROOM_SIGN_IN_VIEWERS: 'readers',
  });
  const windows = [];
  const open = async (who) => {
    const context = await chromium.newContext();
    windows.push(context);
    context.setDefaultTimeout(LIMIT);
    const page = await context.newPage();
    await page.goto(`${desk.publicUrl}/accounts`);
    await shot(page, 'door');
    await signIn(page, who);
    return page;
  };
  try {
    const ada = await open('ada');
    assert.equal(await ada.textContent('h1'), 'Credentials');
    assert.equal(await ada.locator('text=+ New credential').count(), 1);
    await ada.goto(`${desk.publicUrl}/health`);
    assert.equal(await ada.textContent('#me'), 'ada@provider.example (operator)');
    await shot(ada, 'health-operator');

    const ben = await open('ben');
    assert.equal(await ben.textContent('h1'), 'Credentials');
    assert.equal(await ben.locator('text=+ New credential').count(), 0);
    assert.equal((await ben.goto(`${desk.publicUrl}/accounts/new`)).status(), 403);
    await shot(ben, 'for-operators');

    const cat = await open('cat');
    assert.equal(await cat.textContent('h1'), 'Not signed in');
    assert.equal(await cat.textContent('#subject'), 'cat');
    await shot(cat, 'no-role');
    assert.equal((await cat.goto(`${desk.publicUrl}/credentials`)).status(), 401);

    // Out, by the button; the way back leads into nothing.
    await ada.goto(`${desk.publicUrl}/health`);
    await ada.click('text=Sign out of the console');
    assert.equal(await ada.textContent('h1'), 'Signed out');
    assert.equal((await ada.goto(`${desk.publicUrl}/credentials`)).status(), 401);
    // The link of this machine still opens it.
    const { url } = await desk.cli(['console', '--no-browser']);
    await ada.goto(url);
    await ada.click('#continue');
    await ada.waitForURL('**/credentials');
    const acts = JSON.stringify(await desk.cli(['audit']));
    assert.ok(acts.includes('console: ben@provider.example'), acts);
  } finally {
    for (const context of windows) await context.close();
    await desk.stop();
    await there.stop();
  }
});
