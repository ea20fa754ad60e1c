//! `/api/auth`

use http::{HeaderName, HeaderValue, header};

use super::{
    body::picture,
    endpoint::{Call, Reply},
    settings::DEVICE_COOKIE,
};
use crate::{
    Error, Result, Timestamp,
    auth::{Credentials, KNOWN_LIFE, ProfileEdit, SignUp, SignedIn},
    shield::AccountAction,
};

pub(super) async fn sign_up(mut call: Call) -> Result<Reply> {
    let input = SignUp {
        email: call.fields.string("email").unwrap_or_default(),
        full_name: call.fields.string("fullName").unwrap_or_default(),
        password: call.fields.string("password").unwrap_or_default(),
        device: call.device(),
    };
    std::mem::take(&mut call.fields).finish()?;
    let input = call.chat.auth().check(input)?;
    call.attempt(AccountAction::SignUp, &input.email).await?;
    if call.chat.shared.verifies_emails {
        let user = call.chat.auth().register(input).await?;
        return Ok(Reply::created(&user, "Welcome. Open the link in the mail that is on its way to you."));
    }
    let email = input.email.clone();
    let signed_in = call.chat.auth().sign_up(input).await?;
    let reply = Reply::created(&signed_in.user, "Welcome.").with(Some(cookie(&call, &signed_in)?));
    Ok(reply.with(device_cookie(&call, &email)?))
}

pub(super) async fn log_in(mut call: Call) -> Result<Reply> {
    let input = Credentials {
        email: call.fields.string("email").unwrap_or_default(),
        password: call.fields.string("password").unwrap_or_default(),
        device: call.device(),
    };
    std::mem::take(&mut call.fields).finish()?;
    let input = call.chat.auth().check_credentials(input)?;
    call.attempt(AccountAction::LogIn, &input.email).await?;
    let email = input.email.clone();
    let signed_in = call.chat.auth().log_in(input).await?;
    let reply = Reply::ok(&signed_in.user, "Welcome back.").with(Some(cookie(&call, &signed_in)?));
    Ok(reply.with(device_cookie(&call, &email)?))
}

pub(super) async fn change_password(mut call: Call) -> Result<Reply> {
    let session = call.session()?;
    let current = call.fields.string("currentPassword").unwrap_or_default();
    let new = call.fields.string("newPassword").unwrap_or_default();
    std::mem::take(&mut call.fields).finish()?;
    // Whoever found a device that is signed in may guess no faster than others.
    let user = call.chat.auth().user(session.user).await?;
    call.attempt(AccountAction::LogIn, &user.email).await?;
    call.chat.auth().change_password(&session, current, new).await?;
    Ok(Reply::ok(&(), "Password changed. All your other devices are signed out."))
}

pub(super) async fn forgot_password(mut call: Call) -> Result<Reply> {
    let email = call.fields.string("email").unwrap_or_default();
    std::mem::take(&mut call.fields).finish()?;
    call.attempt(AccountAction::Mail, &email).await?;
    call.chat.auth().forgot_password(&email).await?;
    Ok(Reply::ok(&(), "If there is an account with this e-mail, a link to a new password is on its way."))
}

pub(super) async fn reset_password(mut call: Call) -> Result<Reply> {
    let token = call.fields.string("token").unwrap_or_default();
    let password = call.fields.string("password").unwrap_or_default();
    std::mem::take(&mut call.fields).finish()?;
    call.chat.auth().reset_password(&token, password).await?;
    Ok(Reply::ok(&(), "Password changed. Sign in with it."))
}

pub(super) async fn verify_email(mut call: Call) -> Result<Reply> {
    let token = call.fields.string("token").unwrap_or_default();
    std::mem::take(&mut call.fields).finish()?;
    call.chat.auth().verify_email(&token).await?;
    Ok(Reply::ok(&(), "Your e-mail is verified."))
}

pub(super) async fn resend_verification(mut call: Call) -> Result<Reply> {
    let email = call.fields.string("email").unwrap_or_default();
    std::mem::take(&mut call.fields).finish()?;
    call.attempt(AccountAction::Mail, &email).await?;
    call.chat.auth().send_verification(&email).await?;
    Ok(Reply::ok(&(), "If an account with this e-mail waits for it, a link is on its way."))
}

pub(super) async fn sessions(call: Call) -> Result<Reply> {
    let sessions = call.chat.auth().sessions(&call.session()?).await?;
    Ok(Reply::ok(&sessions, "Your sign-ins."))
}

pub(super) async fn end_session(call: Call) -> Result<Reply> {
    call.chat.auth().end_session(&call.session()?, call.id()?).await?;
    Ok(Reply::ok(&(), "That sign-in is over."))
}

pub(super) async fn end_other_sessions(call: Call) -> Result<Reply> {
    call.chat.auth().end_other_sessions(&call.session()?).await?;
    Ok(Reply::ok(&(), "All your other devices are signed out."))
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

/// By which the device is told from those of strangers who guess at this account.
fn device_cookie(call: &Call, email: &str) -> Result<Option<(HeaderName, HeaderValue)>> {
    let shared = &call.chat.shared;
    let proof = shared.devices.proof(email, Timestamp::now());
    let cookie = proof.map(|proof| shared.http.named_cookie(DEVICE_COOKIE, &proof, KNOWN_LIFE));
    cookie.map(|cookie| set_cookie(&cookie)).transpose()
}

fn set_cookie(cookie: &str) -> Result<(HeaderName, HeaderValue)> {
    Ok((header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(Error::internal)?))
}
