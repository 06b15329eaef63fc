//! What the clients of one case share: where they are, places to meet, what they observed.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::runtime::Handle;
use tokio::sync::Barrier;

pub const ROWS: i32 = 20;
pub const STATEMENTS: i32 = 300;
pub const BATCH: i32 = 200;
pub const COPIED: i32 = 20_000;
pub const NOTIFICATIONS: usize = 50;
pub const TRANSACTIONS: i32 = 50;
pub const LARGE: usize = 64 * 1024 * 1024;
pub const LARGE_IF_QUICK: usize = 4 * 1024 * 1024;
/// Of so many clients one is cancelled.
pub const FEW: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Case {
    Crud,
    Types,
    Statements,
    Batch,
    Copy,
    Transactions,
    PipelineErrors,
    LargeRows,
    Cancel,
    Notify,
    SessionSet,
    SchemaChange,
}

pub const CASES: [(Case, &str); 12] = [
    (Case::Crud, "crud"),
    (Case::Types, "types"),
    (Case::Statements, "statements"),
    (Case::Batch, "batch"),
    (Case::Copy, "copy"),
    (Case::Transactions, "transactions"),
    (Case::PipelineErrors, "pipeline_errors"),
    (Case::LargeRows, "large_rows"),
    (Case::Cancel, "cancel"),
    (Case::Notify, "notify"),
    (Case::SessionSet, "session_set"),
    (Case::SchemaChange, "schema_change"),
];

/// A driver, or a way of using it: plays one client's part of a case.
pub trait Driver: Send + Sync + 'static {
    fn play(self: Arc<Self>, case: Case, place: Place) -> impl Future<Output = Result<()>> + Send;
}

/// Why a driver cannot run a case at all.
#[derive(Debug)]
pub struct Absent(pub &'static str);

impl fmt::Display for Absent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Absent {}

pub struct Stage {
    table: String,
    barrier: Barrier,
    observed: Mutex<Vec<String>>,
}

impl Stage {
    pub fn new(table: String, clients: usize) -> Self {
        Stage {
            table,
            barrier: Barrier::new(clients),
            observed: Mutex::default(),
        }
    }

    pub fn observed(&self) -> String {
        self.observed.lock().expect("nobody panics here").join("; ")
    }
}

/// One client of one case.
#[derive(Clone)]
pub struct Place {
    pub stage: Arc<Stage>,
    pub number: usize,
}

impl Place {
    /// The table of this row and case.
    pub fn table(&self) -> &str {
        &self.stage.table
    }

    /// A table that no other client uses.
    pub fn own_table(&self) -> String {
        format!("{}_{}", self.stage.table, self.number)
    }

    pub fn is_first(&self) -> bool {
        self.number == 0
    }

    /// Waits until every client of the case is here.
    pub async fn meet(&self) {
        self.stage.barrier.wait().await;
    }

    /// The same for a thread outside of the runtime.
    pub fn meet_blocking(&self) {
        Handle::current().block_on(self.meet());
    }

    /// Keeps what the first client saw, to be compared with a direct connection.
    pub fn observe(&self, text: impl Into<String>) {
        if self.is_first() {
            let mut observed = self.stage.observed.lock().expect("nobody panics here");
            observed.push(text.into());
        }
    }
}

/// The texts that the case of many statements prepares, and the type of what each gives.
pub fn distinct_statement(i: i32) -> String {
    let kind = ["int4", "text", "float8", "int8"][i as usize % 4];
    format!("SELECT {i} + $1::int4, ($1::int4)::{kind} AS value_{i}")
}

/// One statement that answers 0, 1, ... in order.
pub fn script() -> String {
    (0..BATCH).map(|i| format!("SELECT {i}::text;")).collect()
}

pub fn copy_lines(count: i32) -> String {
    (0..count).map(|i| format!("{i}\trow {i}\n")).collect()
}

pub fn large_value() -> Vec<u8> {
    let quick = std::env::var_os("QUICK").is_some();
    let size = if quick { LARGE_IF_QUICK } else { LARGE };
    let mut value = (0..=250).collect::<Vec<u8>>().repeat(size / 251 + 1);
    value.truncate(size);
    value
}

pub fn url() -> Result<String> {
    Ok(std::env::var("DATABASE_URL")?)
}
