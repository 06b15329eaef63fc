// Single statements with parameters: rows written and read, types, more texts than a cache holds.

import assert from 'node:assert/strict';
import { ABSENT, SAMPLES, show } from './samples.js';
import { TEXTS } from './sizes.js';

const ROWS = 20;

export async function crud(stage) {
  const table = await stage.row.createItems(stage);
  await stage.visitors(async (visitor, n) => {
    const items = visitor.items(table);
    const ids = Array.from({ length: ROWS }, (_, i) => n * 1000 + i);
    for (const id of ids) {
      assert.equal(await items.insert(id, `item ${id}`, `${id}.50`), 1);
    }
    for (const id of ids) {
      assert.deepEqual(await items.select(id), { id, name: `item ${id}`, price: `${id}.50` });
      assert.equal(await items.reprice(id, `${id}.75`), 1);
      assert.equal((await items.select(id)).price, `${id}.75`);
    }
    for (const id of ids) {
      assert.equal(await items.delete(id), 1);
      assert.equal(await items.delete(id), 0);
      assert.equal(await items.select(id), undefined);
    }
  });
}

export async function types(stage) {
  await stage.visitors(async (visitor) => {
    for (const { type, value, toText, text, shows } of SAMPLES) {
      const parameter = `$1::${type}`;
      const sent = [stage.row.send(type, value)];
      const asText = await visitor.query(`SELECT (${toText ?? parameter})::text AS text`, sent);
      assert.equal(asText.rows[0].text, text, `${type} as the server saw it`);
      const expected = stage.row.shows[type] ?? shows ?? text;
      if (expected !== ABSENT) {
        const back = await visitor.query(`SELECT ${parameter} AS value`, sent);
        assert.equal(show(back.rows[0].value), expected, `${type} as it came back`);
      }
    }
    for (const type of ['int4', 'text', 'bytea', 'timestamptz', 'jsonb', 'int4[]', 'mood']) {
      const { rows } = await visitor.query(
        `SELECT $1::${type} AS value, $1::${type} IS NULL AS is_null`, [null]);
      assert.deepEqual(rows[0], { value: null, is_null: true }, `NULL of ${type}`);
    }
  });
}

const RESULT_TYPES = ['int4', 'text', 'numeric', 'int8', 'varchar'];

export async function statements(stage) {
  await stage.visitors(async (visitor, n) => {
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < TEXTS; i += 1) {
        const text = `SELECT ($1::int4 + ${i})::${RESULT_TYPES[i % RESULT_TYPES.length]} AS c${i}`;
        for (let time = 0; time < 2; time += 1) {
          const { rows } = await visitor.query(text, [n]);
          assert.equal(String(rows[0][`c${i}`]), String(n + i), text);
        }
      }
    }
  });
}
