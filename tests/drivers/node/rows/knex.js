// Knex, the query builder, over node-postgres.

import knex from 'knex';
import { Row, Session } from './row.js';

/** Knex writes a parameter as ?, in the order in which they are used. */
function bindingsOf(text, values = []) {
  const used = [];
  const sql = text.replace(/\$(\d+)/g, (_, number) => {
    used.push(values[number - 1]);
    return '?';
  });
  return [sql, used];
}

class KnexSession extends Session {
  constructor(db, close) {
    super();
    this.db = db;
    this.close = close;
  }

  async query(text, values) {
    const { rows, rowCount } = await this.db.raw(...bindingsOf(text, values));
    return { rows, count: rowCount };
  }

  script(text) {
    return this.db.raw(text);
  }

  transaction(work, isolation) {
    return this.db.transaction((trx) => work(new KnexSession(trx)), isolation && { isolationLevel: isolation });
  }

  savepoint(work) {
    return this.transaction(work);
  }

  /**
   * Knex cancels from another connection by pg_cancel_backend() of the PID that it was given at
   * login. Through a pooler that PID is no backend's, so that this waits for the end: a time limit
   * of the server's (statement_timeout) is what works there.
   */
  async cancelled(text) {
    return this.db.raw(text).timeout(500, { cancel: true });
  }

  items(table) {
    const { db } = this;
    return {
      insert: async (id, name, price) => (await db(table).insert({ id, name, price }).returning('id')).length,
      select: async (id) => {
        const row = await db(table).where({ id }).first();
        return row && { ...row };
      },
      reprice: (id, price) => db(table).where({ id }).update({ price }),
      delete: (id) => db(table).where({ id }).del(),
    };
  }
}

class KnexRow extends Row {
  #pool;

  constructor() {
    super('Knex, pg', 'knex');
    this.shows = { interval: '{"days":1,"hours":2,"minutes":3,"seconds":4}' };
    this.absent = {
      copy: 'Knex has no COPY',
      notify: 'Knex has no LISTEN',
    };
  }

  #open(max) {
    return knex({ client: 'pg', connection: process.env.DATABASE_URL, pool: { min: 0, max } });
  }

  async session() {
    const db = this.#open(1);
    return new KnexSession(db, () => db.destroy());
  }

  async visitor() {
    this.#pool ??= this.#open(Number(process.env.CLIENTS ?? 8));
    return new KnexSession(this.#pool, () => {});
  }

  async end() {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  /** Knex puts the statement in front of the server's message. */
  describe(error) {
    return `${error.code ?? 'no code'} ${error.message.split(' - ').at(-1)}`;
  }
}

export function rows() {
  return [new KnexRow()];
}
