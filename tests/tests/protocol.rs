//! HTTP itself: paths, methods, bodies of the wrong kind, size and form.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, RawConnection, Reply, Signup, Target, for_each_target, json, two};
use reqwest::Method;

const MIB: usize = 1 << 20;

async fn call(person: &Person, method: Method, path: &str) -> Reply {
    person.raw(method, path, "application/json", "{}").await
}

async fn unknown_paths_answer_the_envelope(target: Target) {
    let (server, ann, _bob) = two(target).await;
    let id = ann.id();
    for path in [
        "/api/nope".to_owned(),
        "/api/auth/nope".to_owned(),
        "/api/auth/signup/more".to_owned(),
        "/api/messages/send/a/b".to_owned(),
        format!("/api/messages/{id}/nope"),
        format!("/api/messages/{id}/read/more"),
    ] {
        for method in [Method::GET, Method::POST] {
            call(&ann, method.clone(), &path).await.refused(404, "not_found");
            server.client().raw(method, &path, "application/json", "{}").await.refused(404, "not_found");
        }
    }
}

async fn wrong_methods_say_which_are_right(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let id = bob.id();
    let rows: [(&str, String, &[&str]); 8] = [
        ("GET", "/api/auth/signup".to_owned(), &["POST"]),
        ("PUT", "/api/auth/login".to_owned(), &["POST"]),
        ("DELETE", "/api/auth/logout".to_owned(), &["POST"]),
        ("POST", "/api/auth/profile".to_owned(), &["PUT"]),
        ("DELETE", "/api/auth/me".to_owned(), &["GET"]),
        ("PATCH", format!("/api/messages/{id}"), &["GET", "DELETE"]),
        ("DELETE", format!("/api/messages/send/{id}"), &["POST"]),
        ("PUT", format!("/api/messages/{id}/read"), &["POST"]),
    ];
    for (method, path, allowed) in rows {
        let reply = call(&ann, method.parse().unwrap(), &path).await;
        reply.refused(405, "method_not_allowed");
        let allow = reply.header("allow").unwrap_or_else(|| panic!("{method} {path}: no Allow"));
        let allow: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(allowed.iter().all(|method| allow.contains(method)), "{method} {path}: {allow:?}");
        assert!(!allow.contains(&method), "{method} {path}: {allow:?}");
    }
}

async fn only_a_json_object_is_taken(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let deep = "[".repeat(100_000);
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"{\"text\":}".to_vec(),
        b"{\"text\":\"x\"} trailing".to_vec(),
        b"{'text':'x'}".to_vec(),
        b"[]".to_vec(),
        b"[{\"text\":\"x\"}]".to_vec(),
        b"\"text\"".to_vec(),
        b"null".to_vec(),
        b"1".to_vec(),
        b"{\"text\":\"\xff\xfe\"}".to_vec(),
        b"{\"text\":\"raw \n newline\"}".to_vec(),
        deep.into_bytes(),
    ];
    let paths = [
        (Method::POST, bob.inbox()),
        (Method::POST, "/api/auth/login".to_owned()),
        (Method::PUT, "/api/auth/profile".to_owned()),
    ];
    for (method, path) in &paths {
        for body in &bodies {
            let start: String = String::from_utf8_lossy(body).chars().take(40).collect();
            let reply = ann.raw(method.clone(), path, "application/json", body.clone()).await;
            assert_eq!(
                (reply.status, &reply.body["data"]["code"]),
                (400, &json!("invalid_json")),
                "{path} {start}"
            );
        }
    }
    // Half a character is JSON by its grammar, but no text.
    let half = b"{\"text\":\"\\ud800\"}".to_vec();
    let reply = ann.raw(Method::POST, &bob.inbox(), "application/json", half).await;
    reply.refused(400, "invalid_json");
    assert!(ann.conversation(&bob).await.is_empty());
}

