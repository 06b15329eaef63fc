//! diesel over libpq, with r2d2's pool, which tests connections before it lends them.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use diesel::connection::SimpleConnection;
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use diesel::result::Error;
use diesel::sql_types::{Binary, Integer, Text};
use diesel::{IntoSql, sql_query};

use crate::diesel_tables::*;
use crate::stage::*;

type Manager = ConnectionManager<PgConnection>;
type Pooled = PooledConnection<Manager>;

pub struct SyncDiesel {
    pool: Pool<Manager>,
}

impl Driver for SyncDiesel {
    async fn play(self: Arc<Self>, case: Case, place: Place) -> Result<()> {
        tokio::task::spawn_blocking(move || self.play_blocking(case, &place)).await?
    }
}

fn words(conn: &mut PgConnection) -> QueryResult<i64> {
    diesel_words::table.select(count_star()).get_result(conn)
}

fn insert_word(conn: &mut PgConnection, id: i32) -> QueryResult<usize> {
    let row = (diesel_words::id.eq(id), diesel_words::word.eq("word"));
    diesel::insert_into(diesel_words::table)
        .values(row)
        .execute(conn)
}

fn setting(conn: &mut PgConnection, name: &str) -> QueryResult<String> {
    let call = sql::<Text>("current_setting(")
        .bind::<Text, _>(name)
        .sql(")");
    diesel::select(call).get_result(conn)
}

/// Runs work with a schema of the client's own, in which the table of words is.
fn with_words<T>(
    conn: &mut PgConnection,
    place: &Place,
    work: impl FnOnce(&mut PgConnection) -> Result<T>,
) -> Result<T> {
    for statement in own_schema(place) {
        sql_query(statement).execute(conn)?;
    }
    conn.batch_execute(CREATE_WORDS)?;
    let result = work(conn);
    sql_query("RESET search_path").execute(conn)?;
    result
}

impl SyncDiesel {
    pub fn new(clients: usize) -> Result<Self> {
        let builder = Pool::builder()
            .max_size(2 * clients as u32)
            .min_idle(Some(1));
        let pool = builder.build(Manager::new(url()?))?;
        Ok(SyncDiesel { pool })
    }

    fn play_blocking(&self, case: Case, place: &Place) -> Result<()> {
        let conn = &mut self.pool.get()?;
        match case {
            Case::Crud => crud(conn, place),
            Case::Types => types(conn, place),
            Case::Statements => with_words(conn, place, statements),
            Case::Batch => with_words(conn, place, batch),
            Case::Copy => with_words(conn, place, |conn| copy(conn, place)),
            Case::Transactions => self.transactions(conn, place),
            Case::PipelineErrors => with_words(conn, place, |conn| pipeline_errors(conn, place)),
            Case::LargeRows => large_rows(conn),
            Case::Cancel => cancel(conn, place),
            Case::Notify => self.notify(conn, place),
            Case::SessionSet => session_set(conn, place),
            Case::SchemaChange => self.schema_change(conn, place),
        }
    }

    fn transactions(&self, conn: &mut Pooled, place: &Place) -> Result<()> {
        let schema = own_schema(place);
        let mut other = self.pool.get()?;
        let seen = |conn: &mut PgConnection| -> Result<i64> {
            sql_query(&schema[2]).execute(conn)?;
            Ok(words(conn)?)
        };
        with_words(conn, place, |conn| {
            conn.transaction::<_, anyhow::Error, _>(|conn| {
                insert_word(conn, 1)?;
                Ok(())
            })?;
            ensure!(seen(&mut other)? == 1);
            let rolled_back: QueryResult<()> = conn.transaction(|conn| {
                insert_word(conn, 2)?;
                Err(Error::RollbackTransaction)
            });
            ensure!(rolled_back == Err(Error::RollbackTransaction));
            ensure!(seen(&mut other)? == 1);
            nested(conn)?;
            ensure!(seen(&mut other)? == 4);
            Ok(())
        })?;
        sql_query("RESET search_path").execute(&mut other)?;
        Ok(())
    }

