"""Writes seeded random sequences of statements that change the session. FEATURES is what can be in
them; a step is right in any order and with any other left out."""

import random
import re

from sequences import FOR_LIFE, Sequence, Step

def tables(client):
    """SQL that makes one client's schemas anew."""
    one, other = f"one_{client}", f"two_{client}"
    return f"""
DROP SCHEMA IF EXISTS {one}, {other} CASCADE;
CREATE SCHEMA {one} AUTHORIZATION trusted;
CREATE SCHEMA {other} AUTHORIZATION trusted;
GRANT USAGE ON SCHEMA {one} TO half;
SET ROLE trusted;
CREATE TABLE {one}.things (i int, t text);
INSERT INTO {one}.things VALUES ({client}, 'one'), ({client} + 10, 'of {client}');
CREATE TABLE {other}.things (t text, i bigint, more boolean);
INSERT INTO {other}.things VALUES ('two', {client} + 100, true);
CREATE SEQUENCE {one}.numbers START {client * 1000 + 1};
CREATE SEQUENCE {other}.numbers START {client * 1000 + 501};
GRANT SELECT ON {one}.things TO half;
RESET ROLE;
"""


# What leaves a client's tables or sequences other than they were made.
CHANGES = re.compile(r"INSERT|UPDATE|DELETE|TABLE|INDEX|nextval|setval")


def changes(step):
    return CHANGES.search(str(step)) is not None


SETTINGS = {
    "TimeZone": ["Asia/Tokyo", "Europe/Paris", "America/Lima", "Nowhere/Land", "5.5"],
    "application_name": ["one", "it''s", "ü two", ""],
    "DateStyle": ["German", "SQL, DMY", "ISO", "YMD"],
    "IntervalStyle": ["iso_8601", "postgres_verbose"],
    "client_encoding": ["LATIN1", "UTF8", "SQL_ASCII"],
    "standard_conforming_strings": ["off", "on"],
    "work_mem": ["3MB", "64kB", "1", "100TB"],
    "statement_timeout": ["61s", "0", "2h"],
    "lock_timeout": ["30s", "-1"],
    "extra_float_digits": ["0", "3", "-15", "9"],
    "bytea_output": ["escape", "hex"],
    "default_transaction_isolation": ["serializable", "read committed"],
    "default_transaction_read_only": ["on", "off"],
    "client_min_messages": ["error", "notice", "log"],
    "enable_seqscan": ["off", "on"],
    "row_security": ["off", "on"],
    "plan_cache_mode": ["force_generic_plan", "auto"],
    "transaction_isolation": ["repeatable read"],
    "no_such_setting": ["1"],
    "search_path": ["pg_catalog", ""],
}
CUSTOM = {
    "app.user_id": ["1", "42", "o''brien", ""],
    "app.tenant": ["blue", "grün", "x" * 1100],
    '"Odd.Name"': ["odd"],
    "my.list": ["a, b", '"q"'],
}

def sets(value="value"):
    """SQL that sets what `name` says. It names them all: a body that does not would pin who calls it."""
    names = [name.strip('"') for name in [*SETTINGS, *CUSTOM]]
    cases = (f"WHEN '{name}' THEN set_config('{name}', {value}, false)" for name in names)
    return f"CASE name {' '.join(cases)} END"


