//! The crate postgres, whose calls block: one thread and one connection for each client.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, ToSql};
use postgres::{Client, Error, IsolationLevel, NoTls};
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use crate::stage::*;

pub struct SyncPostgres;

impl Driver for SyncPostgres {
    async fn play(self: Arc<Self>, case: Case, place: Place) -> Result<()> {
        tokio::task::spawn_blocking(move || play(case, &place)).await?
    }
}

fn play(case: Case, place: &Place) -> Result<()> {
    let client = &mut connect()?;
    match case {
        Case::Crud => crud(client, place),
        Case::Types => types(client, place),
        Case::Statements => statements(client),
        Case::Batch => batch(client),
        Case::Copy => copy(client, place),
        Case::Transactions => transactions(client, place),
        Case::PipelineErrors => pipeline_errors(client, place),
        Case::LargeRows => large_rows(client),
        Case::Cancel => cancel(client, place),
        Case::Notify => notify(client, place),
        Case::SessionSet => session_set(client, place),
        Case::SchemaChange => schema_change(client, place),
    }
}

fn connect() -> Result<Client> {
    Ok(Client::connect(&url()?, NoTls)?)
}

fn describe_result<T>(result: &Result<T, Error>) -> String {
    match result
        .as_ref()
        .err()
        .map(|error| (error, error.as_db_error()))
    {
        None => "done".to_string(),
        Some((_, Some(error))) => format!("{} {}", error.code().code(), error.message()),
        Some((error, None)) => error.to_string(),
    }
}

fn make_table(client: &mut Client, table: &str, columns: &str) -> Result<()> {
    let sql = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})");
    Ok(client.batch_execute(&sql)?)
}

fn count(client: &mut Client, table: &str) -> Result<i64> {
    let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[])?;
    Ok(row.try_get(0)?)
}

fn check_rows(client: &mut Client, place: &Place, word: &str) -> Result<()> {
    let sql = format!(
        "SELECT id, word FROM {} WHERE who = $1 ORDER BY id",
        place.table()
    );
    let rows = client.query(&sql, &[&(place.number as i32)])?;
    ensure!(rows.len() == ROWS as usize);
    for (i, row) in rows.iter().enumerate() {
        ensure!(row.try_get::<_, i32>(0)? == i as i32);
        ensure!(row.try_get::<_, &str>(1)? == format!("{word} {i}"));
    }
    Ok(())
}

fn crud(client: &mut Client, place: &Place) -> Result<()> {
    let (table, who) = (place.table(), place.number as i32);
    if place.is_first() {
        make_table(client, table, "who int, id int, word text")?;
    }
    place.meet_blocking();
    for (sql, word) in [
        (
            format!("INSERT INTO {table} (id, word, who) VALUES ($1, $2, $3)"),
            "word",
        ),
        (
            format!("UPDATE {table} SET word = $2 WHERE id = $1 AND who = $3"),
            "new",
        ),
    ] {
        let statement = client.prepare(&sql)?;
        for i in 0..ROWS {
            ensure!(client.execute(&statement, &[&i, &format!("{word} {i}"), &who])? == 1);
        }
        check_rows(client, place, word)?;
    }
    let delete = format!("DELETE FROM {table} WHERE who = $1");
    ensure!(client.execute(&format!("{delete} AND id = 3"), &[&who])? == 1);
    ensure!(client.execute(&delete, &[&who])? == ROWS as u64 - 1);
    ensure!(client.execute(&delete, &[&who])? == 0);
    Ok(())
}

fn round_trip<T>(client: &mut Client, kind: &str, value: T) -> Result<()>
where
    T: ToSql + for<'a> FromSql<'a> + PartialEq + std::fmt::Debug + Sync,
{
    let row = client.query_one(&format!("SELECT $1::{kind}"), &[&value])?;
    let found: T = row.try_get(0)?;
    ensure!(found == value, "{kind}: {value:?} came back as {found:?}");
    Ok(())
}

