//! What is refused, and in which words.

use super::*;
use crate::simulator::{Acts, Fault, Injection, RetryAfter, Trouble};

/// A cluster that differs from the usual one; it lacks what is null.
fn with(pointer: &str, value: Value) -> Value {
    let mut cluster = asked(1);
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = cluster.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.remove(field);
    if !value.is_null() {
        parent.insert(field.to_owned(), value);
    }
    cluster
}

fn with_pool(field: &str, value: Value) -> Value {
    with(&format!("/properties/agentPoolProfiles/0/{field}"), value)
}

#[tokio::test]
async fn creations_that_make_no_sense_are_refused() {
    let setup = Setup::new().await;
    let network = |field: &str, value: &str| with(&format!("/properties/networkProfile/{field}"), json!(value));
    let cases = [
        (with("/location", json!("mars")), "LocationNotAvailableForResourceType", "'mars' is not available"),
        (with("/identity", Value::Null), "InvalidParameter", "servicePrincipalProfile is missing"),
        (with("/properties/dnsPrefix", Value::Null), "InvalidParameter", "DNS prefix is missing"),
        (
            with("/properties/kubernetesVersion", json!("1.20.8")),
            "K8sVersionNotSupported",
            "on version 1.20.8, which is not supported",
        ),
        (with("/properties/agentPoolProfiles", json!([])), "InvalidParameter", "at least one system pool"),
        (with_pool("mode", json!("User")), "InvalidParameter", "at least one system pool"),
        (
            with_pool("name", json!("Agent-Pool")),
            "InvalidParameter",
            "Agent pool name must start with a lowercase letter",
        ),
        (with_pool("count", json!(0)), "InvalidParameter", "has to be between 1 and 1000"),
        (with_pool("count", json!(1_001)), "InvalidParameter", "has to be between 1 and 1000"),
        (
            with_pool("vmSize", json!("Standard_D3s_v5")),
            "BadRequest",
            "The VM size of Standard_D3s_v5 is not allowed in your subscription",
        ),
        (with_pool("vmSize", json!("Standard_A1_v2")), "SystemPoolSkuTooLow", "more than 2 cores"),
        (
            with_pool("orchestratorVersion", json!("1.20.8")),
            "AgentPoolK8sVersionNotSupported",
            "Version 1.20.8 is not supported",
        ),
        (
            with_pool("orchestratorVersion", json!("1.35")),
            "NodePoolMcVersionIncompatible",
            "bigger than control plane version",
        ),
        (network("networkDataplane", "azure"), "BadRequest", "requires network dataplane cilium"),
        (network("networkPolicy", "calico"), "BadRequest", "requires network policy cilium"),
        (network("networkPlugin", "none"), "BadRequest", "overlay requires network plugin azure"),
        (with("/properties/unheardOf", json!(1)), "UnmarshalError", "unheardOf"),
        (with_pool("count", json!("two")), "UnmarshalError", "two"),
    ];
    for (cluster, code, words) in cases {
        let (status, told, message) = setup.put(&setup.at("c"), cluster).await.refused();
        assert_eq!((status, told.as_str()), (400, code), "{message}");
        assert!(message.contains(words), "{message}");
    }
    for name in ["-c", "c.d", &"c".repeat(64)] {
        assert_eq!(setup.put(&setup.at(name), asked(1)).await.refused().1, "InvalidParameter", "{name}");
    }
    let twice = json!([asked(1)["properties"]["agentPoolProfiles"][0], asked(1)["properties"]["agentPoolProfiles"][0]]);
    let told = setup.put(&setup.at("c"), with("/properties/agentPoolProfiles", twice)).await.refused();
    assert!(told.2.contains("unique"), "{}", told.2);
    let arm = with_pool("vmSize", json!("Standard_D2ps_v5"));
    let mut elsewhere = arm.clone();
    elsewhere["location"] = "northeurope".into();
    assert!(setup.put(&setup.at("c"), elsewhere).await.refused().2.contains("standard_d2s_v5"));
    assert_eq!((setup.aks.changes(), setup.aks.clusters().len()), (0, 0));
    setup.put(&setup.at("arm"), arm).await.ok();
    let mut moved = asked(1);
    moved["location"] = "eastus".into();
    setup.pass(5);
    let (status, code, _) = setup.put(&setup.at("arm"), moved).await.refused();
    assert_eq!((status, code.as_str()), (409, "InvalidResourceLocation"));
    setup.clean();
}

