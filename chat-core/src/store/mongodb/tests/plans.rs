//! How the server would run each query.

use chat_test_servers::MongoDatabase;
use mongodb::bson::{Bson, Document, doc};

use super::super::{MongoStore, queries};

/// The names of all stages of a plan, wherever they are nested.
fn stages(value: &Bson, found: &mut Vec<String>) {
    match value {
        Bson::Document(document) => {
            if let Ok(stage) = document.get_str("stage") {
                found.push(stage.to_owned());
            }
            document.iter().for_each(|(_, value)| stages(value, found));
        }
        Bson::Array(values) => values.iter().for_each(|value| stages(value, found)),
        _ => {}
    }
}

async fn plan(store: &MongoStore, find: &queries::Find) -> Vec<String> {
    let mut command =
        doc! { "find": find.collection, "filter": find.filter.clone(), "sort": find.sort.clone() };
    if let Some(limit) = find.limit {
        command.insert("limit", limit);
    }
    if let Some(hint) = find.hint {
        command.insert("hint", hint);
    }
    let explain = doc! { "explain": command, "verbosity": "queryPlanner" };
    let answer: Document = store.inner.db.database.run_command(explain).await.unwrap();
    let plan = answer.get_document("queryPlanner").unwrap().get("winningPlan").unwrap().clone();
    let mut found = Vec::new();
    stages(&plan, &mut found);
    assert!(!found.is_empty(), "a plan: {answer}");
    found
}

fn is_bad(stages: &[String]) -> bool {
    stages.iter().any(|stage| stage == "COLLSCAN" || stage == "SORT")
}

/// Each costs by what it returns: none reads a whole collection, none sorts in memory.
#[tokio::test]
async fn every_query_runs_on_an_index() {
    let database = MongoDatabase::fresh();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    for (name, find) in queries::samples() {
        // Of a collection that is not there is no plan.
        drop(store.inner.db.database.create_collection(find.collection).await);
        let stages = plan(&store, &find).await;
        assert!(!is_bad(&stages), "{name}: {stages:?}");
        let uses_index = stages.iter().any(|stage| stage.contains("IXSCAN") || stage.contains("IDHACK"));
        assert!(uses_index, "{name}: {stages:?}");
    }
}

/// The check above sees what it should see.
#[tokio::test]
async fn a_bad_plan_looks_bad() {
    let database = MongoDatabase::fresh();
    let store = MongoStore::connect(&database.uri()).await.unwrap();
    let good = queries::window(crate::ChatId::from_bytes([1; 12]), 1, 9);
    let scan = queries::Find { filter: doc! { "image": "x" }, ..good.clone() };
    assert!(is_bad(&plan(&store, &scan).await));
    let sort = queries::Find { sort: doc! { "createdAt": 1 }, ..good };
    assert!(is_bad(&plan(&store, &sort).await));
}
