"""Tables of SQLAlchemy's rows, with the types that its PostgreSQL dialect knows."""

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

import values


def word_model(table):
    """A model of its own for each row, by a declarative base of its own."""

    class Base(orm.DeclarativeBase):
        pass

    class Word(Base):
        __tablename__ = table
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
        owner: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        word: orm.Mapped[str]
        created_at: orm.Mapped[values.datetime.datetime] = orm.mapped_column(
            sa.DateTime(timezone=True), server_default=sa.func.now())  # fmt: skip

    return Word


def types_table(name):
    return sa.Table(
        name, sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("int2", sa.SmallInteger), sa.Column("int4", sa.Integer), sa.Column("int8", sa.BigInteger),
        sa.Column("float8", sa.Double), sa.Column("numeric", sa.Numeric(40, 10)), sa.Column("bool", sa.Boolean),
        sa.Column("text", sa.Text), sa.Column("bytea", sa.LargeBinary), sa.Column("date", sa.Date),
        sa.Column("timestamp", sa.DateTime), sa.Column("timestamptz", sa.DateTime(timezone=True)),
        sa.Column("time", sa.Time), sa.Column("interval", sa.Interval), sa.Column("uuid", sa.Uuid),
        sa.Column("int4[]", pg.ARRAY(sa.Integer)), sa.Column("text[]", pg.ARRAY(sa.Text)),
        sa.Column("mood", pg.ENUM("sad", "ok", "happy", name="mood", create_type=False)),
        sa.Column("json", sa.JSON(none_as_null=True)), sa.Column("jsonb", pg.JSONB(none_as_null=True)),
    )  # fmt: skip


def records():
    """The common values as records of that table: the first one of each type, then the next, NULLs last."""
    of_type = {"json": [values.DOCUMENT], "jsonb": [values.DOCUMENT]}
    for name, value in values.COMMON:
        if name != "inet":
            of_type.setdefault(name, []).append(value)
    longest = max(map(len, of_type.values()))
    found = [{name: of_name[i] for name, of_name in of_type.items() if i < len(of_name)} for i in range(longest)]
    return [*found, dict.fromkeys(of_type)]


RECORDS = records()
