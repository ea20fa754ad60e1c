//! How SQLite would run each statement.

use rusqlite::Connection;

use super::super::{schema, sql};

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get("detail")).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// No statement reads a whole table or sorts: each costs by what it returns.
#[test]
fn every_statement_runs_on_an_index() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let mut searches = 0;
    for (name, sql) in sql::ALL {
        for step in plan(&connection, sql) {
            let bad = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW" || step.contains("TEMP B-TREE");
            assert!(!bad, "{name}: {step}\n{sql}");
            searches += usize::from(step.starts_with("SEARCH"));
        }
    }
    assert!(searches >= 40, "the plans can be read: {searches} searches");
}

/// The check above sees what it should see.
#[test]
fn a_bad_plan_looks_bad() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let by_body = plan(&connection, "SELECT id FROM messages WHERE body = ?1");
    assert!(by_body.iter().any(|step| step.starts_with("SCAN")), "{by_body:?}");
    let sorted = plan(&connection, "SELECT id FROM users ORDER BY email");
    assert!(sorted.iter().any(|step| step.contains("TEMP B-TREE")), "{sorted:?}");
}
