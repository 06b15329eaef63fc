//! tokio-postgres: with deadpool's three ways of recycling, and with statements pipelined.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use futures_util::future::join_all;
use futures_util::stream::poll_fn;
use futures_util::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use postgres_types::{FromSql, ToSql};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Error, IsolationLevel, NoTls, SimpleQueryMessage};
use uuid::Uuid;

use crate::stage::*;

#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Fast,
    Verified,
    Clean,
    Pipelined,
}

pub struct AsyncPostgres {
    pool: Pool,
    way: Way,
}

#[derive(Debug, PartialEq, ToSql, FromSql)]
#[postgres(name = "mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Ok,
    Happy,
}

impl Driver for AsyncPostgres {
    async fn play(self: Arc<Self>, case: Case, place: Place) -> Result<()> {
        match case {
            Case::Crud => self.crud(&place).await,
            Case::Types => self.types(&place).await,
            Case::Statements => self.statements().await,
            Case::Batch => self.batch().await,
            Case::Copy => self.copy(&place).await,
            Case::Transactions => self.transactions(&place).await,
            Case::PipelineErrors => self.pipeline_errors(&place).await,
            Case::LargeRows => self.large_rows().await,
            Case::Cancel => self.cancel(&place).await,
            Case::Notify => self.notify(&place).await,
            Case::SessionSet => self.session_set(&place).await,
            Case::SchemaChange => self.schema_change(&place).await,
        }
    }
}

/// What a user sees of an error.
fn describe(error: &Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => error.to_string(),
    }
}

fn describe_result<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_string(),
        Err(error) => describe(error),
    }
}

/// Sends a value as a parameter and compares what comes back.
async fn round_trip<T>(client: &Object, kind: &str, value: T) -> Result<()>
where
    T: ToSql + for<'a> FromSql<'a> + PartialEq + std::fmt::Debug + Sync,
{
    let sql = format!("SELECT $1::{kind}");
    let row = client.query_one(&sql, &[&value]).await.context(sql)?;
    let found: T = row.try_get(0)?;
    ensure!(found == value, "{kind}: {value:?} came back as {found:?}");
    Ok(())
}

async fn setting(client: &Object, name: &str) -> Result<String> {
    let row = client
        .query_one("SELECT current_setting($1)", &[&name])
        .await?;
    Ok(row.try_get(0)?)
}

async fn count(client: &Object, table: &str) -> Result<i64> {
    let row = client
        .query_one(&format!("SELECT count(*) FROM {table}"), &[])
        .await?;
    Ok(row.try_get(0)?)
}

impl AsyncPostgres {
    pub fn new(way: Way, clients: usize) -> Result<Self> {
        let recycling_method = match way {
            Way::Fast | Way::Pipelined => RecyclingMethod::Fast,
            Way::Verified => RecyclingMethod::Verified,
            Way::Clean => RecyclingMethod::Clean,
        };
        let config = ManagerConfig { recycling_method };
        let manager = Manager::from_config(url()?.parse()?, NoTls, config);
        let pool = Pool::builder(manager).max_size(2 * clients).build()?;
        Ok(AsyncPostgres { pool, way })
    }

    /// All at once where the row pipelines, else one after the other.
    async fn gather<T>(&self, all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
        if self.way == Way::Pipelined {
            return join_all(all).await;
        }
        let mut results = Vec::new();
        for one in all {
            results.push(one.await);
        }
        results
    }

