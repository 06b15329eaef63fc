//! sqlx, with its pool, which tests connections before it lends them, and its statement cache.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures_util::TryStreamExt;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgListener, PgPoolCopyExt, PgPoolOptions, PgRow};
use sqlx::types::ipnetwork::IpNetwork;
use sqlx::{
    AssertSqlSafe, Column, Connection, Decode, Encode, Error, Executor, PgConnection, PgPool,
    Postgres, QueryBuilder, Row, Type, TypeInfo,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::stage::*;

pub struct Sqlx {
    pool: PgPool,
}

#[derive(Clone, Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Ok,
    Happy,
}

impl Driver for Sqlx {
    async fn play(self: Arc<Self>, case: Case, place: Place) -> Result<()> {
        match case {
            Case::Crud => self.crud(&place).await,
            Case::Types => self.types(&place).await,
            Case::Statements => self.statements().await,
            Case::Batch => self.batch(&place).await,
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
    match error.as_database_error() {
        Some(error) => format!("{} {}", error.code().unwrap_or_default(), error.message()),
        None => error.to_string(),
    }
}

fn describe_result<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_string(),
        Err(error) => describe(error),
    }
}

/// The texts of this program, into which only names of its own tables are put.
fn sql(text: impl Into<String>) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.into())
}

/// Sends a value as a parameter and compares what comes back.
async fn round_trip<T>(connection: &mut PgConnection, kind: &str, value: T) -> Result<()>
where
    T: for<'q> Encode<'q, Postgres> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    T: Clone + PartialEq + std::fmt::Debug + Send + Unpin + 'static,
{
    let query = sqlx::query_scalar(sql(format!("SELECT $1::{kind}"))).bind(value.clone());
    let found: T = query
        .fetch_one(connection)
        .await
        .context(kind.to_string())?;
    ensure!(found == value, "{kind}: {value:?} came back as {found:?}");
    Ok(())
}

async fn setting(connection: &mut PgConnection, name: &str) -> Result<String> {
    let query = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
    Ok(query.fetch_one(connection).await?)
}

impl Sqlx {
    pub async fn new(clients: usize) -> Result<Self> {
        let options = PgPoolOptions::new().max_connections(2 * clients as u32);
        let pool = options.test_before_acquire(true).connect(&url()?).await?;
        Ok(Sqlx { pool })
    }

    async fn make_table(&self, table: &str, columns: &str) -> Result<()> {
        let script = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({columns})");
        self.pool.execute(sqlx::raw_sql(sql(script))).await?;
        Ok(())
    }

    async fn count(&self, table: &str) -> Result<i64> {
        let query = sqlx::query_scalar(sql(format!("SELECT count(*) FROM {table}")));
        Ok(query.fetch_one(&self.pool).await?)
    }

    async fn check_rows(&self, place: &Place, word: &str) -> Result<()> {
        let text = format!(
            "SELECT id, word FROM {} WHERE who = $1 ORDER BY id",
            place.table()
        );
        let query = sqlx::query_as(sql(text)).bind(place.number as i32);
        let rows: Vec<(i32, String)> = query.fetch_all(&self.pool).await?;
        ensure!(
            rows == (0..ROWS)
                .map(|i| (i, format!("{word} {i}")))
                .collect::<Vec<_>>()
        );
        Ok(())
    }

    async fn crud(&self, place: &Place) -> Result<()> {
        let (table, who) = (place.table(), place.number as i32);
        if place.is_first() {
            self.make_table(table, "who int, id int, word text").await?;
        }
        place.meet().await;
        for (text, word) in [
            (
                format!("INSERT INTO {table} (id, word, who) VALUES ($1, $2, $3)"),
                "word",
            ),
            (
                format!("UPDATE {table} SET word = $2 WHERE id = $1 AND who = $3"),
                "new",
            ),
        ] {
            for i in 0..ROWS {
                let query = sqlx::query(sql(&text))
                    .bind(i)
                    .bind(format!("{word} {i}"))
                    .bind(who);
                ensure!(query.execute(&self.pool).await?.rows_affected() == 1);
            }
            self.check_rows(place, word).await?;
        }
        let delete = format!("DELETE FROM {table} WHERE who = $1");
        for (text, touched) in [
            (format!("{delete} AND id = 3"), 1),
            (delete.clone(), ROWS as u64 - 1),
            (delete, 0),
        ] {
            let query = sqlx::query(sql(text)).bind(who);
            ensure!(query.execute(&self.pool).await?.rows_affected() == touched);
        }
        Ok(())
    }

    async fn types(&self, place: &Place) -> Result<()> {
        if place.is_first() {
            let text = "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
                        EXCEPTION WHEN duplicate_object THEN NULL; END $$";
            self.pool.execute(sqlx::raw_sql(text)).await?;
        }
        place.meet().await;
        let client = &mut *self.pool.acquire().await?;
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
        let interval = PgInterval {
            months: 14,
            days: 3,
            microseconds: 14_706_789_000,
        };
        round_trip(client, "interval", interval).await?;
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
        round_trip::<IpNetwork>(client, "inet", "192.168.0.0/24".parse()?).await?;
        round_trip::<Option<i32>>(client, "int4", None).await?;
        round_trip::<Option<String>>(client, "text", None).await?;
        round_trip::<Option<Value>>(client, "jsonb", None).await?;
        round_trip::<Option<Mood>>(client, "mood", None).await?;
        Ok(())
    }

