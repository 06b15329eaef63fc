// Transactions and savepoints, by the driver's own way where it has one.

import assert from 'node:assert/strict';

class Undo extends Error {}

const undone = (error) => assert.ok(error instanceof Undo, error);

export async function transactions(stage) {
  const table = await stage.create('transactions', 'client int, step text');
  const steps = async (session, n) => {
    const { rows } = await session.query(`SELECT step FROM ${table} WHERE client = $1 ORDER BY step`, [n]);
    return rows.map(({ step }) => step).join(',');
  };
  const stepsElsewhere = (n) => stage.visitor((visitor) => steps(visitor, n));

  const codes = await stage.sessions(async (session, n) => {
    const insert = (tx, step) => tx.query(`INSERT INTO ${table} VALUES ($1, $2)`, [n, step]);
    await session.transaction(async (tx) => {
      await insert(tx, 'a committed');
      assert.equal(await steps(tx, n), 'a committed');
    });
    assert.equal(await stepsElsewhere(n), 'a committed');

    await session.transaction(async (tx) => {
      await insert(tx, 'b rolled back');
      throw new Undo();
    }).then(assert.fail, undone);
    assert.equal(await stepsElsewhere(n), 'a committed');

    let code;
    await session.transaction(async (tx) => {
      await tx.savepoint((nested) => insert(nested, 'c savepoint released'));
      await tx.savepoint(async (nested) => {
        await insert(nested, 'd savepoint rolled back');
        await nested.query('SELECT 1 / $1::int4', [0]);
      }).then(assert.fail, (error) => { code = stage.row.describe(error); });
      await tx.savepoint(async (outer) => {
        await insert(outer, 'e outer');
        await outer.savepoint(async (inner) => {
          await insert(inner, 'f inner');
          throw new Undo();
        }).then(assert.fail, undone);
      });
      await insert(tx, 'g behind');
    });
    assert.equal(await stepsElsewhere(n), 'a committed,c savepoint released,e outer,g behind');

    await session.transaction(async (tx) => {
      const { rows } = await tx.query(`SELECT current_setting('transaction_isolation') AS level`);
      assert.equal(rows[0].level, 'serializable');
    }, 'serializable');
    const { rows } = await session.query(`SELECT current_setting('transaction_isolation') AS level`);
    assert.equal(rows[0].level, 'read committed');
    return code;
  });
  assert.deepEqual(new Set(codes).size, 1, codes.join('\n'));
  assert.match(codes[0], /22012|division by zero/);
  return codes[0];
}