async fn a_deep_body_does_no_harm(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let deep = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    for body in [format!("{{\"text\":{deep}}}"), format!("{{\"other\":{deep}}}")] {
        let reply = ann.raw(Method::POST, &bob.inbox(), "application/json", body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
    ann.say(&bob, "still here").await;
}

async fn a_repeated_key_is_no_way_around_a_check(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let long = "x".repeat(10_001);
    for body in
        [format!(r#"{{"text":"{long}","text":"short"}}"#), format!(r#"{{"text":"short","text":"{long}"}}"#)]
    {
        let reply = ann.raw(Method::POST, &bob.inbox(), "application/json", body).await;
        assert!([201, 400].contains(&reply.status), "{}", reply.body);
    }
    let texts = ann.conversation(&bob).await;
    assert!(texts.iter().all(|message| message["text"] == "short"), "{texts:?}");
}

async fn only_json_and_forms_are_taken(target: Target) {
    let (server, ann, bob) = two(target).await;
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/xml", "text/json", "nonsense"]
    {
        let reply = ann.raw(Method::POST, &bob.inbox(), kind, r#"{"text":"x"}"#).await;
        reply.refused(415, "unsupported_media_type");
        let reply = server.client().raw(Method::POST, "/api/auth/login", kind, "{}").await;
        reply.refused(415, "unsupported_media_type");
    }
    // Where no file is taken, a form is not either.
    let form = "--x\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na@b.org\r\n--x--\r\n";
    let kind = "multipart/form-data; boundary=x";
    let reply = server.client().raw(Method::POST, "/api/auth/signup", kind, form).await;
    reply.refused(415, "unsupported_media_type");
    assert!(ann.conversation(&bob).await.is_empty());
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let _ = ann.raw(Method::POST, &bob.inbox(), kind, r#"{"text":"x"}"#).await.ok(201);
    }
}

async fn a_body_of_8_mebibytes_and_not_a_byte_more(target: Target) {
    let (_server, ann, bob) = two(target).await;
    let mut body = br#"{"text":"small"}"#.to_vec();
    body.resize(8 * MIB, b' ');
    let _ = ann.raw(Method::POST, &bob.inbox(), "application/json", body).await.ok(201);
    too_large(&ann, &bob, &format!("Content-Length: {}\r\n\r\n", 8 * MIB + 1), 0).await;
    too_large(&ann, &bob, "Content-Length: 99999999999999\r\n\r\n", 0).await;
    assert_eq!(ann.conversation(&bob).await.len(), 1);
}

async fn a_stream_is_cut_at_8_mebibytes(target: Target) {
    let (_server, ann, bob) = two(target).await;
    too_large(&ann, &bob, "Transfer-Encoding: chunked\r\n\r\n", 8 * MIB + 64 * 1024).await;
    assert!(ann.conversation(&bob).await.is_empty());
}

/// Sends the head and then up to so many bytes in chunks, and wants to hear that it is too much.
async fn too_large(from: &Person, to: &Person, end_of_head: &str, bytes: usize) {
    let address = from.base().replace("http://", "");
    let mut connection = RawConnection::open(&address).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {address}\r\nCookie: jwt={}\r\nContent-Type: application/json\r\n{end_of_head}",
        to.inbox(),
        from.token
    );
    connection.write(head.as_bytes()).await;
    let piece = 64 * 1024;
    let chunk = format!("{piece:x}\r\n{}\r\n", " ".repeat(piece));
    for _ in 0..bytes / piece {
        connection.offer(chunk.as_bytes()).await;
    }
    connection.read().await.refused(413, "payload_too_large");
}

async fn garbage_on_the_wire_does_no_harm(target: Target) {
    let (server, ann, bob) = two(target).await;
    for bytes in [
        b"\0\0\0\0\0\0".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".to_vec(),
        b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"
            .to_vec(),
        format!("GET /api/auth/me HTTP/1.1\r\nHost: x\r\nCookie: jwt={}\r\n\r\n", "x".repeat(1 << 20))
            .into_bytes(),
    ] {
        let mut connection = RawConnection::open(&server.address()).await;
        connection.offer(&bytes).await;
        connection.hang_up().await;
    }
    ann.say(&bob, "still here").await;
}

async fn headers_of_odd_bytes_are_no_trouble(target: Target) {
    let (server, ann, _bob) = two(target).await;
    let address = server.address();
    let request = |header: &[u8]| {
        let mut request = format!("GET /api/auth/me HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        request.extend_from_slice(header);
        request.extend_from_slice(b"\r\n\r\n");
        request
    };
    for header in [
        &b"Cookie: jwt=\xff\xfe"[..],
        b"Authorization: Bearer \xff",
        b"User-Agent: \xff",
        b"Cookie: ;;;=;jwt",
    ] {
        let mut connection = RawConnection::open(&address).await;
        connection.write(&request(header)).await;
        let status = connection.read().await.status;
        assert!([400, 401].contains(&status), "{status}");
    }
    let _ = ann.get("/api/auth/me").await.ok(200);
}

async fn replies_are_not_kept_by_caches(target: Target) {
    let (server, ann, _bob) = two(target).await;
    let form = Signup::random();
    for reply in [ann.get("/api/auth/me").await, server.client().post("/api/auth/signup", form.json()).await]
    {
        let caching = reply.header("cache-control").unwrap_or_default();
        assert!(!caching.contains("public") && !caching.contains("immutable"), "{caching}");
    }
}

for_each_target!(
    unknown_paths_answer_the_envelope,
    wrong_methods_say_which_are_right,
    only_a_json_object_is_taken,
    a_deep_body_does_no_harm,
    a_repeated_key_is_no_way_around_a_check,
    only_json_and_forms_are_taken,
    a_body_of_8_mebibytes_and_not_a_byte_more,
    a_stream_is_cut_at_8_mebibytes,
    garbage_on_the_wire_does_no_harm,
    headers_of_odd_bytes_are_no_trouble,
    replies_are_not_kept_by_caches,
);
