//! diesel-async, which pipelines what is asked at the same time, with deadpool's pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{Binary, Integer, Text};
use diesel::{IntoSql, sql_query};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::join_all;
use futures_util::{StreamExt, pin_mut};
use tokio::time::timeout;
use tokio_postgres::NoTls;

use crate::diesel_tables::*;
use crate::stage::*;

pub struct AsyncDiesel {
    pool: Pool<AsyncPgConnection>,
}

impl Driver for AsyncDiesel {
    async fn play(self: Arc<Self>, case: Case, place: Place) -> Result<()> {
        let conn = &mut self.pool.get().await?;
        match case {
            Case::Crud => crud(conn, &place).await,
            Case::Types => types(conn, &place).await,
            Case::Statements => statements(conn, &place).await,
            Case::Batch => batch(conn, &place).await,
            Case::Copy => Err(Absent("no COPY").into()),
            Case::Transactions => self.transactions(conn, &place).await,
            Case::PipelineErrors => pipeline_errors(conn, &place).await,
            Case::LargeRows => large_rows(conn).await,
            Case::Cancel => cancel(conn, &place).await,
            Case::Notify => self.notify(conn, &place).await,
            Case::SessionSet => session_set(conn, &place).await,
            Case::SchemaChange => self.schema_change(conn, &place).await,
        }
    }
}

/// A schema of the client's own, in which the table of words is.
async fn make_words(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    for statement in own_schema(place) {
        sql_query(statement).execute(conn).await?;
    }
    Ok(conn.batch_execute(CREATE_WORDS).await?)
}

async fn leave_schema(conn: &mut Object<AsyncPgConnection>) -> Result<()> {
    sql_query("RESET search_path").execute(conn).await?;
    Ok(())
}

async fn words(conn: &mut AsyncPgConnection) -> QueryResult<i64> {
    diesel_words::table
        .select(count_star())
        .get_result(conn)
        .await
}

async fn insert_word(mut conn: &AsyncPgConnection, id: i32) -> QueryResult<usize> {
    let row = (
        diesel_words::id.eq(id),
        diesel_words::word.eq(format!("word {id}")),
    );
    diesel::insert_into(diesel_words::table)
        .values(row)
        .execute(&mut conn)
        .await
}

async fn setting(conn: &mut AsyncPgConnection, name: &str) -> QueryResult<String> {
    let call = sql::<Text>("current_setting(")
        .bind::<Text, _>(name)
        .sql(")");
    diesel::select(call).get_result(conn).await
}

impl AsyncDiesel {
    pub fn new(clients: usize) -> Result<Self> {
        let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url()?);
        let pool = Pool::builder(manager).max_size(2 * clients).build()?;
        Ok(AsyncDiesel { pool })
    }

    async fn transactions(
        &self,
        conn: &mut Object<AsyncPgConnection>,
        place: &Place,
    ) -> Result<()> {
        make_words(conn, place).await?;
        let mut other = self.pool.get().await?;
        sql_query(&own_schema(place)[2]).execute(&mut other).await?;
        conn.transaction::<_, anyhow::Error, _>(async |conn| {
            insert_word(conn, 1).await?;
            Ok(())
        })
        .await?;
        ensure!(words(&mut other).await? == 1);
        let rolled_back: QueryResult<()> = conn
            .transaction(async |conn| {
                insert_word(conn, 2).await?;
                Err(Error::RollbackTransaction)
            })
            .await;
        ensure!(rolled_back == Err(Error::RollbackTransaction));
        ensure!(words(&mut other).await? == 1);
        nested(conn).await?;
        ensure!(words(&mut other).await? == 4);
        leave_schema(&mut other).await?;
        leave_schema(conn).await
    }

    async fn notify(&self, conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
        let channel = place.table();
        if place.is_first() {
            sql_query(format!("LISTEN {channel}")).execute(conn).await?;
            place.meet().await;
            return receive(conn, channel).await;
        }
        place.meet().await;
        if place.number == 1 {
            for i in 0..NOTIFICATIONS {
                sql_query("SELECT pg_notify($1, $2)")
                    .bind::<Text, _>(channel)
                    .bind::<Text, _>(format!("payload {i}"))
                    .execute(conn)
                    .await?;
            }
            return Ok(());
        }
        for _ in 0..TRANSACTIONS {
            let mut conn = self.pool.get().await?;
            let one: i32 = conn
                .transaction(async |conn| {
                    diesel::select(1.into_sql::<Integer>())
                        .get_result(conn)
                        .await
                })
                .await?;
            ensure!(one == 1);
        }
        Ok(())
    }

    async fn schema_change(
        &self,
        conn: &mut Object<AsyncPgConnection>,
        place: &Place,
    ) -> Result<()> {
        make_words(conn, place).await?;
        let mut other = self.pool.get().await?;
        let select = async |conn: &mut AsyncPgConnection| -> QueryResult<Vec<(i32, String)>> {
            diesel_words::table.load(conn).await
        };
        for change in [
            "ADD COLUMN more text",
            "ALTER COLUMN id TYPE bigint",
            "ADD CHECK (id > 0)",
        ] {
            for _ in 0..6 {
                select(conn).await?;
            }
            let table = format!("{}.diesel_words", place.own_table());
            other
                .batch_execute(&format!("ALTER TABLE {table} {change}"))
                .await?;
            for _ in 0..2 {
                place.observe(describe_result(&select(conn).await));
            }
            let ended: QueryResult<()> = conn
                .transaction(async |conn| {
                    place.observe(describe_result(&select(conn).await));
                    Err(Error::RollbackTransaction)
                })
                .await;
            ended.err().context("it was rolled back")?;
            other
                .batch_execute(&format!("ALTER TABLE {table} ALTER COLUMN id TYPE int"))
                .await?;
        }
        leave_schema(conn).await
    }
}

