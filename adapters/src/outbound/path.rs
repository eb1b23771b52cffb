//! Addresses of a provider's resources.

use url::Url;

/// The address of a path below `base`, each part encoded: none can lead to another path.
pub(crate) fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_path_leads_elsewhere() {
        let base = Url::parse("https://container.example/prefix/").unwrap();
        let url = below(&base, &["v1", "projects", "p/../q", "clusters", "a?b#c", "pool:setSize"]);
        assert_eq!(
            url.as_str(),
            "https://container.example/prefix/v1/projects/p%2F..%2Fq/clusters/a%3Fb%23c/pool:setSize"
        );
        assert_eq!(below(&Url::parse("https://x.example").unwrap(), &["v1"]).as_str(), "https://x.example/v1");
    }
}
