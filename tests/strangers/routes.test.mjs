// Every route of the simulator that a description of Graph has, going well and going wrong, judged by that description.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { complaints, describe } from './openapi.mjs';
import { ADA, DESK, LIMIT, against, claims, microsoft, visit } from './stage.mjs';

const description = describe();
const skip = description ? false : 'NOT RUN: POSTROOM_GRAPH_OPENAPI names no description of Graph';
if (skip) process.stderr.write(`${skip}\n`);
/** The simulator knows no subscriptions yet. */
const wanted = description?.operations.filter((one) => !one.template.startsWith('/subscriptions')) ?? [];
/** Well formed, and of nothing. */
const NOTHING = 'AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AAAAAAAAAAAAAAAAAAA';
let ms;
let tokens;
let folders;

before(async () => {
  if (skip) return;
  ms = await microsoft('--messages', '60', '--reading', 'folderValue=served');
  const post = async (fields) => {
    const form = { client_id: ms.facts.clientId, client_secret: ms.facts.clientSecret, ...fields };
    const answer = await ms.ask('POST', ms.facts.tokenUrl, { 'content-type': 'application/x-www-form-urlencoded' }, new URLSearchParams(form).toString());
    assert.equal(answer.status, 200, `${answer.bytes}`);
    return answer.json().access_token;
  };
  const app = { grant_type: 'client_credentials', scope: ms.facts.scope };
  const scope = 'openid profile User.Read Mail.ReadWrite';
  const asked = { client_id: ms.facts.clientId, response_type: 'code', redirect_uri: ms.facts.redirectUri, scope, state: 's', prompt: 'select_account' };
  const returned = await visit(ms, ADA, `${ms.facts.authorizationUrl}?${new URLSearchParams(asked)}`);
  const code = new URL(returned).searchParams.get('code');
  await ms.control('register-app', { clientId: '33333333-3a54-4c8e-8f21-6d1e0c9a4b77', secret: 'powerless', roles: [] });
  tokens = {
    app: await post(app),
    person: await post({ grant_type: 'authorization_code', code, redirect_uri: ms.facts.redirectUri, scope }),
    powerless: await post({ ...app, client_id: '33333333-3a54-4c8e-8f21-6d1e0c9a4b77', client_secret: 'powerless' }),
  };
  assert.ok(claims(tokens.person).scp.includes('Mail.ReadWrite'));
  folders = {};
  for (const mailbox of [DESK, ADA]) {
    const parent = await ms.control('create-folder', { mailbox, path: 'Work' });
    const child = await ms.control('create-folder', { mailbox, path: 'Work/Pumps' });
    folders[mailbox] = { parent: parent.id, child: child.id };
    await ms.control('fill', { mailbox, folder: 'Work/Pumps', count: 12 });
    await ms.control('fill', { mailbox, folder: 'inbox', count: 12 });
  }
});
after(() => ms?.stop());

const token = (template) => (template.startsWith('/me/') ? tokens.person : tokens.app);
const mailboxOf = (template) => (template.startsWith('/me/') ? ADA : DESK);

async function ask(method, path, { bearer, body, prefer = 'IdType="ImmutableId"' } = {}) {
  const headers = { prefer };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  if (body) headers['content-type'] = 'application/json';
  return ms.ask(method, path.startsWith('http') ? path : `/v1.0${path}`, headers, body && JSON.stringify(body));
}

const MIME = 'From: Wren <wren@tenant.example>\r\nSubject: The pump\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nIt drips.\r\n--b\r\n'
  + 'Content-Type: image/png; name=pump.png\r\nContent-Disposition: attachment; filename=pump.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b--\r\n';

/** A path of an operation, with a fresh message of its own where it names one; `wrong` stands for the last id instead. */
async function fill(operation, wrong) {
  const mailbox = mailboxOf(operation.template);
  const nested = operation.template.includes('childFolders/');
  const folder = nested ? 'Work/Pumps' : 'inbox';
  const message = operation.template.includes('{message-id}') ? (await ms.control('deliver', { mailbox, folder, mime: MIME })).id : '';
  let attachment = '';
  if (message && operation.template.includes('{attachment-id}')) {
    const root = operation.template.startsWith('/me/') ? '/me' : `/users/${DESK}`;
    const list = await ask('GET', `${root}/messages/${encodeURIComponent(message)}/attachments`, { bearer: token(operation.template) });
    attachment = list.json().value[0].id;
  }
  const own = folders[mailbox];
  const values = {
    '{user-id}': DESK,
    '{mailFolder-id}': nested || operation.template.endsWith('/childFolders') ? own.parent : 'inbox',
    '{mailFolder-id1}': own.child, '{message-id}': message, '{attachment-id}': attachment,
  };
  const named = operation.segments.filter((one) => one.startsWith('{'));
  if (wrong !== undefined) values[named.at(-1)] = wrong;
  const path = `/${operation.segments.map((one) => (one.startsWith('{') ? encodeURIComponent(values[one]) : one)).join('/')}`;
  return { path, message, mailbox, named };
}

