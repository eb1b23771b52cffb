//! In-memory read model.
