//! PUT /api/auth/profile and GET /api/auth/me.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, Target, Value, for_each_target, json, pictures, shape, until};
use reqwest::{
    Method,
    multipart::{Form, Part},
};

const PROFILE: &str = "/api/auth/profile";

async fn change(person: &Person, body: Value) -> Value {
    let user = person.put(PROFILE, body).await.ok(200);
    shape::user(&user);
    user
}

async fn the_name_changes_for_everybody(target: Target) {
    let server = target.start().await;
    let (ann, bob) = (server.signup().await, server.signup().await);
    assert_eq!(change(&ann, json!({ "fullName": "Ann of the Tests" })).await["fullName"], "Ann of the Tests");
    assert_eq!(ann.get("/api/auth/me").await.ok(200)["fullName"], "Ann of the Tests");
    let contacts = bob.get("/api/messages/contacts").await.ok(200);
    let seen = contacts.as_array().unwrap().iter().find(|user| user["_id"] == ann.id()).unwrap();
    assert_eq!(seen["fullName"], "Ann of the Tests");
}

async fn name_limits(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    for bad in [json!(""), json!("x".repeat(101)), json!(5), json!({})] {
        ann.put(PROFILE, json!({ "fullName": bad })).await.invalid(&["fullName"]);
    }
    assert_eq!(ann.get("/api/auth/me").await.ok(200)["fullName"], ann.form.full_name);
    let long = "é".repeat(100);
    assert_eq!(change(&ann, json!({ "fullName": long })).await["fullName"], long);
}

async fn only_name_and_picture_change(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let wish = json!({ "fullName": "Ann", "email": "other@example.org", "_id": "0123456789abcdef01234567",
        "password": "another password", "isOnline": true });
    let user = change(&ann, wish).await;
    assert_eq!(user["email"], ann.form.email);
    assert_eq!(user["_id"], ann.id());
    let _ = ann.login().await;
}

async fn a_picture_of_each_format(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    for (format, mime) in pictures::FORMATS {
        let user =
            change(&ann, json!({ "profilePic": pictures::data_url(mime, &pictures::small(format)) })).await;
        let url = user["profilePic"].as_str().unwrap();
        assert!(!url.is_empty() && !url.starts_with("data:"), "{url}");
        let served = ann.fetch(url).await;
        assert_eq!(served.status, 200);
        let kind = served.header("content-type").unwrap();
        assert!(pictures::FORMATS.iter().any(|(_, mime)| *mime == kind), "{kind}");
        assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
        let caching = served.header("cache-control").unwrap();
        assert!(caching.contains("immutable") && caching.contains("max-age="), "{caching}");
        let picture = image::load_from_memory(&served.bytes).expect("a picture");
        assert_eq!((picture.width(), picture.height()), (8, 6));
    }
}

async fn the_name_stays_when_the_picture_changes_and_back(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let with_picture = change(&ann, json!({ "profilePic": pictures::png_url() })).await;
    assert_eq!(with_picture["fullName"], ann.form.full_name);
    let renamed = change(&ann, json!({ "fullName": "Ann" })).await;
    assert_eq!(renamed["profilePic"], with_picture["profilePic"]);
    let both = change(&ann, json!({ "fullName": "Anna", "profilePic": pictures::png_url() })).await;
    assert_eq!(both["fullName"], "Anna");
    assert_ne!(both["profilePic"], "");
}

async fn an_empty_picture_removes_it(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let url = change(&ann, json!({ "profilePic": pictures::png_url() })).await["profilePic"].clone();
    let url = url.as_str().unwrap();
    assert_eq!(ann.fetch(url).await.status, 200);
    assert_eq!(change(&ann, json!({ "profilePic": "" })).await["profilePic"], "");
    assert_eq!(ann.get("/api/auth/me").await.ok(200)["profilePic"], "");
    until("the removed picture to be gone", || async { (ann.fetch(url).await.status == 404).then_some(()) })
        .await;
    assert_eq!(change(&ann, json!({ "profilePic": "" })).await["profilePic"], "");
}

async fn a_picture_as_multipart(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let part = || Part::bytes(pictures::small(image::ImageFormat::Jpeg)).file_name("../../etc/me.jpg");
    let form = Form::new().part("profilePic", part().mime_str("image/jpeg").unwrap());
    let user = ann.multipart(Method::PUT, PROFILE, form).await.ok(200);
    shape::user(&user);
    let served = ann.fetch(user["profilePic"].as_str().unwrap()).await;
    assert_eq!(served.status, 200);
    image::load_from_memory(&served.bytes).expect("a picture");
    // The name beside it, and a type that says nothing.
    let part = part().mime_str("application/octet-stream").unwrap();
    let form = Form::new().text("fullName", "Ann").part("profilePic", part);
    assert_eq!(ann.multipart(Method::PUT, PROFILE, form).await.ok(200)["fullName"], "Ann");
}

async fn what_is_no_picture_is_refused(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    for (what, url) in pictures::bad_urls() {
        let reply = ann.put(PROFILE, json!({ "profilePic": url, "fullName": "Not Taken" })).await;
        assert_eq!(reply.status, 400, "{what}: {}", reply.body);
        reply.invalid(&["profilePic"]);
    }
    for wrong in [json!(1), json!(true), json!(["x"])] {
        ann.put(PROFILE, json!({ "profilePic": wrong })).await.invalid(&["profilePic"]);
    }
    let part = Part::bytes(b"not a picture".to_vec()).file_name("x.png").mime_str("image/png").unwrap();
    let form = Form::new().part("profilePic", part);
    ann.multipart(Method::PUT, PROFILE, form).await.invalid(&["profilePic"]);
    let me = ann.get("/api/auth/me").await.ok(200);
    assert_eq!(
        (me["profilePic"].as_str(), me["fullName"].as_str()),
        (Some(""), Some(ann.form.full_name.as_str()))
    );
}

async fn metadata_does_not_get_out(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let jpeg = pictures::jpeg_with_metadata("GPS-52.5200N-13.4050E");
    let url = change(&ann, json!({ "profilePic": pictures::data_url("image/jpeg", &jpeg) })).await;
    let served = ann.fetch(url["profilePic"].as_str().unwrap()).await;
    assert_eq!(served.status, 200);
    assert!(!served.bytes.windows(4).any(|part| part == b"GPS-"), "where it was taken is still in it");
}

async fn no_way_out_of_the_pictures(target: Target) {
    let server = target.start().await;
    let ann = server.signup().await;
    let url = change(&ann, json!({ "profilePic": pictures::png_url() })).await["profilePic"].clone();
    let url = ann.url(url.as_str().unwrap());
    let (folder, name) = url.rsplit_once('/').unwrap();
    let other: String = name.chars().map(|c| if c == 'a' { 'b' } else { 'a' }).collect();
    for path in [
        other.as_str(),
        "nothing.png",
        "",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%5c..%5cserver.log",
        "%2fetc%2fpasswd",
        "..%2fchat.db",
        "a%00.png",
    ] {
        let served = ann.fetch(&format!("{folder}/{path}")).await;
        assert!([400, 404].contains(&served.status), "{path}: {}", served.status);
        assert!(!served.bytes.windows(5).any(|part| part == b"root:"), "{path}");
    }
}

for_each_target!(
    the_name_changes_for_everybody,
    name_limits,
    only_name_and_picture_change,
    a_picture_of_each_format,
    the_name_stays_when_the_picture_changes_and_back,
    an_empty_picture_removes_it,
    a_picture_as_multipart,
    what_is_no_picture_is_refused,
    metadata_does_not_get_out,
    no_way_out_of_the_pictures,
);
