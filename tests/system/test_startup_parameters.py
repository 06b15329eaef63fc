"""Settings of the startup packet: each client has its own, whichever connection it leases."""

import pytest

from cluster import wait_until
from wire import Refused, extended, kinds, query, rows, sync

# name in the startup packet, value sent, value shown
SETTINGS = [
    ("client_encoding", "LATIN1", "LATIN1"),
    ("client_encoding", "SQL_ASCII", "SQL_ASCII"),
    ("DateStyle", "German, DMY", "German, DMY"),
    ("datestyle", "sql", "SQL, MDY"),
    ("TimeZone", "Asia/Tokyo", "Asia/Tokyo"),
    ("IntervalStyle", "iso_8601", "iso_8601"),
    ("application_name", "o'neill \\ \"x\" ü", None),
    ("search_path", 'information_schema, "$user", "Mixed Case"', 'information_schema, "$user", "Mixed Case"'),
    ("extra_float_digits", "-3", "-3"),
    ("standard_conforming_strings", "off", "off"),
    ("statement_timeout", "1234", "1234ms"),
    ("work_mem", "4321", "4321kB"),
    ("custom.name", "anything", "anything"),
    ("default_transaction_read_only", "on", "on"),
    ("default_transaction_isolation", "serializable", "serializable"),
    ("bytea_output", "escape", "escape"),
    ("row_security", "off", "off"),
    ("jit", "off", "off"),
    ("lock_timeout", "0", "0"),
    ("client_min_messages", "error", "error"),
]


def shown(wire, name):
    return wire.value(f"SHOW {name}")


@pytest.mark.parametrize("name, sent, expected", SETTINGS)
@pytest.mark.parametrize("size", [1, 2])
def test_seen_by_its_client_only(open_target, name, sent, expected, size):
    direct = open_target("direct")
    default = shown(direct.wire(), name) if "." not in name else None
    with_it = direct.wire(**{name: sent})
    expected = expected or shown(with_it, name)
    assert shown(with_it, name) == expected
    pooled = open_target("pgsluice")
    pooled.use(size=size)
    plain, special, again = pooled.wire(), pooled.wire(**{name: sent}), pooled.wire(**{name: sent})
    assert special.parameters == with_it.parameters | {
        key: value for key, value in special.parameters.items() if key not in with_it.parameters
    }
    for _ in range(3):
        assert shown(special, name) == expected
        if default is not None:
            assert shown(plain, name) == default
        else:
            assert plain.value(f"SELECT coalesce(current_setting('{name}', true), '')") == ""
        replies = again.ask(extended(f"SHOW {name}"), sync())
        assert rows(replies) == [(expected,)]


def test_parameter_status_at_login_is_the_servers(open_target):
    for settings in (
        {},
        {"application_name": "me", "client_encoding": "LATIN1", "TimeZone": "Asia/Tokyo"},
        {"DateStyle": "ISO", "options": "-c IntervalStyle=sql_standard"},
    ):
        direct = open_target("direct").wire(**settings)
        pooled = open_target("pgsluice")
        for wire in (pooled.wire(**settings), pooled.wire(**settings)):
            assert wire.parameters == direct.parameters
            assert [r.kind for r in wire.greeting].count("S") == len(direct.parameters)
            assert kinds(wire.greeting[-2:]) == "KZI"


def test_parameter_status_follows_the_client(pooled):
    """One connection for clients with different values: each hears only of its own."""
    pooled.use(size=1)
    zones = ["Asia/Tokyo", "Europe/Paris", "America/Lima"]
    clients = [pooled.wire(TimeZone=zone) for zone in zones]
    for _ in range(3):
        for wire, zone in zip(clients, zones):
            replies = wire.ask(query("SELECT current_setting('TimeZone')"))
            assert (kinds(replies), rows(replies)) == ("TDCZI", [(zone,)])


