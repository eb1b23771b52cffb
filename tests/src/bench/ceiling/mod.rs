//! What the building blocks can do, asked in the same way and at the same time as the product.
//!
//! | ceiling | of |
//! | --- | --- |
//! | [`bare`] | reading: a poem handler that returns the same bytes; on etcd, after a linearizable read that is shared with all who wait |
//! | [`etcd`] | writing on etcd: the same transaction, sent by a client alone |
//! | [`append`] | writing on sled: as many bytes appended to a file, made durable for all who wait at once |
//! | [`sled`] | writing on sled: the same keys and values put into sled alone, made durable in the same way |
//! | [`hash`] | logging in: the password hash alone |

pub mod append;
pub mod bare;
pub mod etcd;
pub mod group;
pub mod hash;
pub mod sled;
mod tasks;
pub mod written;