fn types(client: &mut Client, place: &Place) -> Result<()> {
    if place.is_first() {
        client.batch_execute(
            "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
             EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        )?;
    }
    place.meet_blocking();
    round_trip(client, "int2", i16::MIN)?;
    round_trip(client, "int4", i32::MAX)?;
    round_trip(client, "int8", i64::MIN)?;
    round_trip(
        client,
        "numeric",
        "1234567890123456.789".parse::<Decimal>()?,
    )?;
    round_trip(client, "float8", 0.1f64)?;
    round_trip(client, "bool", true)?;
    for text in ["", "it's \"quoted\" \\ back\\slash", "Grüße, 你好, 🐘"] {
        round_trip(client, "text", text.to_string())?;
    }
    round_trip(client, "bytea", (0..=255u8).collect::<Vec<u8>>())?;
    let day = NaiveDate::from_ymd_opt(2024, 2, 29).context("a leap day")?;
    let time = day
        .and_hms_micro_opt(23, 59, 59, 123_456)
        .context("a time")?;
    round_trip::<NaiveDate>(client, "date", day)?;
    round_trip::<NaiveDateTime>(client, "timestamp", time)?;
    round_trip::<DateTime<Utc>>(client, "timestamptz", time.and_utc())?;
    round_trip(client, "uuid", Uuid::from_u128(0xa0ee_bc99_9c0b))?;
    let json: Value = serde_json::from_str(r#"{"a": [1, null, "x"]}"#)?;
    round_trip(client, "json", json.clone())?;
    round_trip(client, "jsonb", json)?;
    round_trip(client, "int[]", vec![1, 2, -3])?;
    round_trip(
        client,
        "text[]",
        vec![Some("a, b".to_string()), None, Some(String::new())],
    )?;
    round_trip::<IpAddr>(client, "inet", "192.168.0.1".parse()?)?;
    round_trip::<Option<i32>>(client, "int4", None)?;
    round_trip::<Option<String>>(client, "text", None)?;
    round_trip::<Option<Value>>(client, "jsonb", None)?;
    for (kind, text) in [
        ("mood", "happy"),
        ("interval", "1 year 2 mons 3 days 04:05:06.789"),
    ] {
        let row = client.query_one(&format!("SELECT ($1::text::{kind})::text"), &[&text])?;
        ensure!(row.try_get::<_, &str>(0)? == text);
    }
    Ok(())
}

/// Statements live until their handles are dropped: all of them at once, then one at a time.
fn statements(client: &mut Client) -> Result<()> {
    let mut all = Vec::new();
    for i in 0..STATEMENTS {
        all.push(client.prepare(&distinct_statement(i))?);
    }
    for _ in 0..2 {
        for (i, statement) in all.iter().enumerate() {
            for value in 0..2 {
                let row = client.query_one(statement, &[&value])?;
                ensure!(row.try_get::<_, i32>(0)? == i as i32 + value);
                ensure!(row.columns()[1].name() == format!("value_{i}"));
            }
        }
    }
    drop(all);
    for i in 0..STATEMENTS {
        let row = client.query_one(&distinct_statement(i), &[&1])?;
        ensure!(row.try_get::<_, i32>(0)? == i + 1);
    }
    Ok(())
}

/// The crate has no pipeline: a script, and the rows of a portal taken a few at a time.
fn batch(client: &mut Client) -> Result<()> {
    use postgres::SimpleQueryMessage::Row;
    let results = client.simple_query(&script())?;
    let values = results.iter().filter_map(|result| match result {
        Row(row) => row.get(0),
        _ => None,
    });
    ensure!(values.eq((0..BATCH).map(|i| i.to_string())));
    let mut transaction = client.transaction()?;
    let portal = transaction.bind("SELECT * FROM generate_series(1, $1)", &[&BATCH])?;
    for first in (1..BATCH).step_by(20) {
        let rows = transaction.query_portal(&portal, 20)?;
        ensure!(rows.len() == 20 && rows[0].try_get::<_, i32>(0)? == first);
    }
    transaction.commit()?;
    Ok(())
}

fn copy(client: &mut Client, place: &Place) -> Result<()> {
    let table = place.own_table();
    make_table(client, &table, "id int, word text")?;
    let copy_in = format!("COPY {table} FROM STDIN");
    let lines = copy_lines(COPIED);
    let mut writer = client.copy_in(&copy_in)?;
    writer.write_all(lines.as_bytes())?;
    ensure!(writer.finish()? == COPIED as u64);
    let mut copied = String::new();
    client
        .copy_out(&format!("COPY {table} TO STDOUT"))?
        .read_to_string(&mut copied)?;
    ensure!(copied == lines);

    // Dropped half-way, the copy is aborted.
    let mut writer = client.copy_in(&copy_in)?;
    writer.write_all(copy_lines(1000).as_bytes())?;
    writer.flush()?;
    drop(writer);
    let mut writer = client.copy_in(&copy_in)?;
    writer.write_all(copy_lines(1000).as_bytes())?;
    writer.write_all(b"no number\tx\n")?;
    place.observe(describe_result(&writer.finish()));
    ensure!(count(client, &table)? == i64::from(COPIED));
    Ok(())
}

fn transactions(client: &mut Client, place: &Place) -> Result<()> {
    let table = place.own_table();
    make_table(client, &table, "id int")?;
    let insert = format!("INSERT INTO {table} VALUES ($1)");
    let mut other = connect()?;
    let mut transaction = client.transaction()?;
    transaction.execute(&insert, &[&1])?;
    transaction.commit()?;
    ensure!(count(&mut other, &table)? == 1);
    let mut transaction = client.transaction()?;
    transaction.execute(&insert, &[&2])?;
    drop(transaction);
    ensure!(count(client, &table)? == 1);

    let builder = client
        .build_transaction()
        .isolation_level(IsolationLevel::Serializable);
    let mut transaction = builder.start()?;
    let isolation = transaction.query_one("SHOW transaction_isolation", &[])?;
    ensure!(isolation.try_get::<_, &str>(0)? == "serializable");
    let mut kept = transaction.transaction()?;
    kept.execute(&insert, &[&3])?;
    kept.commit()?;
    let mut outer = transaction.savepoint("outer_one")?;
    outer.execute(&insert, &[&4])?;
    let mut inner = outer.transaction()?;
    inner.execute(&insert, &[&5])?;
    let error = inner
        .query_one("SELECT 1 / 0", &[])
        .err()
        .context("no error")?;
    ensure!(error.code() == Some(&SqlState::DIVISION_BY_ZERO));
    inner.rollback()?;
    outer.execute(&insert, &[&6])?;
    outer.commit()?;
    transaction.commit()?;
    ensure!(count(&mut other, &table)? == 4);
    Ok(())
}

fn pipeline_errors(client: &mut Client, place: &Place) -> Result<()> {
    let table = place.own_table();
    make_table(client, &table, "id int")?;
    for _ in 0..3 {
        let script = format!("INSERT INTO {table} VALUES (20); SELECT 1 / 0; SELECT 2");
        place.observe(describe_result(&client.simple_query(&script)));
        let script = format!("INSERT INTO {table} VALUES (20); COMMIT; SELECT nothing; SELECT 2");
        place.observe(describe_result(&client.batch_execute(&script)));
    }
    place.observe(format!("{} rows", count(client, &table)?));
    Ok(())
}

fn large_rows(client: &mut Client) -> Result<()> {
    let value = large_value();
    let row = client.query_one("SELECT $1::bytea", &[&value])?;
    ensure!(row.try_get::<_, &[u8]>(0)? == value);
    ensure!(client.query_one("SELECT 1", &[])?.try_get::<_, i32>(0)? == 1);
    Ok(())
}

fn cancel(client: &mut Client, place: &Place) -> Result<()> {
    if !place.number.is_multiple_of(FEW) {
        client.batch_execute("SELECT pg_sleep(1)")?;
        return Ok(());
    }
    let start = Instant::now();
    let token = client.cancel_token();
    let (ended, end) = mpsc::channel::<()>();
    // A request that arrives before its query does nothing, so it is said again.
    let canceller = thread::spawn(move || -> Result<(), Error> {
        while end.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout) {
            token.cancel_query(NoTls)?;
        }
        Ok(())
    });
    let result = client.query("SELECT pg_sleep(60)", &[]);
    drop(ended);
    canceller
        .join()
        .map_err(|_| anyhow!("the thread that cancels panicked"))??;
    ensure!(start.elapsed() < Duration::from_secs(10));
    place.observe(describe_result(&result));
    ensure!(result.is_err_and(|error| error.code() == Some(&SqlState::QUERY_CANCELED)));
    ensure!(client.query_one("SELECT 1", &[])?.try_get::<_, i32>(0)? == 1);
    Ok(())
}

