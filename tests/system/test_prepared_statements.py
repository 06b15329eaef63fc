"""Named prepared statements, which follow their client over all server connections."""

import pytest

from wire import (
    bind,
    close,
    describe,
    errors,
    execute,
    extended,
    flush,
    kinds,
    parse,
    plain,
    query,
    rows,
    sync,
    tags,
)

INT4 = 23


def use(wire, name, *parameters):
    replies = wire.ask(bind("", name, parameters), execute(), sync())
    assert kinds(replies) in ("2DCZI", "2DCZT"), [reply.fields for reply in replies if reply.kind == "E"]
    return rows(replies)[0][0]


@pytest.mark.core
def test_one_name_for_different_texts(target):
    clients = [target.wire() for _ in range(8)]
    for number, wire in enumerate(clients):
        assert kinds(wire.ask(parse("s", f"SELECT {number} + $1::int"), sync())) == "1ZI"
    for turn in range(3):
        for number, wire in enumerate(clients):
            assert use(wire, "s", 100 * turn) == str(number + 100 * turn)


def test_different_names_for_one_text(target):
    clients = [target.wire() for _ in range(6)]
    for number, wire in enumerate(clients):
        assert kinds(wire.ask(parse(f"name {number}", "SELECT $1::text"), sync())) == "1ZI"
    for number, wire in enumerate(clients):
        assert use(wire, f"name {number}", number) == str(number)
        assert errors(wire.ask(bind("", f"name {number + 1}"), sync())) == ["26000"]


def test_one_text_with_different_parameter_types(target):
    one, two = target.wire(), target.wire()
    one.ask(parse("t", "SELECT pg_typeof($1)", [INT4]), sync())
    two.ask(parse("t", "SELECT pg_typeof($1)", [25]), sync())
    assert (use(one, "t", 1), use(two, "t", 1)) == ("integer", "text")
    assert (use(one, "t", 1), use(two, "t", 1)) == ("integer", "text")


def test_used_on_another_connection_than_prepared(target):
    wire = target.wire()
    wire.ask(parse("where", "SELECT pg_backend_pid()"), sync())
    pids = {use(wire, "where")}
    others = [target.wire() for _ in range(2)]
    for other in others[: 1 if target.is_direct else 2]:
        pid = wire.value("SELECT pg_backend_pid()")
        other.run("BEGIN")
        if other.value("SELECT pg_backend_pid()") != pid:
            pids.add(use(wire, "where"))
        other.run("COMMIT")
    assert len(pids) == 1 if target.is_direct else pids


def test_prepared_anew_wherever_it_is_needed(pooled):
    """A pool of one whose connection is ended: the statement is there again, unasked."""
    pooled.use(size=1, pre_ping="always")
    wire = pooled.wire()
    wire.ask(parse("s", "SELECT $1::int * 2"), sync())
    assert use(wire, "s", 21) == "42"
    assert pooled.cluster.terminate() == 1
    assert use(wire, "s", 4) == "8"
    assert kinds(wire.ask(describe("S", "s"), sync())) == "tTZI"


@pytest.mark.parametrize("way", ["one write", "message by message"])
def test_life_of_a_statement_answers_like_the_server(open_target, way):
    """Every reply, word by word, as PostgreSQL itself gives it."""
    script = [
        [parse("s", "SELECT $1::int AS n, 'x'::text AS word"), describe("S", "s"), sync()],
        [bind("", "s", [1]), describe("P"), execute(), sync()],
        [parse("s", "SELECT 2"), sync()],
        [bind("", "s", [3]), execute(), sync()],
        [bind("", "unknown"), sync()],
        [describe("S", "unknown"), sync()],
        [close("S", "s"), sync()],
        [close("S", "s"), close("S", "never there"), sync()],
        [bind("", "s", [4]), sync()],
        [describe("S", "s"), sync()],
        [parse("s", "SELECT 'again'"), bind("", "s"), execute(), sync()],
        [parse("bad", "SELECT FROM WHERE"), sync()],
        [bind("", "bad"), sync()],
        [parse("bad", "SELECT 'good now'"), bind("", "bad"), execute(), sync()],
        [parse("no type", "SELECT $1"), describe("S", "no type"), sync()],
        [parse("n", "INSERT INTO no_such_table VALUES (1)"), sync()],
        [bind("", "s", [1, 2]), sync()],
        [parse("u", "SELECT 'ü€😀' AS ü"), describe("S", "u"), bind("", "u"), execute(), sync()],
        [parse("empty", ""), describe("S", "empty"), bind("", "empty"), execute(), sync()],
        [query("SELECT 'end'")],
    ]

    def play(wire):
        replies = []
        if way == "one write":
            replies = wire.ask(*sum(script, []), ready=len(script))
        else:
            for messages in script:
                replies += wire.ask(*messages)
        return plain(replies)

    direct = play(open_target("direct").wire())
    assert play(open_target("pgsluice").wire()) == direct
    assert sum(1 for kind, _ in direct if kind == "E") == 9


