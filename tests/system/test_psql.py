"""psql scripts: the same output directly and through pgsluice."""

import pytest

SCRIPTS = {
    "gdesc": "SELECT 1 AS one, 'x'::varchar(7) AS word, NULL AS nothing \\gdesc\nSELECT 2 \\gdesc\n",
    "gset": "SELECT 5 AS five \\gset\nSELECT :five * 2;\n",
    "gexec": "SELECT 'SELECT ' || n FROM generate_series(1, 3) n \\gexec\n",
    "crosstabview": "SELECT x, y, x * y FROM generate_series(1, 3) x, generate_series(1, 3) y \\crosstabview\n",
    "several in one": "SELECT 1\\; SELECT 2\\; SELECT 3;\n",
    "errors": "SELECT 1/0;\nSELECT 'on';\nBEGIN;\nSELECT nowhere;\nSELECT 1;\nROLLBACK;\nSELECT 2;\n",
    "rollback on error": "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT 'kept';\nCOMMIT;\n",
    "autocommit off": "\\set AUTOCOMMIT off\nSELECT 1;\nSELECT 1/0;\nROLLBACK;\nSELECT 2;\nCOMMIT;\n",
    "fetch count": "\\set FETCH_COUNT 7\nSELECT * FROM generate_series(1, 40);\nSELECT 'end';\n",
    "copy": "DROP TABLE IF EXISTS by_psql;\nCREATE TABLE by_psql (n int);\n\\copy by_psql FROM STDIN\n1\n2\n\\.\n"
            "COPY by_psql FROM STDIN;\n3\n\\.\n\\copy (SELECT n FROM by_psql ORDER BY n) TO STDOUT\n"
            "COPY by_psql FROM STDIN;\nmany\n\\.\nSELECT count(*) FROM by_psql;\nDROP TABLE by_psql;\n",
    "describe": "\\d pg_database\n\\dn\n\\df abs\n\\l app\n\\encoding\n",
    "settings": "SET TimeZone = 'Asia/Tokyo';\nSHOW TimeZone;\nBEGIN;\nSET LOCAL TimeZone = 'UTC';\n"
                "SHOW TimeZone;\nCOMMIT;\nSHOW TimeZone;\nRESET TimeZone;\nSHOW TimeZone;\n",
    "prepare": "PREPARE p AS SELECT $1::int * 2;\nEXECUTE p(21);\nDEALLOCATE p;\nEXECUTE p(1);\n",
    "notices": "DO $$ BEGIN RAISE NOTICE 'heard'; END $$;\nSELECT 1;\n",
    "encoding": "\\encoding LATIN1\n\\encoding\nSELECT length('\u00e9');\n\\encoding UTF8\nSELECT length('\u00e9');\n",
    "large": "SELECT length(repeat('x', 3000000));\nSELECT md5(repeat('x', 10)) FROM generate_series(1, 2000);\n",
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_output_is_the_same(pooled, cluster, tmp_path, script):
    file = tmp_path / "script.sql"
    file.write_text(script)

    def play(url):
        run = cluster.psql(url, "-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=verbose", "-q", "-f", str(file))
        return run.returncode, run.stdout, run.stderr

    direct = play(cluster.url())
    assert direct[1]
    assert play(pooled.server.url()) == direct


def test_single_transaction(pooled, cluster, tmp_path):
    file = tmp_path / "script.sql"
    file.write_text("DROP TABLE IF EXISTS one_piece;\nCREATE TABLE one_piece (n int);\nSELECT 1/0;\n")
    run = cluster.psql(pooled.server.url(), "-1", "-f", str(file))
    assert run.returncode == 3
    assert cluster.value("SELECT to_regclass('one_piece') IS NULL", "app")


def test_parameters_of_the_url(pooled, cluster):
    url = pooled.server.url() + "?application_name=from%20psql&options=-c%20work_mem%3D5MB"
    run = cluster.psql(url, "-c", "SHOW application_name", "-c", "SHOW work_mem")
    assert run.stdout == "from psql\n5MB\n"
