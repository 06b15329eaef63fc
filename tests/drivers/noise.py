"""Other clients of the same database and user, who change their sessions all the while a driver's
program runs: what leaks from them through pgsluice would show in what the driver sees."""

import threading

import psycopg
from psycopg.pq import ExecStatus

# Each ends outside of a transaction. Whatever is set here would spoil many of the cases. Nothing of it
# pins: a noise that has a server connection for itself disturbs nobody.
BLOCKS = (
    "SET search_path = pg_temp, information_schema; SET datestyle = 'SQL, DMY'",
    "SET bytea_output = 'escape'; SET extra_float_digits = -3; SET timezone = 'Asia/Kathmandu'",
    "SET intervalstyle = 'sql_standard'; SET client_encoding = 'LATIN1'",
    "SET default_transaction_read_only = on; SET default_transaction_isolation = 'serializable'",
    "RESET ALL",
    "SET my.name = 'noise'; SET application_name = 'noise'",
    "PREPARE p1 AS SELECT 'noise'",
    "EXECUTE p1",
    "SET ROLE other; SET default_transaction_deferrable = on",
    "BEGIN; SET LOCAL work_mem = '64kB'; DECLARE c1 CURSOR FOR SELECT 1; ROLLBACK",
    "SELECT set_config('my.name', 'more noise', false); SET statement_timeout = '1s'",
    "RESET ROLE",
    "DO $$ BEGIN PERFORM set_config('lock_timeout', '1s', false); END $$",
    "LISTEN noise; NOTIFY noise, 'noise'; UNLISTEN *",
    "DEALLOCATE ALL",
    "DISCARD ALL",
)
PAUSE = 0.02


class Noise:
    """One client that runs the blocks again and again, with a pause behind each."""

    def __init__(self, url):
        self.ending = threading.Event()
        self.complaints = []
        self.rounds = 0
        self.connection = psycopg.connect(url, autocommit=True, connect_timeout=20)
        self.thread = threading.Thread(target=self.make)
        self.thread.start()

    def make(self):
        while not self.ending.is_set():
            for block in BLOCKS:
                try:
                    # As a simple query, which takes several statements at once.
                    result = self.connection.pgconn.exec_(block.encode())
                    if result.status == ExecStatus.FATAL_ERROR:
                        self.complaints.append(f"noise, {block!r}: {result.error_message.decode().strip()}")
                except psycopg.Error as problem:
                    self.complaints.append(f"noise, {block!r}: {problem}")
                if self.ending.wait(PAUSE):
                    return
            self.rounds += 1

    def stop(self):
        self.ending.set()
        self.thread.join(60)
        self.connection.close()
