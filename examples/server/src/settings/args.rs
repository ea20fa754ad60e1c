//! What there is to be set, with its help.

use clap::Parser;

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
