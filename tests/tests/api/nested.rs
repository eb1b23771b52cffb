//! Nested objects follow the organization's policy as well: a caller who may not see an object gets only its id and name.

use kqueen_tests::fixture::{app::App, people::new_cluster};
use serde_json::{Value, json};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap_or_else(|| panic!("{object}")).keys().map(String::as_str).collect()
}

const USER: [&str; 2] = ["id", "username"];
const PROVISIONER: [&str; 2] = ["id", "name"];

#[tokio::test]
async fn a_cluster_nests_no_more_than_its_reader_may_see() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let (admin, member) = (&tenant.admin, &tenant.member);
    let cluster = app.cluster(&tenant.provisioner, admin).await;
    let own = app.cluster(&tenant.provisioner, member).await;
    let (one, list) = (format!("/clusters/{cluster}"), "/clusters".to_owned());
    let seen = async |token: &str| {
        let shown = app.get(&one, token).await.ok();
        let listed = app.get(&list, token).await.ok()[0].clone();
        for field in ["provisioner", "owner"] {
            assert_eq!(shown[field], listed[field], "a list shows no more than a single object");
        }
        shown
    };
    let full = seen(&member.token).await;
    assert!(
        full["provisioner"]["parameters"].is_object() && full["provisioner"]["owner"]["email"].is_string(),
        "{full}"
    );
    assert!(full["owner"]["email"].is_string() && full["owner"]["organization"].is_object(), "{full}");

    let rules = json!({"provisioner:get": "IS_ADMIN", "user:get": "IS_OWNER"});
    app.patch(&format!("/organizations/{}/policy", tenant.id), &admin.token, rules).await.ok();
    let shown = seen(&member.token).await;
    assert_eq!((keys(&shown["provisioner"]), keys(&shown["owner"])), (PROVISIONER.to_vec(), USER.to_vec()), "{shown}");
    assert_eq!((&shown["provisioner"]["id"], &shown["owner"]["id"]), (&json!(tenant.provisioner), &json!(admin.id)));
    assert_eq!(shown["provisioner"]["name"], full["provisioner"]["name"]);
    assert_eq!(shown["owner"]["username"], admin.username);
    // The rest of the cluster is unchanged.
    assert_eq!(keys(&shown), keys(&full));
    // The owner may see their account, and an admin the provisioner.
    let shown = seen(&admin.token).await;
    assert!(shown["owner"]["email"].is_string() && shown["provisioner"]["owner"]["email"].is_string(), "{shown}");
    let shown = app.get(&format!("/clusters/{cluster}"), &root).await.ok();
    assert_eq!(shown["provisioner"], full["provisioner"], "a superadmin sees everything");
    assert_eq!(shown["owner"], full["owner"]);
    // The answer to a change has the same shape.
    let changed = app.patch(&format!("/clusters/{own}"), &member.token, json!({"name": "renamed"})).await.ok();
    assert_eq!(keys(&changed["provisioner"]), PROVISIONER);
    assert_eq!(
        changed["owner"]["email"],
        format!("{}@example.test", member.username),
        "everybody sees their own account"
    );

    // A visible provisioner with an owner who is not visible.
    let rules = json!({"provisioner:get": null});
    app.patch(&format!("/organizations/{}/policy", tenant.id), &admin.token, rules).await.ok();
    let shown = seen(&member.token).await;
    assert_eq!(keys(&shown["provisioner"]["owner"]), USER);
    assert!(shown["provisioner"]["parameters"].is_object());
    for path in [format!("/provisioners/{}", tenant.provisioner), "/provisioners".into()] {
        let answer = app.get(&path, &member.token).await.ok();
        let provisioner = if answer.is_array() { &answer[0] } else { &answer };
        assert_eq!(keys(&provisioner["owner"]), USER, "{path}");
    }
}

#[tokio::test]
async fn a_superadmin_of_another_organization_is_shown_by_name_only() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let root = app.admin().await;
    let cluster = app.post("/clusters", &root, new_cluster(&tenant.provisioner)).await.id();
    let shown = app.get(&format!("/clusters/{cluster}"), &tenant.admin.token).await.ok();
    assert_eq!(keys(&shown["owner"]), USER, "a user of another organization is shown by name only: {shown}");
    let shown = app.get(&format!("/clusters/{cluster}"), &root).await.ok();
    assert_eq!(shown["owner"]["organization"]["namespace"], "operators");
}
