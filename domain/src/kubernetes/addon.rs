//! Addons: services that are part of a cluster or that its users can open.

use url::Url;

use super::Service;

/// A service shown as an addon: with the label `kubernetes.io/cluster-service: "true"`, which providers set on their services, or the
/// annotation `kqueen/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addon {
    /// Annotation `kqueen/name`, else one of the common name labels, else the service's name.
    pub name: String,
    /// Annotation `kqueen/link`: the URL to open it.
    pub link: Option<String>,
    /// Annotation `kqueen/icon`: the URL of its icon.
    pub icon: Option<String>,
}

impl Addon {
    /// `service` as an addon, if it is one.
    #[must_use]
    pub fn of(service: &Service) -> Option<Self> {
        const NAME: &str = "kqueen/name";
        let label = |key: &str| service.metadata.labels.as_ref()?.get(key).filter(|text| !text.is_empty());
        let annotation = |key: &str| service.metadata.annotations.as_ref()?.get(key).filter(|text| !text.is_empty());
        if label("kubernetes.io/cluster-service").is_none_or(|value| value != "true") && annotation(NAME).is_none() {
            return None;
        }
        let name = annotation(NAME)
            .or_else(|| ["kubernetes.io/name", "app.kubernetes.io/name", "k8s-app"].into_iter().find_map(label))
            .or(service.metadata.name.as_ref())?;
        // Both are rendered in the console: annotations of a service must not be able to run scripts there.
        let is_http = |text: &String| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        Some(Self {
            name: name.clone(),
            link: annotation("kqueen/link").filter(|text| is_http(text)).cloned(),
            icon: annotation("kqueen/icon").filter(|text| is_http(text)).cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn addon(labels: Value, annotations: Value) -> Option<Addon> {
        let metadata = json!({"name": "svc", "labels": labels, "annotations": annotations});
        Addon::of(&serde_json::from_value(json!({ "metadata": metadata })).unwrap())
    }

    #[test]
    fn a_service_is_an_addon_by_label_or_annotation() {
        let named = |name: &str| Some(Addon { name: name.to_owned(), link: None, icon: None });
        let label = "kubernetes.io/cluster-service";
        assert_eq!(addon(json!({}), json!({})), None);
        assert_eq!(addon(Value::Null, Value::Null), None);
        assert_eq!(addon(json!({label: "false"}), json!({})), None);
        assert_eq!(addon(json!({label: "true"}), json!({})), named("svc"));
        assert_eq!(addon(json!({label: "true", "k8s-app": "kube-dns"}), json!({})), named("kube-dns"));
        assert_eq!(
            addon(json!({label: "true", "k8s-app": "x", "kubernetes.io/name": "CoreDNS"}), json!({})),
            named("CoreDNS")
        );
        assert_eq!(addon(json!({"k8s-app": "x"}), json!({"kqueen/name": "Grafana"})), named("Grafana"));
    }

    #[test]
    fn links_must_be_http_urls() {
        let of = |link: &str| {
            addon(json!({}), json!({"kqueen/name": "x", "kqueen/link": link, "kqueen/icon": link})).unwrap()
        };
        for link in ["javascript:alert(1)", "data:text/html,x", "/relative", "//host/x", ""] {
            assert_eq!((of(link).link, of(link).icon), (None, None), "{link}");
        }
        assert_eq!(of("https://grafana.example.com/d/1").link.as_deref(), Some("https://grafana.example.com/d/1"));
    }
}
