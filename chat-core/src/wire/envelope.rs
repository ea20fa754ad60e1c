//! Exactly three keys around every answer.

use serde::Serialize;

use crate::{Error, Invalid};

#[derive(Serialize)]
struct Envelope<'a, T: Serialize> {
    success: bool,
    data: T,
    message: &'a str,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a std::collections::BTreeMap<&'static str, std::borrow::Cow<'static, str>>>,
}

/// The answer to what went well.
pub(crate) fn success(data: &impl Serialize, message: &str) -> String {
    encode(&Envelope { success: true, data, message })
}

/// The answer to what did not.
pub(crate) fn failure(error: &Error) -> String {
    let fields = match error {
        Error::Validation(Invalid { fields }) => Some(fields),
        _ => None,
    };
    let data = Failure { code: error.code().as_str(), fields };
    encode(&Envelope { success: false, data, message: &error.to_string() })
}

#[allow(clippy::expect_used)]
fn encode(envelope: &impl Serialize) -> String {
    // Only types of this crate with string keys come here, and none of their implementations fails.
    serde_json::to_string(envelope).expect("the envelope serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys() {
        assert_eq!(success(&(), "Done."), r#"{"success":true,"data":null,"message":"Done."}"#);
        assert_eq!(
            failure(&Error::invalid("email", "required")),
            r#"{"success":false,"data":{"code":"validation_failed","fields":{"email":"required"}},"message":"Check your input: email: required."}"#
        );
        let secret = Error::internal("a driver's text with a secret");
        assert!(!failure(&secret).contains("driver") && failure(&secret).contains(r#"{"code":"internal"}"#));
    }
}
