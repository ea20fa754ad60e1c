//! Who is taken for a bot, by the user agent that they send.

use std::sync::LazyLock;

use isbot::Bots;

/// Which automated clients are let through.
///
/// A user agent is a claim and anybody can make another: this keeps crawlers that say who they are from filling an
/// application, and is no defence against those who don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BotPolicy {
    /// Crawlers are denied; plain HTTP clients (curl, axios, reqwest, okhttp …) are let through, and so is who sends
    /// no user agent.
    #[default]
    AllowHttpClients,
    /// Whatever does not look like a browser is denied.
    Strict,
    /// Nobody is denied.
    AllowAll,
}

/// A user agent has a name early or late, but no honest one is longer; what a header can hold would take the longest
/// to search.
const LONGEST: usize = 1024;

/// Clients and libraries that programs are written with, by the name that their user agent begins with. Most of them
/// isbot takes for bots.
const HTTP_CLIENTS: [&str; 48] = [
    "aiohttp",
    "alamofire",
    "apache-httpclient",
    "axios",
    "bruno",
    "bun",
    "chat-core",
    "curl",
    "dart",
    "deno",
    "dio",
    "elixir",
    "engine.io-client",
    "faraday",
    "go-http-client",
    "got",
    "guzzlehttp",
    "httpie",
    "httpx",
    "hyper",
    "insomnia",
    "java",
    "java-http-client",
    "jetty",
    "k6",
    "ktor-client",
    "libcurl",
    "libwww-perl",
    "lua-resty-http",
    "node",
    "node-fetch",
    "node-superagent",
    "okhttp",
    "php",
    "postmanruntime",
    "python",
    "python-httpx",
    "python-requests",
    "python-urllib",
    "reqwest",
    "rest-client",
    "ruby",
    "socket.io-client",
    "undici",
    "unityplayer",
    "ureq",
    "websocket-client",
    "wget",
];

/// isbot's patterns of such clients wherever they stand, for applications that put their own name first
/// (`Shop/2.1 okhttp/4.9`).
const HTTP_CLIENT_PATTERNS: [&str; 14] = [
    "aiohttp",
    "axios",
    "go-http-client",
    "guzzlehttp",
    "httpclient",
    "httpurlconnection",
    "httpx",
    "jetty",
    "libwww-perl",
    "node-fetch/",
    "okhttp",
    "python-requests",
    "python-urllib",
    "wget",
];

/// Everything that isbot knows. Building it takes milliseconds, so it is built once for all guards.
static BOTS: LazyLock<Bots> = LazyLock::new(Bots::default);

/// What isbot knows, without the clients above.
static CRAWLERS: LazyLock<Bots> = LazyLock::new(|| {
    let mut bots = Bots::default();
    bots.remove(&HTTP_CLIENT_PATTERNS);
    bots
});

impl BotPolicy {
    /// Builds what this policy needs, so that no visitor waits for it.
    pub(super) fn prepare(self) {
        match self {
            Self::AllowHttpClients => _ = &*CRAWLERS,
            Self::Strict => _ = &*BOTS,
            Self::AllowAll => {}
        }
    }

    /// Whether somebody with this user agent is denied.
    pub(super) fn denies(self, user_agent: Option<&str>) -> bool {
        let agent = user_agent.unwrap_or_default().trim();
        let agent = &agent[..agent.floor_char_boundary(LONGEST)];
        match self {
            Self::AllowAll => false,
            Self::AllowHttpClients => !agent.is_empty() && !is_http_client(agent) && CRAWLERS.is_bot(agent),
            Self::Strict => !is_browser(agent) || BOTS.is_bot(agent),
        }
    }
}

fn is_http_client(agent: &str) -> bool {
    let end = agent.find(['/', ' ', ';', '(']).unwrap_or(agent.len());
    HTTP_CLIENTS.iter().any(|client| client.eq_ignore_ascii_case(&agent[..end]))
}

/// All browsers of this century call themselves Mozilla, but for old Operas.
fn is_browser(agent: &str) -> bool {
    agent.starts_with("Mozilla/") || agent.starts_with("Opera/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSERS: [&str; 5] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    ];
    const CLIENTS: [&str; 34] = [
        "curl/8.5.0",
        "Wget/1.21.4",
        "axios/1.7.9",
        "node",
        "node-fetch",
        "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
        "undici",
        "got (https://github.com/sindresorhus/got)",
        "Bun/1.1.38",
        "Deno/2.1.1",
        "reqwest/0.12.9",
        "hyper/1.5",
        "okhttp/4.12.0",
        "Shop/2.1 okhttp/4.9",
        "Shop/3 CFNetwork/1568.200.51 Darwin/24.1.0",
        "python-requests/2.32.3",
        "python-httpx/0.27",
        "Python/3.12 aiohttp/3.11.9",
        "Python-urllib/3.12",
        "Go-http-client/1.1",
        "Go-http-client/2.0",
        "Dart/3.5 (dart:io)",
        "Java/17.0.9",
        "Java-http-client/21",
        "Apache-HttpClient/4.5.14 (Java/17.0.9)",
        "PostmanRuntime/7.43.0",
        "insomnia/10.2.0",
        "HTTPie/3.2.4",
        "GuzzleHttp/7",
        "libwww-perl/6.77",
        "node-superagent/3.8.3",
        "UnityPlayer/2022.3 (UnityWebRequest/1.0, libcurl/8.5.0-DEV)",
        "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8)",
        "An application that nobody knows/1.0",
    ];
    const CRAWLERS: [&str; 12] = [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.1; +https://openai.com/gptbot",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36",
        "Scrapy/2.11 (+https://scrapy.org)",
        "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
        "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    ];

    #[test]
    fn each_policy_denies_what_it_says() {
        use BotPolicy::{AllowAll, AllowHttpClients, Strict};
        for (agents, lenient, strict) in
            [(&BROWSERS[..], false, false), (&CLIENTS[..], false, true), (&CRAWLERS[..], true, true)]
        {
            for agent in agents {
                assert_eq!(AllowHttpClients.denies(Some(agent)), lenient, "{agent}");
                assert_eq!(Strict.denies(Some(agent)), strict, "{agent}");
                assert!(!AllowAll.denies(Some(agent)), "{agent}");
            }
        }
    }

    #[test]
    fn no_user_agent_is_denied_by_the_strict_policy_only() {
        for none in [None, Some(""), Some("  ")] {
            assert!(!BotPolicy::AllowHttpClients.denies(none));
            assert!(BotPolicy::Strict.denies(none));
        }
    }

    #[test]
    fn every_pattern_that_is_left_out_is_one_of_isbots() {
        // A pattern that isbot renames would stay in force silently: each alone must be known, and gone.
        for pattern in HTTP_CLIENT_PATTERNS {
            let agent = format!("Shop {pattern}");
            assert!(BOTS.is_bot(&agent), "{pattern}");
            assert!(!super::CRAWLERS.is_bot(&agent), "{pattern}");
        }
    }

    #[test]
    fn long_ones_are_cut_between_characters() {
        let long = "é".repeat(LONGEST) + " Googlebot/2.1";
        assert!(!BotPolicy::AllowHttpClients.denies(Some(&long)));
    }
}
