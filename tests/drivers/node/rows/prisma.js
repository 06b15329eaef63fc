// Prisma's client without an engine, over @prisma/adapter-pg.

import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import prismaClient from '../generated/index.js';
import { ABSENT } from '../cases/samples.js';
import { Row, Session } from './row.js';

const { PrismaClient } = prismaClient;
// Prisma's own limits (2 s to begin, 5 s to end) are less than a transaction may wait in a pool's line.
const LONG = 30_000; // milliseconds

class PrismaSession extends Session {
  constructor(prisma, close, openWith) {
    super();
    this.prisma = prisma;
    this.close = close;
    this.openWith = openWith;
  }

  async query(text, values = []) {
    if (/^\s*(select|show)\b/i.test(text)) {
      return { rows: await this.prisma.$queryRawUnsafe(text, ...values) };
    }
    return { rows: [], count: await this.prisma.$executeRawUnsafe(text, ...values) };
  }

  async batch(queries) {
    const results = await this.prisma.$transaction(
      queries.map(({ text, values }) => this.prisma.$queryRawUnsafe(text, ...values)));
    return results.map((rows) => ({ rows }));
  }

  transaction(work, isolation) {
    return this.prisma.$transaction(
      (tx) => work(new PrismaSession(tx)), isolation === 'serializable' ? { isolationLevel: 'Serializable' } : {});
  }

  /** By a time limit: Prisma has no call for it. */
  async cancelled(text) {
    const hurried = this.openWith({ max: 1, statement_timeout: 500 });
    try {
      return await hurried.query(text);
    } finally {
      await hurried.close();
    }
  }

  items() {
    const { item } = this.prisma;
    return {
      insert: async (id, name, price) => (await item.createMany({ data: [{ id, name, price }] })).count,
      select: async (id) => {
        const found = await item.findUnique({ where: { id } });
        return found ? { ...found, price: found.price.toFixed(2) } : undefined;
      },
      reprice: async (id, price) => (await item.updateMany({ where: { id }, data: { price } })).count,
      delete: async (id) => (await item.deleteMany({ where: { id } })).count,
    };
  }
}

class PrismaRow extends Row {
  #pool;

  constructor(name, adapterOptions = {}) {
    super(name, '@prisma/client');
    this.adapterOptions = adapterOptions;
    this.shows = { numeric: '"12345678901234567890.123456789"', interval: ABSENT };
    this.absent = {
      copy: 'Prisma has no COPY',
      notify: 'Prisma has no LISTEN',
    };
  }

  #open(config) {
    const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL, ...config }, this.adapterOptions);
    const prisma = new PrismaClient({ adapter, transactionOptions: { maxWait: LONG, timeout: LONG } });
    return new PrismaSession(prisma, () => prisma.$disconnect(), (changed) => this.#open(changed));
  }

  async session() {
    return this.#open({ max: 1 });
  }

  async visitor() {
    this.#pool ??= this.#open({ max: Number(process.env.CLIENTS ?? 8) });
    return new PrismaSession(this.#pool.prisma, () => {});
  }

  async end() {
    await this.#pool?.close();
    this.#pool = undefined;
  }

  async createItems(stage) {
    await stage.session(async (session) => {
      await session.query('DROP TABLE IF EXISTS prisma_item');
      await session.query('CREATE TABLE prisma_item (id int PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)');
    });
  }

  describe(error) {
    const cause = error.meta?.driverAdapterError?.cause;
    return cause ? `${cause.originalCode} ${cause.originalMessage}` : `${error.code} ${error.message}`;
  }
}

export function rows() {
  return [
    new PrismaRow('Prisma, adapter-pg'),
    new PrismaRow('Prisma, adapter-pg with named statements', {
      statementNameGenerator: ({ sql }) => createHash('sha1').update(sql).digest('hex'),
    }),
  ];
}
