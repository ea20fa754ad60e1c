//! Settings: from flags, the environment, or a `.env` file, in that order; each checked, each refusal naming the one.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use chat_core::{
    auth::JwtSecret,
    encryption::{
        KeyRing,
        foreign::{Aes256Key, AesCbc, AesGcm, CryptoJs},
    },
    http::{HttpSettings, SameSite},
    images::CloudinaryImages,
    mail::{ResendMailer, ResendSettingsError},
    shield::ArcjetShield,
};
use clap::Parser;
use ipnet::IpNet;

/// As given; nothing is checked yet. An empty value counts as absent.
#[derive(Parser, Default)]
#[command(name = "server", version, about = "A complete chat back end in one binary.")]
#[allow(missing_docs, reason = "the doc comments are the help texts")]
pub struct Args {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "HOST")]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one [default: 3000]
    #[arg(long, env = "PORT")]
    pub port: Option<String>,
    /// Folder for the database, the images, and the secrets made at the first start [default: ./chat-data]
    #[arg(long, env = "DATA_DIR")]
    pub data_dir: Option<String>,
    /// `sqlite:<path>`, or `mongodb://…/<database>` [default: SQLite, chat.db in DATA_DIR]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Signs the tokens: at least 32 bytes [default: made at the first start]
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,
    /// Seals the messages: `id:base64,id:base64`, 32 bytes each; the first writes, all read [default: made at the
    /// first start]
    #[arg(long, env = "ENCRYPTION_KEYS", hide_env_values = true)]
    pub encryption_keys: Option<String>,
    /// Reads messages that a Node.js program wrote as `iv:ciphertext`, with AES-256-CBC: its key, as 64 hex
    /// characters, in base64, or a text of 32 bytes [default: such messages are unreadable]
    #[arg(long, env = "LEGACY_CBC_KEY", hide_env_values = true)]
    pub legacy_cbc_key: Option<String>,
    /// The same for `iv:tag:ciphertext`, with AES-256-GCM
    #[arg(long, env = "LEGACY_GCM_KEY", hide_env_values = true)]
    pub legacy_gcm_key: Option<String>,
    /// The same for `U2FsdGVkX1…`, by CryptoJS with this passphrase
    #[arg(long, env = "LEGACY_PASSPHRASE", hide_env_values = true)]
    pub legacy_passphrase: Option<String>,
    /// `on` re-encrypts those messages under the first of ENCRYPTION_KEYS, at each start; the program that wrote them
    /// can't read them any more then [default: off]
    #[arg(long, env = "LEGACY_REENCRYPT", hide_env_values = true)]
    pub legacy_reencrypt: Option<String>,
    /// Origins whose pages may use the API, separated by commas [default: its own only]
    #[arg(long, env = "ALLOWED_ORIGINS")]
    pub allowed_origins: Option<String>,
    /// Addresses or networks of proxies whose X-Forwarded-For counts, separated by commas [default: none]
    #[arg(long, env = "TRUSTED_PROXIES")]
    pub trusted_proxies: Option<String>,
    /// Where clients see the server, when not at the root of the site they are on: a URL or a path [default: none]
    #[arg(long, env = "PUBLIC_URL")]
    pub public_url: Option<String>,
    /// `true` sends the cookie over HTTPS only [default: false on loopback, else true]
    #[arg(long, env = "COOKIE_SECURE")]
    pub cookie_secure: Option<String>,
    /// `lax`, or `none` for a front end on another site [default: lax]
    #[arg(long, env = "COOKIE_SAME_SITE")]
    pub cookie_same_site: Option<String>,
    /// `on`, or `off` for load tests: no rate limit, no bot check [default: on]
    #[arg(long, env = "SHIELD")]
    pub shield: Option<String>,
    /// Images go to Cloudinary: `cloudinary://key:secret@cloud`, as it shows it; `?upload_prefix=…` for a proxy in
    /// between [default: images in DATA_DIR]
    #[arg(long, env = "CLOUDINARY_URL", hide_env_values = true)]
    pub cloudinary_url: Option<String>,
    /// Mail goes out by Resend, with this API key; needs MAIL_FROM [default: mail goes to the log]
    #[arg(long, env = "RESEND_API_KEY", hide_env_values = true)]
    pub resend_api_key: Option<String>,
    /// The sender of mail, whose domain is verified at Resend: `chat@example.org` or `Chat <chat@example.org>`
    #[arg(long, env = "MAIL_FROM")]
    pub mail_from: Option<String>,
    /// Where Resend is, for a proxy in between [default: <https://api.resend.com>]
    #[arg(long, env = "RESEND_BASE_URL", hide_env_values = true)]
    pub resend_base_url: Option<String>,
    /// Where people open the application: links in mails lead to `/reset-password` and `/verify-email` there [default:
    /// PUBLIC_URL, if that is a URL; on loopback this server, which has these pages]
    #[arg(long, env = "CLIENT_URL")]
    pub client_url: Option<String>,
    /// `on`: nobody signs in before they opened a link in a mail to them [default: off]
    #[arg(long, env = "VERIFY_EMAILS")]
    pub verify_emails: Option<String>,
    /// The name of the application in mails [default: Chat]
    #[arg(long, env = "APP_NAME")]
    pub app_name: Option<String>,
    /// Minutes after it was sent in which a message can be edited: 15; 0 for never
    #[arg(long, env = "EDIT_WITHIN")]
    pub edit_within: Option<String>,
    /// Arcjet decides who may come in, with this key of a site [default: the built-in shield]
    #[arg(long, env = "ARCJET_KEY", hide_env_values = true)]
    pub arcjet_key: Option<String>,
    /// Where Arcjet is, for a proxy in between [default: <https://decide.arcjet.com>]
    #[arg(long, env = "ARCJET_BASE_URL", hide_env_values = true)]
    pub arcjet_base_url: Option<String>,
    /// `on`: nobody signs up with an e-mail of a service for addresses that last some minutes [default: off]
    #[arg(long, env = "REFUSE_DISPOSABLE_EMAILS")]
    pub refuse_disposable_emails: Option<String>,
    /// Connects several nodes (not in this version yet) [default: one node]
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// What is logged: a level, or a filter such as `info,chat_core=debug` [default: info]
    #[arg(long, env = "RUST_LOG")]
    pub rust_log: Option<String>,
    /// `text`, or `json` for machines [default: text]
    #[arg(long, env = "LOG_FORMAT")]
    pub log_format: Option<String>,
}

impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Args { .. }")
    }
}

/// A setting that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} can't be used: {reason}")]
pub struct BadSetting {
    /// Its name in the environment.
    pub name: &'static str,
    /// Why. Never shows a secret.
    pub reason: String,
}

/// Checked settings.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is documented at `Args`")]
pub struct Settings {
    pub host: IpAddr,
    pub port: u16,
    pub data_dir: PathBuf,
    pub database: Database,
    pub jwt_secret: Option<JwtSecret>,
    pub encryption_keys: Option<KeyRing>,
    pub legacy: Legacy,
    pub http: HttpSettings,
    pub has_foreign_origins: bool,
    pub public_url: String,
    pub shield: bool,
    pub edit_within: Duration,
    pub arcjet: Option<ArcjetShield>,
    pub refuse_disposable_emails: bool,
    pub mail: MailSettings,
    pub cloudinary: Option<CloudinaryImages>,
}

/// What goes out by mail, and how.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each is documented at `Args`")]
pub struct MailSettings {
    pub resend: Option<ResendMailer>,
    pub client_url: Option<String>,
    pub app_name: Option<String>,
    pub verify: bool,
}

/// Where messages and users are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// SQLite, in this file or in the data folder.
    Sqlite(Option<PathBuf>),
    /// MongoDB, by its URI.
    Mongo(String),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A URI may have a password in it.
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Mongo(_) => "Mongo",
        })
    }
}

impl Database {
    fn parse(url: &str) -> Result<Self, BadSetting> {
        if ["mongodb://", "mongodb+srv://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(Self::Mongo(url.to_owned()));
        }
        match url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//")) {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(Some(PathBuf::from(path)))),
            _ => bad("DATABASE_URL", "it is neither `sqlite:<path>` nor `mongodb://…/<database>`"),
        }
    }
}

fn minutes(text: &str) -> Result<Duration, BadSetting> {
    match text.parse::<u32>() {
        Ok(minutes) => Ok(Duration::from_secs(u64::from(minutes) * 60)),
        Err(_) => bad("EDIT_WITHIN", format!("`{text}` is not a whole number of minutes")),
    }
}

/// Messages of a program that wrote to the database before, or still does.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each is documented at `Args`")]
pub struct Legacy {
    pub cbc: Option<AesCbc>,
    pub gcm: Option<AesGcm>,
    pub crypto_js: Option<CryptoJs>,
    pub reencrypt: bool,
}

