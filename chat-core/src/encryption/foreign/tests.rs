//! The ready decoders, on what the real libraries wrote.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use super::*;

const KEY: &str = "an old key of exactly 32 bytes!!";
const PASSPHRASE: &str = "an old passphrase: öß";

fn key() -> Aes256Key {
    Aes256Key::parse(KEY).unwrap()
}

fn all() -> [Box<dyn ForeignText>; 3] {
    [Box::new(AesCbc::new(key())), Box::new(AesGcm::new(key())), Box::new(CryptoJs::new(PASSPHRASE))]
}

/// Form, text and body of each vector.
fn vectors() -> impl Iterator<Item = (&'static str, String, &'static str)> {
    let texts = [
        "Hello, world".to_owned(),
        "Grüße aus Köln 👋🏽, ça va?".to_owned(),
        String::new(),
        "sixteen bytes ok".to_owned(),
        "Übung macht den Meister. ".repeat(40),
    ];
    include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')).map(move |line| {
        let mut fields = line.split('|');
        let [form, text, body] = [(); 3].map(|()| fields.next().unwrap());
        (form, texts[text.parse::<usize>().unwrap()].clone(), body)
    })
}

#[test]
fn reads_what_node_js_wrote() {
    assert_eq!(vectors().count(), 50);
    for (form, text, body) in vectors() {
        let reader = match form.split(['-', ' ']).next().unwrap() {
            "cbc" => 0,
            "gcm" => 1,
            _ => 2,
        };
        for (i, decoder) in all().iter().enumerate() {
            let expected = (i == reader).then_some(&text);
            assert_eq!(decoder.open(body).as_ref(), expected, "{decoder:?} on {form} of {text:?}");
        }
    }
}

#[test]
fn hex_may_be_in_upper_case_and_nothing_stands_around_it() {
    for (form, text, body) in vectors().filter(|(form, ..)| form.ends_with(" hex")) {
        let opened = |body: &str| all().iter().find_map(|decoder| decoder.open(body));
        assert_eq!(opened(&body.to_uppercase()), Some(text), "{form}");
        for changed in [format!(" {body}"), format!("{body}\n"), format!("{body}:"), format!(":{body}")] {
            assert_eq!(opened(&changed), None, "{changed:?}");
        }
    }
}

#[test]
fn another_key_reads_nothing() {
    let other = || Aes256Key::new([7; 32]);
    let others: [Box<dyn ForeignText>; 3] = [
        Box::new(AesCbc::new(other())),
        Box::new(AesGcm::new(other())),
        Box::new(CryptoJs::new("another passphrase")),
    ];
    for (form, _, body) in vectors() {
        assert!(others.iter().all(|decoder| decoder.open(body).is_none()), "{form}: {body}");
    }
}

#[test]
fn a_part_that_is_missing_or_short_is_not_read() {
    for (form, text, body) in vectors().filter(|(.., body)| body.len() < 200) {
        // Without its last byte or more.
        for length in 0..body.len() - 3 {
            let part = &body[..length];
            for decoder in all() {
                let opened = decoder.open(part);
                // To CBC, what is left when whole blocks are missing may seem whole; to GCM, never.
                assert_ne!(opened.as_ref(), Some(&text), "{form}: {part}");
                assert!(!form.starts_with("gcm") || opened.is_none(), "{form}: {part}");
            }
        }
    }
}

#[test]
fn base64_that_could_be_hex_is_read_as_what_it_is() {
    let body = "RXgecwEF3Zj4E/Zx:hvIJJ5O9Ch35CyPYyOtIrA==:2ec9";
    assert_eq!(AesGcm::new(key()).open(body).as_deref(), Some("abc"));
}

#[test]
fn gcm_notices_a_change_anywhere() {
    for (form, _, body) in vectors().filter(|(form, ..)| form.starts_with("gcm") && form.ends_with("hex")) {
        for at in (0..body.len()).filter(|at| !body[*at..].starts_with(':')) {
            let mut changed = body.to_owned();
            changed.replace_range(at..=at, if &body[at..=at] == "0" { "1" } else { "0" });
            assert_eq!(AesGcm::new(key()).open(&changed), None, "{form}: {changed}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_not_read() {
    // Made as the vectors, of the bytes `c3 28`, which are not UTF-8.
    let bodies = [
        "d997c468008ab3fcac7c5f99be187a31:9504c4cfcd16c9a63d5ecea16d2a8b5b",
        "3bffa4a0c9b2591bc8418dd4:aba66160206b5b09e8008f27fda5f6ea:d8e2",
        "U2FsdGVkX18ZLyjE8e/GnW8s/RFPjzKoSskhbDEfHcU=",
    ];
    for (decoder, body) in all().iter().zip(bodies) {
        assert_eq!(decoder.open(body), None, "{decoder:?}");
    }
}

#[test]
fn a_key_has_one_of_three_forms() {
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = "YW4gb2xkIGtleSBvZiBleGFjdGx5IDMyIGJ5dGVzISE=";
    for text in [KEY, &hex, &hex.to_uppercase(), base64, base64.trim_end_matches('=')] {
        assert_eq!(Aes256Key::parse(text).unwrap().bytes(), KEY.as_bytes(), "{text}");
    }
    // 32 hex characters are the text of 32 bytes that programs use them as, and not 16 bytes.
    assert_eq!(Aes256Key::parse(&hex[..32]).unwrap().bytes(), &hex.as_bytes()[..32]);
    for text in ["", "short", &hex[..62], &hex.replace('6', "g"), "YW4gb2xkIGtleQ==", &format!("{KEY} ")] {
        assert_eq!(Aes256Key::parse(text).unwrap_err(), InvalidAes256Key, "{text}");
    }
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", all()), "[AesCbc(Aes256Key(..)), AesGcm(Aes256Key(..)), CryptoJs(..)]");
}

proptest::proptest! {
    #[test]
    fn garbage_is_not_read_and_does_not_panic(
        garbage in proptest::prop_oneof![
            ".{0,100}",
            "[0-9a-f]{0,70}:[0-9a-f]{0,70}(:[0-9a-f]{0,70})?",
            "[0-9a-f]{32}:([0-9a-f]{32}){0,3}(:[0-9a-f]{0,70})?",
            "[0-9a-f]{24}:[0-9a-f]{32}:[0-9a-f]{0,70}",
            "[A-Za-z0-9+/]{22}==:[A-Za-z0-9+/]{22}==(:[A-Za-z0-9+/]{0,64})?",
            "U2FsdGVkX1[89+/][A-Za-z0-9+/]{0,100}={0,2}",
        ],
    ) {
        let [cbc, gcm, crypto_js] = all();
        proptest::prop_assert_eq!(gcm.open(&garbage), None);
        // CBC may take garbage for a text, about once in two million times; what matters here is that it ends.
        let _ = (cbc.open(&garbage), crypto_js.open(&garbage));
    }
}
