//! What diesel has to know when it is compiled: tables, and the enum. Both of its rows use them.

use std::io::Write;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::result::Error;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::SqlType;

use crate::stage::Place;

diesel::table! {
    diesel_crud (who, id) {
        who -> Integer,
        id -> Integer,
        word -> Text,
    }
}

diesel::table! {
    diesel_words (id) {
        id -> Integer,
        word -> Text,
    }
}

pub const CREATE_CRUD: &str = "CREATE TABLE diesel_crud (who int, id int, word text)";
pub const CREATE_WORDS: &str = "CREATE TABLE diesel_words (id int, word text)";

#[derive(SqlType, QueryId)]
#[diesel(postgres_type(name = "mood"))]
pub struct MoodType;

#[derive(AsExpression, Clone, Debug, FromSqlRow, PartialEq)]
#[diesel(sql_type = MoodType)]
pub enum Mood {
    Sad,
    Ok,
    Happy,
}

const MOODS: [(Mood, &str); 3] = [(Mood::Sad, "sad"), (Mood::Ok, "ok"), (Mood::Happy, "happy")];

impl ToSql<MoodType, Pg> for Mood {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let (_, label) = MOODS
            .iter()
            .find(|(mood, _)| mood == self)
            .ok_or("a mood")?;
        out.write_all(label.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<MoodType, Pg> for Mood {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let found = MOODS
            .iter()
            .find(|(_, label)| label.as_bytes() == value.as_bytes());
        let (mood, _) = found.ok_or("not a mood")?;
        Ok(mood.clone())
    }
}

pub const CREATE_MOOD: &str = "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
                               EXCEPTION WHEN duplicate_object THEN NULL; END $$";

/// Tables have one name in diesel: each client has them in a schema of its own.
pub fn own_schema(place: &Place) -> [String; 3] {
    let schema = place.own_table();
    [
        format!("DROP SCHEMA IF EXISTS {schema} CASCADE"),
        format!("CREATE SCHEMA {schema}"),
        format!("SET search_path = {schema}, public"),
    ]
}

pub fn describe_result<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "done".to_string(),
        Err(error) => error.to_string(),
    }
}

/// The settings that each client has for itself, and how they are written.
pub fn own_settings(place: &Place) -> [(&'static str, String, String); 4] {
    let number = place.number;
    let quoted = |name, value: String| (name, format!("SET {name} = '{value}'"), value);
    let path = format!("schema_{number}, public");
    [
        quoted("application_name", format!("client {number}")),
        quoted("TimeZone", format!("Etc/GMT+{}", number % 12 + 1)),
        ("search_path", format!("SET search_path = {path}"), path),
        quoted("my.name", format!("value {number}")),
    ]
}

/// Values of many types; `$check!` is given the SQL type, the Rust type and a value of each.
macro_rules! for_each_type {
    ($check:ident) => {{
        use anyhow::Context;
        use chrono::NaiveDate;
        use diesel::data_types::PgInterval;
        use diesel::sql_types as sql;
        use ipnetwork::IpNetwork;
        use rust_decimal::Decimal;
        use serde_json::Value;
        use uuid::Uuid;

        let day = NaiveDate::from_ymd_opt(2024, 2, 29).context("a leap day")?;
        let time = day
            .and_hms_micro_opt(23, 59, 59, 123_456)
            .context("a time")?;
        let json: Value = serde_json::from_str(r#"{"a": [1, null, "x"]}"#)?;
        $check!(sql::SmallInt, i16, i16::MIN);
        $check!(sql::Integer, i32, i32::MAX);
        $check!(sql::BigInt, i64, i64::MIN);
        $check!(
            sql::Numeric,
            Decimal,
            "1234567890123456.789".parse::<Decimal>()?
        );
        $check!(sql::Double, f64, 0.1);
        $check!(sql::Bool, bool, true);
        $check!(sql::Text, String, String::new());
        $check!(
            sql::Text,
            String,
            "it's \"quoted\" \\ back\\slash".to_string()
        );
        $check!(sql::Text, String, "Grüße, 你好, 🐘".to_string());
        $check!(sql::Binary, Vec<u8>, (0..=255u8).collect::<Vec<u8>>());
        $check!(sql::Date, NaiveDate, day);
        $check!(sql::Timestamp, chrono::NaiveDateTime, time);
        $check!(
            sql::Timestamptz,
            chrono::DateTime<chrono::Utc>,
            time.and_utc()
        );
        $check!(
            sql::Interval,
            PgInterval,
            PgInterval::new(14_706_789_000, 3, 14)
        );
        $check!(sql::Uuid, Uuid, Uuid::from_u128(0xa0ee_bc99_9c0b));
        $check!(sql::Json, Value, json.clone());
        $check!(sql::Jsonb, Value, json.clone());
        $check!(sql::Array<sql::Integer>, Vec<i32>, vec![1, 2, -3]);
        $check!(
            sql::Array<sql::Nullable<sql::Text>>,
            Vec<Option<String>>,
            vec![Some("a, b".to_string()), None, Some(String::new())]
        );
        $check!(MoodType, Mood, Mood::Happy);
        $check!(sql::Inet, IpNetwork, "192.168.0.0/24".parse::<IpNetwork>()?);
        $check!(sql::Nullable<sql::Integer>, Option<i32>, None::<i32>);
        $check!(sql::Nullable<sql::Text>, Option<String>, None::<String>);
        $check!(sql::Nullable<sql::Jsonb>, Option<Value>, None::<Value>);
        $check!(sql::Nullable<MoodType>, Option<Mood>, None::<Mood>);
    }};
}
pub(crate) use for_each_type;
