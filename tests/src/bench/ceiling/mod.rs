//! The upper limits set by the building blocks, measured in the same way and at the same time as the product.
//!
//! | ceiling | for |
//! | --- | --- |
//! | [`bare`] | reading: a poem handler that returns the same bytes; on etcd, after a linearizable read that all waiting requests share |
//! | [`etcd`] | writing on etcd: the same transaction, sent directly by a client |
//! | [`append`] | writing on sled: the same number of bytes appended to a file, with one `fdatasync` for all waiting writers |
//! | [`sled`] | writing on sled: the same keys and values written to a bare sled, made durable in the same way |
//! | [`hash`] | logging in: only the password hash |

pub mod append;
pub mod bare;
pub mod etcd;
pub mod group;
pub mod hash;
pub mod sled;
mod tasks;
pub mod written;
