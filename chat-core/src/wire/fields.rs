//! The fields of a JSON object, taken out one by one; what is of a wrong type is told by name, all at once.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::{Error, Invalid, Result};

/// An object's fields. `null` counts as absent, an unknown field is ignored.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    invalid: Invalid,
}

impl Fields {
    /// Reads a JSON object.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        if json.is_empty() {
            return Err(Error::InvalidJson("it is empty".to_owned()));
        }
        match serde_json::from_slice(json) {
            Ok(Value::Object(map)) => Ok(Self { map, invalid: Invalid::default() }),
            Ok(_) => Err(Error::InvalidJson("it is something else".to_owned())),
            Err(error) => {
                let at = format!("line {}, column {}", error.line(), error.column());
                Err(Error::InvalidJson(format!("it can't be read at {at}")))
            }
        }
    }

    /// The fields of a value that should be an object.
    #[cfg_attr(not(feature = "socketio"), allow(dead_code))]
    pub(crate) fn of(value: Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { map, invalid: Invalid::default() }),
            _ => Err(Error::InvalidJson("it is something else".to_owned())),
        }
    }

    /// Adds a field, as a form does.
    pub(crate) fn insert(&mut self, name: String, value: String) {
        self.map.insert(name, Value::String(value));
    }

    /// A text.
    pub(crate) fn string(&mut self, name: &'static str) -> Option<String> {
        match self.map.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => self.refuse(name, "must be a string"),
        }
    }

    /// A text that must be there.
    #[cfg_attr(not(feature = "socketio"), allow(dead_code))]
    pub(crate) fn id<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        match self.map.remove(name) {
            None | Some(Value::Null) => self.refuse(name, "required"),
            Some(Value::String(text)) => match text.parse() {
                Ok(id) => Some(id),
                Err(_) => self.refuse(name, "must be an id: 24 hex characters"),
            },
            Some(_) => self.refuse(name, "must be a string"),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u64> {
        let value = self.map.remove(name)?;
        let number = match &value {
            Value::Null => return None,
            value => value.as_u64(),
        };
        number.or_else(|| self.refuse(name, "must be a whole number that is not negative"))
    }

    /// Yes or no, which must be there.
    #[cfg_attr(not(feature = "socketio"), allow(dead_code))]
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.map.remove(name) {
            Some(Value::Bool(flag)) => Some(flag),
            _ => self.refuse(name, "must be true or false"),
        }
    }

    /// Notes what is wrong with a field.
    pub(crate) fn refuse<T>(&mut self, name: &'static str, reason: &'static str) -> Option<T> {
        self.invalid.fields.insert(name, reason.into());
        None
    }

    /// Whether all that was taken out was of the right type. Call it before using any of it.
    pub(crate) fn finish(self) -> Result<()> {
        if self.invalid.fields.is_empty() { Ok(()) } else { Err(Error::Validation(self.invalid)) }
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
    fn not_an_object() {
        let deep = "[".repeat(100_000);
        for bad in ["", "nul", "[]", "5", "\"x\"", "null", "{", "{\"a\":\"\\ud800\"}", deep.as_str()] {
            assert_eq!(Fields::parse(bad.as_bytes()).unwrap_err().code(), Code::InvalidJson, "{bad:.20}");
        }
        assert_eq!(Fields::parse(b"{\"a\":\"\xff\"}").unwrap_err().code(), Code::InvalidJson);
    }
}
