use super::*;

fn refused(args: &Args) -> &'static str {
    args.check().map(|_| ()).expect_err("refused").name
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn nothing_given_is_fine_and_empty_is_nothing() {
    for args in [Args::default(), Args { port: some(" "), jwt_secret: some(""), ..Args::default() }] {
        let settings = args.check().unwrap();
        assert_eq!((settings.host.to_string().as_str(), settings.port), ("127.0.0.1", 3000));
        assert!(settings.shield && !settings.legacy.is_given());
        assert_eq!(settings.http, HttpSettings::default());
    }
    let open = Args { host: some("0.0.0.0"), ..Args::default() }.check().unwrap();
    assert_eq!(open.http, HttpSettings::default().cookie_secure(true), "secure where it is not loopback");
}

#[test]
fn each_legacy_key_is_a_decoder_and_none_is_shown() {
    let key = "an old key of exactly 32 bytes!!";
    for args in [
        Args { legacy_cbc_key: some(key), ..Args::default() },
        Args { legacy_gcm_key: some(key), legacy_reencrypt: some("off"), ..Args::default() },
        Args { legacy_passphrase: some(key), legacy_reencrypt: some("on"), ..Args::default() },
    ] {
        let legacy = args.check().unwrap().legacy;
        let given = |value: &Option<String>| value.is_some();
        assert_eq!(legacy.cbc.is_some(), given(&args.legacy_cbc_key));
        assert_eq!(legacy.gcm.is_some(), given(&args.legacy_gcm_key));
        assert_eq!(legacy.crypto_js.is_some(), given(&args.legacy_passphrase));
        assert_eq!(legacy.reencrypt, args.legacy_reencrypt.as_deref() == Some("on"));
        assert!(legacy.is_given() && !format!("{legacy:?}").contains(key));
    }
    let bad = Args { legacy_cbc_key: some("too short"), ..Args::default() }.check().unwrap_err();
    assert!(!bad.to_string().contains("too short"), "{bad}");
}

#[test]
fn mail_by_resend() {
    let args = Args {
        resend_api_key: some(" re_secret "),
        mail_from: some("Chat <chat@example.org>"),
        resend_base_url: some("http://127.0.0.1:1/"),
        client_url: some("https://chat.example.org"),
        app_name: some("Tea & Talk"),
        ..Args::default()
    };
    let mail = args.check().unwrap().mail;
    assert!(mail.resend.is_some() && !format!("{mail:?}").contains("secret"));
    assert_eq!(mail.client_url.as_deref(), Some("https://chat.example.org"));
    assert_eq!(mail.app_name.as_deref(), Some("Tea & Talk"));
    let bad = Args { resend_api_key: some("re secret"), ..args }.check().unwrap_err();
    assert!(!bad.to_string().contains("secret"), "{bad}");
    assert!(Args::default().check().unwrap().mail.resend.is_none());
}

#[test]
fn each_refusal_names_its_setting() {
    let base = Args::default;
    let mail = || Args { resend_api_key: some("re_x"), mail_from: some("Chat <a@b.org>"), ..Args::default() };
    for (name, args) in [
        ("HOST", Args { host: some("example.org"), ..base() }),
        ("PORT", Args { port: some("65536"), ..base() }),
        ("DATABASE_URL", Args { database_url: some("postgres://x"), ..base() }),
        ("DATABASE_URL", Args { database_url: some("sqlite:"), ..base() }),
        ("JWT_SECRET", Args { jwt_secret: some("short"), ..base() }),
        ("ENCRYPTION_KEYS", Args { encryption_keys: some("a:b"), ..base() }),
        ("LEGACY_CBC_KEY", Args { legacy_cbc_key: some("too short"), ..base() }),
        ("LEGACY_GCM_KEY", Args { legacy_gcm_key: some("too short"), ..base() }),
        ("LEGACY_REENCRYPT", Args { legacy_reencrypt: some("on"), ..base() }),
        (
            "LEGACY_REENCRYPT",
            Args { legacy_reencrypt: some("maybe"), legacy_passphrase: some("x"), ..base() },
        ),
        ("TRUSTED_PROXIES", Args { trusted_proxies: some("10.0.0.0/8,x"), ..base() }),
        ("COOKIE_SECURE", Args { cookie_secure: some("maybe"), ..base() }),
        ("COOKIE_SAME_SITE", Args { cookie_same_site: some("none"), ..base() }),
        ("SHIELD", Args { shield: some("x"), ..base() }),
        ("REDIS_URL", Args { redis_url: some("redis://x"), ..base() }),
        ("RESEND_API_KEY", Args { resend_api_key: some("re_x"), ..base() }),
        ("RESEND_API_KEY", Args { resend_api_key: some("re x"), mail_from: some("a@b.org"), ..base() }),
        ("MAIL_FROM", Args { mail_from: some("a@b.org"), ..base() }),
        ("MAIL_FROM", Args { resend_api_key: some("re_x"), mail_from: some("Chat"), ..base() }),
        ("RESEND_BASE_URL", Args { resend_base_url: some("http://127.0.0.1"), ..base() }),
        ("RESEND_BASE_URL", Args { resend_base_url: some("127.0.0.1"), ..mail() }),
        ("CLIENT_URL", Args { client_url: some("chat.example.org"), ..base() }),
        ("VERIFY_EMAILS", Args { verify_emails: some("yes"), ..base() }),
        ("EDIT_WITHIN", Args { edit_within: some("15m"), ..base() }),
        ("EDIT_WITHIN", Args { edit_within: some("-1"), ..base() }),
        ("EDIT_WITHIN", Args { edit_within: some("99999999999999999999"), ..base() }),
        ("ARCJET_KEY", Args { arcjet_key: some("key"), ..base() }),
        ("ARCJET_BASE_URL", Args { arcjet_base_url: some("https://x.example.org"), ..base() }),
        ("ARCJET_BASE_URL", Args { arcjet_base_url: some("x"), arcjet_key: some("ajkey_x"), ..base() }),
        ("REFUSE_DISPOSABLE_EMAILS", Args { refuse_disposable_emails: some("yes"), ..base() }),
        ("CLOUDINARY_URL", Args { cloudinary_url: some("https://key:secret@cloud"), ..base() }),
        ("VERIFY_EMAILS", Args { verify_emails: some("on"), host: some("0.0.0.0"), ..base() }),
    ] {
        assert_eq!(refused(&args), name);
    }
    assert!(Args { log_format: some("xml"), ..base() }.log().is_err());
}