fn notify(client: &mut Client, place: &Place) -> Result<()> {
    let channel = place.table();
    if place.is_first() {
        client.batch_execute(&format!("LISTEN {channel}"))?;
        place.meet_blocking();
        return receive(client, channel);
    }
    place.meet_blocking();
    if place.number == 1 {
        for i in 0..NOTIFICATIONS {
            let payload = format!("payload {i}");
            client.execute("SELECT pg_notify($1, $2)", &[&channel, &payload])?;
        }
        return Ok(());
    }
    for _ in 0..TRANSACTIONS {
        let mut transaction = client.transaction()?;
        transaction.query_one("SELECT 1", &[])?;
        transaction.commit()?;
    }
    Ok(())
}

fn receive(client: &mut Client, channel: &str) -> Result<()> {
    for i in 0..NOTIFICATIONS {
        let mut notifications = client.notifications();
        let mut arriving = notifications.timeout_iter(Duration::from_secs(20));
        let received = arriving.next()?.context("no more notifications")?;
        ensure!(received.channel() == channel);
        ensure!(received.payload() == format!("payload {i}"));
    }
    client.batch_execute("UNLISTEN *")?;
    ensure!(client.notifications().is_empty());
    Ok(())
}

fn setting(client: &mut Client, name: &str) -> Result<String> {
    let row = client.query_one("SELECT current_setting($1)", &[&name])?;
    Ok(row.try_get(0)?)
}

