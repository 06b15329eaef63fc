"""state = ask | always | reset | off: what follows a client, what leaks, what the server is asked."""

import pytest

from cluster import wait_until
from wire import kinds, query

STATE = "SELECT current_setting('TimeZone'), current_setting('work_mem')"


def pair(pooled, state):
    pooled.use(size=1, state=state)
    return pooled.wire(), pooled.wire()


@pytest.mark.parametrize("state", ["ask", "always", "reset"])
def test_settings_follow(pooled, state):
    one, two = pair(pooled, state)
    one.run("SET TimeZone = 'Asia/Tokyo'")
    one.run("SELECT set_config('work_mem', '3MB', false)")
    two.run("SET work_mem = '5MB'; SET application_name = 'two'")
    for _ in range(2):
        assert one.run(STATE) == [("Asia/Tokyo", "3MB")]
        assert two.run(STATE) == [("UTC", "5MB")]


@pytest.mark.parametrize("state", ["ask", "always", "reset"])
def test_pins_hold(pooled, state):
    pooled.use(size=2, state=state)
    one, two = pooled.wire(), pooled.wire()
    one.run("CREATE TEMP TABLE mine (i int)")
    for _ in range(3):
        two.run("SELECT 1")
        one.run("INSERT INTO mine VALUES (1)")
    assert one.value("SELECT count(*) FROM mine") == "3"


def test_always_sees_what_a_function_hides(pooled, cluster):
    """A temporary table that a function makes shows in no tag and no text."""
    cluster.sql(
        "CREATE OR REPLACE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN CREATE TEMP TABLE mine (i int); PERFORM set_config('work_mem', '3MB', false);"
        " RETURN 1; END $$",
        database="app",
    )
    pooled.use(size=2, state="always")
    one, two = pooled.wire(), pooled.wire()
    one.run("SELECT hidden()")
    for _ in range(3):
        two.run("SELECT 1")
        one.run("INSERT INTO mine VALUES (1)")
    assert two.run(STATE) == [("UTC", "4MB")]
    assert one.run(STATE) == [("UTC", "3MB")]


def test_reset_discards_what_nobody_asked_about(pooled, cluster):
    cluster.sql(
        "CREATE OR REPLACE FUNCTION hidden_setting() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM set_config('work_mem', '3MB', false); RETURN 1; END $$",
        database="app",
    )
    one, two = pair(pooled, "reset")
    one.run("SELECT hidden_setting()")
    assert two.run(STATE) == [("UTC", "4MB")]
    one.run("SELECT hidden_setting()")
    one.close()
    assert two.run(STATE) == [("UTC", "4MB")]


def test_off_keeps_what_the_server_reports_and_leaks_the_rest(pooled):
    pooled.use(size=1, state="off")
    one, two = pooled.wire(DateStyle="German"), pooled.wire()
    assert kinds(one.ask(query("SET TimeZone = 'Asia/Tokyo'"))) == one.in_order("CSZI")
    one.run("SET work_mem = '3MB'")
    assert two.run(STATE) == [("UTC", "3MB")]
    assert two.value("SHOW DateStyle") == "ISO, MDY"
    assert one.run(STATE) == [("Asia/Tokyo", "3MB")]
    assert one.value("SHOW DateStyle") == "German, DMY"


def test_off_asks_and_pins_nothing(pooled, cluster):
    pooled.use(size=1, state="off")
    one, two = pooled.wire(), pooled.wire()
    one.run("SELECT set_config('work_mem', '3MB', false), pg_advisory_lock(1)")
    pooled.wait_for_rest()
    last = "SELECT query FROM pg_stat_activity WHERE usename = 'app'"
    assert cluster.value(last).startswith("SELECT set_config")
    assert two.value("SELECT pg_advisory_unlock(1)") == "t"


def test_reload_takes_the_new_mode(pooled):
    one, two = pair(pooled, "off")
    one.run("SET work_mem = '3MB'")
    assert two.run(STATE) == [("UTC", "3MB")]
    pooled.daemon.write_ini(state="reset")
    pooled.daemon.reload()
    two.run("SELECT 1")
    wait_until(lambda: two.run(STATE) == [("UTC", "4MB")], what="the connection was reset")
    one.run("SET work_mem = '3MB'")
    assert (two.run(STATE), one.run(STATE)) == ([("UTC", "4MB")], [("UTC", "3MB")])
