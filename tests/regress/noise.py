"""Other clients of the same database and user, who change their sessions all the while the tests
run: what leaks from them through pgsluice would show in the tests' output."""

import subprocess
import threading

from servers import DATABASE, SUPERUSER
from targets import client_environment

# Each block ends outside of a transaction. Whatever is set here would spoil many of the tests.
BLOCKS = (
    "SET search_path = pg_temp, information_schema; SET datestyle = 'ISO, DMY';",
    "SET bytea_output = 'escape'; SET extra_float_digits = -3; SET timezone = 'Asia/Kathmandu';",
    "SET standard_conforming_strings = off; SET client_encoding = 'LATIN1';",
    "SET default_transaction_read_only = on; SET default_transaction_isolation = 'serializable';",
    "RESET ALL;",
    "SET DateStyle = 'SQL';",
    "PREPARE p1 AS SELECT 'noise'; PREPARE q1 AS SELECT 'noise'; EXECUTE q1;",
    "SET session_replication_role = 'replica'; SET ROLE pg_monitor;",
    "BEGIN; SET LOCAL work_mem = '64kB'; DECLARE foo1 CURSOR FOR SELECT 1; ROLLBACK;",
    "SET default_text_search_config = 'simple'; SET SESSION AUTHORIZATION pg_monitor;",
    "SET row_security = off; SET DateStyle = 'YMD';",
    "SELECT set_config('custom.noise', 'noise', false); SET xmlbinary = hex;",
    "RESET SESSION AUTHORIZATION; RESET ROLE;",
    "DO $$ BEGIN PERFORM set_config('seq_page_cost', '1234', false); END $$;",
    "SET statement_timeout = '20s'; SET lock_timeout = '10s'; SET enable_seqscan = off;",
    "LISTEN noise; NOTIFY noise; UNLISTEN *;",
    "DEALLOCATE ALL; DISCARD ALL;",
)
DONE = "noise done"


class Noise:
    """A psql that runs the blocks again and again, with a pause behind each."""

    def __init__(self, psql, port, environment, database=DATABASE, pause=0.02):
        self.pause = pause
        self.ending = threading.Event()
        self.complaints = []
        self.rounds = 0
        self.psql = subprocess.Popen(
            [psql, "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(port), "-U", SUPERUSER,
             "-d", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=environment)
        self.thread = threading.Thread(target=self.make)
        self.thread.start()

    def make(self):
        while not self.ending.is_set():
            for block in BLOCKS:
                self.run(block)
                self.ending.wait(self.pause)
            self.rounds += 1

    def run(self, block):
        self.psql.stdin.write(f"{block}\n\\echo {DONE}\n")
        self.psql.stdin.flush()
        for line in self.psql.stdout:
            if line.strip() == DONE:
                return
            if "ERROR" in line or "FATAL" in line or "WARNING" in line:
                self.complaints.append(f"to {block!r}: {line.strip()}")
        self.complaints.append(f"psql ended at {block!r}")
        self.ending.set()

    def stop(self):
        self.ending.set()
        self.thread.join()
        self.psql.stdin.close()
        self.psql.wait(10)
