// One session listens, another one notifies, the others run transactions.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

const PAYLOADS = Array.from({ length: 50 }, (_, i) => `message ${i}`);
const LIMIT = 20_000; // milliseconds

export async function notify(stage) {
  const channel = stage.table('channel');
  const heard = [];
  let everything;
  const complete = new Promise((resolve) => { everything = resolve; });
  let listening;
  const ready = new Promise((resolve) => { listening = resolve; });

  await stage.sessions(async (session, n) => {
    if (n === 0) {
      await session.listen(channel, (payload) => {
        heard.push(payload);
        if (heard.length === PAYLOADS.length) {
          everything();
        }
      });
      listening();
      await Promise.race([complete, delay(LIMIT, undefined, { ref: false })]);
      await session.unlisten?.(channel);
    } else if (n === 1) {
      await ready;
      for (const payload of PAYLOADS) {
        await session.query('SELECT pg_notify($1, $2)', [channel, payload]);
      }
    } else {
      for (let i = 0; i < PAYLOADS.length; i += 1) {
        await session.transaction((tx) => tx.query('SELECT $1::int4', [i]));
      }
    }
  }, Math.max(2, stage.clients));
  assert.deepEqual(heard, PAYLOADS);
}