    fn notify(&self, conn: &mut Pooled, place: &Place) -> Result<()> {
        let channel = place.table();
        if place.is_first() {
            sql_query(format!("LISTEN {channel}")).execute(conn)?;
            place.meet_blocking();
            return receive(conn, channel);
        }
        place.meet_blocking();
        if place.number == 1 {
            for i in 0..NOTIFICATIONS {
                sql_query("SELECT pg_notify($1, $2)")
                    .bind::<Text, _>(channel)
                    .bind::<Text, _>(format!("payload {i}"))
                    .execute(conn)?;
            }
            return Ok(());
        }
        for _ in 0..TRANSACTIONS {
            let mut conn = self.pool.get()?;
            let one: i32 =
                conn.transaction(|conn| diesel::select(1.into_sql::<Integer>()).get_result(conn))?;
            ensure!(one == 1);
        }
        Ok(())
    }

    fn schema_change(&self, conn: &mut Pooled, place: &Place) -> Result<()> {
        let mut other = self.pool.get()?;
        let select = |conn: &mut PgConnection| -> QueryResult<Vec<(i32, String)>> {
            diesel_words::table.load(conn)
        };
        with_words(conn, place, |conn| {
            for change in [
                "ADD COLUMN more text",
                "ALTER COLUMN id TYPE bigint",
                "ADD CHECK (id > 0)",
            ] {
                for _ in 0..6 {
                    select(conn)?;
                }
                let table = format!("{}.diesel_words", place.own_table());
                other.batch_execute(&format!("ALTER TABLE {table} {change}"))?;
                for _ in 0..2 {
                    place.observe(describe_result(&select(conn)));
                }
                conn.transaction::<_, Error, _>(|conn| {
                    place.observe(describe_result(&select(conn)));
                    Err::<(), _>(Error::RollbackTransaction)
                })
                .err()
                .context("it was rolled back")?;
                other.batch_execute(&format!("ALTER TABLE {table} ALTER COLUMN id TYPE int"))?;
            }
            Ok(())
        })
    }
}

fn crud(conn: &mut Pooled, place: &Place) -> Result<()> {
    use crate::diesel_tables::diesel_crud::dsl::{diesel_crud, id, who, word};
    let number = place.number as i32;
    if place.is_first() {
        conn.batch_execute("DROP TABLE IF EXISTS diesel_crud")?;
        conn.batch_execute(CREATE_CRUD)?;
    }
    place.meet_blocking();
    let rows = diesel_crud
        .filter(who.eq(number))
        .select((id, word))
        .order(id);
    for i in 0..ROWS {
        let row = (who.eq(number), id.eq(i), word.eq(format!("word {i}")));
        ensure!(diesel::insert_into(diesel_crud).values(row).execute(conn)? == 1);
    }
    let found: Vec<(i32, String)> = rows.load(conn)?;
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
                .execute(conn)?
                == 1
        );
    }
    let found: Vec<(i32, String)> = rows.load(conn)?;
    ensure!(
        found
            == (0..ROWS)
                .map(|i| (i, format!("new {i}")))
                .collect::<Vec<_>>()
    );
    let mine = diesel_crud.filter(who.eq(number));
    ensure!(diesel::delete(mine.filter(id.eq(3))).execute(conn)? == 1);
    ensure!(diesel::delete(mine).execute(conn)? == ROWS as usize - 1);
    ensure!(diesel::delete(mine).execute(conn)? == 0);
    Ok(())
}

fn types(conn: &mut Pooled, place: &Place) -> Result<()> {
    if place.is_first() {
        conn.batch_execute(CREATE_MOOD)?;
    }
    place.meet_blocking();
    macro_rules! check {
        ($sql:ty, $rust:ty, $value:expr) => {{
            let value: $rust = $value;
            let found: $rust = diesel::select(value.clone().into_sql::<$sql>()).get_result(conn)?;
            ensure!(found == value, "{value:?} came back as {found:?}");
        }};
    }
    for_each_type!(check);
    Ok(())
}