impl Legacy {
    /// Whether there are such messages, as far as the settings say.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.cbc.is_some() || self.gcm.is_some() || self.crypto_js.is_some()
    }
}

/// How logs are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is documented at `Args`")]
pub struct LogSettings {
    pub filter: String,
    pub json: bool,
}

impl Args {
    /// What is needed to write a log, before anything else is checked.
    ///
    /// # Errors
    /// [`BadSetting`] names the one that can't be used.
    pub fn log(&self) -> Result<LogSettings, BadSetting> {
        let json = choice("LOG_FORMAT", given(&self.log_format), &[("text", false), ("json", true)], false)?;
        Ok(LogSettings { filter: given(&self.rust_log).unwrap_or("info").to_owned(), json })
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`BadSetting`] names the first one that can't be used.
    pub fn check(&self) -> Result<Settings, BadSetting> {
        if given(&self.redis_url).is_some() {
            return bad("REDIS_URL", "this version does not have that yet; leave it out");
        }
        let host = match given(&self.host) {
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(host) => host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse()
                .or_else(|_| bad("HOST", format!("`{host}` is not an IP address")))?,
        };
        let port = given(&self.port).map_or(Ok(3000), |port| {
            port.parse().or_else(|_| bad("PORT", format!("`{port}` is not a number from 0 to 65535")))
        })?;
        let database = given(&self.database_url).map_or(Ok(Database::Sqlite(None)), Database::parse)?;
        let jwt_secret = given(&self.jwt_secret)
            .map(|secret| JwtSecret::new(secret).or_else(|error| bad("JWT_SECRET", error.to_string())))
            .transpose()?;
        let encryption_keys = given(&self.encryption_keys)
            .map(|keys| KeyRing::parse(keys).or_else(|error| bad("ENCRYPTION_KEYS", error.to_string())))
            .transpose()?;
        let flags = [("true", true), ("1", true), ("false", false), ("0", false)];
        let secure = choice("COOKIE_SECURE", given(&self.cookie_secure), &flags, !host.is_loopback())?;
        let sites = [("lax", SameSite::Lax), ("none", SameSite::None)];
        let same_site = choice("COOKIE_SAME_SITE", given(&self.cookie_same_site), &sites, SameSite::Lax)?;
        if same_site == SameSite::None && !secure {
            return bad("COOKIE_SAME_SITE", "`none` needs COOKIE_SECURE=true: browsers refuse it otherwise");
        }
        let mail = self.mail()?;
        let has_client =
            mail.client_url.is_some() || given(&self.public_url).is_some_and(|url| url.contains("://"));
        if mail.verify && !has_client && !host.is_loopback() {
            return bad("VERIFY_EMAILS", "`on` needs CLIENT_URL, where the links lead");
        }
        let origins: Vec<_> = list(&self.allowed_origins).collect();
        let proxies = list(&self.trusted_proxies).map(network).collect::<Result<Vec<_>, _>>()?;
        Ok(Settings {
            host,
            port,
            data_dir: given(&self.data_dir).unwrap_or("chat-data").into(),
            database,
            jwt_secret,
            encryption_keys,
            legacy: self.legacy()?,
            has_foreign_origins: !origins.is_empty(),
            http: HttpSettings::default()
                .allowed_origins(origins)
                .trusted_proxies(proxies)
                .cookie_secure(secure)
                .cookie_same_site(same_site),
            public_url: given(&self.public_url).unwrap_or_default().to_owned(),
            shield: choice("SHIELD", given(&self.shield), &[("on", true), ("off", false)], true)?,
            arcjet: self.arcjet()?,
            refuse_disposable_emails: choice(
                "REFUSE_DISPOSABLE_EMAILS",
                given(&self.refuse_disposable_emails),
                &[("on", true), ("off", false)],
                false,
            )?,
            edit_within: given(&self.edit_within).map_or(Ok(Duration::from_secs(15 * 60)), minutes)?,
            mail,
            cloudinary: given(&self.cloudinary_url)
                .map(|url| {
                    CloudinaryImages::from_url(url).or_else(|error| bad("CLOUDINARY_URL", error.to_string()))
                })
                .transpose()?,
        })
    }

