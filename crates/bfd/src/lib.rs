//! BFD: whether the path to a neighbour still works (RFC 5880, 5881, 5883; 5882 for its clients). Sans-IO: see [`Bfd`] for
//! the contract.
//!
//! | Module | Holds | RFC 5880 |
//! |---|---|---|
//! | [`engine`] | [`Bfd`]: sessions by path and by discriminator, dispatch of inputs, deadlines | 6.3, first half of 6.8.6 |
//! | [`session`] | a session: its variables, packets received and sent, negotiation of timers, Poll Sequences | 6.8 |
//! | [`machine`] | the state machine as a function | 6.2 |
//! | [`timing`] | jitter; silence, and what excuses it | 6.8.4, 6.8.7 |
//! | `auth` | sequence numbers, passwords and digests | 6.7 |
//! | `echo` | echo packets under way | 6.8.5, 6.8.8, 6.8.9 |
//! | [`config`] | what clients ask for | |
//! | [`io`] | inputs, outputs, events | |
//!
//! A session's life: a client asks for it, it sends slowly until the remote system answers, comes up in one exchange, and both
//! ends speed up. What silence or the remote system takes down comes up again by itself. When its last client leaves, the
//! remote system is told that nothing is wrong, and the session is gone.

pub mod config;
pub mod engine;
pub mod io;
pub mod machine;
pub mod session;
pub mod timing;

mod auth;
mod echo;

pub use config::{Authentication, EchoProfile, Profile, Settings};
pub use engine::{Bfd, State};
pub use io::{Arrival, Change, Client, Discard, Endpoint, Event, Hop, Input, Output, Path, Stats};
pub use machine::Cause;
pub use session::{Session, Timer};
pub use timing::STALL;
