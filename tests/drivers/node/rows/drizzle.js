// Drizzle ORM over node-postgres and over postgres.js.

import { eq, sql } from 'drizzle-orm';
import { drizzle as overPg } from 'drizzle-orm/node-postgres';
import { drizzle as overPostgres } from 'drizzle-orm/postgres-js';
import { integer, numeric, pgTable, text as textColumn } from 'drizzle-orm/pg-core';
import pg from 'pg';
import postgres from 'postgres';
import { NULL_IS_A_WORD } from './postgres_js.js';
import { Row, Session } from './row.js';

const clients = Number(process.env.CLIENTS ?? 8);

/** $1 and its like as Drizzle's own parameters. */
function templateOf(text, values = []) {
  const parts = text.split(/\$(\d+)/);
  return sql.join(parts.map((part, i) => (i % 2 === 0 ? sql.raw(part) : sql`${sql.param(values[part - 1])}`)));
}

class DrizzleSession extends Session {
  constructor(db, close) {
    super();
    this.db = db;
    this.close = close;
  }

  async query(text, values) {
    const result = await this.db.execute(templateOf(text, values));
    return { rows: result.rows ?? [...result], count: result.rowCount ?? result.count };
  }

  transaction(work, isolationLevel) {
    return this.db.transaction(
      (tx) => work(new DrizzleSession(tx)), isolationLevel && { isolationLevel });
  }

  savepoint(work) {
    return this.transaction(work);
  }

  items(name) {
    const { db } = this;
    const table = pgTable(name, {
      id: integer().primaryKey(), name: textColumn(), price: numeric(),
    });
    const find = db.select().from(table).where(eq(table.id, sql.placeholder('id'))).prepare(`find_${name}`);
    return {
      insert: async (id, title, price) => (
        await db.insert(table).values({ id, name: title, price }).returning()).length,
      select: async (id) => (await find.execute({ id }))[0],
      reprice: async (id, price) => (
        await db.update(table).set({ price }).where(eq(table.id, id)).returning()).length,
      delete: async (id) => (await db.delete(table).where(eq(table.id, id)).returning()).length,
    };
  }
}

class DrizzleRow extends Row {
  #pool;

  constructor(name, open, { sends = {}, shows = {} } = {}) {
    super(name, 'drizzle-orm');
    this.open = open;
    this.sends = sends;
    this.absent = {
      copy: 'Drizzle has no COPY',
      notify: 'Drizzle has no LISTEN',
      cancel: 'Drizzle cannot cancel',
    };
    // Drizzle leaves dates and times to its columns' types; raw SQL gives them as the server wrote.
    this.shows = {
      date: '2024-02-29', timestamp: '2024-02-29 12:34:56.789', timestamptz: '2024-02-29 12:34:56.789+00',
      ...shows,
    };
  }

  async session() {
    return this.open(1);
  }

  async visitor() {
    this.#pool ??= this.open(clients);
    return new DrizzleSession(this.#pool.db, () => {});
  }

  async end() {
    await this.#pool?.close();
    this.#pool = undefined;
  }

  describe(error) {
    return super.describe(error.cause ?? error);
  }
}

export function rows() {
  return [
    new DrizzleRow('Drizzle ORM, node-postgres', (max) => {
      const pool = new pg.Pool({ max });
      return new DrizzleSession(overPg(pool), () => pool.end());
    }),
    new DrizzleRow('Drizzle ORM, postgres.js', (max) => {
      const client = postgres(process.env.DATABASE_URL, { max, onnotice: () => {} });
      return new DrizzleSession(overPostgres(client), () => client.end({ timeout: 5 }));
    }, {
      // Drizzle takes postgres.js's own way with these types away.
      sends: { timestamptz: (date) => date.toISOString(), json: JSON.stringify, jsonb: JSON.stringify },
      shows: NULL_IS_A_WORD,
    }),
  ];
}
