//! `/api/auth/settings` and `/api/auth/blocks`: what people choose for themselves.

use serde::Serialize;

use super::endpoint::{Call, Reply};
use crate::{
    Result,
    store::{Settings, SettingsChange},
};

/// What one has chosen, as clients see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Chosen {
    sends_receipts: bool,
    is_invisible: bool,
}

impl From<Settings> for Chosen {
    fn from(settings: Settings) -> Self {
        Self { sends_receipts: settings.sends_receipts, is_invisible: settings.is_invisible }
    }
}

pub(super) async fn settings(call: Call) -> Result<Reply> {
    let settings = call.chat.auth().settings(call.session()?.user).await?;
    Ok(Reply::ok(&Chosen::from(settings), "Your settings."))
}

pub(super) async fn change_settings(mut call: Call) -> Result<Reply> {
    let me = call.session()?.user;
    let change = SettingsChange {
        sends_receipts: call.fields.optional_flag("sendsReceipts"),
        is_invisible: call.fields.optional_flag("isInvisible"),
    };
    std::mem::take(&mut call.fields).finish()?;
    let settings = call.chat.auth().change_settings(me, change).await?;
    Ok(Reply::ok(&Chosen::from(settings), "Saved."))
}

pub(super) async fn blocks(call: Call) -> Result<Reply> {
    let blocked = call.chat.auth().blocked(call.session()?.user).await?;
    Ok(Reply::ok(&blocked, "Whom you have blocked."))
}

pub(super) async fn block(call: Call) -> Result<Reply> {
    call.chat.auth().block(call.session()?.user, call.id()?).await?;
    Ok(Reply::ok(&(), "Blocked."))
}

pub(super) async fn unblock(call: Call) -> Result<Reply> {
    call.chat.auth().unblock(call.session()?.user, call.id()?).await?;
    Ok(Reply::ok(&(), "Not blocked any more."))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::{Limits, http::schemas};

    #[test]
    fn settings_are_described_as_they_are_sent() {
        let sent = json!(Chosen::from(Settings::default()));
        assert_eq!(sent, json!({ "sendsReceipts": true, "isInvisible": false }));
        let schemas = schemas::components(&Limits::default())["schemas"].take();
        for name in ["Settings", "ChangeSettings"] {
            let described = schemas[name]["properties"].as_object().unwrap().keys();
            assert_eq!(
                described.collect::<BTreeSet<_>>(),
                sent.as_object().unwrap().keys().collect(),
                "{name}"
            );
        }
    }
}