fn session_set(client: &mut Client, place: &Place) -> Result<()> {
    let number = place.number;
    let settings = [
        ("application_name", format!("client {number}")),
        ("TimeZone", format!("Etc/GMT+{}", number % 12 + 1)),
        ("search_path", format!("schema_{number}, public")),
        ("my.name", format!("value {number}")),
    ];
    for (name, value) in &settings {
        let quoted = if *name == "search_path" {
            value.clone()
        } else {
            format!("'{value}'")
        };
        client.execute(&format!("SET {name} = {quoted}"), &[])?;
    }
    for i in 0..TRANSACTIONS {
        let mut transaction = client.transaction()?;
        transaction.execute("SET LOCAL my.name = 'local'", &[])?;
        let row = transaction.query_one("SHOW my.name", &[])?;
        ensure!(row.try_get::<_, &str>(0)? == "local");
        if i % 2 == 0 {
            transaction.commit()?;
        } else {
            transaction.rollback()?;
        }
        for (name, value) in &settings {
            let found = setting(client, name)?;
            ensure!(found == *value, "{name} is {found} instead of {value}");
        }
    }
    client.batch_execute("RESET my.name; RESET search_path")?;
    ensure!(setting(client, "my.name")?.is_empty());
    ensure!(setting(client, "search_path")? == "\"$user\", public");
    ensure!(setting(client, "application_name")? == settings[0].1);
    Ok(())
}

fn schema_change(client: &mut Client, place: &Place) -> Result<()> {
    let table = place.own_table();
    make_table(client, &table, "id int")?;
    let mut other = connect()?;
    other.batch_execute(&format!("INSERT INTO {table} VALUES (1)"))?;
    for change in [
        "ADD COLUMN word text",
        "ALTER COLUMN id TYPE bigint",
        "ADD CHECK (id > 0)",
    ] {
        let statement = client.prepare(&format!("SELECT * FROM {table}"))?;
        for _ in 0..6 {
            client.query_one(&statement, &[])?;
        }
        other.batch_execute(&format!("ALTER TABLE {table} {change}"))?;
        for _ in 0..2 {
            place.observe(describe_result(&client.query_one(&statement, &[])));
        }
        let mut transaction = client.transaction()?;
        for _ in 0..2 {
            place.observe(describe_result(&transaction.query_one(&statement, &[])));
        }
        transaction.rollback()?;
    }
    Ok(())
}