    /// Three times what the cache of 100 holds, which closes the least recently used.
    async fn statements(&self) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        for _ in 0..2 {
            for i in 0..STATEMENTS {
                for value in 0..3 {
                    let query = sqlx::query(sql(distinct_statement(i))).bind(value);
                    let row = query.fetch_one(&mut *connection).await?;
                    ensure!(row.try_get::<i32, _>(0)? == i + value);
                    ensure!(row.column(1).name() == format!("value_{i}"));
                    let kind = ["INT4", "TEXT", "FLOAT8", "INT8"][i as usize % 4];
                    ensure!(row.column(1).type_info().name() == kind);
                }
            }
        }
        Ok(())
    }

    /// There is no pipeline: a script of many statements, and one statement with many rows.
    async fn batch(&self, place: &Place) -> Result<()> {
        let rows: Vec<PgRow> = sqlx::raw_sql(sql(script())).fetch_all(&self.pool).await?;
        ensure!(rows.len() == BATCH as usize);
        for (i, row) in rows.iter().enumerate() {
            ensure!(row.try_get::<&str, _>(0)? == i.to_string());
        }
        let table = place.own_table();
        self.make_table(&table, "id int, word text").await?;
        let mut builder = QueryBuilder::new(format!("INSERT INTO {table} (id, word) "));
        builder.push_values(0..BATCH, |mut row, i| {
            row.push_bind(i).push_bind(format!("word {i}"));
        });
        ensure!(builder.build().execute(&self.pool).await?.rows_affected() == BATCH as u64);
        ensure!(self.count(&table).await? == i64::from(BATCH));
        Ok(())
    }

    async fn copy(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int, word text").await?;
        let copy_in = format!("COPY {table} FROM STDIN");
        let lines = copy_lines(COPIED);
        let mut copy = self.pool.copy_in_raw(&copy_in).await?;
        for chunk in lines.as_bytes().chunks(10_000) {
            copy.send(chunk).await?;
        }
        ensure!(copy.finish().await? == COPIED as u64);
        let copied = self
            .pool
            .copy_out_raw(&format!("COPY {table} TO STDOUT"))
            .await?;
        ensure!(copied.try_collect::<Vec<_>>().await?.concat() == lines.as_bytes());

        let mut connection = self.pool.acquire().await?;
        let mut copy = connection.copy_in_raw(&copy_in).await?;
        copy.send(copy_lines(1000).into_bytes()).await?;
        copy.abort("the client gives up").await?;
        let mut copy = connection.copy_in_raw(&copy_in).await?;
        copy.send(copy_lines(1000).into_bytes()).await?;
        copy.send(&b"no number\tx\n"[..]).await?;
        place.observe(describe_result(&copy.finish().await));
        drop(connection);
        ensure!(self.count(&table).await? == i64::from(COPIED));
        Ok(())
    }

    async fn transactions(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int").await?;
        let insert = |i: i32| sqlx::query(sql(format!("INSERT INTO {table} VALUES ($1)"))).bind(i);
        let mut transaction = self.pool.begin().await?;
        insert(1).execute(&mut *transaction).await?;
        transaction.commit().await?;
        ensure!(self.count(&table).await? == 1);
        let mut transaction = self.pool.begin().await?;
        insert(2).execute(&mut *transaction).await?;
        drop(transaction);
        ensure!(self.count(&table).await? == 1);

        let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE";
        let mut transaction = self.pool.begin_with(begin).await?;
        let isolation: String = sqlx::query_scalar("SHOW transaction_isolation")
            .fetch_one(&mut *transaction)
            .await?;
        ensure!(isolation == "serializable");
        let mut kept = transaction.begin().await?;
        insert(3).execute(&mut *kept).await?;
        kept.commit().await?;
        let mut outer = transaction.begin().await?;
        insert(4).execute(&mut *outer).await?;
        let mut inner = outer.begin().await?;
        insert(5).execute(&mut *inner).await?;
        let refused = inner.execute("SELECT 1 / 0").await;
        ensure!(describe_result(&refused) == "22012 division by zero");
        inner.rollback().await?;
        insert(6).execute(&mut *outer).await?;
        outer.commit().await?;
        transaction.commit().await?;
        ensure!(self.count(&table).await? == 4);
        Ok(())
    }

    async fn pipeline_errors(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int").await?;
        let mut connection = self.pool.acquire().await?;
        let script = format!(
            "SELECT 1; INSERT INTO {table} VALUES (1); SELECT 2; \
             INSERT INTO {table} SELECT 1 / 0; SELECT 3"
        );
        for _ in 0..3 {
            let mut rows = sqlx::raw_sql(sql(&script)).fetch(&mut *connection);
            let mut seen = 0;
            let end = loop {
                match rows.try_next().await {
                    Ok(Some(_)) => seen += 1,
                    Ok(None) => break "done".to_string(),
                    Err(error) => break describe(&error),
                }
            };
            place.observe(format!("{seen} rows, then {end}"));
        }
        drop(connection);
        ensure!(self.count(&table).await? == 0);
        Ok(())
    }

    async fn large_rows(&self) -> Result<()> {
        let value = large_value();
        let query = sqlx::query_scalar("SELECT $1::bytea").bind(&value);
        let found: Vec<u8> = query.fetch_one(&self.pool).await?;
        ensure!(found == value);
        let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&self.pool).await?;
        ensure!(one == 1);
        Ok(())
    }

    /// There is no request to cancel: a query is given up by a time limit, of the server's or of
    /// the program's. The pool waits for the end of a query that nobody waits for any more.
    async fn cancel(&self, place: &Place) -> Result<()> {
        if !place.number.is_multiple_of(FEW) {
            self.pool.execute("SELECT pg_sleep(1)").await?;
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        transaction
            .execute("SET LOCAL statement_timeout = '500ms'")
            .await?;
        let result = transaction.execute("SELECT pg_sleep(60)").await;
        place.observe(describe_result(&result));
        ensure!(result.is_err());
        transaction.rollback().await?;
        for _ in 0..3 {
            let query = self.pool.execute("SELECT pg_sleep(0.7)");
            ensure!(timeout(Duration::from_millis(300), query).await.is_err());
        }
        let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&self.pool).await?;
        ensure!(one == 1);
        Ok(())
    }

    async fn notify(&self, place: &Place) -> Result<()> {
        let channel = place.table();
        match place.number {
            0 => self.receive(place, channel).await,
            1 => {
                place.meet().await;
                for i in 0..NOTIFICATIONS {
                    let query = sqlx::query("SELECT pg_notify($1, $2)").bind(channel);
                    query
                        .bind(format!("payload {i}"))
                        .execute(&self.pool)
                        .await?;
                }
                Ok(())
            }
            _ => {
                place.meet().await;
                for _ in 0..TRANSACTIONS {
                    let mut transaction = self.pool.begin().await?;
                    transaction.execute("SELECT 1").await?;
                    transaction.commit().await?;
                }
                Ok(())
            }
        }
    }

    async fn receive(&self, place: &Place, channel: &str) -> Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(channel).await?;
        place.meet().await;
        for i in 0..NOTIFICATIONS {
            let received = timeout(Duration::from_secs(20), listener.recv()).await??;
            ensure!(received.channel() == channel);
            ensure!(received.payload() == format!("payload {i}"));
        }
        listener.unlisten_all().await?;
        ensure!(listener.next_buffered().is_none());
        Ok(())
    }

    async fn session_set(&self, place: &Place) -> Result<()> {
        let number = place.number;
        let mut connection = self.pool.acquire().await?;
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
            connection
                .execute(sql(format!("SET {name} = {quoted}")))
                .await?;
        }
        for i in 0..TRANSACTIONS {
            let mut transaction = connection.begin().await?;
            transaction.execute("SET LOCAL my.name = 'local'").await?;
            ensure!(setting(&mut transaction, "my.name").await? == "local");
            if i % 2 == 0 {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            for (name, value) in &settings {
                let found = setting(&mut connection, name).await?;
                ensure!(found == *value, "{name} is {found} instead of {value}");
            }
        }
        connection.execute("RESET my.name").await?;
        connection.execute("RESET search_path").await?;
        ensure!(setting(&mut connection, "my.name").await?.is_empty());
        ensure!(setting(&mut connection, "search_path").await? == "\"$user\", public");
        ensure!(setting(&mut connection, "application_name").await? == settings[0].1);
        connection.execute("RESET ALL").await?;
        Ok(())
    }

    async fn schema_change(&self, place: &Place) -> Result<()> {
        let table = place.own_table();
        self.make_table(&table, "id int").await?;
        self.pool
            .execute(sql(format!("INSERT INTO {table} VALUES (1)")))
            .await?;
        let select = || sqlx::query(sql(format!("SELECT * FROM {table}")));
        let mut connection = self.pool.acquire().await?;
        for change in [
            "ADD COLUMN word text",
            "ALTER COLUMN id TYPE bigint",
            "ADD CHECK (id > 0)",
        ] {
            for _ in 0..6 {
                select().fetch_one(&mut *connection).await?;
            }
            self.pool
                .execute(sql(format!("ALTER TABLE {table} {change}")))
                .await?;
            for _ in 0..2 {
                place.observe(describe_row(&select().fetch_one(&mut *connection).await));
            }
            let mut transaction = connection.begin().await?;
            for _ in 0..2 {
                place.observe(describe_row(&select().fetch_one(&mut *transaction).await));
            }
            transaction.rollback().await?;
            connection.clear_cached_statements().await?;
        }
        Ok(())
    }
}

fn describe_row(result: &Result<PgRow, Error>) -> String {
    match result {
        Ok(row) => format!("{} columns", row.len()),
        Err(error) => describe(error),
    }
}