def test_taken_name_is_told_by_the_clients_name(target):
    wire = target.wire()
    wire.ask(parse("mine", "SELECT 1"), sync())
    replies = wire.ask(parse("mine", "SELECT 1"), sync())
    assert (kinds(replies), errors(replies)) == ("EZI", ["42P05"])
    assert replies[0].words == 'prepared statement "mine" already exists'
    replies = wire.ask(bind("", "yours"), sync())
    assert replies[0].words == 'prepared statement "yours" does not exist'
    assert use(wire, "mine") == "1"


def test_taken_name_of_a_statement_that_could_not_be_prepared_now(target):
    """The name is what is wrong, whatever has become of the tables; and it stays the statement's."""
    wire = target.wire()
    wire.run("DROP TABLE IF EXISTS fleeting; CREATE TABLE fleeting (a int)")
    wire.ask(parse("s", "SELECT * FROM fleeting"), sync())
    wire.run("DROP TABLE fleeting")
    assert errors(wire.ask(parse("s", "SELECT 1"), sync())) == ["42P05"]
    assert errors(wire.ask(bind("", "s"), sync())) == ["42P01"]
    wire.run("BEGIN")
    wire.ask(query("SELECT 1/0"))
    assert errors(wire.ask(parse("s", "ROLLBACK"), sync())) == ["42P05"]
    wire.run("ROLLBACK; CREATE TABLE fleeting (a int)")
    assert kinds(wire.ask(bind("", "s"), execute(), sync())) == "2CZI"
    wire.run("DROP TABLE fleeting")


def test_taken_name_with_a_statement_of_another_client(pooled):
    pooled.use(size=1)
    one, two = pooled.wire(), pooled.wire()
    one.ask(parse("a", "SELECT 'one'"), sync())
    assert kinds(two.ask(parse("a", "SELECT 'two'"), sync())) == "1ZI"
    assert errors(two.ask(parse("a", "SELECT 'one'"), sync())) == ["42P05"]
    assert (use(one, "a"), use(two, "a")) == ("one", "two")


def test_statements_of_a_skipped_pipeline_are_not_there(target):
    wire = target.wire()
    replies = wire.ask(
        parse("before", "SELECT 'before'"), extended("SELECT 1/0"), parse("behind", "SELECT 'behind'"),
        close("S", "before"), sync(),
    )  # fmt: skip
    assert kinds(replies) == "11EZI"
    assert errors(wire.ask(bind("", "behind"), sync())) == ["26000"]
    assert use(wire, "before") == "before"
    assert kinds(wire.ask(parse("behind", "SELECT 'now'"), sync())) == "1ZI"
    assert use(wire, "behind") == "now"


def test_statement_outlives_its_rolled_back_transaction(target):
    wire = target.wire()
    wire.run("BEGIN")
    assert kinds(wire.ask(parse("kept", "SELECT 'kept'"), sync())) == "1ZT"
    wire.run("ROLLBACK")
    assert use(wire, "kept") == "kept"


def test_statement_in_a_failed_transaction(target):
    wire = target.wire()
    wire.ask(parse("s", "SELECT 's'"), sync())
    wire.run("BEGIN")
    wire.ask(query("SELECT 1/0"))
    replies = wire.ask(parse("t", "SELECT 't'"), sync())
    assert (kinds(replies), errors(replies)) == ("EZE", ["25P02"])
    assert errors(wire.ask(bind("", "s"), execute(), sync())) == ["25P02"]
    assert kinds(wire.ask(parse("r", "ROLLBACK"), bind("", "r"), execute(), sync())) == "12CZI"
    assert use(wire, "s") == "s"
    assert errors(wire.ask(bind("", "t"), sync())) == ["26000"]