/// Diesel caches what its query builder makes, without a bound: texts differ by their conditions.
fn statements(conn: &mut PgConnection) -> Result<()> {
    use crate::diesel_tables::diesel_words::dsl::{diesel_words, id, word};
    insert_word(conn, 1)?;
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
                0 => query.select(id).load(conn)?,
                _ => query
                    .select((word, id))
                    .load::<(String, i32)>(conn)?
                    .iter()
                    .map(|row| row.1)
                    .collect(),
            };
            ensure!(found == [1]);
        }
    }
    for i in 0..STATEMENTS {
        let text = distinct_statement(i);
        ensure!(sql_query(text).bind::<Integer, _>(1).execute(conn)? == 1);
    }
    Ok(())
}

/// There is no pipeline: a script of many statements, and one statement with many rows.
fn batch(conn: &mut PgConnection) -> Result<()> {
    use crate::diesel_tables::diesel_words::dsl::{diesel_words, id, word};
    let rows: Vec<_> = (0..BATCH)
        .map(|i| (id.eq(i), word.eq(format!("word {i}"))))
        .collect();
    ensure!(
        diesel::insert_into(diesel_words)
            .values(&rows)
            .execute(conn)?
            == BATCH as usize
    );
    let more = |i| format!("INSERT INTO diesel_words VALUES ({i}, 'word {i}');");
    conn.batch_execute(&(BATCH..2 * BATCH).map(more).collect::<String>())?;
    let found: Vec<(i32, String)> = diesel_words.order(id).load(conn)?;
    ensure!(
        found
            == (0..2 * BATCH)
                .map(|i| (i, format!("word {i}")))
                .collect::<Vec<_>>()
    );
    Ok(())
}

fn copy(conn: &mut PgConnection, place: &Place) -> Result<()> {
    let lines = copy_lines(COPIED);
    let all = diesel::copy_from(diesel_words::table)
        .from_raw_data(diesel_words::table, |out: &mut dyn Write| {
            out.write_all(lines.as_bytes())
                .map_err(|error| Error::QueryBuilderError(error.into()))
        })
        .execute(conn)?;
    ensure!(all == COPIED as usize);
    let copied = diesel::copy_to(diesel_words::table).load_raw(conn)?;
    let copied = copied.lines().collect::<Result<Vec<_>, _>>()?;
    ensure!(copied == lines.lines().collect::<Vec<_>>());
    drop(copied);

    let lines = copy_lines(1000);
    let given_up: QueryResult<usize> = diesel::copy_from(diesel_words::table)
        .from_raw_data(diesel_words::table, |out: &mut dyn Write| {
            out.write_all(lines.as_bytes())
                .map_err(|error| Error::QueryBuilderError(error.into()))?;
            Err(Error::RollbackTransaction)
        })
        .execute(conn);
    place.observe(describe_result(&given_up));
    let bad_row: QueryResult<usize> = diesel::copy_from(diesel_words::table)
        .from_raw_data(diesel_words::table, |out: &mut dyn Write| {
            let text = format!("{lines}no number\tx\n");
            out.write_all(text.as_bytes())
                .map_err(|error| Error::QueryBuilderError(error.into()))
        })
        .execute(conn);
    place.observe(describe_result(&bad_row));
    ensure!(words(conn)? == i64::from(COPIED));
    Ok(())
}

