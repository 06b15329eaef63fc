// Runs the cases of the driver matrix for the rows named (default: all), one row behind the other;
// prints one line of JSON per row and case.

import { once } from 'node:events';
import { CASES } from './cases/index.js';
import { Stage } from './stage.js';
import { allRows, withConnection } from './rows/index.js';

const CASE_LIMIT = 120_000; // milliseconds, also for a machine that is busy with something else
const clients = Number(process.env.CLIENTS ?? 8);

// What a driver throws outside of any call that one could await; belongs to the case that runs.
const strays = [];
let running = false;
process.on('uncaughtException', (error) => {
  strays.push(error);
  if (!running) {
    console.error(error);
    process.exit(1);
  }
});

async function within(limit, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit / 1000} s`)), limit);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function runCase(row, name, body) {
  if (row.absent[name]) {
    return { result: 'absent', detail: row.absent[name] };
  }
  strays.length = 0;
  running = true;
  const stage = new Stage(row, clients);
  try {
    const observed = await within(CASE_LIMIT, body(stage));
    if (strays.length > 0) {
      throw strays[0];
    }
    return { result: 'pass', ...(observed && { observed }) };
  } catch (error) {
    console.error(`${row.name}: ${name}:`, error);
    return { result: 'fail', detail: String(error?.message ?? error).slice(0, 500) };
  } finally {
    running = false;
    await within(5_000, stage.end()).catch((error) => console.error(`${row.name}: ${name}:`, error));
  }
}

async function print(line) {
  if (!process.stdout.write(JSON.stringify(line) + '\n')) {
    await once(process.stdout, 'drain');
  }
}

await withConnection((client) => client.query(`
  DO $$ BEGIN
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
  END $$`));

const wanted = process.argv.slice(2);
const only = process.env.CASES?.split(',');
for (const row of (await allRows()).filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  for (const [name, body] of Object.entries(CASES)) {
    if (only && !only.includes(name)) {
      continue;
    }
    const start = performance.now();
    const outcome = await runCase(row, name, body);
    const seconds = Number(((performance.now() - start) / 1000).toFixed(2));
    await print({ row: row.name, version: row.version, case: name, ...outcome, seconds });
  }
}
process.exit(0); // whatever a failed case has left open