def test_statement_first_seen_in_a_failed_transaction_of_another_connection(pooled):
    """What is prepared on demand fails there as any command would; later it works again."""
    pooled.use(size=2)
    one, two = pooled.wire(), pooled.wire()
    two.run("BEGIN")
    one.ask(parse("s", "SELECT 's'"), sync())
    one.run("BEGIN")
    two.run("COMMIT")
    two.run("BEGIN")
    one.run("COMMIT")
    one.run("BEGIN")
    one.ask(query("SELECT 1/0"))
    assert errors(one.ask(bind("", "s"), execute(), sync())) == ["25P02"]
    one.run("ROLLBACK")
    two.run("COMMIT")
    for _ in range(4):
        assert use(one, "s") == "s"


def test_changed_table_gives_the_servers_error(target):
    wire = target.wire()
    wire.run("DROP TABLE IF EXISTS changed; CREATE TABLE changed (a int); INSERT INTO changed VALUES (1)")
    wire.ask(parse("c", "SELECT * FROM changed"), sync())
    assert use(wire, "c") == "1"
    wire.run("ALTER TABLE changed ADD b int")
    replies = wire.ask(bind("", "c"), execute(), sync())
    assert (kinds(replies), errors(replies)) == ("EZI", ["0A000"])
    # The way out that drivers take: close it, prepare it anew under the same name.
    assert kinds(wire.ask(close("S", "c"), sync())) == "3ZI"
    assert kinds(wire.ask(parse("c", "SELECT * FROM changed"), describe("S", "c"), sync())) == "1tTZI"
    assert rows(wire.ask(bind("", "c"), execute(), sync())) == [("1", None)]
    wire.run("DROP TABLE changed")
    assert errors(wire.ask(bind("", "c"), execute(), sync())) == ["42P01"]
    wire.run("CREATE TABLE changed (a int); INSERT INTO changed VALUES (5)")
    assert kinds(wire.ask(close("S", "c"), parse("c", "SELECT a FROM changed"), sync())) == "31ZI"
    assert use(wire, "c") == "5"


# -- more of them than a server connection may hold ----------------------------------------------------


def prepared_on_server(wire):
    return int(wire.value("SELECT count(*) FROM pg_prepared_statements"))


def test_more_statements_than_the_limit(pooled):
    pooled.use(size=1, prepared_statements=10)
    wire = pooled.wire()
    for n in range(60):
        assert kinds(wire.ask(parse(f"s{n}", f"SELECT {n}"), sync())) == "1ZI"
    assert prepared_on_server(wire) <= 10
    for n in [*range(60), *range(59, -1, -1)]:
        assert use(wire, f"s{n}") == str(n)
    assert prepared_on_server(wire) <= 10


def test_more_statements_than_the_limit_in_one_pipeline(pooled):
    pooled.use(size=2, prepared_statements=5)
    wire = pooled.wire()
    for _ in range(2):
        messages = [parse(f"s{n}", f"SELECT {n}") + bind("", f"s{n}") + execute() for n in range(40)]
        replies = wire.ask(*messages, sync())
        assert kinds(replies) == "12DC" * 40 + "ZI"
        assert rows(replies) == [(str(n),) for n in range(40)]
        replies = wire.ask(*[bind("", f"s{n}") + execute() for n in range(40)], sync())
        assert kinds(replies) == "2DC" * 40 + "ZI"
        assert kinds(wire.ask(*[close("S", f"s{n}") for n in range(40)], sync())) == "3" * 40 + "ZI"
    assert prepared_on_server(wire) <= 5


def test_eviction_in_a_pipeline_that_fails(pooled):
    """The server skips the Close too: nothing is taken for closed that is not, and none is lost."""
    pooled.use(size=1, prepared_statements=4)
    wire = pooled.wire()
    for n in range(4):
        wire.ask(parse(f"s{n}", f"SELECT {n}"), sync())
    for n in range(12):
        replies = wire.ask(extended("SELECT 1/0"), parse(f"x{n}", f"SELECT 'x{n}'"), sync())
        assert kinds(replies) == "1EZI"
        assert use(wire, f"s{n % 4}") == str(n % 4)
        assert kinds(wire.ask(parse(f"x{n}", f"SELECT 'x{n}'"), sync())) == "1ZI"
    for n in range(12):
        assert use(wire, f"x{n}") == f"x{n}"
    assert prepared_on_server(wire) <= 4