async fn crud(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    use crate::diesel_tables::diesel_crud::dsl::{diesel_crud, id, who, word};
    let number = place.number as i32;
    if place.is_first() {
        conn.batch_execute("DROP TABLE IF EXISTS diesel_crud")
            .await?;
        conn.batch_execute(CREATE_CRUD).await?;
    }
    place.meet().await;
    let rows = diesel_crud
        .filter(who.eq(number))
        .select((id, word))
        .order(id);
    for i in 0..ROWS {
        let row = (who.eq(number), id.eq(i), word.eq(format!("word {i}")));
        ensure!(
            diesel::insert_into(diesel_crud)
                .values(row)
                .execute(conn)
                .await?
                == 1
        );
    }
    let found: Vec<(i32, String)> = rows.load(conn).await?;
    ensure!(
        found
            == (0..ROWS)
                .map(|i| (i, format!("word {i}")))
                .collect::<Vec<_>>()
    );
    for i in 0..ROWS {
        let row = diesel_crud.filter(who.eq(number)).filter(id.eq(i));
        ensure!(
            diesel::update(row)
                .set(word.eq(format!("new {i}")))
                .execute(conn)
                .await?
                == 1
        );
    }
    let found: Vec<(i32, String)> = rows.load(conn).await?;
    ensure!(
        found
            == (0..ROWS)
                .map(|i| (i, format!("new {i}")))
                .collect::<Vec<_>>()
    );
    let mine = diesel_crud.filter(who.eq(number));
    ensure!(diesel::delete(mine.filter(id.eq(3))).execute(conn).await? == 1);
    ensure!(diesel::delete(mine).execute(conn).await? == ROWS as usize - 1);
    ensure!(diesel::delete(mine).execute(conn).await? == 0);
    Ok(())
}

async fn types(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    if place.is_first() {
        conn.batch_execute(CREATE_MOOD).await?;
    }
    place.meet().await;
    macro_rules! check {
        ($sql:ty, $rust:ty, $value:expr) => {{
            let value: $rust = $value;
            let query = diesel::select(value.clone().into_sql::<$sql>());
            let found: $rust = query.get_result(conn).await?;
            ensure!(found == value, "{value:?} came back as {found:?}");
        }};
    }
    for_each_type!(check);
    Ok(())
}

/// Diesel caches what its query builder makes, without a bound: texts differ by their conditions.
async fn statements(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    use crate::diesel_tables::diesel_words::dsl::{diesel_words, id, word};
    make_words(conn, place).await?;
    insert_word(conn, 1).await?;
    for _ in 0..2 {
        for i in 0..STATEMENTS {
            let mut query = diesel_words.into_boxed();
            for bit in 0..9 {
                query = match i >> bit & 1 {
                    0 => query.filter(id.ge(bit - 9)),
                    _ => query.filter(id.ne(bit - 9)),
                };
            }
            let found = match i % 2 {
                0 => query.select(id).load(conn).await?,
                _ => query
                    .select((word, id))
                    .load::<(String, i32)>(conn)
                    .await?
                    .iter()
                    .map(|row| row.1)
                    .collect(),
            };
            ensure!(found == [1]);
        }
    }
    for i in 0..STATEMENTS {
        let text = distinct_statement(i);
        ensure!(sql_query(text).bind::<Integer, _>(1).execute(conn).await? == 1);
    }
    leave_schema(conn).await
}

async fn batch(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    use crate::diesel_tables::diesel_words::dsl::{diesel_words, id, word};
    make_words(conn, place).await?;
    let pipelined = join_all((0..BATCH).map(|i| insert_word(conn, i))).await;
    ensure!(pipelined.iter().all(|inserted| *inserted == Ok(1)));
    let found: Vec<(i32, String)> = diesel_words.order(id).load(conn).await?;
    ensure!(
        found
            == (0..BATCH)
                .map(|i| (i, format!("word {i}")))
                .collect::<Vec<_>>()
    );
    let pipelined = (0..BATCH).map(async |i| -> QueryResult<String> {
        let mut conn: &AsyncPgConnection = conn;
        diesel_words
            .filter(id.eq(i))
            .select(word)
            .get_result(&mut conn)
            .await
    });
    for (i, found) in join_all(pipelined).await.into_iter().enumerate() {
        ensure!(found? == format!("word {i}"));
    }
    leave_schema(conn).await
}

