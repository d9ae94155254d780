// Microsoft's Graph client for Node at work: `chores` does what the tests look at, `import DIRECTORY` what the benchmark measures.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ConfidentialClientApplication } from '@azure/msal-node';
import { Client, ResponseType } from '@microsoft/microsoft-graph-client';

/** What Microsoft allows one app at one mailbox. */
const IN_FLIGHT = 4;
const facts = JSON.parse(process.env.STRANGER_FACTS);
const app = new ConfidentialClientApplication({
  auth: {
    clientId: facts.clientId, clientSecret: facts.clientSecret, authority: `${facts.origin}/${facts.tenantId}`, knownAuthorities: [new URL(facts.origin).host],
  },
});
const client = Client.initWithMiddleware({
  authProvider: { getAccessToken: async () => (await app.acquireTokenByClientCredential({ scopes: [facts.scope] })).accessToken },
  baseUrl: `${facts.origin}/`,
  // The token goes to Microsoft's hosts only, and to those that are named.
  customHosts: new Set([new URL(facts.origin).hostname]),
});
const desk = `/users/${facts.mailbox}`;
const inbox = `${desk}/mailFolders/inbox/messages`;
const message = (id) => `${desk}/messages/${encodeURIComponent(id)}`;
const immutable = 'IdType="ImmutableId"';
const api = (path, prefer = immutable) => client.api(path).header('Prefer', prefer);

/** All pages from a path on: items, how many pages, and the deltaLink of the last. */
async function walk(path, prefer, shape = (request) => request) {
  let page = await shape(api(path, prefer)).get();
  const all = { items: page.value, pages: 1 };
  while (page['@odata.nextLink']) {
    page = await api(page['@odata.nextLink'], prefer).get();
    all.items.push(...page.value);
    all.pages += 1;
  }
  return { ...all, link: page['@odata.deltaLink'] };
}

async function chores() {
  const folders = await api(`${desk}/mailFolders`).top(100).get();
  const listed = await walk(inbox, immutable, (request) => request.select('id,subject').top(10));
  const delta = await walk(`${inbox}/delta`, `${immutable}, odata.maxpagesize=10`, (request) => request.select('id,subject'));
  const ids = listed.items.map((one) => one.id);
  const mime = {};
  for (const id of ids) {
    const bytes = await api(`${message(id)}/$value`).responseType(ResponseType.ARRAYBUFFER).get();
    mime[id] = createHash('sha256').update(Buffer.from(bytes)).digest('hex');
  }
  const [marked, moved] = ids;
  const read = await api(message(marked)).patch({ isRead: true });
  const there = await api(`${message(moved)}/move`).post({ destinationId: 'archive' });
  const missing = await api(message('AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AAAAAAAAAAAAAAAAAAA')).get().then(() => 200, (error) => error.statusCode);
  const changes = await walk(delta.link, `${immutable}, odata.maxpagesize=10`);
  return {
    folders: folders.value.map((one) => one.displayName),
    listed: ids, listPages: listed.pages,
    delta: delta.items.map((one) => one.id), deltaPages: delta.pages,
    mime, marked, isRead: read.isRead,
    moved, movedTo: there.id, movedToFolder: there.parentFolderId, missing,
    removed: changes.items.filter((one) => one['@removed']).map((one) => one.id),
  };
}

/** Every message of the inbox: MIME to disk, marked as read; four requests in flight. */
async function importTo(directory) {
  const prefer = `${immutable}, odata.maxpagesize=200`;
  let imported = 0;
  async function* found() {
    let page = await api(`${inbox}/delta`, prefer).select('id').get();
    for (;;) {
      yield* page.value;
      if (!page['@odata.nextLink']) return;
      page = await api(page['@odata.nextLink'], prefer).get();
    }
  }
  // An async generator answers its callers one after another: who comes next waits for the page.
  const items = found();
  async function worker() {
    for await (const item of { [Symbol.asyncIterator]: () => ({ next: () => items.next() }) }) {
      const at = imported++;
      const stream = await api(`${message(item.id)}/$value`).getStream();
      await pipeline(stream instanceof Readable ? stream : Readable.fromWeb(stream), createWriteStream(join(directory, `${at}.eml`)));
      await api(message(item.id)).patch({ isRead: true });
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return { imported };
}

const [act, directory] = process.argv.slice(2);
if (act !== 'chores' && !(act === 'import' && directory)) throw new Error('chores, or import DIRECTORY');
process.stdout.write(`${JSON.stringify(act === 'chores' ? await chores() : await importTo(directory))}\n`);
process.exit(0);