    fn arcjet(&self) -> Result<Option<ArcjetShield>, BadSetting> {
        let Some(key) = given(&self.arcjet_key) else {
            return match given(&self.arcjet_base_url) {
                Some(_) => bad("ARCJET_BASE_URL", "it needs ARCJET_KEY"),
                None => Ok(None),
            };
        };
        let shield = ArcjetShield::new(key).or_else(|error| bad("ARCJET_KEY", error.to_string()))?;
        let shield = match given(&self.arcjet_base_url) {
            Some(url) => {
                shield.with_base_url(url).or_else(|error| bad("ARCJET_BASE_URL", error.to_string()))?
            }
            None => shield,
        };
        Ok(Some(shield))
    }

    fn mail(&self) -> Result<MailSettings, BadSetting> {
        let resend = match (given(&self.resend_api_key), given(&self.mail_from)) {
            (None, None) if given(&self.resend_base_url).is_some() => {
                return bad("RESEND_BASE_URL", "it needs RESEND_API_KEY and MAIL_FROM");
            }
            (None, None) => None,
            (Some(_), None) => return bad("RESEND_API_KEY", "it needs MAIL_FROM, the sender of the mails"),
            (None, Some(_)) => {
                return bad("MAIL_FROM", "it needs RESEND_API_KEY; without that no mail is sent");
            }
            (Some(key), Some(from)) => {
                let of_setting = |error: ResendSettingsError| {
                    let name = match &error {
                        ResendSettingsError::Address(_) => "MAIL_FROM",
                        ResendSettingsError::BaseUrl(_) => "RESEND_BASE_URL",
                        _ => "RESEND_API_KEY",
                    };
                    BadSetting { name, reason: error.to_string() }
                };
                let mailer = ResendMailer::new(key, from).map_err(of_setting)?;
                Some(match given(&self.resend_base_url) {
                    Some(url) => mailer.with_base_url(url).map_err(of_setting)?,
                    None => mailer,
                })
            }
        };
        let client_url = given(&self.client_url).map(str::to_owned);
        if client_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            return bad("CLIENT_URL", "it is not an http or https URL");
        }
        let app_name = given(&self.app_name).map(str::to_owned);
        let switch = [("on", true), ("off", false)];
        let verify = choice("VERIFY_EMAILS", given(&self.verify_emails), &switch, false)?;
        Ok(MailSettings { resend, client_url, app_name, verify })
    }

    fn legacy(&self) -> Result<Legacy, BadSetting> {
        let key = |name, value| {
            given(value)
                .map(|key| Aes256Key::parse(key).or_else(|error| bad(name, error.to_string())))
                .transpose()
        };
        let switch = [("on", true), ("off", false)];
        let legacy = Legacy {
            cbc: key("LEGACY_CBC_KEY", &self.legacy_cbc_key)?.map(AesCbc::new),
            gcm: key("LEGACY_GCM_KEY", &self.legacy_gcm_key)?.map(AesGcm::new),
            crypto_js: given(&self.legacy_passphrase).map(CryptoJs::new),
            reencrypt: choice("LEGACY_REENCRYPT", given(&self.legacy_reencrypt), &switch, false)?,
        };
        if legacy.reencrypt && !legacy.is_given() {
            return bad("LEGACY_REENCRYPT", "`on` needs LEGACY_CBC_KEY, LEGACY_GCM_KEY or LEGACY_PASSPHRASE");
        }
        Ok(legacy)
    }
}

fn bad<T>(name: &'static str, reason: impl Into<String>) -> Result<T, BadSetting> {
    Err(BadSetting { name, reason: reason.into() })
}

fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

fn list(value: &Option<String>) -> impl Iterator<Item = &str> {
    given(value).unwrap_or_default().split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn choice<T: Copy>(
    name: &'static str,
    value: Option<&str>,
    choices: &[(&str, T)],
    default: T,
) -> Result<T, BadSetting> {
    let Some(value) = value else { return Ok(default) };
    let found = choices.iter().find(|(text, _)| text.eq_ignore_ascii_case(value));
    found.map_or_else(
        || {
            let texts: Vec<_> = choices.iter().map(|(text, _)| *text).collect();
            bad(name, format!("`{value}` is not one of {}", texts.join(", ")))
        },
        |(_, choice)| Ok(*choice),
    )
}

fn network(entry: &str) -> Result<IpNet, BadSetting> {
    let network = entry.parse().ok().or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from));
    network.map_or_else(
        || {
            bad(
                "TRUSTED_PROXIES",
                format!("`{entry}` is neither an address nor a network such as 10.0.0.0/8"),
            )
        },
        Ok,
    )
}

#[cfg(test)]
mod tests {
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
        let mail =
            || Args { resend_api_key: some("re_x"), mail_from: some("Chat <a@b.org>"), ..Args::default() };
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
}