function body(operation) {
  if (operation.template === '/$batch') {
    return { requests: [{ id: '1', method: 'GET', url: `/users/${DESK}/messages?$top=1` }, { id: '2', method: 'GET', url: `/users/${DESK}/messages/${NOTHING}` }] };
  }
  if (operation.method === 'PATCH') return { isRead: true, categories: ['Imported'], flag: { flagStatus: 'flagged' } };
  return /\/(move|copy)$/.test(operation.template) ? { destinationId: 'archive' } : undefined;
}

async function goesWell(operation) {
  const { path } = await fill(operation);
  const bearer = token(operation.template);
  const good = await ask(operation.method, path, { bearer, body: body(operation) });
  assert.ok(good.status < 300, `${operation.method} ${path}: ${good.status} ${good.bytes}`);
  if (operation.method !== 'GET' || !operation.responses[200]?.content?.['application/json']) return;
  // The same with other options; folders, messages and attachments know different ones.
  const last = operation.segments.at(-1);
  const queries = {
    messages: ['$top=1000', '$top=2&$select=subject,from,internetMessageHeaders,uniqueBody&$count=true', '$filter=isRead eq false'],
    mailFolders: ['$top=1', 'includeHiddenFolders=true'], childFolders: ['$top=1'], attachments: ['$select=id,name,size'],
    '{message-id}': ['$expand=attachments', '$select=subject,internetMessageHeaders'],
  }[last] ?? [];
  for (const query of queries) {
    const answer = await ask('GET', `${path}?${query.replaceAll(' ', '%20')}`, { bearer, prefer: 'outlook.body-content-type="text"' });
    assert.equal(answer.status, 200, `${path}?${query}: ${answer.bytes}`);
  }
  if (last !== 'delta') return;
  let link = path;
  for (let round = 0; round < 2; round += 1) {
    for (;;) {
      const page = await ask('GET', link, { bearer, prefer: 'IdType="ImmutableId", odata.maxpagesize=5' });
      assert.equal(page.status, 200, `${link}: ${page.bytes}`);
      const { '@odata.nextLink': next, '@odata.deltaLink': end } = page.json();
      link = next ?? end;
      if (end) break;
    }
    // The next round has something removed in it.
    if (round === 0 && path.includes('/messages/')) {
      const mailbox = mailboxOf(operation.template);
      const folder = operation.template.includes('childFolders') ? 'Work/Pumps' : 'inbox';
      const truth = await ms.control(`truth?mailbox=${mailbox}`);
      const there = truth.find((one) => one.folder?.toLowerCase() === folder.toLowerCase() && !one.draft);
      await ms.control('move', { mailbox, id: there.immutableId, folder: 'Archive' });
    }
  }
}

async function goesWrong(operation) {
  const { path, named, mailbox } = await fill(operation);
  const bearer = token(operation.template);
  const refused = async (what, status, url, options) => {
    const answer = await ask(operation.method, url, { body: body(operation), ...options });
    assert.ok(status.includes(answer.status), `${what}: ${operation.method} ${url}: ${answer.status} ${answer.bytes}`);
  };
  const armed = async (what, status, fault, url = path) => {
    await ms.control('arm', { on: 'any', fault });
    await refused(what, [status], url, { bearer });
  };
  await refused('no token', [401], path, {});
  await refused('no token of ours', [401], path, { bearer: `${bearer.slice(0, -4)}AAAA` });
  if (operation.template === '/$batch') {
    await refused('an empty batch', [400], path, { bearer, body: { requests: [] } });
  } else if (operation.template.startsWith('/users/')) {
    await refused('an app without a role', [403], path, { bearer: tokens.powerless });
  }
  if (named.length > 0) {
    const user = named.at(-1) === '{user-id}';
    const { path: nowhere } = await fill(operation, user ? 'nobody@harbour-homes.example' : NOTHING);
    await refused('nothing there', [404], nowhere, { bearer });
    if (!user) await refused('no id', [400], (await fill(operation, 'x')).path, { bearer });
  }
  if (['PATCH', 'POST'].includes(operation.method) && body(operation)) await refused('no sense', [400], path, { bearer, body: { sense: 'none' } });
  await armed('too many', 429, { type: 'tooManyRequests', retryAfter: { decimal: 0.001 } });
  await armed('unavailable', 503, { type: 'unavailable', retryAfter: { seconds: 0 } });
  await armed('a failure', 500, { type: 'status', status: 500, code: 'ErrorInternalServerError', message: 'Oh.' });
  if (operation.segments.at(-1) === 'delta') {
    await armed('gone', 410, { type: 'gone', location: true });
    if (path.includes('/messages/')) await armed('forgotten', 400, { type: 'syncStateNotFound' });
  }
  if (operation.template.includes('attachments/{attachment-id}/$value')) {
    const { message } = await fill(operation);
    await ms.control('add-reference', { mailbox, id: message, name: 'a link', url: 'https://files.example/a' });
    const root = path.slice(0, path.indexOf('/messages/'));
    const list = await ask('GET', `${root}/messages/${encodeURIComponent(message)}/attachments`, { bearer });
    const link = list.json().value.find((one) => one['@odata.type'] === '#microsoft.graph.referenceAttachment');
    await refused('a link has no bytes', [405], `${root}/messages/${encodeURIComponent(message)}/attachments/${encodeURIComponent(link.id)}/$value`, { bearer });
  }
}

