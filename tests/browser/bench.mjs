// What the tests stand on: the simulated Microsoft, the real `postroom`, a headless Chromium. All on loopback, all ended.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const BINARIES = process.env.POSTROOM_BINARIES;
const SHOTS = process.env.POSTROOM_SCREENSHOTS;
/** The longest anything is waited for, in milliseconds. */
export const LIMIT = Number(process.env.POSTROOM_BROWSER_LIMIT ?? 60_000);

/** A port of 127.0.0.1 that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Asks until `look` answers something, or fails with what it waited for. */
export async function until(what, look, limit = LIMIT) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function start(name, args, env) {
  const child = spawn(join(BINARIES, name), args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.on('data', (data) => { said.out += data; });
  child.stderr.on('data', (data) => { said.err += data; });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return { child, said, stop: async () => { child.kill('SIGINT'); await ended; } };
}

/** The simulated Microsoft on http://127.0.0.1:PORT. */
export async function microsoft(...args) {
  const program = start('simulator', ['--listen', '127.0.0.1:0', '--json', ...args], {});
  const facts = JSON.parse(await until('the simulator', () => program.said.out.includes('\n') && program.said.out));
  const control = async (act, body) => {
    const answer = await fetch(`${facts.controlUrl}/${act}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${act}: ${answer.status} ${await answer.text()}`);
    return answer.json().catch(() => null);
  };
  return { facts, control, stop: program.stop };
}

/** `postroom serve` at http://localhost:PORT, over a data directory of its own. */
export async function postroom(trusted, port, more = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'postroom-browser-'));
  const env = { POSTROOM_DATA_DIR: join(directory, 'data'), POSTROOM_TRUST_ENDPOINTS: trusted, POSTROOM_LOG: 'trace', ...more };
  const publicUrl = `http://localhost:${port}`;
  const program = start('postroom', ['--json', 'serve', '--listen', `127.0.0.1:${port}`, '--public-url', publicUrl], env);
  await until('serve', () => program.said.out.includes('listening'));
  const run = promisify(execFile);
  const cli = async (args, input) => {
    const done = run(join(BINARIES, 'postroom'), ['--json', ...args], { env: { ...process.env, ...env }, maxBuffer: 1 << 26 });
    if (input !== undefined) done.child.stdin.end(input);
    const { stdout } = await done.catch((error) => { throw new Error(`postroom ${args.join(' ')}: ${error.stdout}${error.stderr.slice(-2_000)}`); });
    return JSON.parse(stdout);
  };
  const stop = async () => { await program.stop(); rmSync(directory, { recursive: true, force: true }); };
  return { publicUrl, cli, said: program.said, stop, start: (args) => start('postroom', args, env) };
}

/** A headless Chromium with an empty profile. */
export function browser() {
  const args = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  // Chromium's sandbox does not start as root.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  return chromium.launch({ executablePath: process.env.CHROMIUM, args });
}

/** Keeps pictures of a page in the light and in the dark, if somebody wants them. */
export async function shot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    writeFileSync(join(SHOTS, `${name}-${colorScheme}.png`), await page.screenshot({ fullPage: true }));
  }
  await page.emulateMedia({ colorScheme: null });
}

/** Every form in which a secret could stand in a text. */
export function formsOf(secret) {
  return [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('base64url'), encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
}