    async fn make_table(&self, table: &str, columns: &str) -> Result<()> {
        let sql = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})");
        self.pool.get().await?.batch_execute(&sql).await?;
        Ok(())
    }

    async fn check_rows(&self, place: &Place, word: &str) -> Result<()> {
        let client = self.pool.get().await?;
        let sql = format!(
            "SELECT id, word FROM {} WHERE who = $1 ORDER BY id",
            place.table()
        );
        let select = client.prepare_cached(&sql).await?;
        let rows = client.query(&select, &[&(place.number as i32)]).await?;
        ensure!(rows.len() == ROWS as usize);
        for (i, row) in rows.iter().enumerate() {
            ensure!(row.try_get::<_, i32>(0)? == i as i32);
            ensure!(row.try_get::<_, &str>(1)? == format!("{word} {i}"));
        }
        Ok(())
    }

    async fn crud(&self, place: &Place) -> Result<()> {
        let (table, who) = (place.table(), place.number as i32);
        if place.is_first() {
            self.make_table(table, "who int, id int, word text").await?;
        }
        place.meet().await;
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
            let client = self.pool.get().await?;
            let statement = &client.prepare_cached(&sql).await?;
            let changes = (0..ROWS).map(async |i| {
                client
                    .execute(statement, &[&i, &format!("{word} {i}"), &who])
                    .await
            });
            for changed in self.gather(changes).await {
                ensure!(changed? == 1);
            }
            drop(client);
            self.check_rows(place, word).await?;
        }
        let client = self.pool.get().await?;
        let delete = format!("DELETE FROM {table} WHERE who = $1");
        ensure!(
            client
                .execute(&format!("{delete} AND id = 3"), &[&who])
                .await?
                == 1
        );
        ensure!(client.execute(&delete, &[&who]).await? == ROWS as u64 - 1);
        ensure!(client.execute(&delete, &[&who]).await? == 0);
        Ok(())
    }

    async fn types(&self, place: &Place) -> Result<()> {
        if place.is_first() {
            let sql = "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
                       EXCEPTION WHEN duplicate_object THEN NULL; END $$";
            self.pool.get().await?.batch_execute(sql).await?;
        }
        place.meet().await;
        let client = &self.pool.get().await?;
        round_trip(client, "int2", i16::MIN).await?;
        round_trip(client, "int4", i32::MAX).await?;
        round_trip(client, "int8", i64::MIN).await?;
        round_trip(
            client,
            "numeric",
            "1234567890123456.789".parse::<Decimal>()?,
        )
        .await?;
        round_trip(client, "float8", 0.1f64).await?;
        round_trip(client, "bool", true).await?;
        for text in ["", "it's \"quoted\" \\ back\\slash", "Grüße, 你好, 🐘"] {
            round_trip(client, "text", text.to_string()).await?;
        }
        round_trip(client, "bytea", (0..=255u8).collect::<Vec<u8>>()).await?;
        let day = NaiveDate::from_ymd_opt(2024, 2, 29).context("a leap day")?;
        let time = day
            .and_hms_micro_opt(23, 59, 59, 123_456)
            .context("a time")?;
        round_trip::<NaiveDate>(client, "date", day).await?;
        round_trip::<NaiveDateTime>(client, "timestamp", time).await?;
        round_trip::<DateTime<Utc>>(client, "timestamptz", time.and_utc()).await?;
        round_trip(client, "uuid", Uuid::from_u128(0xa0ee_bc99_9c0b)).await?;
        let json: Value = serde_json::from_str(r#"{"a": [1, null, "x"]}"#)?;
        round_trip(client, "json", json.clone()).await?;
        round_trip(client, "jsonb", json).await?;
        round_trip(client, "int[]", vec![1, 2, -3]).await?;
        round_trip(
            client,
            "text[]",
            vec![Some("a, b".to_string()), None, Some(String::new())],
        )
        .await?;
        round_trip(client, "mood", Mood::Happy).await?;
        round_trip(
            client,
            "mood[]",
            vec![Some(Mood::Sad), None, Some(Mood::Ok)],
        )
        .await?;
        round_trip::<IpAddr>(client, "inet", "192.168.0.1".parse()?).await?;
        round_trip::<Option<i32>>(client, "int4", None).await?;
        round_trip::<Option<String>>(client, "text", None).await?;
        round_trip::<Option<Value>>(client, "jsonb", None).await?;
        round_trip::<Option<Mood>>(client, "mood", None).await?;
        let interval = "1 year 2 mons 3 days 04:05:06.789";
        let sql = "SELECT ($1::text::interval)::text";
        ensure!(
            client
                .query_one(sql, &[&interval])
                .await?
                .try_get::<_, &str>(0)?
                == interval
        );
        Ok(())
    }

    /// The pool's cache has no bound; statements outside of it are closed when they are dropped.
    async fn statements(&self) -> Result<()> {
        for round in 0..2 {
            let client = self.pool.get().await?;
            let all = (0..STATEMENTS).map(async |i| -> Result<()> {
                let sql = distinct_statement(i);
                let statement = match round {
                    0 => client.prepare(&sql).await?,
                    _ => client.prepare_cached(&sql).await?,
                };
                for value in 0..=round {
                    let row = client.query_one(&statement, &[&value]).await?;
                    ensure!(row.try_get::<_, i32>(0)? == i + value);
                    ensure!(row.columns()[1].name() == format!("value_{i}"));
                    ensure!(row.columns()[1].type_() == statement.columns()[1].type_());
                }
                Ok(())
            });
            self.gather(all).await.into_iter().collect::<Result<()>>()?;
        }
        Ok(())
    }

    async fn batch(&self) -> Result<()> {
        let client = self.pool.get().await?;
        let results = client.simple_query(&script()).await?;
        let values: Vec<&str> = results.iter().filter_map(simple_value).collect();
        ensure!(values == (0..BATCH).map(|i| i.to_string()).collect::<Vec<_>>());
        for _ in 0..2 {
            let all = (0..BATCH).map(async |i| client.query_one("SELECT $1::int4", &[&i]).await);
            for (i, row) in self.gather(all).await.into_iter().enumerate() {
                ensure!(row?.try_get::<_, i32>(0)? == i as i32);
            }
        }
        Ok(())
    }

    async fn copy(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int, word text").await?;
        let client = self.pool.get().await?;
        let copy_in = format!("COPY {table} FROM STDIN");
        let lines = copy_lines(COPIED);
        let sink = client.copy_in(&copy_in).await?;
        pin_mut!(sink);
        for chunk in lines.as_bytes().chunks(10_000) {
            sink.send(Bytes::copy_from_slice(chunk)).await?;
        }
        ensure!(sink.finish().await? == COPIED as u64);
        let copied = client.copy_out(&format!("COPY {table} TO STDOUT")).await?;
        let copied: Vec<Bytes> = copied.try_collect().await?;
        ensure!(copied.concat() == lines.as_bytes());

        {
            // Dropped half-way, the copy is aborted.
            let sink = client.copy_in(&copy_in).await?;
            pin_mut!(sink);
            sink.send(Bytes::from(copy_lines(1000))).await?;
            sink.flush().await?;
        }
        let sink = client.copy_in(&copy_in).await?;
        pin_mut!(sink);
        sink.send(Bytes::from(copy_lines(1000))).await?;
        sink.send(Bytes::from_static(b"no number\tx\n")).await?;
        place.observe(describe_result(&sink.finish().await));
        ensure!(count(&client, &table).await? == i64::from(COPIED));
        Ok(())
    }

    async fn transactions(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int").await?;
        let insert = format!("INSERT INTO {table} VALUES ($1)");
        let mut client = self.pool.get().await?;
        let other = self.pool.get().await?;
        let transaction = client.transaction().await?;
        transaction.execute(&insert, &[&1]).await?;
        transaction.commit().await?;
        ensure!(count(&other, &table).await? == 1);
        let transaction = client.transaction().await?;
        transaction.execute(&insert, &[&2]).await?;
        drop(transaction);
        ensure!(count(&client, &table).await? == 1);

        let builder = client
            .build_transaction()
            .isolation_level(IsolationLevel::Serializable);
        let mut transaction = builder.start().await?;
        let isolation = transaction
            .query_one("SHOW transaction_isolation", &[])
            .await?;
        ensure!(isolation.try_get::<_, &str>(0)? == "serializable");
        let kept = transaction.transaction().await?;
        kept.execute(&insert, &[&3]).await?;
        kept.commit().await?;
        let mut outer = transaction.savepoint("outer_one").await?;
        outer.execute(&insert, &[&4]).await?;
        let inner = outer.transaction().await?;
        inner.execute(&insert, &[&5]).await?;
        let error = inner
            .query_one("SELECT 1 / 0", &[])
            .await
            .err()
            .context("no error")?;
        ensure!(error.code() == Some(&SqlState::DIVISION_BY_ZERO));
        inner.rollback().await?;
        outer.execute(&insert, &[&6]).await?;
        outer.commit().await?;
        transaction.commit().await?;
        ensure!(count(&other, &table).await? == 4);
        Ok(())
    }

    async fn pipeline_errors(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int PRIMARY KEY").await?;
        let mut client = self.pool.get().await?;
        let insert = client
            .prepare(&format!("INSERT INTO {table} VALUES ($1)"))
            .await?;
        let values = [1, 2, 2, 3, 3, 4];
        let all = values.map(async |i| client.execute(&insert, &[&i]).await);
        for result in self.gather(all).await {
            place.observe(describe_result(&result));
        }
        ensure!(count(&client, &table).await? == 4);
        let transaction = client.transaction().await?;
        let all = [11, 12, 1, 13].map(async |i| transaction.execute(&insert, &[&i]).await);
        for result in self.gather(all).await {
            place.observe(describe_result(&result));
        }
        transaction.rollback().await?;
        let script = format!("INSERT INTO {table} VALUES (20); SELECT 1 / 0; SELECT 2");
        place.observe(describe_result(&client.batch_execute(&script).await));
        ensure!(count(&client, &table).await? == 4);
        Ok(())
    }

    async fn large_rows(&self) -> Result<()> {
        let client = self.pool.get().await?;
        let value = large_value();
        let row = client.query_one("SELECT $1::bytea", &[&value]).await?;
        ensure!(row.try_get::<_, &[u8]>(0)? == value);
        ensure!(
            client
                .query_one("SELECT 1", &[])
                .await?
                .try_get::<_, i32>(0)?
                == 1
        );
        Ok(())
    }

    async fn cancel(&self, place: &Place) -> Result<()> {
        let client = self.pool.get().await?;
        if !place.number.is_multiple_of(FEW) {
            client.query("SELECT pg_sleep(1)", &[]).await?;
            return Ok(());
        }
        let start = Instant::now();
        let result = cancel_until_answered(&client).await?;
        ensure!(start.elapsed() < Duration::from_secs(10));
        let error = result.err().context("it was not cancelled")?;
        ensure!(
            error.code() == Some(&SqlState::QUERY_CANCELED),
            "{}",
            describe(&error)
        );
        place.observe(describe(&error));
        drop(client);
        let client = self.pool.get().await?;
        ensure!(
            client
                .query_one("SELECT 1", &[])
                .await?
                .try_get::<_, i32>(0)?
                == 1
        );
        Ok(())
    }

    async fn notify(&self, place: &Place) -> Result<()> {
        let channel = place.table();
        match place.number {
            0 => receive(place, channel).await,
            1 => {
                place.meet().await;
                let client = self.pool.get().await?;
                let all = (0..NOTIFICATIONS).map(async |i| {
                    let payload = format!("payload {i}");
                    client
                        .execute("SELECT pg_notify($1, $2)", &[&channel, &payload])
                        .await
                });
                self.gather(all)
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(())
            }
            _ => {
                place.meet().await;
                for _ in 0..TRANSACTIONS {
                    let mut client = self.pool.get().await?;
                    let transaction = client.transaction().await?;
                    transaction.query_one("SELECT 1", &[]).await?;
                    transaction.commit().await?;
                }
                Ok(())
            }
        }
    }

    async fn session_set(&self, place: &Place) -> Result<()> {
        let number = place.number;
        let mut client = self.pool.get().await?;
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
            client
                .batch_execute(&format!("SET {name} = {quoted}"))
                .await?;
        }
        for i in 0..TRANSACTIONS {
            let transaction = client.transaction().await?;
            transaction
                .batch_execute("SET LOCAL my.name = 'local'")
                .await?;
            let row = transaction.query_one("SHOW my.name", &[]).await?;
            ensure!(row.try_get::<_, &str>(0)? == "local");
            if i % 2 == 0 {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            for (name, value) in &settings {
                let found = setting(&client, name).await?;
                ensure!(found == *value, "{name} is {found} instead of {value}");
            }
        }
        client
            .batch_execute("RESET my.name; RESET search_path")
            .await?;
        ensure!(setting(&client, "my.name").await?.is_empty());
        ensure!(setting(&client, "search_path").await? == "\"$user\", public");
        ensure!(setting(&client, "application_name").await? == settings[0].1);
        client.batch_execute("RESET ALL").await?;
        Ok(())
    }

    async fn schema_change(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int").await?;
        let mut client = self.pool.get().await?;
        let other = self.pool.get().await?;
        other
            .batch_execute(&format!("INSERT INTO {table} VALUES (1)"))
            .await?;
        let select = format!("SELECT * FROM {table}");
        for change in [
            "ADD COLUMN word text",
            "ALTER COLUMN id TYPE bigint",
            "ADD CHECK (id > 0)",
        ] {
            let statement = client.prepare(&select).await?;
            for _ in 0..6 {
                client.query_one(&statement, &[]).await?;
            }
            other
                .batch_execute(&format!("ALTER TABLE {table} {change}"))
                .await?;
            for _ in 0..2 {
                place.observe(describe_result(&client.query_one(&statement, &[]).await));
            }
            let transaction = client.transaction().await?;
            for _ in 0..2 {
                place.observe(describe_result(
                    &transaction.query_one(&statement, &[]).await,
                ));
            }
            transaction.rollback().await?;
            let row = client.query_one(&select, &[]).await?;
            place.observe(format!("{} columns", row.len()));
        }
        Ok(())
    }
}