# The schemas, tables and functions that the statements know. Each client works on tables of its own,
# so that what it reads does not hang on the others.
COMMON = f"""
CREATE FUNCTION put(name text, value text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN RETURN {sets()}; END $$;
CREATE FUNCTION put_hidden(value text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN RETURN set_config('app.' || 'tenant', value, false); END $$;
CREATE FUNCTION put_then_fail(name text, value text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM {sets()}; RAISE 'failed after %', name; END $$;
CREATE FUNCTION put_in_vain(name text, value text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM {sets()}; RAISE 'never told';
     EXCEPTION WHEN raise_exception THEN RETURN coalesce(current_setting(name, true), ''); END $$;
CREATE FUNCTION zone_within() RETURNS text LANGUAGE sql SET TimeZone = 'Asia/Kolkata' AS
  $$ SELECT current_setting('TimeZone') $$;
CREATE FUNCTION zone_overwritten() RETURNS text LANGUAGE plpgsql SET TimeZone = 'Asia/Kolkata' AS
  $$ BEGIN SET TimeZone = 'Asia/Tokyo'; SET application_name = 'from within';
     RETURN current_setting('TimeZone'); END $$;
CREATE PROCEDURE put_and_commit(name text, value text) LANGUAGE plpgsql AS
  $$ BEGIN PERFORM {sets()}; COMMIT;
     PERFORM {sets("'lost'")}; ROLLBACK; END $$;
"""

SEEN = [name for name in SETTINGS if name != "no_such_setting"]
# A custom name that was ever set in a backend is '' there from then on, NULL in others: no way back.
CUSTOM_SHOWN = "SELECT " + ", ".join(
    "coalesce(current_setting('{}', true), '')".format(name.strip('"')) for name in CUSTOM
)
REPORTED = ["TimeZone", "application_name", "DateStyle", "IntervalStyle"]
# How many parameters what has the name takes. A wrong number would be told before that the transaction
# has failed, but not by a server connection on which the statement is to be prepared anew.
NAMES = {"a": 0, "b": 1, "c": 2, "d": 0}
SQL_NAMES = ["p", "q"]
TEXTS = [  # and how many parameters each has
    ("SELECT * FROM things ORDER BY i", 0),
    ("SELECT i FROM things WHERE t <> $1 ORDER BY i", 1),
    ("SELECT count(*) FROM things", 0),
    ("SELECT current_setting('TimeZone'), coalesce(current_setting('app.user_id', true), '')", 0),
    ("SELECT $1::int + $2::int", 2),
    ("SHOW application_name", 0),
    ("INSERT INTO things (i, t) VALUES ($1, $2) RETURNING *", 2),
    ("UPDATE things SET t = t || '+' RETURNING i", 0),
    ("SELECT '2026-11-23 12:00+00'::timestamptz, interval '1 day 2 hours', 1.1::float8", 0),
    ("SELECT 1/0", 0),
]  # fmt: skip
SAVED = ["s", "t"]


# What asyncpg's pool sends when a connection comes back.
POOL_RESET = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL"
# Until the transaction's end a RESET leads to the server's default, not to what the client came with.
RESETS = re.compile(r"RESET (?!ROLE|SESSION)|DEFAULT|DISCARD ALL|ZONE LOCAL")
# Notifications come by a connection with another client's client_encoding; in this one they pin.
ENCODINGS = re.compile(r"client_encoding|NAMES")


