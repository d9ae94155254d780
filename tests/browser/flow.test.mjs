// The whole story in a real browser: Postroom at http://localhost, the simulated Microsoft at http://127.0.0.1: two sites.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LIMIT, browser, formsOf, freePort, microsoft, postroom, shot, until } from './bench.mjs';

const ADA = 'ada@harbour-homes.example';
const BEN = 'ben@harbour-homes.example';
let chromium;

before(async () => { chromium = await browser(); });
after(async () => { await chromium?.close(); });

/** Postroom, its Microsoft, a window; and at the end: no cookie of ours there, no secret in a page or in the log. */
async function stage(options, story) {
  const port = await freePort();
  const ms = await microsoft('--messages', '0', '--user', ADA, '--user', BEN, '--redirect-uri', `http://localhost:${port}/OAuth2Callback`);
  const desk = await postroom(ms.facts.origin, port);
  const context = await chromium.newContext(options);
  context.setDefaultTimeout(LIMIT);
  const page = await context.newPage();
  const sent = [];
  const pages = [];
  page.on('request', (request) => sent.push(request.allHeaders().then((headers) => ({ url: request.url(), cookie: headers.cookie ?? '' })).catch(() => null)));
  page.on('response', (response) => {
    if (response.url().startsWith(desk.publicUrl)) pages.push(response.text().catch(() => ''));
  });
  try {
    await story({ page, context, ms, desk });
    const there = (await Promise.all(sent)).filter((one) => one?.url.startsWith(ms.facts.origin));
    assert.ok(there.length > 0, 'Microsoft was visited');
    for (const one of there) assert.ok(!one.cookie.includes('postroom'), `our cookie went to Microsoft: ${one.url}`);
    const cookies = await context.cookies();
    const secrets = [ms.facts.clientSecret, ...cookies.filter((one) => one.name.startsWith('postroom')).map((one) => one.value)];
    const texts = [...await Promise.all(pages), desk.said.err, desk.said.out];
    for (const secret of secrets) {
      for (const form of formsOf(secret)) assert.ok(!texts.some((text) => text.includes(form)), 'a secret stands in a page or in the log');
    }
    assert.ok(desk.said.err.includes('TRACE'), 'the log was at its finest');
  } finally {
    await context.close();
    await desk.stop();
    await ms.stop();
  }
}

async function open(page, desk) {
  const { url } = await desk.cli(['console', '--no-browser']);
  await page.goto(url);
  await page.click('#continue');
  await page.waitForURL('**/credentials');
}

async function makeCredential(page, ms) {
  await page.goto(new URL('/credentials/new', page.url()).href);
  await page.fill('#id', 'contoso');
  await page.fill('#description', 'Work orders of the harbour');
  await page.check('input[value=authorization_code]');
  await page.fill('#authorization_url', `${ms.facts.authorizationUrl}?prompt=select_account`);
  await page.fill('#token_url', ms.facts.tokenUrl);
  await page.fill('#client_id', ms.facts.clientId);
  await page.fill('#client_secret', ms.facts.clientSecret);
  await page.fill('#scope', 'Mail.ReadWrite offline_access');
  await page.fill('#graph_url', ms.facts.graphUrl);
}

async function signIn(page, address, answer = '#accept') {
  await page.click(`[data-address="${address}"]`);
  const next = page.locator(`${answer}, #outcome`).first();
  await next.waitFor();
  if (await page.locator(answer).count()) await page.click(answer);
  await page.waitForURL('**/authorizations/*');
  await page.locator('#outcome').waitFor();
}

