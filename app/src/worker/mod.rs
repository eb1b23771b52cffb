//! What runs in the background.

pub mod observe;
pub mod upkeep;
pub mod wake;
