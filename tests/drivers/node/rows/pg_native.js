// node-postgres over libpq (pg-native), where that could be built.

import pg from 'pg';
import { ClientSession } from './pg.js';
import { Row, versionOf } from './row.js';
import { CASES } from '../cases/index.js';

class NativeSession extends ClientSession {
  cancel(query) {
    this.client.cancel(query);
  }
}

class PipelineSession extends NativeSession {
  // Each statement of the pipeline is prepared, which several in one are not.
  script = undefined;
}

class NativeRow extends Row {
  constructor(name, { SessionOf = NativeSession, config = {}, options = {}, absent = {} } = {}) {
    super(name, 'pg-native');
    Object.assign(this, { SessionOf, config, options });
    this.sends = { bytea: (bytes) => `\\x${bytes.toString('hex')}` };
    this.shows = { interval: '{"days":1,"hours":2,"minutes":3,"seconds":4}' };
    this.absent = { copy: 'node-postgres has no COPY over pg-native', ...absent };
    if (!pg.native) {
      this.absent = Object.fromEntries(Object.keys(CASES).map((each) => [each, 'pg-native cannot be built here']));
    }
  }

  async session() {
    const client = new pg.native.Client(this.config);
    await client.connect();
    return new this.SessionOf(client, this.options);
  }

  /** Errors in a pipeline have no SQLSTATE, and libpq's whole text as message. */
  describe(error) {
    return error.code ? super.describe(error) : error.message.split('\n')[0];
  }
}

export function rows() {
  return [
    new NativeRow('pg-native'),
    new NativeRow('pg-native, pipeline', {
      SessionOf: PipelineSession,
      config: { pipeline: true },
      options: { named: true },
      absent: {
        cancel: 'node-postgres cannot cancel in a pipeline of pg-native',
        notify: 'node-postgres reads no notifications in a pipeline of pg-native',
      },
    }),
  ];
}
