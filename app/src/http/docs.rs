//! The interactive documentation, embedded in the binary.

use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};

/// The page runs only its inline script and style, and connects only to this server.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The documentation page. `page` is the framework's page; the `generated` document in it is replaced by `document`.
#[must_use]
pub fn page(page: &str, generated: &str, document: &str) -> String {
    // Inside a script, "</" would end it.
    page.replace(generated, &document.replace("</", "<\\/"))
        .replace("<html charset=\"UTF-8\">", "<!doctype html>\n<html lang=\"en\">")
}

/// The response with the page.
#[must_use]
pub fn answer(page: String) -> Response {
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Redirects `/` to the documentation.
#[must_use]
pub fn redirect() -> Response {
    Response::builder().status(StatusCode::FOUND).header(header::LOCATION, "/api/docs/").finish()
}