@pytest.mark.parametrize(
    "options, name, expected",
    [
        ("-c statement_timeout=2345", "statement_timeout", "2345ms"),
        ("-cstatement_timeout=2346", "statement_timeout", "2346ms"),
        ("--statement_timeout=2347", "statement_timeout", "2347ms"),
        ("--statement-timeout=2348", "statement_timeout", "2348ms"),
        ("-c work_mem=5MB -c application_name=a\\ b", "application_name", "a b"),
        ("-c work_mem=5MB  -c work_mem=6MB", "work_mem", "6MB"),
        ("-c my.own=x", "my.own", "x"),
        ("-c geqo=off", "geqo", "off"),
    ],
)
def test_options(target, options, name, expected):
    wire, other = target.wire(options=options), target.wire()
    for _ in range(2):
        assert shown(wire, name) == expected
        assert other.value(f"SELECT coalesce(current_setting('{name}', true), '')") != expected


def test_statement_timeout_of_options_works(target):
    wire, other = target.wire(options="-c statement_timeout=50"), target.wire()
    replies = wire.ask(query("SELECT pg_sleep(5)"))
    assert [r.sqlstate for r in replies if r.kind == "E"] == ["57014"]
    assert kinds(other.ask(query("SELECT pg_sleep(0.1)"))) == "TDCZI"


@pytest.mark.parametrize(
    "settings",
    [
        {"no_such_setting": "1"},
        {"TimeZone": "Nowhere/Land"},
        {"client_encoding": "EBCDIC"},
        {"DateStyle": "nonsense"},
        {"statement_timeout": "soon"},
        {"work_mem": "1"},
        {"shared_buffers": "1GB"},
        {"server_version": "1"},
        {"log_statement": "all"},
        {"role": "no_such_role"},
        {"options": "-c no_such_setting=1"},
        {"options": "-c statement_timeout=-5"},
    ],
)
def test_invalid_settings_are_refused_as_by_the_server(open_target, settings):
    def refusal(target):
        with pytest.raises(Refused) as refused:
            target.wire(**settings)
        return {k: v for k, v in refused.value.reply.fields.items() if k in "SVCM"}

    pooled = open_target("pgsluice")
    pooled.use(size=1)
    healthy = pooled.wire()
    direct = refusal(open_target("direct"))
    assert refusal(pooled) == direct
    assert refusal(pooled) == direct
    # The others do not notice.
    assert healthy.run("SELECT 1") == [("1",)]
    assert pooled.wire().run("SELECT 2") == [("2",)]


def test_text_goes_through_in_the_clients_encoding(target):
    latin = target.wire(client_encoding="LATIN1")
    utf8 = target.wire(client_encoding="UTF8")
    for _ in range(3):
        replies = latin.ask(query(b"SELECT 'na\xefve', length('na\xefve')"))
        assert [r.body[6:11] for r in replies if r.kind == "D"] == [b"na\xefve"]
        assert rows(utf8.ask(query("SELECT 'naïve', length('naïve')"))) == [("naïve", "5")]


def test_application_name_is_in_pg_stat_activity(pooled):
    pooled.use(size=1)
    one, two = pooled.wire(application_name="first app"), pooled.wire(application_name="second app")
    own = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    for _ in range(2):
        assert (one.value(own), two.value(own)) == ("first app", "second app")


def test_many_clients_with_settings_of_their_own(pooled, threads):
    pooled.use(timeout="60s")
    zones = ["UTC", "Asia/Tokyo", "Europe/Paris", "America/Lima", "Africa/Cairo"]
    clients = [
        pooled.wire(TimeZone=zones[n % 5], application_name=f"app {n}", options=f"-c work_mem={100 + n}kB")
        for n in range(20)
    ]
    sql = ("SELECT current_setting('TimeZone'), current_setting('application_name'),"
           " current_setting('work_mem')")  # fmt: skip

    def work(n):
        expected = [(zones[n % 5], f"app {n}", f"{100 + n}kB")]
        for _ in range(10):
            assert clients[n].run(sql) == expected
            assert rows(clients[n].ask(extended(sql), sync())) == expected
        return True

    assert all(threads.map(work, range(20)))
    wait_until(lambda: pooled.daemon.pool()["sv_active"] == 0, what="no lease is left")


def test_role_at_startup(target):
    target.cluster.sql("DO $$ BEGIN IF to_regrole('actor') IS NULL THEN CREATE ROLE actor; GRANT actor TO app;"
                       " END IF; END $$")  # fmt: skip
    wire, other = target.wire(role="actor"), target.wire()
    for _ in range(2):
        assert wire.run("SELECT current_user, session_user") == [("actor", "app")]
        assert other.run("SELECT current_user, session_user") == [("app", "app")]
