//! An empty database for a test that does nothing to the server.

use crate::MongoServer;

/// An empty database: on a server of its own, or under a name of its own on the one that `MONGODB_URI` names.
#[derive(Debug)]
pub struct MongoDatabase {
    uri: String,
    /// Its data go with it. On the server of `MONGODB_URI` they stay, under names that begin with `chat-test-`.
    _server: Option<MongoServer>,
}

impl MongoDatabase {
    /// A new one.
    #[must_use]
    pub fn fresh() -> Self {
        match std::env::var("MONGODB_URI") {
            Ok(uri) if !uri.is_empty() => {
                let random = getrandom::u64().expect("the system has random numbers");
                Self { uri: renamed(&uri, &format!("chat-test-{random:016x}")), _server: None }
            }
            _ => {
                let server = MongoServer::start();
                Self { uri: server.uri("chat"), _server: Some(server) }
            }
        }
    }

    /// Its URI, with its name in it.
    #[must_use]
    pub fn uri(&self) -> String {
        self.uri.clone()
    }
}

/// The URI with this database instead of its own.
fn renamed(uri: &str, database: &str) -> String {
    let (address, options) = match uri.split_once('?') {
        Some((address, options)) => (address, format!("?{options}")),
        None => (uri, String::new()),
    };
    let (scheme, rest) = address.split_once("://").expect("MONGODB_URI is a URI");
    let hosts = rest.split('/').next().unwrap_or_default();
    // A user is looked for in the database of the URI, unless it says where.
    let has_user = hosts.contains('@') && !options.contains("authSource=");
    let source = rest.split('/').nth(1).filter(|name| !name.is_empty()).unwrap_or("admin");
    let and_source = match (has_user, options.is_empty()) {
        (false, _) => String::new(),
        (true, true) => format!("?authSource={source}"),
        (true, false) => format!("&authSource={source}"),
    };
    format!("{scheme}://{hosts}/{database}{options}{and_source}")
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn a_database_of_its_own_on_a_given_server() {
        for (given, expected) in [
            ("mongodb://h", "mongodb://h/t"),
            ("mongodb://h:1,i:2/", "mongodb://h:1,i:2/t"),
            ("mongodb://h/chat?replicaSet=a/b", "mongodb://h/t?replicaSet=a/b"),
            ("mongodb+srv://u:p@h/?w=1", "mongodb+srv://u:p@h/t?w=1&authSource=admin"),
            ("mongodb://u:p@h/chat", "mongodb://u:p@h/t?authSource=chat"),
            ("mongodb://u:p@h/chat?authSource=x", "mongodb://u:p@h/t?authSource=x"),
        ] {
            assert_eq!(renamed(given, "t"), expected);
        }
    }
}
