//! What benchmarks are made of. Each benchmark is an executable below `tests/benches/`; what they share is here.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `options` | what is measured and for how long, from the command line |
//! | `machine` | the limits of this machine, printed beside every result |
//! | `process` | CPU time and memory of a child, as the kernel counts them |
//! | `load` | clients that ask without a pause over connections that stay open |
//! | `sample` | what a measurement came to: rate, latencies, CPU time |
//! | `fill` | organizations, people, provisioners and clusters, stored as the product stores them |
//! | `ceiling` | what the building blocks can do: a bare handler, etcd alone, the disk alone, a password hash |
//! | `aim` | what was aimed at, and whether it was reached |
//! | `report` | the tables, and `bench-results.json` |
//! | `api_server` | what answers for clusters of the model provider |
//!
//! A figure of the product is always taken side by side with its ceiling, in turns, so that a machine that is busy with something else
//! for a while slows down both.

pub mod aim;
pub mod api_server;
pub mod ceiling;
pub mod fill;
pub mod load;
pub mod machine;
pub mod options;
pub mod process;
pub mod report;
pub mod sample;
