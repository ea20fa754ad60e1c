//! What the conformance suite can't see: it knows no tables.

mod feeds;
mod migrations;
mod plans;
