//! Settings: from flags, the environment, or a `.env` file, in that order; each checked, each refusal naming the one.

mod args;
#[cfg(test)]
mod tests;

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
use ipnet::IpNet;

pub use self::args::Args;

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
