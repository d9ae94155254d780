// What the tests stand on: the simulator over TLS, a person with a browser, the strangers' programs. All on loopback, all ended.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { complaints, describe } from './openapi.mjs';

/** The longest anything is waited for, in milliseconds. */
export const LIMIT = Number(process.env.POSTROOM_STRANGERS_LIMIT ?? 300_000);
export const DESK = 'desk@harbour-homes.example';
export const ADA = 'ada.moor@harbour-homes.example';
export const PYTHON = join(process.cwd(), 'python', 'bin', 'python');

/** Who signs in, and who works at mail. */
export const SIGN_IN = {
  '@azure/msal-node': [process.execPath, 'clients/sign_in.mjs'],
  'msal for Python': [PYTHON, 'clients/sign_in.py'],
};
export const GRAPH = {
  "Microsoft's Graph client for Node": [process.execPath, 'clients/graph.mjs', 'chores'],
  "Microsoft's msgraph-sdk for Python": [PYTHON, 'clients/graph.py', 'chores'],
  'graph-rs-sdk': [join(process.cwd(), 'rust', 'release', 'stranger-rust'), 'chores'],
};

/** The simulated Microsoft on https://127.0.0.1:PORT, with a record of its answers. */
export async function microsoft(...args) {
  const directory = mkdtempSync(join(tmpdir(), 'postroom-strangers-'));
  const record = join(directory, 'answers');
  const program = spawn(
    join(process.env.POSTROOM_BINARIES, 'simulator'),
    ['--listen', '127.0.0.1:0', '--json', '--tls', directory, '--record', record, '--mailbox', DESK, '--user', ADA, ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => program.once('exit', resolve));
  const facts = await new Promise((resolve, reject) => {
    createInterface({ input: program.stdout }).once('line', (line) => resolve(JSON.parse(line)));
    ended.then((code) => reject(new Error(`the simulator ended with ${code}`)));
  });
  const ca = readFileSync(facts.caFile);
  /** One request, with or without a body; answers status, headers and bytes, whatever they are. */
  const ask = (method, url, headers = {}, body = '') => new Promise((resolve, reject) => {
    const asked = request(new URL(url, facts.origin), { method, headers, ca }, async (answer) => {
      const chunks = [];
      try {
        for await (const chunk of answer) chunks.push(chunk);
      } catch (error) {
        return reject(error);
      }
      const bytes = Buffer.concat(chunks);
      return resolve({ status: answer.statusCode, headers: answer.headers, bytes, json: () => JSON.parse(bytes) });
    });
    asked.once('error', reject);
    asked.end(body);
  });
  const control = async (act, body) => {
    const answer = await ask(body ? 'POST' : 'GET', `/_control/${act}`, {}, body && JSON.stringify(body));
    if (answer.status !== 200) throw new Error(`${act}: ${answer.bytes}`);
    return answer.json();
  };
  /** Every answer of Graph so far, as the simulator gave it. */
  const answers = () => readFileSync(record, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const stop = async () => {
    program.kill('SIGINT');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  return { facts: { ...facts, mailbox: DESK }, ask, control, answers, stop };
}

/** What the description says against the answers so far, one sentence each; none if there is no description. */
export function against(ms) {
  const description = describe();
  return description ? ms.answers().flatMap((answer) => complaints(description, answer)) : [];
}

/** A person with a browser: goes to an address, chooses who they are, accepts; answers where they are sent in the end. */
export async function visit(ms, address, start) {
  let cookie = '';
  const go = async (method, url, fields) => {
    const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await ms.ask(method, url, headers, fields && new URLSearchParams(fields).toString());
    cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? cookie;
    return answer;
  };
  let page = await go('GET', start);
  for (let clicks = 0; page.status === 200 && clicks < 5; clicks += 1) {
    const html = page.bytes.toString();
    const flow = /name="flow" value="([^"]+)"/.exec(html)?.[1];
    if (!flow) break;
    const person = new RegExp(`value="([^"]+)"[^>]*data-address="${address}"`).exec(html)?.[1];
    const action = /action="([^"]+)"/.exec(html)[1];
    page = await go('POST', action, person ? { flow, act: 'account', account: person } : { flow, act: 'accept' });
  }
  if (page.status !== 302) throw new Error(`no way back: ${page.status} ${page.bytes}`);
  return page.headers.location;
}

/** Runs a program of a stranger's client to its end: what it says line by line, with somebody to go where it is told to. */
export function run([command, ...args], facts, person = async () => null) {
  const trust = { NODE_EXTRA_CA_CERTS: facts.caFile, SSL_CERT_FILE: facts.caFile, REQUESTS_CA_BUNDLE: facts.caFile };
  const env = { ...process.env, ...trust, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1', STRANGER_FACTS: JSON.stringify(facts) };
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: LIMIT });
  child.stdin.on('error', () => {});
  let complaint = '';
  child.stderr.on('data', (data) => { complaint += data; });
  return new Promise((resolve, reject) => {
    let last = null;
    createInterface({ input: child.stdout }).on('line', async (line) => {
      last = JSON.parse(line);
      if (!last.visit) return;
      try {
        child.stdin.write(`${JSON.stringify({ returned: await person(last.visit) })}\n`);
      } catch (error) {
        child.kill();
        reject(error);
      }
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(last) : reject(new Error(`${command} ended with ${code}: ${complaint.slice(-4_000)}`))));
  });
}

/** The claims of a token. */
export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
