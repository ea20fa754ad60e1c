//! Pictures on a Cloudinary of the test's own, which checks them by Cloudinary's own package.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what is not as it should be")]

use chat_tests::{Person, Reply, Server, StandIn, Target, Value, json, pictures, tests_on, until};

const PROFILE: &str = "/api/auth/profile";

struct Cloud {
    server: Server,
    stand_in: StandIn,
}

impl Cloud {
    async fn start(target: Target, algorithm: &str) -> Self {
        let stand_in = StandIn::start_with("cloudinary-stand-in.mjs", &[algorithm]).await;
        let prefix = stand_in.url();
        let url =
            format!("cloudinary://key:secret@demo?upload_prefix={prefix}&signature_algorithm={algorithm}");
        Self { server: target.start_with(&[("CLOUDINARY_URL", &url)]).await, stand_in }
    }

    /// The requests, which must all be as Cloudinary's own package makes them.
    async fn log(&self) -> Vec<Value> {
        let log = self.stand_in.log().await;
        assert!(log.iter().all(|entry| entry["differences"] == json!([])), "{log:#?}");
        log
    }

    /// The names of the pictures that are there.
    async fn pictures(&self) -> Vec<String> {
        let reply = reqwest::get(format!("{}/__pictures", self.stand_in.url())).await.unwrap();
        reply.json().await.unwrap()
    }

    async fn wait_for_pictures(&self, count: usize) {
        until("the pictures that are left", || async {
            (self.pictures().await.len() == count).then_some(())
        })
        .await;
    }

    async fn mode(&self, mode: &str) {
        self.stand_in.mode(json!({ "mode": mode })).await;
    }
}

async fn set_picture(person: &Person, url: &str) -> Reply {
    person.put(PROFILE, json!({ "profilePic": url })).await
}

/// `chat/<name>` of a URL that people see.
fn name_of(url: &Value) -> String {
    let url = url.as_str().unwrap();
    let rest = url.strip_prefix("https://res.cloudinary.com/demo/image/upload/v").expect(url);
    let (_, name) = rest.split_once('/').unwrap();
    name.rsplit_once('.').unwrap().0.to_owned()
}

async fn pictures_come_and_go(target: Target) {
    for algorithm in ["sha1", "sha256"] {
        let cloud = Cloud::start(target, algorithm).await;
        let (ann, bob) = (cloud.server.signup().await, cloud.server.signup().await);
        let mut names = Vec::new();
        for (format, mime) in pictures::FORMATS {
            let url = pictures::data_url(mime, &pictures::small(format));
            let user = set_picture(&ann, &url).await.ok(200);
            names.push(name_of(&user["profilePic"]));
            // The one before goes.
            cloud.wait_for_pictures(1).await;
            assert_eq!(cloud.pictures().await, names[names.len() - 1..]);
            assert_eq!(bob.get("/api/messages/contacts").await.ok(200)[0]["profilePic"], user["profilePic"]);
        }
        let message = ann.post(&bob.inbox(), json!({ "image": pictures::png_url() })).await.ok(201);
        names.push(name_of(&message["image"]));
        assert_eq!(bob.conversation(&ann).await[0]["image"], message["image"]);
        let _ = set_picture(&ann, "").await.ok(200);
        cloud.wait_for_pictures(1).await;
        let path = format!("/api/messages/{}", message["_id"].as_str().unwrap());
        assert_eq!(ann.delete(&path).await.ok(200)["image"], Value::Null);
        cloud.wait_for_pictures(0).await;

        let log = cloud.log().await;
        let uploads: Vec<_> = log.iter().filter(|entry| entry["action"] == "upload").collect();
        assert_eq!(uploads.len(), names.len());
        for (upload, name) in uploads.iter().zip(&names) {
            let fields = &upload["fields"];
            assert_eq!(
                format!("{}/{}", fields["folder"].as_str().unwrap(), fields["public_id"].as_str().unwrap()),
                *name
            );
            assert_eq!(fields["overwrite"], "0");
            let is_message = name == names.last().unwrap();
            let transformation = fields["transformation"].as_str().unwrap_or_default();
            assert_eq!(transformation.starts_with("c_fill,g_face:center,h_"), !is_message, "{fields}");
        }
        let removed: Vec<_> = log.iter().filter(|entry| entry["action"] == "destroy").collect();
        assert_eq!(removed.len(), names.len(), "each once");
        assert!(removed.iter().all(|entry| entry["fields"]["invalidate"] == "true"));
    }
}

