//! `/api/openapi.json`: the description of the API, made from the table of endpoints (OpenAPI 3.1).

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    endpoint::{Answer, Body, Call, ENDPOINTS, Endpoint, Reply},
    links::links,
    schemas::{self, SECURITY_SCHEMES, capitalised, components, envelope, schema},
};
use crate::{Code, Limits, Result};

pub(super) async fn get(call: Call) -> Result<Reply> {
    let shared = &call.chat.shared;
    let build = || Bytes::from(document(&shared.limits, shared.view.public_url()).to_string());
    Ok(Reply::Document(shared.openapi.get_or_init(build).clone()))
}

fn document(limits: &Limits, public_url: &str) -> Value {
    let mut paths = json!({});
    for endpoint in ENDPOINTS {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        paths[endpoint.path][method] = operation(endpoint, limits);
    }
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Chat API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every answer in JSON but this document is an envelope of three keys, and `data.code` of \
                a failure is stable. GET goes for HEAD too; a method that a path does not have gets 405 \
                `method_not_allowed` with `Allow`, and a path that is not here 404 `not_found`.",
        },
        "paths": paths,
        "components": components(limits),
    });
    if !public_url.is_empty() {
        document["servers"] = json!([{ "url": public_url }]);
    }
    document
}

fn operation(endpoint: &Endpoint, limits: &Limits) -> Value {
    let doc = &endpoint.doc;
    let group = endpoint.path.trim_start_matches("/api/").split(['/', '.']).next();
    let mut operation = json!({
        "operationId": doc.id,
        "summary": doc.summary,
        "tags": [group],
        "security": security(endpoint),
        "responses": responses(endpoint),
    });
    let parameters = parameters(endpoint);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if endpoint.body != Body::None {
        operation["requestBody"] = request_body(endpoint, limits);
    }
    operation
}

/// One of the schemes; none where anybody may come; either where a sign-in is used but not asked for.
fn security(endpoint: &Endpoint) -> Value {
    let schemes = SECURITY_SCHEMES.map(|scheme| json!({ scheme: [] }));
    match endpoint.doc.answer {
        _ if endpoint.needs_session => json!(schemes),
        Answer::SignedOut => json!([schemes[0], schemes[1], {}]),
        _ => json!([]),
    }
}

/// The names between braces.
fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path = placeholders(endpoint.path).map(|name| {
        let schema = if name == "id" { schema("Id") } else { json!({ "type": "string" }) };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = match endpoint.doc.answer {
        Answer::Page(_, parameters) => ["Limit"].iter().chain(parameters).copied().collect(),
        Answer::Maybe(_, parameter) | Answer::By(_, parameter) => vec![parameter],
        _ => Vec::new(),
    };
    in_path.chain(in_query.into_iter().map(schemas::parameter)).collect()
}

fn request_body(endpoint: &Endpoint, limits: &Limits) -> Value {
    let name = capitalised(endpoint.doc.id);
    let mut content = json!({ "application/json": { "schema": schema(&name) } });
    if let Body::JsonOrFile(file) = endpoint.body {
        let json = components(limits)["schemas"][name].take();
        content["multipart/form-data"] = form(json, file);
    }
    json!({
        "description": format!("At most {} bytes.", limits.body_bytes),
        "required": endpoint.body != Body::OptionalJson,
        "content": content,
    })
}

/// The same fields as in JSON, with a file in the place of the data URL and without `null`, which no form can say.
fn form(mut schema: Value, file: &str) -> Value {
    for (_, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if property["type"].is_array() {
            property["type"] = property["type"][0].take();
        }
    }
    schema["properties"][file] = json!({ "contentMediaType": "application/octet-stream" });
    // A part's name stands in its header.
    schema["propertyNames"] = json!({ "pattern": r"^[^\u0000-\u001f\u007f]*$" });
    // A file is no text.
    for alternative in schema.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
        if alternative["properties"].get(file).is_some() {
            alternative["properties"] = json!({});
        }
    }
    json!({
        "schema": schema,
        "encoding": { file: { "contentType": "image/png, image/jpeg, image/webp, image/gif" } },
    })
}

