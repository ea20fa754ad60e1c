//! Opening whatever text is stored: ours, or another program's.

use std::sync::Arc;

use super::{Binding, ForeignText, KeyRing, Unreadable, seal::is_our_form};
use crate::store::MessageRecord;

/// The keys, and the decoders of other programs' texts.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    keys: Arc<KeyRing>,
    foreign: Arc<[Arc<dyn ForeignText>]>,
}

impl Opener {
    pub(crate) fn new(keys: KeyRing, foreign: Vec<Arc<dyn ForeignText>>) -> Self {
        Self { keys: Arc::new(keys), foreign: foreign.into() }
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The text of a message, if it has one. Other programs store an empty one where there is none.
    pub(crate) fn text(&self, message: &MessageRecord) -> Result<Option<String>, Unreadable> {
        let body = message.body.as_ref().filter(|body| !body.is_empty());
        let text = body.map(|body| self.open(&Binding::of(message), body)).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// What has our form is opened by our keys or not at all: else who can write to the database could pass off a text
    /// of their own, in a weaker form, as one of ours that was damaged.
    pub(crate) fn open(&self, binding: &Binding, body: &str) -> Result<String, Unreadable> {
        if body.is_empty() || is_our_form(body) {
            return self.keys.open(binding, body);
        }
        self.foreign.iter().find_map(|decoder| decoder.open(body)).ok_or(Unreadable::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChatId, MessageId, Timestamp, UserId};

    /// Reads whatever it is given, and says that it did.
    #[derive(Debug)]
    struct Greedy(&'static str);

    impl ForeignText for Greedy {
        fn open(&self, body: &str) -> Option<String> {
            (!body.contains("secret")).then(|| format!("{}: {body}", self.0))
        }
    }

    fn opener(foreign: Vec<Arc<dyn ForeignText>>) -> Opener {
        Opener::new(KeyRing::parse(&KeyRing::generate()).unwrap(), foreign)
    }

    fn binding() -> Binding {
        let now = Timestamp::now();
        Binding {
            chat: ChatId::generate(now),
            message: MessageId::generate(now),
            sender: UserId::generate(now),
        }
    }

    #[test]
    fn ours_first_and_then_the_others_in_their_order() {
        let (opener, here) = (opener(vec![Arc::new(Greedy("one")), Arc::new(Greedy("two"))]), binding());
        let sealed = opener.keys().seal(&here, "ours");
        assert_eq!(opener.open(&here, &sealed).as_deref(), Ok("ours"));
        assert_eq!(opener.open(&here, "a:b").as_deref(), Ok("one: a:b"));
        assert_eq!(opener.open(&here, "v1").as_deref(), Ok("one: v1"));
        assert_eq!(opener.open(&here, "secret"), Err(Unreadable::Malformed));
        assert_eq!(self::opener(vec![]).open(&here, "a:b"), Err(Unreadable::Malformed));
    }

    #[test]
    fn what_has_our_form_is_never_read_by_another() {
        let (opener, here) = (opener(vec![Arc::new(Greedy("read"))]), binding());
        let sealed = opener.keys().seal(&here, "ours");
        let id = opener.keys().first().id();
        for (body, reason) in [
            (sealed.replacen(id, "lost", 1), Unreadable::UnknownKey),
            (opener.keys().seal(&binding(), "moved"), Unreadable::Tampered),
            (sealed[..sealed.len() / 2].to_owned(), Unreadable::Malformed),
            (format!("v1.{id}.*"), Unreadable::Malformed),
            ("v1.".to_owned(), Unreadable::Malformed),
            (String::new(), Unreadable::Malformed),
        ] {
            assert_eq!(opener.open(&here, &body), Err(reason), "{body}");
        }
    }
}
