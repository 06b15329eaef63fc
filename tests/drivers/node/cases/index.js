// The cases in the order of the matrix. Each takes a stage and returns what it observed, if that
// may differ between a direct connection and one through pgsluice.

import { crud, statements, types } from './statements.js';
import { batch, pipelineErrors } from './batch.js';
import { copy, largeRows } from './bulk.js';
import { transactions } from './transactions.js';
import { cancel } from './cancel.js';
import { notify } from './notify.js';
import { sessionSet } from './session_set.js';
import { schemaChange } from './schema_change.js';

export const CASES = {
  crud,
  types,
  statements,
  batch,
  copy,
  transactions,
  pipeline_errors: pipelineErrors,
  large_rows: largeRows,
  cancel,
  notify,
  session_set: sessionSet,
  schema_change: schemaChange,
};
