"""pgsluice's own login at PostgreSQL: each method, and each refusal as the server words it."""

import psycopg
import pytest

from cluster import PORTS, secret_of
from wire import Refused, Wire, kinds, query


def refusal(server, **keywords):
    with pytest.raises(Refused) as refused:
        Wire((server.host, server.port), **keywords)
    return {key: value for key, value in refused.value.reply.fields.items() if key in "SVCM"}


@pytest.mark.parametrize("user, way", [("app", "scram-sha-256"), ("hashed", "md5"), ("plain", "password"),
                                       ("trusted", "trust")])  # fmt: skip
def test_method(pgsluice, cluster, user, way):
    direct = Wire((cluster.host, cluster.port), user=user)
    assert direct.way == way
    direct.close()
    daemon = pgsluice(databases={"app": {"url": f"postgresql://127.0.0.1:{cluster.port}/app"}})
    assert daemon.connect(user=user).execute("SELECT current_user").fetchone() == (user,)


@pytest.mark.parametrize("user", ["app", "hashed", "plain"])
def test_wrong_password_at_the_server(pgsluice, cluster, user):
    daemon = pgsluice(databases={"app": {"user": user, "password": "wrong-word"}}, startup_check="off", warm=0)
    direct = refusal(cluster, user=user, password="wrong-word")
    for _ in range(2):
        assert refusal(daemon, user="app") == direct
    assert direct["C"] == "28P01"
    assert "wrong-word" not in daemon.log()


def test_database_that_the_server_does_not_have(pgsluice, cluster):
    daemon = pgsluice(databases={"app": {"url": cluster.url(database="nowhere")}}, startup_check="off", warm=0)
    direct = refusal(cluster, database="nowhere")
    assert refusal(daemon) == direct
    assert (direct["C"], direct["M"]) == ("3D000", 'database "nowhere" does not exist')


def test_role_that_the_server_does_not_have(pgsluice, cluster):
    daemon = pgsluice(databases={"app": {"user": "ghost", "password": "x"}}, startup_check="off", warm=0)
    assert refusal(daemon) == refusal(cluster, user="ghost", password="x")


def test_role_that_may_not_log_in(pgsluice, cluster):
    cluster.sql("DROP ROLE IF EXISTS stranger", "CREATE ROLE stranger NOLOGIN PASSWORD 'stranger-secret'")
    daemon = pgsluice(databases={"app": {"user": "stranger", "password": secret_of("stranger")}},
                      startup_check="off", warm=0)  # fmt: skip
    direct = refusal(cluster, user="stranger")
    assert refusal(daemon) == direct
    assert direct["C"] == "28000"


def test_role_with_a_connection_limit(pgsluice, cluster):
    """The clients that fit are served; the server's words reach the one that does not, if it waits in vain."""
    cluster.sql("DROP ROLE IF EXISTS narrow", "CREATE ROLE narrow LOGIN PASSWORD 'narrow-secret' CONNECTION LIMIT 1")
    daemon = pgsluice(databases={"app": {"user": "narrow", "password": secret_of("narrow")}}, size=3,
                      timeout="1s", warm=0)  # fmt: skip
    one, two = daemon.connect(), daemon.connect()
    for client in (one, two, one, two):
        assert client.execute("SELECT current_user").fetchone() == ("narrow",)
    one.execute("BEGIN")
    one.execute("SELECT 1")
    with pytest.raises(psycopg.errors.TooManyConnections) as caught:
        two.execute("SELECT 1")
    assert "narrow" in str(caught.value)
    one.execute("COMMIT")
    assert two.execute("SELECT 2").fetchone() == (2,)


def test_rejected_by_pg_hba(pgsluice, cluster):
    daemon = pgsluice(databases={"app": {}, "banned": {"url": cluster.url(database="banned")}},
                      startup_check="off", warm=0)  # fmt: skip
    rules = cluster.data / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text("host banned all 127.0.0.1/32 reject\n" + before)
        cluster.sql("SELECT pg_reload_conf()")
        direct = refusal(cluster, database="banned")
        assert refusal(daemon, database="banned") == direct
        assert direct["C"] == "28000"
    finally:
        rules.write_text(before)
        cluster.sql("SELECT pg_reload_conf()")


def test_nobody_listens(pgsluice, cluster):
    port = PORTS.take()
    url = f"postgresql://app:{secret_of('app')}@127.0.0.1:{port}/app"
    daemon = pgsluice(databases={"app": {"url": url}}, startup_check="off", warm=0)
    fields = refusal(daemon)
    assert fields["C"] in ("08001", "08006")
    assert str(port) in fields["M"] and "127.0.0.1" in fields["M"]
    assert "refused" in fields["M"].lower()


def test_server_settings_hold_for_every_connection(pgsluice):
    daemon = pgsluice(server_settings="jit=off, statement_timeout=61s")
    wire = Wire((daemon.host, daemon.port))
    assert wire.run("SELECT current_setting('jit'), current_setting('statement_timeout')") == [("off", "61s")]
    wire.run("SET statement_timeout = 0; RESET statement_timeout")
    assert wire.value("SHOW statement_timeout") == "61s"
    wire.run("DISCARD ALL")
    assert wire.value("SHOW statement_timeout") == "61s"
    assert kinds(wire.ask(query("SELECT 1"))) == "TDCZI"
    wire.close()


def test_the_urls_user_for_everybody(pgsluice, cluster):
    daemon = pgsluice(databases={"app": {"user": "other", "password": secret_of("other")}})
    for user in ("app", "plain", "other"):
        assert daemon.connect(user=user).execute("SELECT current_user").fetchone() == ("other",)