fn responses(endpoint: &Endpoint) -> Value {
    let well = endpoint.doc.ok.iter().map(|status| (*status, success(endpoint, *status)));
    let mut by_status: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| can_answer(endpoint, **code)) {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let ill = by_status.into_iter().map(|(status, codes)| (status, failure(status, &codes)));
    Value::Object(well.chain(ill).map(|(status, response)| (status.to_string(), response)).collect())
}

/// Whether this can go wrong here; the row says what does not follow from it.
fn can_answer(endpoint: &Endpoint, code: Code) -> bool {
    let doc = &endpoint.doc;
    let is_page = matches!(doc.answer, Answer::Page(..));
    let is_asked_by_query = is_page || matches!(doc.answer, Answer::Maybe(..) | Answer::By(..));
    doc.errors.contains(&code)
        || match code {
            Code::ValidationFailed => endpoint.body != Body::None || is_asked_by_query,
            Code::InvalidId => placeholders(endpoint.path).any(|name| name == "id") || is_page,
            Code::Unauthenticated => endpoint.needs_session,
            Code::OriginDenied => endpoint.method != Method::GET,
            Code::InvalidJson | Code::RequestTimeout | Code::PayloadTooLarge | Code::UnsupportedMediaType => {
                endpoint.body != Body::None
            }
            Code::BotDenied | Code::Forbidden | Code::RateLimited | Code::Internal => true,
            // Everything else asks the store.
            Code::Unavailable => doc.answer != Answer::Document,
            // A path with another method has no row.
            Code::MethodNotAllowed => false,
            // That is the WebSocket's path.
            Code::UpgradeRequired => false,
            Code::InvalidCredentials
            | Code::InvalidLink
            | Code::EmailUnverified
            | Code::NotFound
            | Code::EmailTaken => false,
        }
}

fn success(endpoint: &Endpoint, status: u16) -> Value {
    let (media, data, header) = match endpoint.doc.answer {
        Answer::SignedIn => ("application/json", envelope(true, &schema("User")), Some("Set-Cookie")),
        Answer::SignedOut => {
            ("application/json", envelope(true, &json!({ "type": "null" })), Some("Set-Cookie"))
        }
        Answer::One(name) | Answer::By(name, _) => ("application/json", envelope(true, &schema(name)), None),
        Answer::Maybe(name, _) => {
            ("application/json", envelope(true, &schemas::or_null(&schema(name))), None)
        }
        Answer::Nothing => ("application/json", envelope(true, &json!({ "type": "null" })), None),
        Answer::List(name) => {
            let list = json!({ "type": "array", "items": schema(name) });
            ("application/json", envelope(true, &list), None)
        }
        Answer::Page(name, _) => {
            let list = json!({ "type": "array", "items": schema(name) });
            ("application/json", envelope(true, &list), Some("Link"))
        }
        Answer::Image => ("image/*", json!({ "contentMediaType": "application/octet-stream" }), None),
        Answer::Document => ("application/json", json!({ "type": "object" }), None),
    };
    let mut response = response(reason(status), header.as_slice(), media, &data);
    let links = links(endpoint.doc.id);
    if !links.is_empty() {
        response["links"] = links.into();
    }
    response
}

fn failure(status: u16, codes: &[Code]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let headers: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    };
    let description = format!("{}: {}", reason(status), names.join(", "));
    let codes: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    let only_these = json!({ "properties": { "data": { "properties": { "code": { "enum": codes } } } } });
    response(&description, headers, "application/json", &json!({ "allOf": [schema("Error"), only_these] }))
}

