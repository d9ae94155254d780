// Graph clients that nobody here wrote do the chores of an import: what they see is what the simulator says is true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESK, GRAPH, LIMIT, against, microsoft, run } from './stage.mjs';

const sorted = (list) => [...list].sort();

for (const [name, program] of Object.entries(GRAPH)) {
  test(`${name} lists, pages, follows delta, fetches MIME, marks, moves`, { timeout: LIMIT }, async () => {
    const ms = await microsoft('--messages', '25');
    try {
      await ms.control('deliver', { mailbox: DESK, size: 2_000_000 });
      const before = await ms.control(`truth?mailbox=${DESK}`);
      const seen = await run(program, ms.facts);
      const ids = before.map((one) => one.immutableId);
      assert.equal(ids.length, 26);
      assert.deepEqual(sorted(seen.listed), sorted(ids), 'the list');
      assert.equal(seen.listPages, 3);
      assert.deepEqual(sorted(seen.delta), sorted(ids), 'delta');
      assert.ok(seen.deltaPages >= 3, `${seen.deltaPages} pages of delta`);
      assert.deepEqual(seen.mime, Object.fromEntries(seen.listed.map((id) => [id, before.find((one) => one.immutableId === id).sha256])), 'MIME, byte by byte');
      assert.ok(seen.folders.includes('Inbox') && seen.folders.includes('Archive'), `${seen.folders}`);
      const after = new Map((await ms.control(`truth?mailbox=${DESK}`)).map((one) => [one.immutableId, one]));
      const [marked, moved] = [after.get(seen.marked), after.get(seen.moved)];
      assert.deepEqual([seen.isRead, marked.read], [true, true]);
      assert.equal([...after.values()].filter((one) => one.read).length, before.filter((one) => one.read && one.immutableId !== seen.marked).length + 1);
      assert.deepEqual([moved.folder, seen.movedTo, seen.movedToFolder], ['archive', seen.moved, moved.folderId]);
      assert.deepEqual(seen.removed, [seen.moved], 'delta tells of the move');
      assert.equal(seen.missing, 404);
      assert.deepEqual(against(ms), []);
      // Nobody was throttled, and the record holds what was asked.
      const answers = ms.answers();
      assert.ok(answers.every((one) => one.status !== 429));
      assert.equal(answers.filter((one) => one.path.endsWith('/$value')).length, 26);
    } finally {
      await ms.stop();
    }
  });
}
