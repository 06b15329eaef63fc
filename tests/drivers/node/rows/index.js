import pg from 'pg';
import * as nodePostgres from './pg.js';
import * as native from './pg_native.js';
import * as postgresJs from './postgres_js.js';
import * as prisma from './prisma.js';
import * as drizzle from './drizzle.js';
import * as knex from './knex.js';

export async function allRows() {
  const modules = [nodePostgres, native, postgresJs, prisma, drizzle, knex];
  return (await Promise.all(modules.map((module) => module.rows()))).flat();
}

/** A plain connection, for what belongs to no row. */
export async function withConnection(work) {
  const client = new pg.Client();
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
