//! What all doors have in common on the wire: the envelope around answers, and the fields of what is asked.

mod envelope;
mod fields;

pub(crate) use self::{
    envelope::{failure, success},
    fields::Fields,
};
