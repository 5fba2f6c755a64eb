//! Real speakers.
