// A statement that would run a minute is cancelled by the driver's own means while others run.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

export async function cancel(stage) {
  const seen = await stage.sessions(async (session, n) => {
    await session.query('SELECT 1'); // some drivers connect with their first statement only
    const start = performance.now();
    let outcome = 'others run on';
    if (n % 2 === 0) {
      outcome = await session.cancelled('SELECT pg_sleep(60)::text', delay(500))
        .then(() => 'not cancelled', (error) => stage.row.describe(error));
      assert.ok(performance.now() - start < 10_000, `it takes too long: ${outcome}`);
    } else {
      await session.query('SELECT pg_sleep(1)::text');
    }
    assert.equal((await session.query('SELECT $1::int4 AS n', [n])).rows[0].n, n);
    return outcome;
  });
  const observed = [...new Set(seen)].sort().join('; ');
  assert.match(observed, /^(57014 [^;]*; others run on|others run on; [^;]*timeout[^;]*)$/);
  return observed;
}
