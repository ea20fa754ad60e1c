//! Mails as HTML.
//!
//! For mail clients: what they do to a page is at <https://www.caniemail.com>. Well-formed as XML, too, for those that
//! are strict, and for tests.

use std::fmt::Write;

use super::words::{Button, Words};

const FONT: &str =
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";

/// Colours that clients may turn around for the dark, and those for clients that ask.
const DARK: &str = "@media (prefers-color-scheme:dark){\
.page{background-color:#16181d !important}\
.card{background-color:#22252c !important;border-color:#363b45 !important}\
.words{color:#e8eaee !important}\
.quiet{color:#a6adb9 !important}\
.link{color:#9db8ff !important}}";

pub(super) fn page(words: &Words<'_>) -> String {
    let mut body = paragraph(&words.greeting);
    words.paragraphs.iter().for_each(|text| body += &paragraph(text));
    if let Some(it) = &words.button {
        body += &button(it);
    }
    words.after.iter().for_each(|text| body += &paragraph(text));
    // After the preheader nothing of the page shows in a list of mails.
    let filler = "&#847;&#8204;&#160;".repeat(40);
    format!(
        r#"<!DOCTYPE html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta name="supported-color-schemes" content="light dark" />
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no" />
<title>{subject}</title>
<style>{DARK}</style>
</head>
<body class="page" style="margin:0;padding:0;background-color:#f2f3f6">
<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;mso-hide:all">{preheader}{filler}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background-color:#f2f3f6">
<tr>
<td align="center" style="padding:32px 16px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:560px;text-align:left">
<tr>
<td class="quiet" style="padding:0 8px 16px;{FONT};font-size:15px;font-weight:600;line-height:24px;color:#5a6270">{app}</td>
</tr>
<tr>
<td class="card" style="padding:32px 32px 16px;background-color:#ffffff;border:1px solid #e1e4ea;border-radius:12px">
{body}</td>
</tr>
<tr>
<td class="quiet" style="padding:16px 8px 0;{FONT};font-size:13px;line-height:20px;color:#5a6270">{footer}</td>
</tr>
</table>
</td>
</tr>
</table>
</body>
</html>
"#,
        subject = escape(&words.subject),
        preheader = escape(words.preheader),
        app = escape(words.app),
        footer = escape(&words.footer),
    )
}

fn paragraph(text: &str) -> String {
    format!(
        "<p class=\"words\" style=\"margin:0 0 16px;{FONT};font-size:16px;line-height:26px;color:#1d2129\">{}</p>\n",
        escape(text)
    )
}

/// With the URL in full below it, for clients that show no buttons and people who want to see where it leads.
fn button(button: &Button<'_>) -> String {
    let (label, url) = (escape(&button.label), escape(button.url));
    format!(
        r#"<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:8px 0 16px">
<tr>
<td style="border-radius:8px;background-color:#2f5bea"><a href="{url}" target="_blank" style="display:inline-block;padding:12px 24px;{FONT};font-size:16px;font-weight:600;line-height:24px;color:#ffffff;text-decoration:none">{label}</a></td>
</tr>
</table>
<p class="quiet" style="margin:0 0 16px;{FONT};font-size:13px;line-height:20px;color:#5a6270;word-break:break-all">Or copy this into your browser:<br /><a class="link" href="{url}" target="_blank" style="color:#2f5bea">{url}</a></p>
"#
    )
}

/// For content and for attributes in double quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        let _ = match c {
            '&' => escaped.write_str("&amp;"),
            '<' => escaped.write_str("&lt;"),
            '>' => escaped.write_str("&gt;"),
            '"' => escaped.write_str("&quot;"),
            '\'' => escaped.write_str("&#39;"),
            c => escaped.write_char(c),
        };
    }
    escaped
}
