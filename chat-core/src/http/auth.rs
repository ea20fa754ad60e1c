//! `/api/auth`

use http::{HeaderName, HeaderValue, header};

use super::{
    body::picture,
    endpoint::{Call, Reply},
};
use crate::{
    Error, Result,
    auth::{Credentials, ProfileEdit, SignUp, SignedIn},
};

pub(super) async fn sign_up(mut call: Call) -> Result<Reply> {
    let input = SignUp {
        email: call.fields.string("email").unwrap_or_default(),
        full_name: call.fields.string("fullName").unwrap_or_default(),
        password: call.fields.string("password").unwrap_or_default(),
    };
    std::mem::take(&mut call.fields).finish()?;
    let signed_in = call.chat.auth().sign_up(input).await?;
    Ok(Reply::created(&signed_in.user, "Welcome.").with(Some(cookie(&call, &signed_in)?)))
}

pub(super) async fn log_in(mut call: Call) -> Result<Reply> {
    let input = Credentials {
        email: call.fields.string("email").unwrap_or_default(),
        password: call.fields.string("password").unwrap_or_default(),
    };
    std::mem::take(&mut call.fields).finish()?;
    let signed_in = call.chat.auth().log_in(input).await?;
    Ok(Reply::ok(&signed_in.user, "Welcome back.").with(Some(cookie(&call, &signed_in)?)))
}

/// Without a session there is nothing to end, and that is fine: whoever logs out wants the cookie gone.
pub(super) async fn log_out(call: Call) -> Result<Reply> {
    if let Some(session) = &call.session {
        call.chat.auth().log_out(session).await?;
    }
    let cleared = call.chat.shared.http.cookie("", std::time::Duration::ZERO);
    Ok(Reply::ok(&(), "Logged out.").with(Some(set_cookie(&cleared)?)))
}

pub(super) async fn update_profile(mut call: Call) -> Result<Reply> {
    let user = call.session()?.user;
    let full_name = call.fields.string("fullName");
    let inline = call.fields.string("profilePic");
    std::mem::take(&mut call.fields).finish()?;
    let picture = match (call.file.take(), inline) {
        (Some(file), _) => Some(Some(file).filter(|file| !file.is_empty())),
        (None, Some(empty)) if empty.is_empty() => Some(None),
        (None, Some(url)) => Some(Some(picture("profilePic", url, call.chat.limits()).await?)),
        (None, None) => None,
    };
    let user = call.chat.auth().update_profile(user, ProfileEdit { full_name, picture }).await?;
    Ok(Reply::ok(&user, "Profile saved."))
}

pub(super) async fn me(call: Call) -> Result<Reply> {
    let user = call.chat.auth().user(call.session()?.user).await;
    // An account that is gone has no sign-ins.
    let user = user
        .map_err(|error| if matches!(error, Error::NotFound(_)) { Error::Unauthenticated } else { error })?;
    Ok(Reply::ok(&user, "You are signed in."))
}

fn cookie(call: &Call, signed_in: &SignedIn) -> Result<(HeaderName, HeaderValue)> {
    set_cookie(&call.chat.shared.http.cookie(signed_in.token.as_str(), call.chat.auth().token_life()))
}

fn set_cookie(cookie: &str) -> Result<(HeaderName, HeaderValue)> {
    Ok((header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(Error::internal)?))
}
