// What every row is made of. A row is one driver in one way of use; a session is one connection of
// it. The cases call these methods only; each driver's file fills them with the driver's own API.

import { readFileSync } from 'node:fs';

export function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version;
}

export class Row {
  /** Cases that the driver has nothing for: their names, and what is missing. */
  absent = {};
  /** By type: what turns a sample into what this driver takes. */
  sends = {};
  /** By type: how show() writes what this driver gives back. */
  shows = {};

  constructor(name, packageName) {
    this.name = name;
    this.version = versionOf(packageName);
    this.slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '_');
  }

  send(type, value) {
    return this.sends[type] ? this.sends[type](value) : value;
  }

  /** async session(): opens one connection; to be closed by its user. */

  /** Something with query() that may take another connection each time. */
  async visitor() {
    return this.session();
  }

  /** Closes what the sessions of one case shared. */
  async end() {}

  /** The table of the case crud. */
  createItems(stage) {
    return stage.create('items', 'id int PRIMARY KEY, name text, price numeric');
  }

  /** An error as its user sees it: SQLSTATE and message. */
  describe(error) {
    return `${error.code} ${error.message}`;
  }
}

export class Session {
  /** async query(text, values): { rows, count } */
  /** async close() */
  /** async cancelled(text, moment): runs text, cancels it once moment has come; as query() */
  /** async copyIn(text, lines), with copyReportsRows = false if it does not tell of a bad row */
  /** async copyOut(text): all of it as a string */
  /** async script(text): several statements in one message; may be missing */
  /** async listen(channel, hear) */

  /** Runs all, as much at once as the driver knows how to; as Promise.allSettled(). */
  settle(queries) {
    return Promise.allSettled(queries.map(({ text, values }) => this.query(text, values)));
  }

  /** As settle(), where no error is expected. */
  batch(queries) {
    return Promise.all(queries.map(({ text, values }) => this.query(text, values)));
  }

  async transaction(work, isolation) {
    await this.query(isolation ? `BEGIN ISOLATION LEVEL ${isolation}` : 'BEGIN');
    return this.#finish(work, 'COMMIT', 'ROLLBACK');
  }

  async savepoint(work) {
    await this.query('SAVEPOINT step');
    return this.#finish(work, 'RELEASE SAVEPOINT step', 'ROLLBACK TO SAVEPOINT step');
  }

  async #finish(work, keep, undo) {
    let result;
    try {
      result = await work(this);
    } catch (error) {
      await this.query(undo);
      throw error;
    }
    await this.query(keep);
    return result;
  }

  items(table) {
    return new Items(this, table);
  }
}

/** The rows of the case crud, in SQL; a row with a query builder has its own. */
class Items {
  constructor(session, table) {
    this.session = session;
    this.table = table;
  }

  async insert(id, name, price) {
    return (await this.session.query(`INSERT INTO ${this.table} VALUES ($1, $2, $3)`, [id, name, price])).count;
  }

  async select(id) {
    const { rows } = await this.session.query(`SELECT id, name, price FROM ${this.table} WHERE id = $1`, [id]);
    return rows.length === 0 ? undefined : { ...rows[0] };
  }

  async reprice(id, price) {
    return (await this.session.query(`UPDATE ${this.table} SET price = $2 WHERE id = $1`, [id, price])).count;
  }

  async delete(id) {
    return (await this.session.query(`DELETE FROM ${this.table} WHERE id = $1`, [id])).count;
  }
}