async fn nested(conn: &mut AsyncPgConnection) -> Result<()> {
    conn.build_transaction()
        .serializable()
        .run::<_, anyhow::Error, _>(async |conn| {
            ensure!(setting(conn, "transaction_isolation").await? == "serializable");
            conn.transaction(async |conn| insert_word(conn, 3).await)
                .await?;
            conn.transaction::<_, anyhow::Error, _>(async |conn| {
                insert_word(conn, 4).await?;
                let inner: QueryResult<usize> = conn
                    .transaction(async |conn| {
                        insert_word(conn, 5).await?;
                        sql_query("SELECT 1 / 0").execute(conn).await
                    })
                    .await;
                ensure!(describe_result(&inner) == "division by zero");
                insert_word(conn, 6).await?;
                Ok(())
            })
            .await
        })
        .await
}

async fn pipeline_errors(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    make_words(conn, place).await?;
    conn.batch_execute("ALTER TABLE diesel_words ADD PRIMARY KEY (id)")
        .await?;
    for result in join_all([1, 2, 2, 3, 3, 4].map(|i| insert_word(conn, i))).await {
        place.observe(describe_result(&result));
    }
    ensure!(words(conn).await? == 4);
    let ended: QueryResult<()> = conn
        .transaction(async |conn| {
            for result in join_all([11, 12, 1, 13].map(|i| insert_word(conn, i))).await {
                place.observe(describe_result(&result));
            }
            Err(Error::RollbackTransaction)
        })
        .await;
    place.observe(describe_result(&ended));
    ensure!(words(conn).await? == 4);
    leave_schema(conn).await
}

async fn large_rows(conn: &mut Object<AsyncPgConnection>) -> Result<()> {
    let value = large_value();
    let query = diesel::select(value.as_slice().into_sql::<Binary>());
    let found: Vec<u8> = query.get_result(conn).await?;
    ensure!(found == value);
    ensure!(
        diesel::select(1.into_sql::<Integer>())
            .get_result::<i32>(conn)
            .await?
            == 1
    );
    Ok(())
}

async fn cancel(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    if !place.number.is_multiple_of(FEW) {
        sql_query("SELECT pg_sleep(1)").execute(conn).await?;
        return Ok(());
    }
    let start = Instant::now();
    let token = conn.cancel_token();
    let result = {
        let query = sql_query("SELECT pg_sleep(60)").execute(conn);
        pin_mut!(query);
        loop {
            // A request that arrives before its query does nothing, so it is said again.
            match timeout(Duration::from_millis(500), &mut query).await {
                Ok(result) => break result,
                Err(_) => token.cancel_query(NoTls).await?,
            }
        }
    };
    ensure!(start.elapsed() < Duration::from_secs(10));
    place.observe(describe_result(&result));
    ensure!(describe_result(&result) == "canceling statement due to user request");
    ensure!(
        diesel::select(1.into_sql::<Integer>())
            .get_result::<i32>(conn)
            .await?
            == 1
    );
    Ok(())
}

async fn receive(conn: &mut Object<AsyncPgConnection>, channel: &str) -> Result<()> {
    {
        let arriving = conn.notifications_stream();
        pin_mut!(arriving);
        for i in 0..NOTIFICATIONS {
            let received = timeout(Duration::from_secs(20), arriving.next()).await?;
            let received = received.context("no more notifications")??;
            ensure!(received.channel == channel);
            ensure!(received.payload == format!("payload {i}"));
        }
    }
    sql_query("UNLISTEN *").execute(conn).await?;
    let arriving = conn.notifications_stream();
    pin_mut!(arriving);
    ensure!(timeout(Duration::ZERO, arriving.next()).await.is_err());
    Ok(())
}

async fn session_set(conn: &mut Object<AsyncPgConnection>, place: &Place) -> Result<()> {
    let settings = own_settings(place);
    for (_, statement, _) in &settings {
        sql_query(statement).execute(conn).await?;
    }
    for i in 0..TRANSACTIONS {
        let ended: QueryResult<()> = conn
            .transaction(async |conn| {
                sql_query("SET LOCAL my.name = 'local'")
                    .execute(conn)
                    .await?;
                match (setting(conn, "my.name").await?.as_str(), i % 2) {
                    ("local", 0) => Ok(()),
                    ("local", _) => Err(Error::RollbackTransaction),
                    _ => Err(Error::NotFound),
                }
            })
            .await;
        ensure!(ended != Err(Error::NotFound), "SET LOCAL was not seen");
        for (name, _, value) in &settings {
            let found = setting(conn, name).await?;
            ensure!(found == *value, "{name} is {found} instead of {value}");
        }
    }
    conn.batch_execute("RESET my.name; RESET search_path")
        .await?;
    ensure!(setting(conn, "my.name").await?.is_empty());
    ensure!(setting(conn, "search_path").await? == "\"$user\", public");
    ensure!(setting(conn, "application_name").await? == settings[0].2);
    conn.batch_execute("RESET ALL").await?;
    Ok(())
}
