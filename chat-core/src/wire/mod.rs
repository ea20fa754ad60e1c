//! What all doors have in common on the wire: the envelope around answers, and the fields of what is asked.

mod envelope;
mod fields;
mod state;

pub(crate) use self::{
    envelope::{failure, success},
    fields::Fields,
    state::DeliveryState,
};
