//! Compares the catalog with a model that keeps everything in vectors and sorts, filters and counts again for every query.

mod model;
mod random;
mod subscribers;

use model::{Kind, Model};
use random::{Random, Script};

use super::*;

/// The answer of `catalog`, in the format of the model.
fn answer(catalog: &Catalog, kind: Kind, query: &Query) -> Page<String> {
    fn named<T>(page: Page<T>, name: impl Fn(&T) -> String) -> Page<String> {
        Page { items: page.items.iter().map(name).collect(), total: page.total }
    }
    match kind {
        Kind::Organizations => named(catalog.organizations(query), |entry| model::of_organization(entry)),
        Kind::Users => named(catalog.users(query), model::of_user),
        Kind::Provisioners => named(catalog.provisioners(query), model::of_provisioner),
        Kind::Clusters => named(catalog.clusters(query), model::of_cluster),
    }
}

/// Runs a random query for every kind and sort order and compares the answers.
fn compare_lists(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    for kind in Kind::ALL {
        for sort in Sort::ALL {
            let query = random.query(sort);
            assert_eq!(answer(catalog, kind, &query), model.answer(kind, &query), "seed {seed}: {kind:?} {query:?}");
        }
        pages_tile_the_list(catalog, kind, random, seed);
    }
}

fn pages_tile_the_list(catalog: &Catalog, kind: Kind, random: &mut Random, seed: u64) {
    let sort = random.pick(&Sort::ALL);
    let mut query = random.query(sort);
    query.window = Window { offset: 0, limit: usize::MAX };
    let whole = answer(catalog, kind, &query);
    assert_eq!(whole.items.len(), whole.total, "seed {seed}: {kind:?} {query:?}");
    let limit = 1 + random.below(5);
    let mut together = Vec::new();
    for offset in (0..=whole.total).step_by(limit) {
        query.window = Window { offset, limit };
        let page = answer(catalog, kind, &query);
        assert_eq!(page.total, whole.total, "seed {seed}: {kind:?} {query:?}");
        together.extend(page.items);
    }
    assert_eq!(together, whole.items, "seed {seed}: {kind:?} by {limit} {query:?}");
}

fn compare_single_views(catalog: &Catalog, model: &Model, seed: u64) {
    for id in random::organizations() {
        let expected = model.organization(id);
        assert_eq!(catalog.organization(id).map(|e| model::of_organization(&e)), expected, "seed {seed}");
        assert_eq!(catalog.namespace(id).is_some(), expected.is_some(), "seed {seed}");
        let named = catalog.organization_by_namespace(random::namespace(id).as_str());
        assert_eq!(named.map(|e| model::of_organization(&e)), expected, "seed {seed}");
        assert_eq!(catalog.remaining_in_organization(id, 7), model.remaining_in_organization(id, 7), "seed {seed}");
    }
    for id in random::users() {
        assert_eq!(catalog.user_view(id).map(|v| model::of_user(&v)), model.user(id), "seed {seed}");
        assert_eq!(catalog.user(id).is_some(), model.user(id).is_some(), "seed {seed}");
        if let Some(user) = catalog.user(id) {
            assert_eq!(catalog.remaining_of_user(&user.record, 3), model.remaining_of_user(id, 3), "seed {seed}");
        }
    }
    for name in random::NAMES {
        assert_eq!(catalog.user_by_name(name).map(|e| e.record.id), model.user_by_name(name), "seed {seed}: {name}");
    }
    for id in random::provisioners() {
        assert_eq!(catalog.provisioner(id).map(|v| model::of_provisioner(&v)), model.provisioner(id), "seed {seed}");
        assert_eq!(catalog.remaining_of_provisioner(id, 3), model.remaining_of_provisioner(id, 3), "seed {seed}");
    }
    for id in random::clusters() {
        let view = catalog.cluster(id);
        assert_eq!(view.as_ref().map(model::of_cluster), model.cluster(id), "seed {seed}");
        assert_eq!(view.map(|view| view.display_status()), model.display(id), "seed {seed}");
    }
}