#[tokio::test]
async fn quotas_of_each_kind_run_out() {
    let set = |setup: &Setup, name: &str, limit: u64| {
        let (subscription, location) = (setup.subscription.clone(), "westeurope".to_owned());
        setup.aks.happen(Event::Quota { subscription, location, name: name.to_owned(), limit });
    };
    for (name, limit, code, words) in [
        ("cores", 7, "QuotaExceeded", "Current Limit: 7, Current Usage: 0, Additional Required: 8"),
        (
            "standardDSv5Family",
            7,
            "ErrCode_InsufficientVCPUQuota",
            "requested 8, remaining 7 for family standardDSv5Family",
        ),
    ] {
        let setup = Setup::new().await;
        set(&setup, name, limit);
        let (status, told, message) = setup.put(&setup.at("c"), asked(4)).await.refused();
        assert_eq!((status, told.as_str()), (400, code), "{message}");
        assert!(message.contains(words), "{message}");
        setup.running(2).await;
        let at = format!("{}{POOL}", setup.at("c"));
        let mut pool = setup.get(&at).await.ok();
        pool["properties"]["count"] = 4.into();
        assert_eq!(setup.put(&at, pool).await.refused().1, code);
        let usages = setup.path("/providers/Microsoft.Compute/locations/westeurope/usages");
        let usages = setup.get(&usages).await.ok()["value"].clone();
        let usage = usages.as_array().unwrap().iter().find(|usage| usage["name"]["value"] == name).unwrap();
        assert_eq!((&usage["currentValue"], &usage["limit"]), (&json!(4), &json!(limit)));
        // Another region has quotas of its own, and what is stopped uses none.
        let mut elsewhere = asked(4);
        elsewhere["location"] = "eastus".into();
        setup.put(&setup.at("elsewhere"), elsewhere).await.ok();
        setup.post(&format!("{}/stop", setup.at("c"))).await.ok();
        setup.pass(5);
        setup.put(&setup.at("d"), asked(3)).await.ok();
        setup.clean();
    }
    let setup = Setup::new().await;
    set(&setup, "ManagedClusters", 1);
    setup.put(&setup.at("one"), asked(1)).await.ok();
    let (_, code, message) = setup.put(&setup.at("two"), asked(1)).await.refused();
    assert!(code == "QuotaExceeded" && message.contains("Managed Clusters quota"), "{message}");
    setup.clean();
}

