//! The interactive documentation, from inside the binary.

use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};

/// The page runs its own script and style, which are in it, and talks to this server alone.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page that shows the document. `page` is the framework's, which holds the document it generated; it is replaced by `document`.
#[must_use]
pub fn page(page: &str, generated: &str, document: &str) -> String {
    // Inside a script, "</" would end it.
    page.replace(generated, &document.replace("</", "<\\/"))
        .replace("<html charset=\"UTF-8\">", "<!doctype html>\n<html lang=\"en\">")
}

/// The answer that shows the page.
#[must_use]
pub fn answer(page: String) -> Response {
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Sends a visitor of the bare address to the documentation.
#[must_use]
pub fn redirect() -> Response {
    Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/api/docs/").finish()
}
