// postgres.js: prepared statements by default, pipelined on each connection of its pool.

import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { Row, Session } from './row.js';

const URL = process.env.DATABASE_URL;
// Rows of COPY that fit into a stream's buffer: postgres.js stops reading for good where the end of
// the data comes while the stream has no room.
const PAGE = 300;

/** What postgres.js makes of a NULL in an array of texts. */
export const NULL_IS_A_WORD = { 'text[]': '["a \\"b\\"","NULL","c,d\\\\"]' };

export class SqlSession extends Session {
  // A stream that is already at its end when the server complains, waits forever.
  copyReportsRows = false;

  constructor(sql, close) {
    super();
    this.sql = sql;
    this.close = close;
  }

  async query(text, values) {
    // What has no parameters is not prepared by unsafe() unless told so.
    const rows = await this.sql.unsafe(text, values ?? [], { prepare: values !== undefined });
    return { rows: [...rows], count: rows.count };
  }

  script(text) {
    return this.sql.unsafe(text).simple();
  }

  transaction(work, isolation) {
    const inside = (sql) => work(new SqlSession(sql));
    return isolation ? this.sql.begin(`isolation level ${isolation}`, inside) : this.sql.begin(inside);
  }

  savepoint(work) {
    return this.sql.savepoint((sql) => work(new SqlSession(sql)));
  }

  async cancelled(text, moment) {
    const query = this.sql.unsafe(text).execute();
    moment.then(() => query.cancel());
    return query;
  }

  async copyIn(text, lines) {
    await pipeline(Readable.from(lines), await this.sql.unsafe(text).writable());
  }

  async copyOut(text) {
    const pages = [];
    do {
      pages.push(await this.#copyPage(text, pages.length * PAGE));
    } while (pages.at(-1) !== '');
    return pages.join('');
  }

  async #copyPage(text, offset) {
    const page = text.replace(/\) TO STDOUT$/, ` LIMIT ${PAGE} OFFSET ${offset}) TO STDOUT`);
    const readable = await this.sql.unsafe(page).readable();
    const chunks = [];
    readable.on('data', (chunk) => chunks.push(chunk));
    await once(readable, 'end');
    return Buffer.concat(chunks).toString();
  }

  async listen(channel, hear) {
    this.listening = await this.sql.listen(channel, hear);
  }

  async unlisten() {
    await this.listening.unlisten();
  }
}

class SqlRow extends Row {
  #pool;

  constructor(name, options = {}) {
    super(name, 'postgres');
    this.options = { onnotice: () => {}, ...options };
    this.shows = NULL_IS_A_WORD;
  }

  async session() {
    const sql = postgres(URL, { ...this.options, max: 1 });
    return new SqlSession(sql, () => sql.end({ timeout: 5 }));
  }

  async visitor() {
    this.#pool ??= postgres(URL, { ...this.options, max: Number(process.env.CLIENTS ?? 8) });
    return new SqlSession(this.#pool, () => {});
  }

  async end() {
    await this.#pool?.end({ timeout: 5 });
    this.#pool = undefined;
  }
}

export function rows() {
  return [
    new SqlRow('postgres.js'),
    new SqlRow('postgres.js, prepare: false', { prepare: false }),
  ];
}