#[tokio::test]
async fn what_a_subscription_may_not_do_is_refused() {
    let setup = Setup::new().await;
    let subscription = setup.subscription.clone();
    let location = "westeurope".to_owned();
    let size = "Standard_D2s_v5".to_owned();
    let stock = |is_out| Event::Stock {
        subscription: subscription.clone(),
        location: location.clone(),
        size: size.clone(),
        is_out,
    };
    setup.aks.happen(stock(true));
    assert_eq!(setup.put(&setup.at("c"), asked(1)).await.refused().1, "SkuNotAvailable");
    setup.aks.happen(stock(false));
    let restriction = |is_restricted| Event::Restriction {
        subscription: subscription.clone(),
        location: location.clone(),
        size: size.clone(),
        is_restricted,
    };
    setup.aks.happen(restriction(true));
    assert_eq!(setup.put(&setup.at("c"), asked(1)).await.refused().1, "BadRequest");
    let skus = setup.path("/providers/Microsoft.Compute/skus?$filter=location%20eq%20%27westeurope%27");
    let skus = setup.get(&skus).await.ok()["value"].clone();
    let sku = skus.as_array().unwrap().iter().find(|sku| sku["name"] == size.as_str()).unwrap();
    assert_eq!(sku["restrictions"][0]["reasonCode"], "NotAvailableForSubscription");
    setup.aks.happen(restriction(false));
    setup.aks.happen(Event::Region { subscription: subscription.clone(), location: location.clone(), is_closed: true });
    let (status, code, _) = setup.put(&setup.at("c"), asked(1)).await.refused();
    assert_eq!((status, code.as_str()), (403, "RequestDisallowedByAzure"));
    setup.aks.happen(Event::Region { subscription: subscription.clone(), location, is_closed: false });
    setup.aks.happen(Event::VersionGoes { version: "1.33.6".to_owned() });
    let mut gone = asked(1);
    gone["properties"]["kubernetesVersion"] = "1.33.6".into();
    assert_eq!(setup.put(&setup.at("c"), gone).await.refused().1, "K8sVersionNotSupported");

    setup.aks.happen(Event::Subscription { subscription: subscription.clone(), is_disabled: true });
    assert_eq!(setup.get(&setup.path("")).await.ok()["state"], "Disabled");
    let (status, code, _) = setup.put(&setup.at("c"), asked(1)).await.refused();
    assert_eq!((status, code.as_str()), (409, "ReadOnlyDisabledSubscription"));
    setup.aks.happen(Event::Subscription { subscription: subscription.clone(), is_disabled: false });
    let namespace = "Microsoft.ContainerService".to_owned();
    setup.aks.happen(Event::Registration { subscription, namespace, is_registered: false });
    let told = setup.put(&setup.at("c"), asked(1)).await;
    assert_eq!(told.body["error"]["details"][0]["target"], "Microsoft.ContainerService");
    assert_eq!(told.refused().1, "MissingSubscriptionRegistration");
    let provider = setup.path("/providers/Microsoft.ContainerService");
    assert_eq!(setup.get(&provider).await.ok()["registrationState"], "NotRegistered");
    assert_eq!(setup.post(&format!("{provider}/register")).await.ok()["registrationState"], "Registering");
    assert_eq!(setup.put(&setup.at("c"), asked(1)).await.refused().1, "MissingSubscriptionRegistration");
    setup.pass(1);
    assert_eq!(setup.get(&provider).await.ok()["registrationState"], "Registered");
    setup.put(&setup.at("c"), asked(1)).await.ok();
    let nowhere = ClusterName::new(&setup.subscription, "nowhere", "c").id();
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(setup.ask(method, &nowhere, Value::Null).await.refused().1, "ResourceGroupNotFound");
    }
    setup.clean();
}

#[tokio::test]
async fn versions_of_the_api_are_asked_for() {
    let setup = Setup::new().await;
    let bearer = format!("Bearer {}", setup.token);
    let headers = [("authorization", bearer.as_str())];
    let ask = async |url: String| setup.ask_with(Method::GET, &url, &headers, Value::Null).await.refused().1;
    let (cluster, group) = (
        format!("{}{}", setup.aks.url, setup.at("c")),
        format!("{}{}", setup.aks.url, setup.path("/resourcegroups/rg")),
    );
    for (url, code) in [
        (cluster.clone(), "MissingApiVersionParameter"),
        (group.clone(), "MissingApiVersionParameter"),
        (format!("{cluster}?api-version=2018-03-31"), "NoRegisteredProviderFound"),
        (format!("{group}?api-version=latest"), "InvalidApiVersionParameter"),
        (format!("{cluster}?api-version={API_VERSION}"), "ResourceNotFound"),
        (format!("{}/subscriptions/s?api-version=2022-12-01", setup.aks.url), "InvalidSubscriptionId"),
        (
            format!("{}/subscriptions/00000000-0000-4000-8000-0000000000ff?api-version=2022-12-01", setup.aks.url),
            "SubscriptionNotFound",
        ),
        (format!("{}/nothing?api-version=2022-12-01", setup.aks.url), "NotFound"),
    ] {
        assert_eq!(ask(url).await, code);
    }
    let other = setup.aks.principal(2, "rg");
    let token = setup.aks.with(|aks, _| aks.accounts.mint(&other.client_id));
    let told = setup.ask_as(&token, Method::GET, &setup.at("c"), Value::Null).await.refused();
    assert_eq!((told.0, told.1.as_str()), (401, "InvalidAuthenticationTokenTenant"));
    let told = setup.post(&format!("{}/runCommand", setup.at("c"))).await.refused();
    assert_eq!((told.0, told.1.as_str()), (501, "NotImplemented"));
    setup.aks.clear_journal();
}

