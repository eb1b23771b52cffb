//! Requests that wait while passwords are hashed: the sender's rights are those at the end of the wait.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::FuturesUnordered};
use kqueen_tests::fixture::{
    app::{App, Options},
    people::{PASSWORD, new_name},
};
use reqwest::StatusCode;
use serde_json::json;

/// More than can be hashed before the sender is changed.
const REQUESTS: usize = 60;

#[tokio::test]
async fn users_created_after_a_wait_need_a_session_that_still_holds() {
    for (change, what) in [(json!({"active": false}), "deactivated"), (json!({"role": "member"}), "demoted")] {
        let options = Options::default().with("PASSWORD_HASHING_PARALLELISM", "1");
        let app = App::start_with(options).await;
        let (root, tenant) = (app.admin().await, app.tenant().await);
        let actor = app.person(&tenant.id, "admin").await;
        let create = || {
            let name = new_name("late");
            app.post("/users", &actor.token, json!({"username": name, "password": PASSWORD, "role": "admin"}))
        };
        let mut waiting: FuturesUnordered<_> = std::iter::repeat_with(create).take(REQUESTS).collect();
        let first = waiting.next().await.unwrap().status;
        let changed = async {
            let answer = app.patch(&format!("/users/{}", actor.id), &root, change.clone()).await;
            answer.ok();
            Utc::now()
        };
        let (changed_at, others) = tokio::join!(changed, waiting.collect::<Vec<_>>());
        assert_eq!(first, StatusCode::OK);
        let refused = others.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
        let created = others.iter().filter(|answer| answer.status == StatusCode::OK);
        for answer in created.clone() {
            let created_at: DateTime<Utc> = answer.body["created_at"].as_str().unwrap().parse().unwrap();
            assert!(
                created_at <= changed_at,
                "{what}: created at {created_at}, after the change was acknowledged at {changed_at}"
            );
        }
        assert_eq!(refused + created.count(), REQUESTS - 1, "{what}");
        assert!(refused > 0, "{what}: all were hashed before the change");
    }
}

#[tokio::test]
async fn of_many_new_passwords_sent_with_one_token_one_is_set() {
    let app = App::start().await;
    let member = app.tenant().await.member;
    let path = format!("/users/{}/updatepw", member.id);
    let set = |number| {
        let (app, path, token) = (&app, &path, &member.token);
        async move { app.patch(path, token, json!({"password": format!("new password {number}")})).await.status }
    };
    let statuses: Vec<_> = futures::future::join_all((0..20).map(set)).await;
    let set: Vec<_> = (0..20).filter(|number| statuses[*number] == StatusCode::OK).collect();
    assert_eq!(set.len(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [StatusCode::OK, StatusCode::UNAUTHORIZED].contains(status)), "{statuses:?}");
    app.log_in(&member.username, &format!("new password {}", set[0])).await;
}
