// A table changes between two executions of a statement that the driver has prepared.

import assert from 'node:assert/strict';

const EXECUTIONS = 6; // enough to be prepared by every driver

const CHANGES = [
  'ADD COLUMN extra text DEFAULT \'new\'',
  'ALTER COLUMN value TYPE text',
  'DROP COLUMN extra',
];

export async function schemaChange(stage) {
  const seen = await stage.sessions(async (session, n) => {
    const observed = [];
    for (const inside of [false, true]) {
      const table = stage.table(`schema_change_${n}`);
      const other = (text) => stage.session((another) => another.query(text));
      await other(`DROP TABLE IF EXISTS ${table}`);
      await other(`CREATE TABLE ${table} (id int, value int)`);
      await other(`INSERT INTO ${table} VALUES (1, 7)`);
      const select = (within) => within.query(`SELECT * FROM ${table} WHERE id = $1`, [1]);
      const outcome = () => (inside ? session.transaction(select) : select(session)).then(
        ({ rows }) => ({ ...rows[0] }), (error) => stage.row.describe(error));

      for (const change of [undefined, ...CHANGES]) {
        if (change) {
          await other(`ALTER TABLE ${table} ${change}`);
        }
        for (let i = 0; i < EXECUTIONS; i += 1) {
          observed.push(JSON.stringify(await outcome()));
        }
      }
      await other(`DROP TABLE ${table}`);
    }
    return observed.join(' ');
  });
  assert.equal(new Set(seen).size, 1, seen.join('\n'));
  return seen[0];
}
