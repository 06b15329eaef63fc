// How much the cases do; less of it with QUICK=1.

const quick = process.env.QUICK === '1';

export const TEXTS = quick ? 120 : 300;
export const COPY_ROWS = quick ? 2_000 : 20_000;
export const LARGE = (quick ? 4 : 64) * 1024 * 1024;
export const TRANSACTIONS = quick ? 20 : 50;