fn response(description: &str, headers: &[&str], media: &str, schema: &Value) -> Value {
    let headers: Map<_, _> = headers.iter().map(|name| ((*name).to_owned(), schemas::header(name))).collect();
    let mut response = json!({ "description": description, "content": { media: { "schema": schema } } });
    if !headers.is_empty() {
        response["headers"] = headers.into();
    }
    response
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        ChatId, MessageId, Timestamp, UserId,
        auth::User,
        http::HttpDoor,
        messages::{Chat, Message, Reaction, ReadState},
        wire::DeliveryState,
    };

    fn built() -> Value {
        serde_json::from_str(&document(&Limits::default(), "").to_string()).unwrap()
    }

    fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    fn refs<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| refs(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| refs(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_row_is_described_under_a_name_of_its_own() {
        let document = built();
        assert_eq!(operations(&document).count(), ENDPOINTS.len());
        let mut ids = BTreeSet::new();
        for endpoint in ENDPOINTS {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][endpoint.path][method];
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{}", endpoint.doc.id);
            assert!(operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.')));
            assert_eq!(
                operation["requestBody"].is_object(),
                endpoint.body != Body::None,
                "{}",
                endpoint.path
            );
            assert_eq!(operation["responses"]["401"].is_object(), {
                endpoint.needs_session || endpoint.doc.errors.contains(&Code::InvalidCredentials)
            });
            let named = operation["parameters"].as_array().into_iter().flatten();
            let named =
                named.filter(|parameter| parameter["in"] == "path").map(|parameter| &parameter["name"]);
            assert!(named.eq(placeholders(endpoint.path)), "{}", endpoint.path);
        }
        assert!(HttpDoor::paths().all(|path| document["paths"][path].is_object()));
        assert!(document["paths"]["/api/openapi.json"]["get"].is_object());
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_part_is_used() {
        let document = built();
        let mut found = BTreeSet::new();
        refs(&document, &mut found);
        for target in &found {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
        for group in ["schemas", "parameters", "headers"] {
            for name in document["components"][group].as_object().unwrap().keys() {
                let target = format!("#/components/{group}/{name}");
                assert!(found.contains(target.as_str()), "nothing refers to {target}");
            }
        }
        let schemes: Vec<_> = document["components"]["securitySchemes"].as_object().unwrap().keys().collect();
        assert!(SECURITY_SCHEMES.iter().all(|scheme| schemes.iter().any(|known| known == scheme)));
    }

    #[test]
    fn every_status_of_an_error_is_in_the_table() {
        let document = built();
        for (path, method, operation) in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap();
                let codes: Vec<_> = Code::ALL
                    .iter()
                    .filter(|code| description.contains(&format!("`{}`", code.as_str())))
                    .collect();
                let named = response.pointer(
                    "/content/application~1json/schema/allOf/1/properties/data/properties/code/enum",
                );
                let named = named.and_then(Value::as_array).into_iter().flatten();
                assert!(named.eq(codes.iter().map(|code| code.as_str())), "{method} {path} {status}");
                let is_fine = match status.as_str() {
                    "200" | "201" => codes.is_empty(),
                    _ => !codes.is_empty() && codes.iter().all(|code| code.status().to_string() == *status),
                };
                assert!(is_fine, "{method} {path} {status}: {description}");
            }
        }
        let codes = document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
        assert!(codes.iter().eq(Code::ALL.iter().map(|code| code.as_str())));
    }

    #[test]
    fn limits_and_address_are_those_in_force() {
        let limits = Limits { text_chars: 7, max_page: 9, page: 3, ..Limits::default() };
        let document = document(&limits, "https://chat.example.org/x");
        let text = &document["components"]["schemas"]["SendMessage"]["properties"]["text"];
        assert_eq!(text["maxLength"], 7);
        let send = &document["paths"]["/api/messages/send/{id}"]["post"]["requestBody"];
        let form = &send["content"]["multipart/form-data"];
        assert_eq!(form["schema"]["properties"]["text"]["maxLength"], 7);
        assert_eq!(form["schema"]["properties"]["text"]["type"], "string");
        assert!(form["encoding"]["image"].is_object() && form["schema"]["properties"]["image"].is_object());
        // A message is not empty, in a form neither.
        let json = &document["components"]["schemas"]["SendMessage"];
        assert_eq!(json["anyOf"][0], form["schema"]["anyOf"][0]);
        assert_eq!(form["schema"]["anyOf"][1], json!({ "required": ["image"], "properties": {} }));
        let profile = &document["paths"]["/api/auth/profile"]["put"]["requestBody"]["content"];
        assert_eq!(profile["multipart/form-data"]["schema"].get("anyOf"), None);
        let limit = &document["components"]["parameters"]["Limit"]["schema"];
        assert_eq!((&limit["maximum"], &limit["default"]), (&json!(9), &json!(3)));
        assert_eq!(document["servers"][0]["url"], "https://chat.example.org/x");
    }

    /// The fields of what is really sent, against those of the schemas.
    #[test]
    fn the_schemas_are_those_of_the_types() {
        let now = Timestamp::now();
        let (ann, bob) = (UserId::generate(now), UserId::generate(now));
        let user = User {
            id: ann,
            email: String::new(),
            full_name: String::new(),
            profile_pic: String::new(),
            last_seen: now,
            is_online: true,
            created_at: now,
            updated_at: now,
        };
        let message = Message {
            id: MessageId::generate(now),
            chat_id: ChatId::direct(ann, bob),
            seq: 1,
            sender_id: ann,
            receiver_id: Some(bob),
            text: None,
            image: None,
            client_id: None,
            is_deleted: false,
            unreadable: true,
            created_at: now,
            updated_at: now,
            reply_to: None,
            is_edited: false,
            reactions: Vec::new(),
        };
        let state = ReadState { chat_id: message.chat_id, seq: 1, unread: 0 };
        let delivery = DeliveryState { chat_id: message.chat_id, seq: 1 };
        let reaction = Reaction { user_id: ann, emoji: String::new() };
        let readable = json!(Message { unreadable: false, ..message.clone() });
        let chat = json!(Chat {
            partner: user.clone(),
            chat_id: message.chat_id,
            last_message: None,
            unread: 0,
            delivered_seq: 0,
            read_seq: 0
        });
        let document = built();
        let schemas = &document["components"]["schemas"];
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let required = |schema: &Value| {
            let names = schema["required"].as_array().unwrap().iter();
            names.map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        for (name, most, least) in [
            ("User", json!(user), json!(user)),
            ("Message", json!(message), readable),
            ("ReadState", json!(state), json!(state)),
            ("DeliveryState", json!(delivery), json!(delivery)),
            ("Reaction", json!(reaction), json!(reaction)),
        ] {
            assert_eq!(keys(&schemas[name]["properties"]), keys(&most), "{name}");
            assert_eq!(required(&schemas[name]), keys(&least), "{name}");
        }
        let own = &schemas["Chat"]["allOf"][1];
        assert_eq!(&required(own) | &required(&schemas["User"]), keys(&chat));
        assert_eq!(required(own), keys(&own["properties"]));
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn the_door_serves_it() {
        use http_body_util::{BodyExt, Full};
        use tower_service::Service;

        let folder = tempfile::tempdir().unwrap();
        let chat = crate::ChatService::open(folder.path()).await.unwrap();
        let mut door = HttpDoor::new(&chat);
        let mut ask = async |method: &str| {
            let request = http::Request::builder().method(method).uri("/api/openapi.json");
            door.call(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap()
        };
        let response = ask("GET").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "public, max-age=300");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), built());
        assert_eq!(ask("HEAD").await.status(), 200);
        let refused = ask("POST").await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["allow"]),
            (405, &"GET, HEAD".parse().unwrap())
        );
        chat.shutdown().await;
    }
}
