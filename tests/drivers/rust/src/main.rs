//! Runs the cases of the driver matrix with Rust's drivers; one JSON line for each row and case.

mod async_diesel;
mod async_postgres;
mod async_sqlx;
mod diesel_tables;
mod stage;
mod sync_diesel;
mod sync_postgres;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use async_postgres::{AsyncPostgres, Way};
use serde_json::json;
use stage::{Absent, CASES, Case, Driver, Place, Stage};
use tokio::task::JoinSet;
use tokio::time::timeout;

const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A large value is there in several copies: the program's, the packet's and the server's.
const MOST_LARGE_ROWS: usize = 2;

fn clients() -> usize {
    let given = std::env::var("CLIENTS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// The version of a package that Cargo.toml pins.
fn version_of(package: &str) -> &'static str {
    include_str!("../Cargo.toml")
        .lines()
        .find(|line| line.starts_with(&format!("{package} = ")))
        .and_then(|line| line.split("\"=").nth(1))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("unknown")
}

/// The cases of the environment's CASES, which has commas between; without it all of them.
fn wanted_cases() -> Vec<(Case, &'static str)> {
    let wanted = std::env::var("CASES").unwrap_or_default();
    let is_wanted = |name| wanted.is_empty() || wanted.split(',').any(|given| given == name);
    CASES
        .into_iter()
        .filter(|(_, name)| is_wanted(*name))
        .collect()
}

struct Row {
    name: &'static str,
    package: &'static str,
    /// In front of the names of its tables.
    prefix: &'static str,
}

async fn run_clients<D: Driver>(
    driver: &Arc<D>,
    case: Case,
    stage: &Arc<Stage>,
    clients: usize,
) -> Result<()> {
    let mut running = JoinSet::new();
    for number in 0..clients {
        let stage = stage.clone();
        running.spawn(driver.clone().play(case, Place { stage, number }));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

fn print_outcome(row: &Row, case: &str, outcome: Result<()>, observed: &str, seconds: f64) {
    let (result, detail) = match outcome {
        Ok(()) => ("pass", String::new()),
        Err(error) if error.is::<Absent>() => ("absent", error.to_string()),
        Err(error) => ("fail", format!("{error:#}")),
    };
    let line = json!({
        "row": row.name, "version": version_of(row.package), "case": case, "result": result,
        "detail": detail, "observed": observed, "seconds": (seconds * 100.0).round() / 100.0,
    });
    println!("{line}");
}

async fn run_case<D: Driver>(row: &Row, driver: &Arc<D>, case: Case, name: &str) {
    let most = if case == Case::LargeRows {
        MOST_LARGE_ROWS
    } else {
        usize::MAX
    };
    let clients = clients().min(most);
    let stage = Arc::new(Stage::new(format!("{}_{name}", row.prefix), clients));
    let start = Instant::now();
    let outcome = timeout(TIME_LIMIT, run_clients(driver, case, &stage, clients))
        .await
        .unwrap_or_else(|_| Err(anyhow!("not done within its time limit")));
    let seconds = start.elapsed().as_secs_f64();
    print_outcome(row, name, outcome, &stage.observed(), seconds);
}

async fn run_row<D: Driver>(wanted: &[String], row: Row, make: impl Future<Output = Result<D>>) {
    if !wanted.is_empty() && !wanted.iter().any(|name| name == row.name) {
        return;
    }
    match make.await.map(Arc::new) {
        Ok(driver) => {
            for (case, name) in wanted_cases() {
                run_case(&row, &driver, case, name).await;
            }
        }
        Err(error) => {
            for (_, name) in wanted_cases() {
                print_outcome(&row, name, Err(anyhow!("{error:#}")), "", 0.0);
            }
        }
    }
}

fn row(name: &'static str, package: &'static str, prefix: &'static str) -> Row {
    Row {
        name,
        package,
        prefix,
    }
}

async fn run_rows(wanted: &[String]) {
    let tokio_rows = [
        (Way::Fast, "tokio-postgres, deadpool fast", "tokio_fast"),
        (
            Way::Verified,
            "tokio-postgres, deadpool verified",
            "tokio_verified",
        ),
        (Way::Clean, "tokio-postgres, deadpool clean", "tokio_clean"),
        (
            Way::Pipelined,
            "tokio-postgres, pipelined",
            "tokio_pipelined",
        ),
    ];
    for (way, name, prefix) in tokio_rows {
        let row = row(name, "tokio-postgres", prefix);
        run_row(
            wanted,
            row,
            async move { AsyncPostgres::new(way, clients()) },
        )
        .await;
    }
    run_row(
        wanted,
        row("sqlx", "sqlx", "sqlx"),
        async_sqlx::Sqlx::new(clients()),
    )
    .await;
    run_row(
        wanted,
        row("postgres (Rust, sync)", "postgres", "rust_sync"),
        async { Ok(sync_postgres::SyncPostgres) },
    )
    .await;
    run_row(wanted, row("diesel", "diesel", "diesel"), async {
        sync_diesel::SyncDiesel::new(clients())
    })
    .await;
    run_row(
        wanted,
        row("diesel-async", "diesel-async", "diesel_async"),
        async { async_diesel::AsyncDiesel::new(clients()) },
    )
    .await;
}

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run_rows(&wanted));
    // A thread that is still in a case that failed would be waited for.
    runtime.shutdown_background();
    Ok(())
}