fn compare_counts(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    assert_eq!(catalog.organization_count(), model.organizations.len(), "seed {seed}");
    assert_eq!(catalog.user_counts(), model.user_counts(), "seed {seed}");
    assert_eq!(catalog.cluster_counts(), model.cluster_counts(), "seed {seed}");
    assert_eq!(catalog.provisioner_counts(), model.provisioner_counts(), "seed {seed}");
    for scope in random::scopes() {
        let visibility = random.visibility();
        let context = format!("seed {seed}: {scope:?} {visibility:?}");
        assert_eq!(catalog.cluster_tally(scope, visibility), model.cluster_tally(scope, visibility), "{context}");
        assert_eq!(
            catalog.provisioner_tally(scope, visibility),
            model.provisioner_tally(scope, visibility),
            "{context}"
        );
    }
    assert_eq!(catalog.observation_times(), model.observation_times(), "seed {seed}");
    assert_eq!(catalog.busy_clusters(), model.busy_clusters(), "seed {seed}");
    assert_eq!(catalog.provisioner_ids(), model.provisioner_ids(), "seed {seed}");
}

fn compare_work(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    for id in random::operations() {
        let shown = catalog.operation(id).map(|view| model::of_operation(&view));
        assert_eq!(shown, model.operation(id), "seed {seed}");
    }
    for id in random::clusters() {
        let operations: Vec<_> = catalog.operations_of(id).iter().map(model::of_operation).collect();
        assert_eq!(operations, model.operations_of(id), "seed {seed}");
        assert_eq!(catalog.tombstone(id).as_deref(), model.work.tombstone(id), "seed {seed}");
        assert_eq!(catalog.orphan(id).map(|view| model::of_orphan(&view)), model.orphan(id), "seed {seed}");
    }
    for scope in random::scopes() {
        let orphans: Vec<_> = catalog.orphans(scope).iter().map(model::of_orphan).collect();
        assert_eq!(orphans, model.orphans(scope), "seed {seed}: {scope:?}");
    }
    assert_eq!(catalog.orphan_count(), model.work.orphans.len(), "seed {seed}");
    let before = random.time();
    let mut deleted = catalog.tombstones_before(before);
    deleted.sort();
    assert_eq!(deleted, model.work.tombstones_before(before), "seed {seed}: {before}");
}

fn compare(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    compare_lists(catalog, model, random, seed);
    compare_single_views(catalog, model, seed);
    compare_counts(catalog, model, random, seed);
    compare_work(catalog, model, random, seed);
}

#[test]
fn the_catalog_answers_like_the_model_and_reports_every_change() {
    for seed in 0..20 {
        let mut random = Random::seeded(seed);
        let mut script = Script::default();
        let catalog = Catalog::new();
        let recorder = subscribers::Recorder::of(&catalog);
        for _ in 0..25 {
            let mut changes: Vec<_> = (0..=random.below(6)).map(|_| script.next(&mut random)).collect();
            changes.extend(script.delete_cluster(&mut random));
            catalog.apply(changes);
            compare(&catalog, &script.model, &mut random, seed);
            assert_eq!(recorder.take_events(), script.model.take_events(), "seed {seed}");
        }
    }
}

#[test]
fn replacing_the_content_in_any_order_gives_the_state_after_the_changes() {
    for seed in 100..110 {
        let mut random = Random::seeded(seed);
        let mut script = Script::default();
        let catalog = Catalog::new();
        for _ in 0..8 {
            for _ in 0..random.below(40) {
                script.next(&mut random);
            }
            catalog.replace(random.shuffled(script.model.everything()).into_iter().collect());
            compare(&catalog, &script.model, &mut random, seed);
            // Changes after a replacement are applied as usual.
            let change = script.next(&mut random);
            catalog.apply(vec![change]);
            compare(&catalog, &script.model, &mut random, seed);
        }
    }
}