fn simple_value(message: &SimpleQueryMessage) -> Option<&str> {
    match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    }
}

/// A request that arrives before its query does nothing, so it is said again.
async fn cancel_until_answered(client: &Object) -> Result<Result<Vec<tokio_postgres::Row>, Error>> {
    let token = client.cancel_token();
    let query = client.query("SELECT pg_sleep(60)", &[]);
    pin_mut!(query);
    loop {
        match timeout(Duration::from_millis(500), &mut query).await {
            Ok(result) => return Ok(result),
            Err(_) => token.cancel_query(NoTls).await?,
        }
    }
}

/// Listens on a connection of its own, whose messages the program takes itself.
async fn receive(place: &Place, channel: &str) -> Result<()> {
    let (client, mut connection) = tokio_postgres::connect(&url()?, NoTls).await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let messages = poll_fn(move |context| connection.poll_message(context));
    let reading = tokio::spawn(messages.for_each(move |message| {
        if let Ok(AsyncMessage::Notification(notification)) = message {
            // Nobody listens any more once the case has ended.
            let _ = sender.send(notification);
        }
        async {}
    }));
    client.batch_execute(&format!("LISTEN {channel}")).await?;
    place.meet().await;
    for i in 0..NOTIFICATIONS {
        let received = timeout(Duration::from_secs(20), receiver.recv()).await?;
        let received = received.context("the connection ended")?;
        ensure!(received.channel() == channel);
        ensure!(received.payload() == format!("payload {i}"));
    }
    client.batch_execute("UNLISTEN *").await?;
    ensure!(receiver.try_recv().is_err());
    drop(client);
    reading.await?;
    Ok(())
}