def test_many_clients_share_texts_within_the_limit(pooled, threads):
    pooled.use(prepared_statements=6, timeout="60s")
    clients = [pooled.wire() for _ in range(12)]

    def work(number):
        wire = clients[number]
        for n in range(10):
            assert kinds(wire.ask(parse(f"s{n}", f"SELECT {(n + number) % 15}"), sync())) == "1ZI"
        for turn in range(20):
            n = turn % 10
            assert use(wire, f"s{n}") == str((n + number) % 15)
        return True

    assert all(threads.map(work, range(12)))
    assert prepared_on_server(clients[0]) <= 6


# -- DEALLOCATE and DISCARD ----------------------------------------------------------------------------


@pytest.mark.parametrize("sql", ["DEALLOCATE ALL", "DISCARD ALL", "deallocate prepare all;"])
@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_all_statements_of_this_client_go(target, sql, protocol):
    one, two = target.wire(), target.wire()
    for wire, word in ((one, "one"), (two, "two")):
        for name in ("a", "b"):
            wire.ask(parse(name, f"SELECT '{word}{name}'"), sync())
    replies = one.ask(query(sql)) if protocol == "simple" else one.ask(extended(sql), sync())
    if one.version < 14:  # which reports all that DISCARD ALL sets back
        replies = [reply for reply in replies if reply.kind != "S"]
    assert kinds(replies) == ("CZI" if protocol == "simple" else "12nCZI")
    for name in ("a", "b"):
        assert errors(one.ask(bind("", name), sync())) == ["26000"]
        assert use(two, name) == f"two{name}"
        assert kinds(one.ask(parse(name, f"SELECT 'new {name}'"), sync())) == "1ZI"
        assert use(one, name) == f"new {name}"


def test_failed_statement_is_prepared_anew_in_one_write(target):
    """The first Parse of a text fails in a failed transaction, the second one behind it does not."""
    wire = target.wire()
    for turn in range(2):
        replies = wire.ask(
            query("BEGIN"), query("SELECT 1/0"), parse("a", "SELECT 'text'"), sync(), query("ROLLBACK"),
            parse("a", "SELECT 'text'"), sync(), parse("b", "SELECT 'text'"), sync(), ready=6,
        )  # fmt: skip
        assert kinds(replies) == "CZTEZEEZECZI1ZI1ZI"
        assert (use(wire, "a"), use(wire, "b")) == ("text", "text")
        assert kinds(wire.ask(close("S", "a"), close("S", "b"), sync())) == "33ZI"


def test_closed_and_prepared_anew_in_one_write(target):
    wire = target.wire()
    wire.ask(parse("s", "SELECT 'old'"), sync())
    replies = wire.ask(
        bind("", "nothing"), close("S", "s"), sync(),
        parse("s", "SELECT 'new'"), sync(),
        close("S", "s"), sync(),
        parse("s", "SELECT 'newer'"), bind("", "s"), execute(), sync(), ready=4,
    )  # fmt: skip
    assert kinds(replies) == "EZIEZI3ZI12DCZI"
    assert use(wire, "s") == "newer"


def test_deallocate_all_among_other_messages(target):
    wire = target.wire()
    wire.ask(parse("old", "SELECT 'old'"), sync())
    replies = wire.ask(
        extended("DEALLOCATE ALL"), parse("new", "SELECT 'new'"), bind("", "new"), execute(), sync(),
        bind("", "new"), execute(), sync(), bind("", "old"), execute(), sync(), ready=3,
    )  # fmt: skip
    assert kinds(replies) == "12nC12DCZI2DCZIEZI"
    assert use(wire, "new") == "new"


@pytest.mark.parametrize(
    "sql, name",
    [
        ("DEALLOCATE s", "s"), ("deallocate prepare S;", "s"), ('DEALLOCATE "A b""c"', 'A b"c'),
        ("/* x */ DEALLOCATE -- y\n _pg3_0 ;;", "_pg3_0"),
    ],
)  # fmt: skip
def test_deallocate_by_name(target, sql, name):
    """So do drivers whose libpq cannot send a Close: what Parse has prepared, by the client's name."""
    wire, other = target.wire(), target.wire()
    for client in (wire, other):
        client.ask(parse(name, "SELECT 1"), parse("more", "SELECT 2"), sync())
    for _ in range(2):
        replies = wire.ask(query(sql))
        assert (kinds(replies), tags(replies)) == ("CZI", ["DEALLOCATE"])
        replies = wire.ask(query(sql))
        assert (kinds(replies), errors(replies)) == ("EZI", ["26000"])
        assert errors(wire.ask(bind("", name), sync())) == ["26000"]
        assert (use(wire, "more"), use(other, "more"), use(other, name)) == ("2", "2", "1")
        assert kinds(wire.ask(parse(name, "SELECT 3"), sync())) == "1ZI"
        assert use(wire, name) == "3"


