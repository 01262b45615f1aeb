//! Shared budgets in SQLite.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Failure, micros, time};
use crate::state::budget::Bucket;
use crate::state::{BudgetDraw, BudgetGrant, BudgetRef};

pub(super) fn draw(transaction: &Transaction<'_>, draw: &BudgetDraw<'_>) -> Result<BudgetGrant, Failure> {
    let bucket = read(transaction, draw.budget)?.unwrap_or(Bucket {
        left: draw.capacity as f64,
        at: draw.now,
        paused_until: None,
    });
    let (bucket, grant) = bucket.draw(draw);
    put(transaction, draw.budget, bucket)?;
    Ok(grant)
}

pub(super) fn pause(
    transaction: &Transaction<'_>,
    budget: BudgetRef<'_>,
    until: Timestamp,
) -> Result<(), Failure> {
    // A budget that nobody has drawn from is empty until the pause ends: the refusal says that it is spent.
    let bucket = read(transaction, budget)?.unwrap_or(Bucket {
        left: 0.0,
        at: until,
        paused_until: None,
    });
    let paused_until = Some(bucket.paused_until.map_or(until, |other| other.max(until)));
    put(
        transaction,
        budget,
        Bucket {
            paused_until,
            ..bucket
        },
    )?;
    Ok(())
}

pub(super) fn correct(
    transaction: &Transaction<'_>,
    budget: BudgetRef<'_>,
    remaining: u64,
    now: Timestamp,
) -> Result<(), Failure> {
    let remaining = remaining as f64;
    let bucket = read(transaction, budget)?.unwrap_or(Bucket {
        left: remaining,
        at: now,
        paused_until: None,
    });
    if remaining <= bucket.left {
        let corrected = Bucket {
            left: remaining,
            at: now.max(bucket.at),
            ..bucket
        };
        put(transaction, budget, corrected)?;
    }
    Ok(())
}

fn read(transaction: &Transaction<'_>, budget: BudgetRef<'_>) -> rusqlite::Result<Option<Bucket>> {
    transaction
        .prepare_cached(
            "SELECT remaining, at, paused_until FROM budgets WHERE connection = ?1 AND name = ?2",
        )?
        .query_row([budget.connection, budget.limit], |row| {
            Ok(Bucket {
                left: row.get(0)?,
                at: time(row.get(1)?)?,
                paused_until: row.get::<_, Option<i64>>(2)?.map(time).transpose()?,
            })
        })
        .optional()
}

fn put(transaction: &Transaction<'_>, budget: BudgetRef<'_>, bucket: Bucket) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO budgets (connection, name, remaining, at, paused_until) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (connection, name) DO UPDATE SET remaining = excluded.remaining, at = excluded.at, \
             paused_until = excluded.paused_until",
        )?
        .execute(params![
            budget.connection,
            budget.limit,
            bucket.left,
            micros(bucket.at),
            bucket.paused_until.map(micros),
        ])?;
    Ok(())
}
