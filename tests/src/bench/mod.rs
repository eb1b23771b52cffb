//! Support for benchmarks. Each benchmark is an executable below `tests/benches/`; this is what they share.
//!
//! | file | contents |
//! | --- | --- |
//! | `options` | the command line: what is measured and for how long |
//! | `machine` | the limits of this machine, printed with every result |
//! | `process` | CPU time and memory of a process, as the kernel counts them |
//! | `load` | closed-loop clients over keep-alive connections |
//! | `sample` | the result of a measurement: rate, latencies, CPU time |
//! | `fill` | organizations, users, provisioners and clusters, stored as the product stores them |
//! | `ceiling` | upper limits set by the building blocks: a bare handler, etcd only, the disk only, a password hash |
//! | `aim` | performance targets, and whether they were met |
//! | `report` | the tables, and `bench-results.json` |
//! | `api_server` | the API server of the model provider's clusters |
//!
//! The product and its ceiling are always measured alternately, so that other load on the machine slows down both.

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