class Writer:
    """Features are its methods; each answers a list of steps of the client `self.client`."""

    def __init__(self, dice, startup, size, features):
        self.dice = dice
        self.size = size
        self.startup = startup
        self.clients = range(len(startup))
        self.features = features
        # As far as can be foreseen: how much longer a client's transaction is to take, and the
        # statements that clients have prepared last.
        self.open = {}
        self.names = {}
        self.client = 0

    def steps(self, count):
        # Statements are found by their unqualified names, as applications do.
        steps = [Step(n, [["Q", f"SET search_path = one_{n}, public"]]) for n in self.clients]
        names, weights = list(self.features), [FEATURES[name] for name in self.features]
        while len(steps) < count:
            self.client = self._next_client()
            feature = self.dice.choices(names, weights)[0]
            new = self.end_of_transaction() if self._is_over() else getattr(self, feature)()
            if not any(map(self._is_unfit, new)):
                steps += new
        for step in steps:
            step.room = self.dice.randrange(60)
        return steps

    def _is_unfit(self, step):
        words = str(step)
        return bool(
            (self.startup[self.client] and RESETS.search(words))
            or ("listening" in self.features and ENCODINGS.search(words))
        )

    def _is_over(self):
        left = self.open.get(self.client, 0)
        self.open[self.client] = max(0, left - 1)
        return left == 1

    def _next_client(self):
        holders = [n for n, left in self.open.items() if left]
        if len(holders) >= self.size and self.dice.random() < 0.9:
            return self.dice.choice(holders)
        return self.dice.choice(self.clients)

    # -- words -------------------------------------------------------------------------------------

    def chance(self, share):
        return self.dice.random() < share

    def pick(self, *words):
        return self.dice.choice(words)

    def setting(self, custom=0.35):
        table = CUSTOM if self.chance(custom) else SETTINGS
        name = self.dice.choice(list(table))
        return name, self.dice.choice(table[name])

    def set_statement(self):
        name, value = self.setting()
        if self.chance(0.15):
            name, value = "search_path", f"{self.pick('one', 'two')}_{self.client}, public"
            return f"SET {self.pick('', '', 'LOCAL ')}search_path = {value}"
        if self.chance(0.2):
            return self.pick(
                f"RESET {name}", f"SET {name} TO DEFAULT", "RESET ALL", "SET TIME ZONE 'Asia/Tokyo'",
                "SET TIME ZONE -3", "SET TIME ZONE LOCAL", "SET NAMES 'LATIN1'", "SET NAMES DEFAULT",
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, ISOLATION LEVEL READ COMMITTED",
                "SET TRANSACTION READ ONLY", "SET TIME ZONE INTERVAL '+02:30' HOUR TO MINUTE",
                "SET LOCAL TIME ZONE 'UTC'", "SET client_min_messages TO DEFAULT",
            )  # fmt: skip
        return f"SET {self.pick('', '', 'SESSION ', 'LOCAL ')}{name} {self.pick('TO', '=')} '{value}'"

    def config_call(self, function="set_config"):
        name, value = self.setting()
        name = name.strip('"')
        if function == "set_config":
            return f"set_config('{name}', '{value}', {self.pick('false', 'false', 'true')})"
        return f"{function}('{name}', '{value}')"

    def extended(self, sql, *parameters):
        """Without a Sync."""
        described = [["D", "P", ""]] if self.chance(0.3) else []
        return [["P", "", sql], ["B", "", list(parameters)], *described, ["E"]]

    def run(self, sql, **keywords):
        """By either protocol."""
        simple = ";" in sql or self.chance(0.65)
        messages = [["Q", sql]] if simple else [*self.extended(sql), ["S"]]
        return [Step(self.client, messages, **keywords)]

    # -- features ----------------------------------------------------------------------------------

    def settings(self):
        if self.chance(0.35):
            return self.run(f"SELECT {self.config_call()}")
        return self.run(self.set_statement())

    def together(self):
        """Several in one Query or before one Sync."""
        words = [self.set_statement() if self.chance(0.6) else f"SELECT {self.config_call()}"
                 for _ in range(self.dice.randrange(2, 4))]  # fmt: skip
        words.insert(self.dice.randrange(len(words) + 1), self.pick("SELECT 1", "SELECT 1/0", "COMMIT", "BEGIN"))
        way = self.dice.randrange(3)
        if way == 0:
            messages = [["Q", "; ".join(words)]]
        elif way == 1:
            messages = [message for sql in words for message in self.extended(sql)] + [["S"]]
        else:
            messages = [["Q", sql] for sql in words]
        return [Step(self.client, messages)]

    def shows(self):
        name = self.dice.choice(SEEN)
        sql = self.pick(
            f"SHOW {name}", f"SELECT current_setting('{name}', true)", CUSTOM_SHOWN, CUSTOM_SHOWN,
            "SELECT current_user, session_user, current_schema(), current_setting('role')",
            f"SELECT setting FROM pg_settings WHERE name = '{name}'",
            "SELECT '2026-11-23 12:00+00'::timestamptz, interval '1 day 2 hours', 0.1::float8, '\\xff'::bytea",
            r"SELECT length('a\\b')", "SELECT 'ü'", "SHOW transaction_isolation",
            "SELECT zone_within(), current_setting('TimeZone')",
        )  # fmt: skip
        return self.run(sql)

    def computed_names(self):
        """Names of settings that are in no text."""
        name, value = self.dice.choice(list(CUSTOM)).strip('"'), "computed"
        half = len(name) // 2
        if self.chance(0.5):
            sql = f"SELECT set_config('{name[:half]}' || '{name[half:]}', '{value}', false)"
            return self.run(sql, pins=[FOR_LIFE])
        messages = [*self.extended("SELECT set_config($1, $2, false)", name, value), ["S"]]
        return [Step(self.client, messages, pins=[FOR_LIFE])]

    def roles(self):
        return self.run(self.pick(
            "SET ROLE half", "SET ROLE half", "RESET ROLE", "SET ROLE NONE", "SET LOCAL ROLE half",
            "SELECT set_config('role', 'half', false)", "SET ROLE nobody_such",
            "SET SESSION AUTHORIZATION trusted", "SET SESSION AUTHORIZATION half",
            "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION DEFAULT",
            "SET LOCAL SESSION AUTHORIZATION trusted",
        ))  # fmt: skip

    def functions(self):
        return self.run(self.pick(
            f"DO $$ BEGIN PERFORM {self.config_call()}; END $$",
            f"DO $$ BEGIN EXECUTE 'SET TimeZone = ''{self.pick('Asia/Tokyo', 'Asia/Dili')}'''; END $$",
            f"DO $$ BEGIN PERFORM {self.config_call()}; RAISE 'no'; END $$",
            f"SELECT put('{self.dice.choice(REPORTED)}', '{self.pick('Asia/Tokyo', 'ISO, DMY', 'z')}')",
            f"SELECT {self.config_call('put_then_fail')}", f"SELECT {self.config_call('put_in_vain')}",
            "SELECT zone_overwritten()",
            f"CALL put_and_commit('{self.pick('work_mem', 'TimeZone')}', '64kB')",
            f"CALL put_and_commit('{self.dice.choice(REPORTED)}', '{self.pick('Asia/Tokyo', 'ISO, DMY', 'z')}')",
        ))  # fmt: skip

    def functions_unseen(self):
        """What neither the text nor a report tells, but the function's body."""
        # No search_path: prepared statements whose tables are out of sight stay, or are refused early.
        name = self.pick("work_mem", "enable_seqscan")
        return self.run(f"SELECT put('{name}', '{self.pick('64kB', 'on', 'off')}')")

    def session_functions(self):
        """Custom settings whose names only a function knows; pgsluice is told of the function."""
        return self.run(f"SELECT put_hidden('{self.pick('blue', 'red')}')", pins=[FOR_LIFE])

    def transactions(self):
        if not self.open.get(self.client):
            self.open[self.client] = self.dice.randrange(2, 9)
            return self.run(self.pick(
                "BEGIN", "BEGIN", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "BEGIN READ ONLY", f"BEGIN; SAVEPOINT {self.dice.choice(SAVED)}; {self.set_statement()}",
                f"BEGIN; {self.set_statement()}", f"BEGIN; SELECT {self.config_call()}",
            ))  # fmt: skip
        name = self.dice.choice(SAVED)
        return self.run(self.pick(
            f"SAVEPOINT {name}", f"SAVEPOINT {name}", f"ROLLBACK TO {name}", f"RELEASE {name}", "SELECT 1/0",
            f"ROLLBACK TO {name}; {self.set_statement()}", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN",
        ))  # fmt: skip

    def end_of_transaction(self):
        return self.run(self.pick("COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "END; SELECT 1"))

    def discards(self):
        self.open[self.client] = 0
        return self.run(self.pick(
            "DISCARD ALL", "DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "RESET ALL", POOL_RESET, POOL_RESET,
        ))  # fmt: skip

    def protocol_statements(self):
        """Named and unnamed."""
        name = self.pick("", *NAMES)
        sql, count = self.dice.choice([text for text in TEXTS if NAMES.get(name, text[1]) == text[1]])
        way = self.dice.randrange(12)
        if way < 5:
            self.names[self.client, "protocol"] = name, count
        elif way < 11 and self.chance(0.8):
            name, count = self.names.get((self.client, "protocol"), (name, count))
        if name == "" and self.chance(0.1):
            count += 1
        parameters = [self.pick("1", "7", "7", "x") for _ in range(count)]
        if way < 5:
            messages = [["P", name, sql], ["B", name, parameters], *self.maybe(["D", "P", ""]), ["E"]]
        elif way < 10:
            messages = [*self.maybe(["D", "S", name]), ["B", name, parameters], ["E"]]
        elif way < 11:
            messages = [["C", "S", name]]
        else:
            messages = [["P", name, sql if count else "SET app.tenant = 'parsed'"], ["D", "S", name]]
        return [Step(self.client, [*messages, ["S"]])]

    def maybe(self, message):
        return [message] if self.chance(0.4) else []

    def mixed_names(self):
        """Protocol and SQL have one space of names."""
        return self.sql_statements(list(NAMES))

    def sql_statements(self, names=SQL_NAMES):
        name = self.dice.choice(names)
        sql, count = self.dice.choice(TEXTS)
        if sql.startswith("SHOW"):
            sql = "SELECT 'no SHOW'"
        prepares = self.chance(0.4)
        if prepares:
            self.names[self.client, "SQL"] = name, count
        elif self.chance(0.8):
            name, count = self.names.get((self.client, "SQL"), (name, count))
        arguments = f"({', '.join(self.pick('1', '7') for _ in range(count))})" if count else ""
        # A constant may mean something else under other settings, and stays where it is then.
        pins = ["PREPARE"] if "'" in sql else []
        return self.dice.choice([
            lambda: self.run(f"PREPARE {name} AS {sql}", pins=pins),
            lambda: self.run(f"PREPARE {name} AS {sql}", pins=pins),
            lambda: self.run(f"PREPARE {name} AS {sql}; EXECUTE {name}{arguments}", pins=["PREPARE"]),
            lambda: self.run(f"PREPARE {name}({', '.join(['text'] * count)}) AS {sql}" if count else
                             f"PREPARE {name} AS {sql}", pins=pins),
        ] if prepares else [
            *[lambda: self.run(f"EXECUTE {name}{arguments}")] * 4,
            lambda: self.run(f"DEALLOCATE {name}"),
            lambda: self.run("DEALLOCATE ALL", frees=["PREPARE"]),
            lambda: self.run("SELECT name, statement, parameter_types FROM pg_prepared_statements"
                             " WHERE from_sql ORDER BY name"),
        ])()  # fmt: skip

    def tables(self):
        """Statements' results change under them."""
        return self.run(self.pick(
            "ALTER TABLE things ADD extra int", "ALTER TABLE things DROP COLUMN IF EXISTS extra",
            "ALTER TABLE things ALTER i TYPE bigint", "ALTER TABLE things ALTER i TYPE int",
            "INSERT INTO things (i, t) VALUES (5, 'more')", "DELETE FROM things WHERE i = 5",
            "DROP TABLE things; CREATE TABLE things (i int, other text)",
            "CREATE INDEX ON things (i)", "SELECT * FROM things ORDER BY i",
        ))  # fmt: skip

    def plans(self):
        """A statement whose tables become others between its preparation and its use."""
        sql = self.pick("SELECT * FROM things ORDER BY i", "SELECT count(*) FROM things", "DELETE FROM things"
                        " WHERE i = 5 RETURNING *", "SELECT i FROM things ORDER BY i")  # fmt: skip
        name = self.pick("", "a", "d")
        use = [["B", name], *self.maybe(["D", "P", ""]), ["E"], ["S"]]
        steps = [Step(self.client, [["P", name, sql], *self.pick(use, [["S"]])])]
        if self.chance(0.3):
            name = self.dice.choice(SQL_NAMES)
            # Within a transaction that sets a path for itself, or changes the table, it stays.
            pins = ["PREPARE"] if self.open.get(self.client) else []
            steps = self.run(f"PREPARE {name} AS {sql}", pins=pins)
            use = [["Q", f"EXECUTE {name}"]]
        between = self.dice.choice([
            lambda: self.run(f"SET search_path = {self.pick('one', 'two')}_{self.client}, public"),
            lambda: self.run(f"SET LOCAL search_path = {self.pick('one', 'two')}_{self.client}, public"),
            self.tables, self.transactions, self.settings, list,
        ])  # fmt: skip
        for _ in range(self.dice.randrange(1, 3)):
            steps += [*between(), Step(self.client, use)]
        return steps

    def temporary_tables(self):
        pins = ["TEMPORARY"]
        return self.dice.choice([
            lambda: self.run("CREATE TEMP TABLE scratch (i int)", pins=pins),
            lambda: self.run("CREATE TEMP TABLE scratch AS SELECT 3 AS i", pins=pins),
            lambda: self.run("SELECT 4 AS i INTO TEMP scratch", pins=pins),
            lambda: self.run("CREATE TEMP TABLE scratch (i int) ON COMMIT DROP"),
            lambda: self.run("BEGIN; CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT 1; COMMIT"),
            lambda: self.run("CREATE TEMP VIEW things AS SELECT 1 AS i", pins=pins),
            lambda: self.run("SELECT * FROM scratch"),
            lambda: self.run("INSERT INTO scratch VALUES (9)"),
            lambda: self.run("DROP TABLE scratch"),
            lambda: self.run("DISCARD TEMP", frees=pins),
        ])()  # fmt: skip

    def cursors(self):
        pins = ["CURSOR"]
        return self.dice.choice([
            lambda: self.run("DECLARE kept CURSOR WITH HOLD FOR SELECT generate_series(1, 9)", pins=pins),
            lambda: self.run("BEGIN; DECLARE kept CURSOR WITH HOLD FOR SELECT * FROM things ORDER BY i; COMMIT",
                             pins=pins),
            lambda: self.run("DECLARE passing CURSOR FOR SELECT 1"),
            lambda: self.run("FETCH 2 FROM kept"),
            lambda: self.run("FETCH passing"),
            lambda: self.run("CLOSE kept"),
            lambda: self.run("CLOSE ALL", frees=pins),
            lambda: self.run("SELECT name, is_holdable FROM pg_cursors WHERE name <> '' ORDER BY name"),
        ])()  # fmt: skip

    def advisory_locks(self):
        key = self.client  # clients do not wait for each other
        return self.dice.choice([
            lambda: self.run(f"SELECT pg_advisory_lock({key})", pins=["ADVISORY"]),
            lambda: self.run(f"SELECT pg_try_advisory_lock_shared(99), pg_try_advisory_lock({key}, 1)",
                             pins=["ADVISORY"]),
            lambda: self.run(f"SELECT pg_advisory_xact_lock({key})"),
            lambda: self.run(f"SELECT pg_advisory_unlock({key})"),
            lambda: self.run("SELECT pg_advisory_unlock_all()", frees=["ADVISORY"]),
            lambda: self.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                             " AND pid = pg_backend_pid()"),
        ])()  # fmt: skip

    def listening(self):
        channel = f"{self.pick('news', 'other')}_{self.client}"
        return self.dice.choice([
            lambda: self.run(f"LISTEN {channel}"),
            lambda: self.run(f"LISTEN {channel}"),
            lambda: self.run(f"NOTIFY {channel}, '{self.dice.randrange(100)}'"),
            lambda: self.run(f"NOTIFY {channel}, '{self.dice.randrange(100)}'"),
            lambda: self.run(f"SELECT pg_notify('{channel}', 'ü {self.dice.randrange(100)}')"),
            lambda: self.run(f"UNLISTEN {channel}"),
            lambda: self.run("UNLISTEN *"),
            lambda: self.run("SELECT c FROM pg_listening_channels() AS c ORDER BY c"),
            lambda: self.run(f"BEGIN; LISTEN {channel}; NOTIFY {channel}; ROLLBACK"),
            lambda: self.run(f"BEGIN; NOTIFY {channel}, 'a'; LISTEN {channel}; NOTIFY {channel}, 'b'; COMMIT"),
        ])()  # fmt: skip

    def numbers(self):
        """Whoever asks for a sequence's state keeps it from then on. In a transaction that has drawn
        nothing, pgsluice says in words of its own that there is none."""
        self.open[self.client] = 0
        numbers = f"one_{self.client}.numbers"
        draw = self.pick(
            f"SELECT nextval('{numbers}'), currval('{numbers}'), lastval()",
            f"SELECT setval('{numbers}', 70), currval('{numbers}'), nextval('{numbers}')",
        )
        words = ["ROLLBACK", draw, self.pick(f"SELECT currval('{numbers}')", "SELECT lastval()")]
        return [Step(self.client, [["Q", sql] for sql in words], pins=[FOR_LIFE])]

    def seeds(self):
        words = ["SELECT setseed(0.5)", "SELECT random()", "BEGIN", "SELECT random()", "COMMIT"]
        return [Step(self.client, [["Q", sql] for sql in words], pins=[FOR_LIFE])]

    def leaving(self):
        """The client goes and comes back; also in a transaction."""
        self.open[self.client] = 0
        return [Step(self.client, [])]


# How often each is chosen.
FEATURES = {
    "settings": 20, "together": 6, "shows": 18, "computed_names": 1, "roles": 4, "functions": 8,
    "functions_unseen": 3, "session_functions": 1, "transactions": 26, "discards": 2,
    "protocol_statements": 14, "sql_statements": 10, "mixed_names": 5, "tables": 4, "plans": 6,
    "temporary_tables": 4, "cursors": 4, "advisory_locks": 3, "listening": 6, "numbers": 3,
    "seeds": 1, "leaving": 1,
}  # fmt: skip


def write(seed):
    """The same one for the same seed."""
    dice = random.Random(seed)
    size = dice.choice([1, 2])
    user = dice.choices(["trusted", "postgres"], [4, 1])[0]
    startup = [dice.choice(STARTUP) if dice.random() < 0.3 else {} for _ in range(dice.randrange(3, 6))]
    # A few features at a time meet each other more often.
    state = dice.choices(["ask", "always"], [4, 1])[0]
    features = list(FEATURES)
    if dice.random() < 0.6:
        chosen = {"settings", "shows", "transactions", *dice.sample(features, 4)}
        features = [name for name in features if name in chosen]
    if "listening" in features:
        startup = [{} if "client_encoding" in words else words for words in startup]
    steps = Writer(dice, startup, size, features).steps(dice.choice([15, 30, 60]))
    return Sequence(f"seed {seed}", size, user, startup, steps, state)


STARTUP = [
    {"TimeZone": "Asia/Dili"},
    {"application_name": "started"},
    {"options": "-c work_mem=2MB -c app.tenant=begun"},
    {"DateStyle": "SQL", "search_path": "pg_catalog, public"},
    {"client_encoding": "LATIN1"},
    {"statement_timeout": "59s"},
]