#[tokio::test]
async fn what_a_principal_may_not_do_names_the_action() {
    let setup = Setup::new().await;
    setup.running(1).await;
    let allow = |permissions: &[&str]| {
        let permissions = Some(permissions.iter().map(ToString::to_string).collect());
        setup.aks.happen(Event::Permissions { client_id: setup.principal.client_id.clone(), permissions });
    };
    allow(&["*/read", "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"]);
    let at = setup.at("c");
    assert_eq!(setup.get(&at).await.status, 200);
    let permissions = setup.path("/resourcegroups/rg/providers/Microsoft.Authorization/permissions");
    assert_eq!(setup.get(&permissions).await.ok()["value"][0]["actions"].as_array().unwrap().len(), 2);
    let clusters = "Microsoft.ContainerService/managedClusters";
    for (told, action) in [
        (setup.put(&at, asked(2)).await, format!("{clusters}/write")),
        (setup.delete(&at).await, format!("{clusters}/delete")),
        (setup.delete(&format!("{at}{POOL}")).await, format!("{clusters}/agentPools/delete")),
        (
            setup.post(&format!("{at}/listClusterAdminCredential")).await,
            format!("{clusters}/listClusterAdminCredential/action"),
        ),
        (setup.post(&format!("{at}/abort")).await, format!("{clusters}/abort/action")),
        (
            setup.post(&setup.path("/providers/Microsoft.ContainerService/register")).await,
            "Microsoft.ContainerService/register/action".to_owned(),
        ),
    ] {
        let (status, code, message) = told.refused();
        assert_eq!((status, code.as_str()), (403, "AuthorizationFailed"));
        let words = format!("does not have authorization to perform action '{action}' over scope '/subscriptions/");
        assert!(message.contains(&words) && message.contains(&setup.principal.object_id), "{message}");
    }
    setup.kubeconfig("c", "listClusterUserCredential").await;
    setup.aks.with(|aks, _| aks.accounts.change(&setup.principal.client_id, |client| client.subscriptions.clear()));
    assert_eq!(setup.get(&at).await.refused().1, "AuthorizationFailed");
    setup.clean();
}

#[tokio::test]
async fn both_forms_of_errors_can_be_had() {
    let setup = Setup::new().await;
    setup.put(&setup.at("c"), asked(1)).await.ok();
    let told = setup.put(&setup.at("c"), asked(1)).await;
    assert!(told.body["error"].is_null() && told.body["subcode"] == "", "{}", told.body);
    let (status, code, message) = told.refused();
    assert_eq!((status, code.as_str()), (409, "OperationNotAllowed"));
    assert!(message.contains("there's an in progress create managed cluster operation"), "{message}");
    setup.aks.happen(Event::ErrorForm { is_enveloped: true });
    let told = setup.put(&setup.at("c"), asked(1)).await;
    assert!(told.body["error"].is_object(), "{}", told.body);
    assert!(told.refused().2.contains("Another operation (Creating) is in progress"));
    let told = setup.put(&setup.at("d"), with_pool("vmSize", json!("none"))).await;
    assert!(told.body["error"]["code"] == "BadRequest" && told.body["subcode"].is_null(), "{}", told.body);
    setup.clean();
}

#[tokio::test]
async fn every_trouble_is_in_azures_words_or_in_nobodys() {
    let setup = Setup::new().await;
    let login = format!("{}/{}/v2.0/.well-known/openid-configuration", setup.aks.url, setup.principal.tenant);
    for is_enveloped in [false, true] {
        setup.aks.happen(Event::ErrorForm { is_enveloped });
        for trouble in Trouble::all() {
            for url in [setup.url(&setup.at("c")), setup.url(&setup.path("/resourcegroups/rg")), login.clone()] {
                setup.aks.inject(Injection::any(Fault::Answers(trouble.clone(), Acts::Never)));
                let answer = setup.client.get(&url).bearer_auth(&setup.token).send().await;
                // One that is cut may be cut early.
                let Ok(answer) = answer else { continue };
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                let body = answer.text().await.unwrap_or_default();
                if trouble.reply(None).is_none() {
                    let body: Value = serde_json::from_str(&body).unwrap();
                    assert!(status >= 400 && body.to_string().contains("code"), "{trouble:?} {body}");
                }
                if let Trouble::TooManyRequests(after) = &trouble {
                    assert_eq!((status, headers.contains_key("retry-after")), (429, *after != RetryAfter::Untold));
                }
            }
        }
    }
    setup.clean();
}
