// node-postgres: a client, a pool, named prepared statements, pipeline mode.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import QueryStream from 'pg-query-stream';
import { Row, Session } from './row.js';

const STREAMED = 50; // results with more rows than this would be, are read as streams

export class ClientSession extends Session {
  constructor(client, { named = false } = {}) {
    super();
    this.client = client;
    this.named = named;
  }

  #config(text, values) {
    const name = this.named && values ? createHash('sha1').update(text).digest('hex') : undefined;
    return { name, text, values };
  }

  async query(text, values) {
    const { rows, rowCount } = await this.client.query(this.#config(text, values));
    return { rows, count: rowCount };
  }

  script(text) {
    return this.client.query(text);
  }

  async cancelled(text, moment) {
    const query = new this.client.constructor.Query(text);
    const done = new Promise((resolve, reject) => {
      query.on('end', resolve);
      query.on('error', reject);
    });
    this.client.query(query);
    moment.then(() => this.cancel(query));
    return done;
  }

  cancel(query) {
    new pg.Client().cancel(this.client, query);
  }

  copyIn(text, lines) {
    return pipeline(Readable.from(lines), this.client.query(copyFrom(text)));
  }

  copyOut(text) {
    return textOf(this.client.query(copyTo(text)));
  }

  async listen(channel, hear) {
    this.client.on('notification', (message) => {
      if (message.channel === channel) {
        hear(message.payload);
      }
    });
    await this.client.query(`LISTEN ${channel}`);
  }

  async unlisten(channel) {
    await this.client.query(`UNLISTEN ${channel}`);
  }

  close() {
    return this.client.end();
  }
}

/** Reads every result as a stream, which is a cursor of a few rows at a time. */
class StreamSession extends ClientSession {
  async query(text, values) {
    if (!values || !/^\s*select/i.test(text)) {
      return super.query(text, values);
    }
    const rows = await this.client.query(new QueryStream(text, values, { batchSize: STREAMED })).toArray();
    return { rows, count: rows.length };
  }
}

class ClientRow extends Row {
  constructor(name, { SessionOf = ClientSession, options = {}, config = {}, absent = {} } = {}) {
    super(name, 'pg');
    Object.assign(this, { SessionOf, options, config, absent });
    this.shows = { interval: '{"days":1,"hours":2,"minutes":3,"seconds":4}' };
  }

  async session() {
    const client = new pg.Client(this.config);
    await client.connect();
    return new this.SessionOf(client, this.options);
  }
}

class PoolSession extends ClientSession {
  close() {
    this.client.release();
  }
}

/** One pool for all; what needs one connection checks it out. */
class PoolRow extends ClientRow {
  #pool;

  get pool() {
    this.#pool ??= new pg.Pool({ max: Number(process.env.CLIENTS ?? 8) + 1, ...this.config });
    return this.#pool;
  }

  async session() {
    return new PoolSession(await this.pool.connect(), this.options);
  }

  async visitor() {
    const visitor = new ClientSession(this.pool, this.options);
    visitor.close = () => {};
    return visitor;
  }

  async end() {
    await this.#pool?.end();
    this.#pool = undefined;
  }
}

export function rows() {
  return [
    new ClientRow('pg, Client'),
    new PoolRow('pg, Pool'),
    new ClientRow('pg, named statements', { options: { named: true } }),
    new ClientRow('pg, pipeline', {
      options: { named: true },
      config: { pipeline: true },
      absent: { copy: 'pg-copy-streams does not work in pipeline mode' },
    }),
    new ClientRow('pg, pg-query-stream', { SessionOf: StreamSession }),
  ];
}
