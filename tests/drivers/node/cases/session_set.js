// Settings of a session, different in each, looked at again and again between the others.

import assert from 'node:assert/strict';
import { TRANSACTIONS } from './sizes.js';

const ZONES = ['Asia/Tokyo', 'Europe/Berlin', 'America/Lima', 'Africa/Cairo'];

const LOOK = `SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone,
  current_setting('search_path') AS path, current_setting('my.name', true) AS mine`;

export async function sessionSet(stage) {
  await stage.sessions(async (session, n) => {
    const look = async (within) => ({ ...(await within.query(LOOK)).rows[0] });
    const before = await look(session);
    const mine = { name: `client ${n}`, zone: ZONES[n % ZONES.length], path: `s${n}, public`, mine: `name ${n}` };
    await session.query(`SET application_name = '${mine.name}'`);
    await session.query(`SET TimeZone = '${mine.zone}'`);
    await session.query(`SET search_path = s${n}, public`);
    await session.query(`SET my.name = '${mine.mine}'`);

    for (let i = 0; i < TRANSACTIONS; i += 1) {
      await session.transaction(async (tx) => {
        assert.deepEqual(await look(tx), mine);
        if (i % 10 === 0) {
          await tx.query(`SET LOCAL my.name = 'local'`);
          await tx.query(`SET LOCAL TimeZone = 'UTC'`);
          assert.deepEqual(await look(tx), { ...mine, mine: 'local', zone: 'UTC' });
        }
      });
      assert.deepEqual(await look(session), mine);
    }

    await session.query('RESET application_name');
    await session.query('RESET TimeZone');
    await session.query('RESET search_path');
    await session.query('RESET my.name');
    assert.deepEqual(await look(session), { ...before, mine: '' });
  });
}