for (const [name, options] of [
  ['without a script, on a phone, in the dark', { javaScriptEnabled: false, viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
  ['on a desk, in the light', { viewport: { width: 1200, height: 850 }, colorScheme: 'light' }],
]) {
  test(`from nothing to a mail on record, ${name}`, { timeout: 4 * LIMIT }, () => stage(options, async ({ page, ms, desk }) => {
    const at = options.viewport.width;
    await open(page, desk);
    await makeCredential(page, ms);
    assert.equal(await page.inputValue('#redirect_uri'), `${desk.publicUrl}/OAuth2Callback`);
    await shot(page, `credential-form-${at}`);
    await page.click('text=Save');
    await page.waitForURL('**/credentials/contoso');
    await page.goto(`${desk.publicUrl}/credentials`);
    await shot(page, `credentials-${at}`);
    // The key, with the keyboard.
    await page.locator('button[aria-label="Sign in for contoso"]').focus();
    await page.keyboard.press('Enter');
    await page.locator(`[data-address="${ADA}"]`).waitFor();
    await shot(page, `microsoft-${at}`);
    await signIn(page, ADA);
    assert.equal(await page.textContent('h1'), 'Signed in');
    assert.equal(await page.textContent('#who'), ADA);
    assert.ok(!page.url().includes('code='), 'the address is clean');
    await shot(page, `signed-in-${at}`);
    await page.reload();
    assert.equal(await page.textContent('#who'), ADA, 'a reload shows the same');
    await ms.control('deliver', { mailbox: ADA, mime: 'From: Wren <wren@tenant.example>\r\nSubject: The pump of house 7\r\nMessage-ID: <pump@tenant.example>\r\n\r\nIt drips.\r\n' });
    await page.goto(`${desk.publicUrl}/accounts/new`);
    await page.fill('#id', 'mine');
    await page.fill('#mailbox', 'me');
    await page.fill('#start', 'everything');
    await page.fill('#after_import', 'mark-read');
    await shot(page, `account-form-${at}`);
    await page.click('text=Save');
    await page.waitForURL('**/accounts/mine');
    await page.click('text=Import now');
    await until('the mail', async () => {
      await page.goto(`${desk.publicUrl}/messages`);
      return page.locator('text=The pump of house 7').count();
    });
    await shot(page, `messages-${at}`);
    await page.click('text=The pump of house 7');
    assert.ok((await page.textContent('pre')).includes('It drips.'));
    await shot(page, `message-${at}`);
    for (const place of ['runs', 'owed', 'health', 'accounts', 'accounts/mine', 'accounts/mine/remove', 'credentials', 'credentials/new', 'credentials/contoso', 'credentials/contoso/edit', 'messages']) {
      const answer = await page.goto(`${desk.publicUrl}/${place}`);
      assert.equal(answer.status(), 200, place);
      const wide = await page.locator('body').evaluate((body) => body.scrollWidth, undefined).catch(() => 0);
      assert.ok(wide <= at, `${place} is ${wide} wide on ${at}`);
      await shot(page, `${place.replaceAll('/', '-')}-${at}`);
    }
    await page.goto(`${desk.publicUrl}/credentials/contoso`);
    await page.click('text=Check the redirect URI');
    assert.equal(await page.textContent('p.good'), 'A browser that Microsoft sends back reaches Postroom.');
    await shot(page, `redirect-uri-${at}`);
  }));
}

test('who refuses is not signed in, and another person does not take over', { timeout: 4 * LIMIT }, () => stage({}, async ({ page, ms, desk }) => {
  await open(page, desk);
  await makeCredential(page, ms);
  await page.press('#scope', 'Enter');
  await page.waitForURL('**/credentials/contoso');
  const key = 'button[aria-label="Sign in for contoso"]';
  await page.click(key);
  await signIn(page, ADA, '#cancel');
  assert.equal(await page.textContent('h1'), 'Not signed in');
  assert.ok((await page.textContent('#outcome')).includes('declined'));
  await page.goto(`${desk.publicUrl}/credentials/contoso`);
  await page.click(key);
  await signIn(page, ADA);
  assert.equal(await page.textContent('#who'), ADA);
  await page.goto(`${desk.publicUrl}/credentials/contoso`);
  await page.click(key);
  await signIn(page, BEN);
  assert.equal(await page.textContent('h1'), 'Not signed in');
  assert.ok((await page.textContent('#outcome')).includes('belongs to somebody else'));
  await shot(page, 'another-person');
  const shown = await desk.cli(['credential', 'show', 'contoso']);
  assert.equal(shown.sign_in.who, ADA);
  // Somebody opens the finished answer in another browser: nothing to see there.
  const other = await chromium.newContext();
  const stranger = await other.newPage();
  const answer = await stranger.goto(page.url());
  assert.equal(answer.status(), 404);
  await other.close();
}));

test('an admin consents for everybody, or declines, and comes back to a page that says so', { timeout: 4 * LIMIT }, () => stage({}, async ({ page, ms, desk }) => {
  await ms.control('add-user', { user: { address: 'root@harbour-homes.example', displayName: 'Root', admin: true } });
  await ms.control('require-admin-consent', { required: true });
  await open(page, desk);
  await makeCredential(page, ms);
  await page.press('#scope', 'Enter');
  await page.waitForURL('**/credentials/contoso');
  for (const [answer, title, told] of [['#cancel', 'Not signed in', 'declined'], ['#accept', 'Consented', 'an admin consented']]) {
    await page.goto(`${desk.publicUrl}/credentials/contoso`);
    await page.click('text=Ask for admin consent');
    await signIn(page, 'root@harbour-homes.example', answer);
    assert.equal(await page.textContent('h1'), title);
    assert.ok((await page.textContent('#outcome')).includes(told), await page.textContent('#outcome'));
    assert.equal(new URL(page.url()).search, '', 'the address is clean');
  }
  await shot(page, 'consented');
  // Now a person who may not consent signs in.
  await page.goto(`${desk.publicUrl}/credentials/contoso`);
  await page.click('button[aria-label="Sign in for contoso"]');
  await signIn(page, ADA);
  assert.equal(await page.textContent('#who'), ADA);
}));

/** Tabs to an element, as somebody without a mouse does, and fails if the focus cannot be seen there. */
async function tabTo(page, selector) {
  for (let at = 0; at < 60; at += 1) {
    await page.keyboard.press('Tab');
    const seen = await page.evaluate((wanted) => {
      const here = document.activeElement;
      return here?.matches(wanted) && { outline: getComputedStyle(here).outlineStyle, inView: here.getBoundingClientRect().bottom <= innerHeight + 1 };
    }, selector);
    if (!seen) continue;
    assert.notEqual(seen.outline, 'none', `no outline on ${selector}`);
    assert.ok(seen.inView, `${selector} has the focus out of view`);
    return;
  }
  assert.fail(`the keyboard does not reach ${selector}`);
}

test('with the keyboard alone', { timeout: 4 * LIMIT }, () => stage({}, async ({ page, ms, desk }) => {
  const { url } = await desk.cli(['console', '--no-browser']);
  await page.goto(url);
  await tabTo(page, '#continue');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/credentials');
  await tabTo(page, 'a[href="/credentials/new"]');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/credentials/new');
  const { facts } = ms;
  for (const [field, text] of [['#id', 'contoso'], ['#description', 'By keyboard'], ['#authorization_url', facts.authorizationUrl], ['#token_url', facts.tokenUrl], ['#client_id', facts.clientId],
    ['#client_secret', facts.clientSecret], ['#scope', 'Mail.ReadWrite offline_access'], ['#graph_url', facts.graphUrl]]) {
    await tabTo(page, field);
    await page.keyboard.insertText(text);
  }
  await tabTo(page, 'button.main');
  await page.keyboard.press('Space');
  await page.waitForURL('**/credentials/contoso');
  await tabTo(page, 'button[aria-label="Sign in for contoso"]');
  await page.keyboard.press('Enter');
  await page.locator(`[data-address="${ADA}"]`).waitFor();
  await signIn(page, ADA);
  await tabTo(page, 'a[href="/accounts/new"]');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/accounts/new');
  // Past the navigation in one step.
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  assert.ok(await page.evaluate(() => document.querySelector('main').contains(document.activeElement)), 'the focus is in the page');
}));

test('`credential authorize` sends a browser on and tells who signed in', { timeout: 4 * LIMIT }, () => stage({}, async ({ page, ms, desk }) => {
  await desk.cli(['credential', 'add', '--id', 'contoso', '--description', 'by hand', '--grant', 'authorization-code', '--authorization-url', ms.facts.authorizationUrl,
    '--token-url', ms.facts.tokenUrl, '--client-id', ms.facts.clientId, '--client-secret-stdin', '--scope', 'Mail.Read offline_access', '--graph-url', ms.facts.graphUrl], ms.facts.clientSecret);
  const waiting = desk.start(['--json', 'credential', 'authorize', 'contoso', '--no-browser']);
  const { url } = JSON.parse(await until('the link', () => waiting.said.out.split('\n').find((line) => line.includes('"url"'))));
  await page.goto(url);
  await page.click('#continue');
  await signIn(page, ADA);
  const told = await until('the answer', () => waiting.said.out.split('\n').find((line) => line.includes('signed_in')) ?? (waiting.said.out.includes('"signed_in"') && waiting.said.out));
  assert.ok(told.includes(ADA));
  const again = await page.goto(url);
  assert.equal(again.status(), 410, 'the link is used up');
}));