/// Nobody waits for long, nothing is half done, and it goes on when Cloudinary is well again.
async fn when_it_is_not_well(target: Target) {
    let mut cloud = Cloud::start(target, "sha1").await;
    let (ann, bob) = (cloud.server.signup().await, cloud.server.signup().await);
    let before = set_picture(&ann, &pictures::png_url()).await.ok(200)["profilePic"].clone();
    let image = json!({ "text": "look", "image": pictures::png_url() });
    for mode in ["hangup", "garbage", "unauthorized", "limited", "broken", "accept-then-hangup", "down"] {
        if mode == "down" {
            cloud.stand_in.kill().await;
        } else {
            cloud.mode(mode).await;
        }
        for reply in
            [set_picture(&ann, &pictures::png_url()).await, ann.post(&bob.inbox(), image.clone()).await]
        {
            reply.refused(503, "unavailable");
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!(wait >= 1, "{mode}");
            assert!(!reply.body.to_string().contains("secret"));
        }
        assert_eq!(ann.get("/api/auth/me").await.ok(200)["profilePic"], before, "{mode}");
        let sent = ann.say(&bob, mode).await;
        assert_eq!(ann.conversation(&bob).await.last().unwrap()["_id"], sent["_id"], "{mode}");
        if mode != "down" {
            cloud.mode("ok").await;
            let _ = ann.put(PROFILE, json!({ "fullName": "Ann" })).await.ok(200);
        }
    }
    let texts = ann.conversation(&bob).await;
    assert!(texts.iter().all(|message| message["image"] == Value::Null && message["text"] != "look"));
}

async fn a_removal_waits_until_it_can_be_done(target: Target) {
    let cloud = Cloud::start(target, "sha1").await;
    let ann = cloud.server.signup().await;
    let _ = set_picture(&ann, &pictures::png_url()).await.ok(200);
    for mode in ["broken", "garbage", "hangup", "limited"] {
        cloud.stand_in.mode(json!({ "mode": mode, "times": 2 })).await;
        // Removing the picture asks for nothing but the removal.
        let _ = set_picture(&ann, "").await.ok(200);
        cloud.wait_for_pictures(0).await;
        let _ = set_picture(&ann, &pictures::png_url()).await.ok(200);
    }
    let removals = cloud.log().await.into_iter().filter(|entry| entry["action"] == "destroy").count();
    assert_eq!(removals, 4 * 3, "two that failed and one that did not, each");
}

async fn a_slow_one_is_not_waited_for(target: Target) {
    let cloud = Cloud::start(target, "sha1").await;
    let ann = cloud.server.signup().await;
    cloud.mode("slow").await;
    let url = pictures::png_url();
    let pending = set_picture(&ann, &url);
    let reply =
        tokio::time::timeout(std::time::Duration::from_secs(25), pending).await.expect("an answer first");
    reply.refused(503, "unavailable");
    assert_eq!(cloud.pictures().await.len(), 1, "it was taken all the same");
    cloud.mode("ok").await;
    // And is removed when nobody can use it any more.
    let gone = async {
        while !cloud.pictures().await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(80), gone).await.expect("it is removed");
}

async fn a_bad_setting_stops_the_start(target: Target) {
    for url in
        ["cloudinary://key@demo", "https://key:hunter2@demo", "cloudinary://key:hunter2@demo?upload_prefix=x"]
    {
        let output = tokio::process::Command::new(target.program())
            .env("CLOUDINARY_URL", url)
            .env("PORT", "0")
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("CLOUDINARY_URL"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

tests_on!(axum_sqlite = AxumSqlite:
    pictures_come_and_go,
    when_it_is_not_well,
    a_removal_waits_until_it_can_be_done,
    a_slow_one_is_not_waited_for,
    a_bad_setting_stops_the_start,
);
tests_on!(warp_mongo = WarpMongo:
    pictures_come_and_go,
    when_it_is_not_well,
);
