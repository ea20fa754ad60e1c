//! What a response gives to the next request, for the description of the API.

use serde_json::{Map, Value, json};

/// From one row to another, by their names, and what goes into which parameter of it.
const LINKS: &[(&str, &str, &str, &str)] = &[
    ("signUp", "sendMessage", "id", "$response.body#/data/_id"),
    ("signUp", "conversation", "id", "$response.body#/data/_id"),
    ("contacts", "sendMessage", "id", "$response.body#/data/0/_id"),
    ("contacts", "conversation", "id", "$response.body#/data/0/_id"),
    ("contacts", "contacts", "after", "$response.body#/data/0/_id"),
    ("chats", "conversation", "id", "$response.body#/data/0/_id"),
    ("chats", "markRead", "id", "$response.body#/data/0/_id"),
    ("sendMessage", "deleteMessage", "id", "$response.body#/data/_id"),
    ("sendMessage", "react", "id", "$response.body#/data/_id"),
    ("sendMessage", "takeReactionBack", "id", "$response.body#/data/_id"),
    ("sendMessage", "markDelivered", "id", "$response.body#/data/receiverId"),
    ("sendMessage", "editMessage", "id", "$response.body#/data/_id"),
    ("chats", "markDelivered", "id", "$response.body#/data/0/_id"),
    ("blocks", "unblock", "id", "$response.body#/data/0/_id"),
    ("block", "unblock", "id", "$request.path.id"),
    ("sendMessage", "conversation", "id", "$response.body#/data/receiverId"),
    ("sendMessage", "markRead", "id", "$response.body#/data/receiverId"),
];

/// The links of a successful response of this row.
pub(super) fn links(from: &str) -> Map<String, Value> {
    let mine = LINKS.iter().filter(|(source, ..)| *source == from);
    mine.map(|(_, target, parameter, value)| {
        ((*target).to_owned(), json!({ "operationId": target, "parameters": { *parameter: value } }))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::endpoint::ENDPOINTS, LINKS};

    #[test]
    fn they_lead_from_rows_to_rows() {
        let is_row = |id: &str| ENDPOINTS.iter().any(|endpoint| endpoint.doc.id == id);
        for (from, to, ..) in LINKS {
            assert!(is_row(from) && is_row(to), "{from} to {to}");
        }
    }
}
