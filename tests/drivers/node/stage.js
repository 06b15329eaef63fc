// What a case works with: the row's sessions, closed at its end, and table names of its own.

export class Stage {
  #row;
  #open = new Set();

  constructor(row, clients) {
    this.#row = row;
    this.clients = clients;
  }

  get row() {
    return this.#row;
  }

  table(name) {
    return `${this.#row.slug}_${name}`;
  }

  /** Makes a table anew and returns its name. */
  async create(name, columns) {
    const table = this.table(name);
    await this.session(async (session) => {
      await session.query(`DROP TABLE IF EXISTS ${table}`);
      await session.query(`CREATE TABLE ${table} (${columns})`);
    });
    return table;
  }

  /** Runs body with a session, which is one connection. */
  async session(body, n = 0) {
    return this.#with(await this.#row.session(), body, n);
  }

  /** Runs body with something that may run each statement on another connection of a pool. */
  async visitor(body, n = 0) {
    return this.#with(await this.#row.visitor(), body, n);
  }

  /** Runs body in several sessions at the same time; returns what each returned. */
  sessions(body, count = this.clients) {
    return crowd(count, (n) => this.session(body, n));
  }

  visitors(body, count = this.clients) {
    return crowd(count, (n) => this.visitor(body, n));
  }

  async #with(session, body, n) {
    this.#open.add(session);
    try {
      return await body(session, n);
    } finally {
      this.#open.delete(session);
      await session.close();
    }
  }

  /** Closes what a case that was given up has left open, and the row's pools. */
  async end() {
    await Promise.allSettled([...this.#open].map((session) => session.close()));
    await this.#row.end();
  }
}

/** Runs body(0), body(1), ... at the same time; the first error, when all are done. */
export async function crowd(count, body) {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, (_, n) => body(n)));
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed) {
    throw failed.reason;
  }
  return outcomes.map(({ value }) => value);
}
