//! The fields of a JSON object, taken out one by one; what is of a wrong type is told by name, all at once.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use serde_json::value::RawValue;

use crate::{Error, Invalid, Result};

/// An object's fields. `null` counts as absent, an unknown field is ignored.
///
/// Values stay text until they are asked for: a tree of them would take many times the memory of what came.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    map: BTreeMap<String, Box<RawValue>>,
    invalid: Invalid,
    /// A string with an escape that is none.
    is_broken: bool,
}

impl Fields {
    /// Reads a JSON object.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let text = json.trim_ascii();
        if text.is_empty() {
            return Err(Error::InvalidJson("it is empty".to_owned()));
        }
        match serde_json::from_slice(text) {
            Ok(map) => Ok(Self { map, ..Self::default() }),
            // Something that is JSON, or at least begins like it.
            Err(_) if !text.starts_with(b"{") => Err(Error::InvalidJson("it is something else".to_owned())),
            Err(error) => {
                let at = format!("line {}, column {}", error.line(), error.column());
                Err(Error::InvalidJson(format!("it can't be read at {at}")))
            }
        }
    }

    /// Adds a field, as a form does.
    pub(crate) fn insert(&mut self, name: String, value: &str) {
        if let Ok(value) = serde_json::value::to_raw_value(value) {
            self.map.insert(name, value);
        }
    }

    /// A text.
    pub(crate) fn string(&mut self, name: &'static str) -> Option<String> {
        let value = self.take(name)?;
        if !value.get().starts_with('"') {
            return self.refuse(name, "must be a string");
        }
        let text = serde_json::from_str::<Cow<'_, str>>(value.get());
        self.is_broken |= text.is_err();
        text.ok().map(Cow::into_owned)
    }

    /// A text, which must be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<String> {
        if self.is_absent(name) { self.refuse(name, "required") } else { self.string(name) }
    }

    /// Any value, as it came.
    #[cfg_attr(not(feature = "websocket"), allow(dead_code))]
    pub(crate) fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.take(name)
    }

    /// An id, which must be there.
    pub(crate) fn id<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        if self.is_absent(name) {
            return self.refuse(name, "required");
        }
        let text = self.string(name)?;
        text.parse().ok().or_else(|| self.refuse(name, "must be an id: 24 hex characters"))
    }

    /// An id, which may be absent.
    pub(crate) fn optional_id<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        if self.is_absent(name) { None } else { self.id(name) }
    }

    /// A whole number that is not negative; `5.0` and `5e0` are one too, by JSON Schema and to JavaScript. One that
    /// is too large is the largest.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u64> {
        let value = self.take(name)?;
        let number = serde_json::from_str(value.get()).ok();
        let whole = || {
            let number = serde_json::from_str(value.get()).ok();
            // The cast saturates.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked")]
            number.filter(|number: &f64| *number >= 0.0 && number.fract() == 0.0).map(|number| number as u64)
        };
        number.or_else(whole).or_else(|| self.refuse(name, "must be a whole number that is not negative"))
    }

    /// Yes or no, which must be there.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name).as_deref().map(RawValue::get) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => self.refuse(name, "must be true or false"),
        }
    }

    /// Yes or no, which may be absent.
    pub(crate) fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        if self.is_absent(name) { None } else { self.flag(name) }
    }

    fn is_absent(&self, name: &str) -> bool {
        self.map.get(name).is_none_or(|value| value.get() == "null")
    }

    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.map.remove(name).filter(|value| value.get() != "null")
    }

    /// Notes what is wrong with a field.
    pub(crate) fn refuse<T>(&mut self, name: &'static str, reason: &'static str) -> Option<T> {
        self.invalid.fields.insert(name, reason.into());
        None
    }

    /// Whether all that was taken out was of the right type. Call it before using any of it.
    pub(crate) fn finish(self) -> Result<()> {
        if self.is_broken {
            Err(Error::InvalidJson("a string in it can't be read".to_owned()))
        } else if self.invalid.fields.is_empty() {
            Ok(())
        } else {
            Err(Error::Validation(self.invalid))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, UserId};

    #[test]
    fn wrong_types_are_told_together() {
        let mut fields = Fields::parse(br#"{"a": 5, "b": {}, "c": null, "d": "x", "e": -1}"#).unwrap();
        assert_eq!((fields.string("a"), fields.string("b"), fields.string("c")), (None, None, None));
        assert_eq!(fields.string("d").as_deref(), Some("x"));
        assert_eq!((fields.number("e"), fields.id::<UserId>("f"), fields.flag("g")), (None, None, None));
        let Err(Error::Validation(invalid)) = fields.finish() else { panic!() };
        assert_eq!(invalid.fields.into_keys().collect::<Vec<_>>(), ["a", "b", "e", "f", "g"]);
    }

    #[test]
    fn what_may_be_absent() {
        let id = "65b2c3d4e5f6a7b8c9d0e1f2";
        let text =
            format!(r#"{{"a": "{id}", "b": false, "c": null, "d": 5, "e": "x", "f": "", "g": "true"}}"#);
        let mut fields = Fields::parse(text.as_bytes()).unwrap();
        assert_eq!(fields.optional_id::<UserId>("a"), id.parse().ok());
        assert_eq!((fields.optional_flag("b"), fields.optional_flag("c")), (Some(false), None));
        assert_eq!((fields.optional_id::<UserId>("c"), fields.optional_id::<UserId>("z")), (None, None));
        for wrong in ["d", "e", "f"] {
            assert_eq!(fields.optional_id::<UserId>(wrong), None, "{wrong}");
        }
        assert_eq!(fields.optional_flag("g"), None);
        let Err(Error::Validation(invalid)) = fields.finish() else { panic!() };
        assert_eq!(invalid.fields.into_keys().collect::<Vec<_>>(), ["d", "e", "f", "g"]);
    }

    #[test]
    fn whole_numbers() {
        let number = |text: &str| {
            let mut fields = Fields::parse(format!(r#"{{"n":{text}}}"#).as_bytes()).unwrap();
            let number = fields.number("n");
            assert_eq!(fields.finish().is_ok(), number.is_some(), "{text}");
            number
        };
        for (text, is) in [("0", 0), ("-0.0", 0), ("5", 5), ("5.0", 5), ("5e2", 500), ("1e300", u64::MAX)] {
            assert_eq!(number(text), Some(is), "{text}");
        }
        assert_eq!(number("18446744073709551616"), Some(u64::MAX));
        for bad in ["-1", "5.5", "-1e0", "\"5\"", "true", "[]", "1e999"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn not_an_object() {
        let deep = "[".repeat(100_000);
        for bad in ["", "nul", "[]", "5", "\"x\"", "null", "{", "{a:1}", deep.as_str()] {
            assert_eq!(Fields::parse(bad.as_bytes()).unwrap_err().code(), Code::InvalidJson, "{bad:.20}");
        }
        assert_eq!(Fields::parse(b"{\"a\":\"\xff\"}").unwrap_err().code(), Code::InvalidJson);
        let mut broken = Fields::parse(br#"{"a":"\ud800"}"#).unwrap();
        assert_eq!(broken.string("a"), None);
        assert_eq!(broken.finish().unwrap_err().code(), Code::InvalidJson);
    }
}
