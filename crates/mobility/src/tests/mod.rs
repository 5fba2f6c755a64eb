//! Tests of the whole engine.
//!
//! | Module | Holds |
//! |---|---|
//! | `desk` | an engine with an observer that minds the rules every output must obey |
//! | `anything` | any input in any order |
//! | `table` | what every event does in every state |
//! | `rules` | single rules, named |
//! | `network` | several engines joined by a network with random delays |

mod anything;
mod desk;
mod network;
mod rules;
mod table;
