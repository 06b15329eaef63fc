// One value of each type: what a program gives to the driver, what the server makes of it as text,
// and what the program gets back (as show() writes it, where that is not the text).

/** In a row's `shows`: the driver cannot give the type back. */
export const ABSENT = Symbol('absent');

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const MOMENT = new Date('2024-02-29T12:34:56.789Z');
const UUID = '6f1c2a30-9c4b-4b0e-8d55-0123456789ab';

export const SAMPLES = [
  { type: 'int2', value: -32768, text: '-32768' },
  { type: 'int4', value: 2147483647, text: '2147483647' },
  { type: 'int8', value: '9223372036854775807', text: '9223372036854775807' },
  { type: 'numeric', value: '12345678901234567890.123456789', text: '12345678901234567890.123456789' },
  { type: 'float8', value: 0.1 + 0.2, text: '0.30000000000000004' },
  { type: 'bool', value: true, text: 'true' },
  { type: 'bool', value: false, text: 'false' },
  { type: 'text', value: '', text: '' },
  { type: 'text', value: `it's "quoted" \\ and $1`, text: `it's "quoted" \\ and $1` },
  { type: 'text', value: 'Grüße, 東京, 🐘', text: 'Grüße, 東京, 🐘' },
  {
    type: 'bytea', value: ALL_BYTES, toText: `encode($1::bytea, 'hex')`, text: ALL_BYTES.toString('hex'),
  },
  { type: 'date', value: '2024-02-29', text: '2024-02-29', shows: '2024-02-29T00:00:00.000Z' },
  {
    type: 'timestamp', value: '2024-02-29 12:34:56.789', text: '2024-02-29 12:34:56.789',
    shows: MOMENT.toISOString(),
  },
  {
    type: 'timestamptz', value: MOMENT, toText: `$1::timestamptz AT TIME ZONE 'UTC'`,
    text: '2024-02-29 12:34:56.789', shows: MOMENT.toISOString(),
  },
  { type: 'interval', value: '1 day 02:03:04', text: '1 day 02:03:04' },
  { type: 'uuid', value: UUID, text: UUID },
  { type: 'json', value: { a: [1, 'zwei', null] }, text: '{"a":[1,"zwei",null]}' },
  {
    type: 'jsonb', value: { a: [1, 'zwei', null] }, text: '{"a": [1, "zwei", null]}',
    shows: '{"a":[1,"zwei",null]}',
  },
  { type: 'int4[]', value: [1, null, -3], text: '{1,NULL,-3}', shows: '[1,null,-3]' },
  {
    type: 'text[]', value: ['a "b"', null, 'c,d\\'], text: '{"a \\"b\\"",NULL,"c,d\\\\"}',
    shows: '["a \\"b\\"",null,"c,d\\\\"]',
  },
  { type: 'mood', value: 'happy', text: 'happy' },
  { type: 'inet', value: '192.168.1.0/24', text: '192.168.1.0/24' },
];

/** A value that a driver returned, as text that can be compared. */
export function show(value) {
  if (value instanceof Date) {
    return value.toISOString();
  }
  if (value instanceof Uint8Array) {
    return Buffer.from(value).toString('hex');
  }
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value);
}
