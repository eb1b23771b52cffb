//! The catalog against a model that keeps everything in vectors and sorts, filters and counts anew for every question.

mod model;
mod random;
mod subscribers;

use model::{Kind, Model};
use random::{Random, Script};

use super::*;

/// What `catalog` answers, in the words of the model.
fn answer(catalog: &Catalog, kind: Kind, listing: &Query) -> Page<String> {
    fn named<T>(page: Page<T>, name: impl Fn(&T) -> String) -> Page<String> {
        Page { items: page.items.iter().map(name).collect(), total: page.total }
    }
    match kind {
        Kind::Organizations => named(catalog.organizations(listing), |entry| model::of_organization(entry)),
        Kind::Users => named(catalog.users(listing), model::of_user),
        Kind::Provisioners => named(catalog.provisioners(listing), model::of_provisioner),
        Kind::Clusters => named(catalog.clusters(listing), model::of_cluster),
    }
}

/// Asks one random question of every kind and compares.
fn compare_lists(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    for kind in Kind::ALL {
        for sort in Sort::ALL {
            let listing = random.listing(sort);
            assert_eq!(
                answer(catalog, kind, &listing),
                model.answer(kind, &listing),
                "seed {seed}: {kind:?} {listing:?}"
            );
        }
        pages_tile_the_list(catalog, kind, random, seed);
    }
}

fn pages_tile_the_list(catalog: &Catalog, kind: Kind, random: &mut Random, seed: u64) {
    let sort = random.pick(&Sort::ALL);
    let mut listing = random.listing(sort);
    listing.window = Window { offset: 0, limit: usize::MAX };
    let whole = answer(catalog, kind, &listing);
    assert_eq!(whole.items.len(), whole.total, "seed {seed}: {kind:?} {listing:?}");
    let limit = 1 + random.below(5);
    let mut together = Vec::new();
    for offset in (0..=whole.total).step_by(limit) {
        listing.window = Window { offset, limit };
        let page = answer(catalog, kind, &listing);
        assert_eq!(page.total, whole.total, "seed {seed}: {kind:?} {listing:?}");
        together.extend(page.items);
    }
    assert_eq!(together, whole.items, "seed {seed}: {kind:?} by {limit} {listing:?}");
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

fn compare_figures(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    assert_eq!(catalog.organization_count(), model.organizations.len(), "seed {seed}");
    assert_eq!(catalog.user_counts(), model.user_counts(), "seed {seed}");
    assert_eq!(catalog.cluster_counts(), model.cluster_counts(), "seed {seed}");
    assert_eq!(catalog.provisioner_counts(), model.provisioner_counts(), "seed {seed}");
    for scope in random::scopes() {
        let visibility = random.visibility();
        let place = format!("seed {seed}: {scope:?} {visibility:?}");
        assert_eq!(catalog.cluster_tally(scope, visibility), model.cluster_tally(scope, visibility), "{place}");
        assert_eq!(catalog.provisioner_tally(scope, visibility), model.provisioner_tally(scope, visibility), "{place}");
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
    let mut left = catalog.tombstones_before(before);
    left.sort();
    assert_eq!(left, model.work.tombstones_before(before), "seed {seed}: {before}");
}

fn compare(catalog: &Catalog, model: &Model, random: &mut Random, seed: u64) {
    compare_lists(catalog, model, random, seed);
    compare_single_views(catalog, model, seed);
    compare_figures(catalog, model, random, seed);
    compare_work(catalog, model, random, seed);
}

#[test]
fn whatever_happens_the_catalog_answers_like_the_model_and_tells_of_it() {
    for seed in 0..20 {
        let mut random = Random::seeded(seed);
        let mut script = Script::default();
        let catalog = Catalog::new();
        let heard = subscribers::Heard::of(&catalog);
        for _ in 0..25 {
            let mut changes: Vec<_> = (0..=random.below(6)).map(|_| script.next(&mut random)).collect();
            changes.extend(script.leave(&mut random));
            catalog.apply(changes);
            compare(&catalog, &script.model, &mut random, seed);
            assert_eq!(heard.take_events(), script.model.take_events(), "seed {seed}");
        }
    }
}

#[test]
fn filling_the_catalog_anew_in_any_order_shows_what_the_changes_led_to() {
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
            // What follows a fill is a change like any other.
            let change = script.next(&mut random);
            catalog.apply(vec![change]);
            compare(&catalog, &script.model, &mut random, seed);
        }
    }
}
