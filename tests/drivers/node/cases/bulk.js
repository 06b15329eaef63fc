// Much data: COPY in and out, and values of 64 MB.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { COPY_ROWS, LARGE } from './sizes.js';

const COPY_CHUNK = 50; // rows

const line = (n, i) => `${i}\tclient ${n}, row ${i}\n`;

async function* lines(n, { failAt, spoilAt } = {}) {
  for (let first = 0; first < COPY_ROWS; first += COPY_CHUNK) {
    if (first === failAt) {
      throw new Error('the program gives up');
    }
    const chunk = Array.from({ length: COPY_CHUNK }, (_, i) => line(n, first + i)).join('');
    yield first === spoilAt ? `spoilt\n${chunk}` : chunk;
  }
}

export async function copy(stage) {
  const seen = await stage.sessions(async (session, n) => {
    const table = stage.table(`copy_${n}`);
    await session.query(`DROP TABLE IF EXISTS ${table}`);
    await session.query(`CREATE TABLE ${table} (id int, name text)`);
    const count = async () => Number((await session.query(`SELECT count(*) FROM ${table}`)).rows[0].count);

    await session.copyIn(`COPY ${table} FROM STDIN`, lines(n));
    assert.equal(await count(), COPY_ROWS);
    const out = await session.copyOut(`COPY (SELECT * FROM ${table} ORDER BY id) TO STDOUT`);
    assert.equal(out, Array.from({ length: COPY_ROWS }, (_, i) => line(n, i)).join(''));

    const describe = async (...failing) => session.copyIn(`COPY ${table} FROM STDIN`, lines(n, ...failing))
      .then(() => 'ok', (error) => stage.row.describe(error).replace(table, 'TABLE'));
    const spoilt = session.copyReportsRows === false ? 'not seen' : await describe({ spoilAt: COPY_ROWS / 2 });
    assert.equal(await count(), COPY_ROWS);
    const given = await describe({ failAt: COPY_ROWS / 2 });
    assert.equal(await count(), COPY_ROWS);
    await session.copyIn(`COPY ${table} FROM STDIN`, lines(n));
    assert.equal(await count(), 2 * COPY_ROWS);
    await session.query(`DROP TABLE ${table}`);
    return JSON.stringify([spoilt, given]);
  });
  assert.equal(new Set(seen).size, 1, seen.join('\n'));
  assert.match(seen[0], /22P0[24]|not seen/);
  return seen[0];
}

export async function largeRows(stage) {
  const table = await stage.create('large_rows', 'id int, value bytea');
  await stage.sessions(async (session, n) => {
    const value = randomBytes(LARGE);
    await session.query(`INSERT INTO ${table} VALUES ($1, $2)`, [n, stage.row.send('bytea', value)]);
    const { rows } = await session.query(`SELECT value, md5(value) AS sum FROM ${table} WHERE id = $1`, [n]);
    const sum = (bytes) => createHash('md5').update(bytes).digest('hex');
    assert.equal(rows[0].sum, sum(value));
    assert.equal(sum(rows[0].value), sum(value));
  }, 1); // JavaScript needs several times the memory, and one thread's time
  await stage.session((session) => session.query(`DROP TABLE ${table}`));
}