fn nested(conn: &mut PgConnection) -> Result<()> {
    conn.build_transaction()
        .serializable()
        .run::<_, anyhow::Error, _>(|conn| {
            ensure!(setting(conn, "transaction_isolation")? == "serializable");
            conn.transaction(|conn| insert_word(conn, 3))?;
            conn.transaction::<_, anyhow::Error, _>(|conn| {
                insert_word(conn, 4)?;
                let inner: QueryResult<usize> = conn.transaction(|conn| {
                    insert_word(conn, 5)?;
                    sql_query("SELECT 1 / 0").execute(conn)
                });
                ensure!(describe_result(&inner) == "division by zero");
                insert_word(conn, 6)?;
                Ok(())
            })
        })
}

fn pipeline_errors(conn: &mut PgConnection, place: &Place) -> Result<()> {
    for _ in 0..3 {
        let script = "INSERT INTO diesel_words VALUES (20, ''); SELECT 1 / 0; SELECT 2";
        place.observe(describe_result(&conn.batch_execute(script)));
    }
    place.observe(format!("{} rows", words(conn)?));
    Ok(())
}

fn large_rows(conn: &mut Pooled) -> Result<()> {
    let value = large_value();
    let found: Vec<u8> = diesel::select(value.as_slice().into_sql::<Binary>()).get_result(conn)?;
    ensure!(found == value);
    ensure!(diesel::select(1.into_sql::<Integer>()).get_result::<i32>(conn)? == 1);
    Ok(())
}

/// There is no request to cancel, only the server's time limit.
fn cancel(conn: &mut Pooled, place: &Place) -> Result<()> {
    if !place.number.is_multiple_of(FEW) {
        sql_query("SELECT pg_sleep(1)").execute(conn)?;
        return Ok(());
    }
    let result: QueryResult<usize> = conn.transaction(|conn| {
        sql_query("SET LOCAL statement_timeout = '500ms'").execute(conn)?;
        sql_query("SELECT pg_sleep(60)").execute(conn)
    });
    place.observe(describe_result(&result));
    ensure!(result.is_err());
    ensure!(diesel::select(1.into_sql::<Integer>()).get_result::<i32>(conn)? == 1);
    Ok(())
}

fn receive(conn: &mut Pooled, channel: &str) -> Result<()> {
    let start = Instant::now();
    let mut received = Vec::new();
    while received.len() < NOTIFICATIONS && start.elapsed() < Duration::from_secs(20) {
        for notification in conn.notifications_iter() {
            let notification = notification?;
            ensure!(notification.channel == channel);
            received.push(notification.payload);
        }
        thread::sleep(Duration::from_millis(5));
    }
    sql_query("UNLISTEN *").execute(conn)?;
    received.extend(
        conn.notifications_iter()
            .filter_map(|late| late.ok())
            .map(|late| late.payload),
    );
    let wanted: Vec<String> = (0..NOTIFICATIONS).map(|i| format!("payload {i}")).collect();
    if received == wanted {
        return Ok(());
    }
    Err(anyhow!("received {received:?}"))
}

fn session_set(conn: &mut Pooled, place: &Place) -> Result<()> {
    let settings = own_settings(place);
    for (_, statement, _) in &settings {
        sql_query(statement).execute(conn)?;
    }
    for i in 0..TRANSACTIONS {
        let ended = conn.transaction(|conn| {
            sql_query("SET LOCAL my.name = 'local'").execute(conn)?;
            match (setting(conn, "my.name")?.as_str(), i % 2) {
                ("local", 0) => Ok(()),
                ("local", _) => Err(Error::RollbackTransaction),
                _ => Err(Error::NotFound),
            }
        });
        ensure!(ended != Err(Error::NotFound), "SET LOCAL was not seen");
        for (name, _, value) in &settings {
            let found = setting(conn, name)?;
            ensure!(found == *value, "{name} is {found} instead of {value}");
        }
    }
    conn.batch_execute("RESET my.name; RESET search_path")?;
    ensure!(setting(conn, "my.name")?.is_empty());
    ensure!(setting(conn, "search_path")? == "\"$user\", public");
    ensure!(setting(conn, "application_name")? == settings[0].2);
    conn.batch_execute("RESET ALL")?;
    Ok(())
}
