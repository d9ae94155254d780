// The stories that tests/aws tells about a deployed stack, each in a Chromium of its own: `scripts/browser on-aws.mjs`, with the
// story and its people as JSON in POSTROOM_STORY. Prints what was seen as one line of JSON.
import { LIMIT, browser, shot, until } from './bench.mjs';

const story = JSON.parse(process.env.POSTROOM_STORY);
const { origin, microsoft } = story;
const chromium = await browser();

async function window() {
  // The domain's certificate was made for this run, and nobody knows it.
  const context = await chromium.newContext({ ignoreHTTPSErrors: true });
  context.setDefaultTimeout(LIMIT);
  return { context, page: await context.newPage() };
}

async function look(page, path) {
  const answer = await page.goto(`${origin}${path}`);
  return { status: answer.status(), text: await page.textContent('main') };
}

/** On the simulated Microsoft's pages, which ask for more or less, until the browser is back at a page of ours. */
async function atMicrosoft(page, address) {
  const [person, accept, ours] = [`[data-address="${address}"]`, '#accept', 'span.brand'];
  for (let turn = 0; turn < 5; turn += 1) {
    await page.locator(`${person}, ${accept}, ${ours}`).first().waitFor();
    if (await page.locator(ours).count()) return;
    const press = await page.locator(person).count() ? person : accept;
    await Promise.all([page.waitForNavigation(), page.click(press)]);
  }
  throw new Error(`never came back from ${page.url()}`);
}

async function signIn(page, address) {
  await page.goto(`${origin}/credentials`);
  await page.click('#sign-in');
  await atMicrosoft(page, address);
  return page.textContent('h1');
}

async function save(page, path, fields, choice) {
  await page.goto(`${origin}${path}`);
  for (const [name, value] of Object.entries(fields)) await page.fill(`#${name}`, value);
  if (choice) await choice();
  await page.click('button.main');
  await page.waitForURL((url) => !url.pathname.endsWith('/new'));
}

async function operator() {
  const { context, page } = await window();
  await signIn(page, story.operator);
  await look(page, '/health');
  const seen = { me: await page.textContent('#me') };
  const app = { description: 'Harbour Homes', token_url: microsoft.tokenUrl, client_id: microsoft.clientId, client_secret: microsoft.clientSecret, graph_url: microsoft.graphUrl };
  await save(page, '/credentials/new', { ...app, id: 'application', scope: 'https://graph.microsoft.com/.default' }, () => page.check('input[value=client_credentials]'));
  await save(page, '/credentials/new', { ...app, id: 'person', scope: 'Mail.ReadWrite offline_access', authorization_url: microsoft.authorizationUrl }, () => page.check('input[value=authorization_code]'));
  // Both keys.
  await page.goto(`${origin}/credentials`);
  await page.click('button[aria-label="Get a token for application"]');
  await page.locator('h1:has-text("Access token")').waitFor();
  await page.goto(`${origin}/credentials`);
  await page.click('button[aria-label="Sign in for person"]');
  await atMicrosoft(page, story.operator);
  await page.locator('#outcome').waitFor();
  seen.path = new URL(page.url()).pathname;
  seen.who = await page.textContent('#who');
  await shot(page, 'aws-signed-in');
  const accounts = { mine: ['me', 'person'], office: [story.office, 'application'] };
  for (const [id, [mailbox, credential]] of Object.entries(accounts)) {
    await save(page, '/accounts/new', { id, mailbox, start: 'everything', every: '1m' }, () => page.selectOption('#credential', credential));
  }
  // Nobody presses anything: their schedules bring it.
  seen.imported = [];
  for (const id of Object.keys(accounts)) {
    await until(`mail of ${id}`, async () => {
      await page.goto(`${origin}/messages?account=${id}`);
      return page.locator('td a').count();
    }, 200_000);
    seen.imported.push(id);
  }
  await page.locator('td a').first().click();
  seen.message = await page.textContent('main');
  await shot(page, 'aws-message');
  seen.cookies = (await context.cookies(origin)).map((one) => one.name);
  return seen;
}

async function viewer() {
  const { context, page } = await window();
  const seen = { title: await signIn(page, story.viewer), buttons: 0 };
  for (const path of ['/credentials', '/credentials/person', '/accounts', '/accounts/mine', '/messages', '/owed', '/runs']) {
    const { status } = await look(page, path);
    if (status !== 200) throw new Error(`${path}: ${status}`);
    seen.buttons += await page.locator('form[method=post], a[href$="/new"], a[href$="/edit"], a[href$="/remove"]').count();
  }
  seen.form = (await look(page, '/accounts/new')).status;
  await look(page, '/health');
  const csrf = await page.inputValue('input[name=csrf]');
  const answer = await context.request.post(`${origin}/accounts/mine/pause`, { form: { csrf }, headers: { origin }, maxRedirects: 0 });
  seen.posted = answer.status();
  await page.click('text=Sign out of the console');
  seen.after = (await look(page, '/credentials')).status;
  const other = await window();
  seen.stranger = await signIn(other.page, story.stranger);
  return seen;
}

const stories = {
  closed: async () => look((await window()).page, '/credentials'),
  spellings: async () => {
    const { page } = await window();
    const seen = {};
    for (const path of ['/OAuth2Callback', '/oauth2callback', '/OAuth2Callback/']) seen[path] = await look(page, path);
    return seen;
  },
  operator,
  viewer,
};

try {
  process.stdout.write(`${JSON.stringify(await stories[story.act]())}\n`);
} finally {
  await chromium.close();
}