test('every described route, going well and going wrong, is answered as described', { skip, timeout: LIMIT }, async () => {
  for (const operation of wanted) {
    await goesWell(operation);
    await goesWrong(operation);
  }
  // Whatever lies in an attachment of a generated message, too.
  for (const one of (await ms.control(`truth?mailbox=${DESK}`)).filter((item) => item.folder === 'inbox')) {
    await ask('GET', `/users/${DESK}/messages/${encodeURIComponent(one.immutableId)}?$expand=attachments`, { bearer: tokens.app });
  }
  assert.deepEqual([...new Set(against(ms))], []);
  const seen = new Map(wanted.map((operation) => [operation, new Set()]));
  for (const answer of ms.answers()) seen.get(description.find(answer.method, answer.path))?.add(String(answer.status));
  for (const [operation, statuses] of seen) {
    for (const status of Object.keys(operation.responses).filter((name) => name !== 'default')) {
      assert.ok(statuses.has(status), `${operation.method} ${operation.template}: ${status} is described and was never seen (${[...statuses]})`);
    }
    for (const status of ['401', '500']) assert.ok(statuses.has(status), `${operation.method} ${operation.template}: no ${status}`);
  }
});

test('an answer that is not as described is found', { skip, timeout: LIMIT }, () => {
  const answers = ms.answers();
  const like = (method, end, status) => structuredClone(answers.find((one) => one.method === method && one.path.endsWith(end) && one.status === status
    && (end !== '/messages' || status >= 400 || one.body.value[0]?.body)));
  const list = () => like('GET', '/messages', 200);
  const first = (change) => { const answer = list(); change(answer.body.value[0]); return answer; };
  const whole = (answer, change) => { change(answer); return answer; };
  const broken = {
    'a status': whole(list(), (one) => { one.status = 201; }),
    'a status of success for a failure': whole(like('GET', '/messages', 429), (one) => { one.status = 200; }),
    'no value': whole(list(), (one) => { delete one.body.value; }),
    'a value that is no list': whole(list(), (one) => { one.body.value = {}; }),
    'a body that is no JSON': whole(list(), (one) => { one.body = 'text'; }),
    'a number for a text': first((item) => { item.subject = 5; }),
    'a text for a truth': first((item) => { item.isRead = 'yes'; }),
    'bytes that are no base64': first((item) => { item.conversationIndex = 'AQHZ='; }),
    'no such importance': first((item) => { item.importance = 'urgent'; }),
    'no time': first((item) => { item.receivedDateTime = 'yesterday'; }),
    'an unheard-of property': first((item) => { item.colour = 'red'; }),
    'an unheard-of property within': first((item) => { item.body.colour = 'red'; }),
    'an unheard-of type': first((item) => { item['@odata.type'] = '#microsoft.graph.letter'; }),
    'null for a list': first((item) => { item.toRecipients = null; }),
    'no text in the body': first((item) => { item.body.contentType = 'markdown'; }),
    'no link': whole(list(), (one) => { one.body['@odata.nextLink'] = 'not a link'; }),
    'no id of the request': whole(list(), (one) => { delete one.headers['request-id']; }),
    'another content type': whole(list(), (one) => { one.headers['content-type'] = 'text/html'; }),
    'an error without a code': whole(like('GET', '/messages', 401), (one) => { delete one.body.error.code; }),
    'a 401 without a challenge': whole(like('GET', '/messages', 401), (one) => { delete one.headers['www-authenticate']; }),
    'a 429 without Retry-After': whole(like('GET', '/messages', 429), (one) => { delete one.headers['retry-after']; }),
    'a 410 without Location': whole(like('GET', '/messages/delta', 410), (one) => { delete one.headers.location; }),
    'delta without a link': whole(like('GET', '/messages/delta', 200), (one) => { delete one.body['@odata.nextLink']; delete one.body['@odata.deltaLink']; }),
    'delta with both links': whole(like('GET', '/messages/delta', 200), (one) => {
      one.body['@odata.nextLink'] = 'https://x.test/a';
      one.body['@odata.deltaLink'] = 'https://x.test/b';
    }),
    'a removal without a reason': whole(structuredClone(answers.find((one) => one.body?.value?.some?.((item) => item['@removed']))), (one) => {
      delete one.body.value.find((item) => item['@removed'])['@removed'].reason;
    }),
    'an attachment without its size': whole(like('GET', '/attachments', 200), (one) => { one.body.value[0].size = 'large'; }),
    'a file of an unheard-of kind': whole(like('GET', '/attachments', 200), (one) => { one.body.value[0].contentBytes = 7; }),
    'a 204 with a body': whole(structuredClone(answers.find((one) => one.status === 204)), (one) => { one.size = 3; }),
  };
  for (const [what, answer] of Object.entries(broken)) assert.notDeepEqual(complaints(description, answer), [], what);
  assert.deepEqual(complaints(description, list()), []);
});