def test_deallocate_by_name_in_a_transaction(target):
    wire = target.wire()
    wire.ask(parse("s", "SELECT 's'"), parse("t", "SELECT 't'"), sync())
    wire.run("BEGIN")
    replies = wire.ask(query("DEALLOCATE t"), query("SELECT 1/0"), query("DEALLOCATE s"), ready=3)
    assert (kinds(replies), errors(replies)) == ("CZTEZEEZE", ["22012", "25P02"])
    wire.run("ROLLBACK")
    assert use(wire, "s") == "s"
    assert errors(wire.ask(bind("", "t"), sync())) == ["26000"]


def test_sql_prepare_and_execute(target):
    one, two = target.wire(), target.wire()
    one.run("PREPARE p AS SELECT 'one ' || $1::text")
    two.run("PREPARE p AS SELECT 'two ' || $1::text")
    for _ in range(3):
        assert one.run("EXECUTE p('x')") == [("one x",)]
        assert two.run("EXECUTE p('x')") == [("two x",)]
    one.run("DEALLOCATE p")
    assert errors(one.ask(query("EXECUTE p('x')"))) == ["26000"]
    assert two.run("EXECUTE p('x')") == [("two x",)]


# -- size ----------------------------------------------------------------------------------------------


def long_select(size, result):
    return f"SELECT /* {'x' * size} */ {result}"


@pytest.mark.parametrize("size", [70_000, 1_000_000, 3_000_000])
def test_large_text(target, size):
    one, two = target.wire(), target.wire()
    for number, wire in enumerate((one, two)):
        assert kinds(wire.ask(parse("large", long_select(size, number)), sync())) == "1ZI"
    for _ in range(2):
        for number, wire in enumerate((one, two)):
            assert use(wire, "large") == str(number)
    one.ask(close("S", "large"), sync())
    assert errors(one.ask(bind("", "large"), sync())) == ["26000"]
    assert use(two, "large") == "1"


def test_large_parameters(target):
    wire = target.wire()
    wire.ask(parse("s", "SELECT length($1::text) + length($2::text)"), sync())
    for size in (0, 1, 65_500, 65_536, 5_000_000):
        assert use(wire, "s", "x" * size, "y") == str(size + 1)


def test_long_names(target):
    one, two = target.wire(), target.wire()
    common = "n" * 62  # PostgreSQL reads 63 bytes of a name
    one.ask(parse(common + "1", "SELECT 1"), sync())
    two.ask(parse(common + "1", "SELECT 2"), parse(common + "2", "SELECT 3"), sync())
    assert (use(one, common + "1"), use(two, common + "1"), use(two, common + "2")) == ("1", "2", "3")


def test_describe_and_flush_then_bind(target):
    wire = target.wire()
    for n in range(3):
        wire.send(parse(f"s{n}", f"SELECT $1::int + {n}"), describe("S", f"s{n}"), flush())
        assert kinds(wire.read_until("T")) == "1tT"
        assert kinds(wire.ask(bind("", f"s{n}", [1]), execute(), sync())) == "2DCZI"


def test_constants_mean_what_they_meant_to_their_client(target):
    """One text, prepared by clients in other time zones, date styles and encodings."""
    if not target.is_direct:
        target.use(size=1)
    sql = "SELECT extract(epoch FROM timestamptz '2024-03-01 12:00')::int, to_char(date '01-02-2024', 'Mon')"
    settings = [{}, {"TimeZone": "Asia/Tokyo"}, {"DateStyle": "ISO, DMY"}, {"TimeZone": "America/Lima"}]
    clients = [target.wire(**these) for these in settings]
    for name in ("", "s"):
        for wire in clients:
            wire.ask(parse(name, sql), sync())
        answers = []
        for _ in range(2):
            for wire in clients:
                replies = wire.ask(bind("", name), execute(), sync())
                answers.append(rows(replies)[0])
        noon = 1709294400
        assert answers[:4] == answers[4:] == [
            (str(noon), "Jan"), (str(noon - 9 * 3600), "Jan"),
            (str(noon), "Feb"), (str(noon + 5 * 3600), "Jan"),
        ]  # fmt: skip
