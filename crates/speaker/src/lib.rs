//! The whole speaker in one sans-IO object: the API for embedding.

pub mod config;
