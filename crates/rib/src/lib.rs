//! Best routes, nexthop objects and the difference to the forwarding table. Sans-IO.
//!
//! | Module | Holds |
//! |---|---|
//! | [`fib`] | the forwarding table's vocabulary: changes asked of it, snapshots of it |

pub mod fib;
