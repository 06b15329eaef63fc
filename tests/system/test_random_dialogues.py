"""
Seeded dialogues of any messages in any order: pgsluice must answer each as PostgreSQL does. There is
no BEGIN among them: what has to be prepared anew in a failed transaction gets another error.
"""

import random

import pytest

from wire import bind, call, close, describe, execute, flush, parse, query, rows, sync

NAMES = ["", "a", "b", "c"]
TEXTS = [
    "SELECT 1", "SELECT 'two', 2", "SELECT * FROM generate_series(1, 3)", "SELECT 1/0", "SELEC", "",
    "COMMIT", "ROLLBACK", "SHOW TimeZone", "SET TimeZone = 'Asia/Tokyo'", "RESET TimeZone",
    "SET LOCAL TimeZone = 'Europe/Paris'", "SELECT set_config('TimeZone', 'America/Lima', false)",
    "SAVEPOINT s", "ROLLBACK TO s", "SELECT n FROM nowhere",
]  # fmt: skip


def random_message(dice):
    name = dice.choice(NAMES)
    portal = dice.choice(["", "", "p"])
    way = dice.randrange(16)
    if way < 4:
        return parse(name, dice.choice(TEXTS)) + (bind(portal, name) + execute(portal) if way < 2 else b"")
    if way < 7:
        return bind(portal, name) + execute(portal, dice.choice([0, 0, 1]))
    if way == 7:
        return describe("S", name)
    if way == 8:
        return bind(portal, name) + describe("P", portal)
    if way == 9:
        return close(dice.choice("SSP"), name)
    if way == 10:
        return flush()
    if way == 11:
        return dice.choice([call(0), call(810)])
    if way == 12:
        return query(dice.choice([*TEXTS, "SELECT 1; SELECT 1/0; SELECT 3"]))
    return sync()


def script_of(seed):
    """Rounds of messages that are sent in one write each, and brought into step at their end."""
    dice = random.Random(seed)
    return [[random_message(dice) for _ in range(dice.randrange(1, 12))] for _ in range(25)]


def told(reply):
    """What must be the same: not a setting's report, whose moment differs, nor a random number."""
    if reply.kind == "E":
        return (reply.kind, reply.sqlstate, reply.words)
    return (reply.kind, reply.body)


def play(wire, script, other=None):
    heard = []
    for number, messages in enumerate(script):
        # In whatever state the dialogue is: this error tells its end.
        mark = f"mark {number}"
        wire.send(*messages, sync(), bind("", mark), sync())
        replies = [wire.read()]
        while replies[-1].kind != "E" or mark not in replies[-1].words:
            replies.append(wire.read())
        replies.append(wire.read())
        heard.append([told(reply) for reply in replies if reply.kind not in "SN"])
        if other is not None and replies[-1].status == "I":
            disturb(other, number)
    return heard


def disturb(other, number):
    replies = other.ask(
        parse("a", f"SELECT 'other {number}'"), parse("", "SELECT 'other'"), bind("", "a"), execute(),
        bind(), execute(), close("S", "a"), sync(),
    )  # fmt: skip
    assert rows(replies) == [(f"other {number}",), ("other",)]
    assert other.run("SET TimeZone = 'Africa/Cairo'; SHOW TimeZone") == [("Africa/Cairo",)]


def assert_same(script, heard, expected):
    for number, (one, other) in enumerate(zip(heard, expected, strict=True)):
        assert one == other, f"round {number}: {b' '.join(script[number])!r}"


@pytest.mark.parametrize("seed", range(60))
def test_answers_are_the_servers(open_target, seed):
    script = script_of(seed)
    direct = play(open_target("direct").wire(), script)
    pooled = open_target("pgsluice")
    if seed % 2:
        pooled.use(size=1, prepared_statements=3)
        assert_same(script, play(pooled.wire(), script, pooled.wire()), direct)
    else:
        assert_same(script, play(pooled.wire(), script), direct)
