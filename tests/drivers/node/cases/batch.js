// Many statements at once, and an error in the middle of them.

import assert from 'node:assert/strict';

const STATEMENTS = 200;

export async function batch(stage) {
  await stage.sessions(async (session, n) => {
    const queries = Array.from({ length: STATEMENTS }, (_, i) => ({
      text: 'SELECT $1::int4 AS n, $2::text AS name', values: [n * 1000 + i, `row ${i}`],
    }));
    const results = await session.batch(queries);
    assert.deepEqual(
      results.map(({ rows }) => ({ ...rows[0] })),
      queries.map(({ values: [number, name] }) => ({ n: number, name })),
    );
  });
}

export async function pipelineErrors(stage) {
  const table = await stage.create('pipeline_errors', 'client int, step int, UNIQUE (client, step)');
  const seen = await stage.sessions(async (session, n) => {
    const insert = (step) => ({ text: `INSERT INTO ${table} VALUES ($1, $2)`, values: [n, step] });
    const divide = { text: 'SELECT 1 / $1::int4', values: [0] };
    const observed = [];
    for (const [middle, first] of [[divide, 1], [insert(10), 10]]) {
      const steps = [insert(first), insert(first + 1), middle, insert(first + 2), insert(first + 3)];
      observed.push(await session.settle(steps).then((outcomes) => outcomes.map((outcome) => (
        outcome.status === 'fulfilled' ? 'ok' : stage.row.describe(outcome.reason)))));
    }
    if (session.script) {
      const script = [20, 'x', 21].map((step) => (
        `INSERT INTO ${table} VALUES (${n}, ${step === 'x' ? '1 / 0' : step})`)).join('; ');
      observed.push(await session.script(script).then(() => 'ok', (error) => stage.row.describe(error)));
    }
    assert.equal((await session.query('SELECT $1::int4 AS n', [n])).rows[0].n, n);
    const { rows } = await session.query(`SELECT step FROM ${table} WHERE client = $1 ORDER BY step`, [n]);
    return JSON.stringify([observed, rows.map(({ step }) => step)]);
  });
  assert.equal(new Set(seen).size, 1, seen.join('\n'));
  assert.match(seen[0], /22012|division by zero/);
  return seen[0];
}
