//! How SQLite would run each statement.

use rusqlite::Connection;

use super::{schema, sql};

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
    assert!(searches >= 25, "the plans can be read: {searches} searches");
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

/// What the first version wrote is read by this one, and keeps its meaning.
#[tokio::test]
async fn data_of_the_first_schema_is_taken_over() {
    use crate::store::{Outbox, Sessions, Store, Users};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.db");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    connection
        .execute_batch(
            "INSERT INTO users VALUES (x'010203040506070809101112', 'Ann@example.org', 'ann@example.org', 'Ann', 'ann',
                'hash', NULL, 5, 1, 6, 7);
             INSERT INTO revocations VALUES (x'0a0203040506070809101112', 9000);",
        )
        .unwrap();
    connection.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);

    let store = super::SqliteStore::open(&file).await.unwrap();
    let ann = store.user_by_email("ann@example.org").await.unwrap().unwrap();
    assert!(ann.email_verified && ann.generation == 0 && ann.is_online && ann.password_hash == "hash");
    let at = crate::Timestamp::from_millis;
    assert_eq!(store.revocations(at(0)).await.unwrap().len(), 1);
    assert_eq!(store.cuts(at(0)).await.unwrap(), []);
    assert_eq!(store.sessions_of(ann.id, at(0), 10).await.unwrap(), []);
    assert_eq!(store.claim_outbox(at(0), at(1), 10).await.unwrap(), []);
    store.close().await.unwrap();
}
