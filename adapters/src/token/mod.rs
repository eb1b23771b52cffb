//! Session tokens.

mod hmac;
mod jwt;

pub use jwt::JwtSigner;
