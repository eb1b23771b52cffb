//! The form for clusters of a provisioner: what is offered, and to whom.

use std::collections::BTreeMap;

use super::{
    doubles::{MAKING, descriptor, fields, fresh, noon, status},
    world::{World, caller},
};
use crate::{
    access::{Action, Rule},
    observation::EngineError,
    parameter::{Choice, ChoiceSource, DefaultValue, Field, FieldKind, FormField, Offer, ParameterSchema},
    port::{
        engine::{EngineDescriptor, EngineRegistry, MockEngine},
        store::MockProvisionerStore,
    },
    reason::ReasonCode,
    service::provisioners::Provisioners,
};

/// An engine whose fields `location` and `size` are offered, and what it offers.
fn offering(
    offers: impl Fn(&BTreeMap<String, String>) -> Result<Vec<(&'static str, Offer)>, EngineError> + Send + 'static,
) -> MockEngine {
    let schema = ParameterSchema::new(vec![
        Field::optional("size", "Size", FieldKind::Text)
            .default(DefaultValue::text("m"))
            .offered(&["location"])
            .order(2),
        Field::required("location", "Location", FieldKind::Text).alias("region").offered(&[]).order(1),
        Field::optional("password", "Password", FieldKind::Password).order(3),
    ]);
    let mut engine = MockEngine::new();
    engine.expect_descriptor().return_const(EngineDescriptor { cluster: schema, ..descriptor(MAKING) });
    engine.expect_offers().returning(move |_, values| {
        let offers = offers(values)?;
        Ok(offers.into_iter().map(|(field, offer)| (field, Ok(offer))).collect())
    });
    engine
}

fn offer(choices: &[&'static str]) -> Offer {
    Offer { choices: choices.iter().map(|value| Choice::new(*value, *value)).collect(), default: None, at: noon() }
}

fn provisioners(world: &World, engine: MockEngine) -> Provisioners {
    let mut store = MockProvisionerStore::new();
    store.expect_secrets().returning(|_| Ok(None));
    world.provisioners_with(store, fresh(), EngineRegistry::default().with(std::sync::Arc::new(engine)))
}

fn values(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn choices(field: &FormField) -> Vec<&str> {
    let FieldKind::Select(choices) = &field.field.kind else { panic!("{field:?}") };
    choices.iter().map(|choice| choice.value.as_ref()).collect()
}

#[tokio::test]
async fn offered_fields_have_the_choices_of_the_provider() {
    let world = World::new();
    let engine = offering(|values| {
        let sizes = match values.get("location").map(String::as_str) {
            Some("north") => Some(offer(&["s", "m"])),
            Some(_) => Some(offer(&["xl"])),
            None => None,
        };
        Ok([Some(("location", offer(&["north", "south"]))), sizes.map(|sizes| ("size", sizes))]
            .into_iter()
            .flatten()
            .collect())
    });
    let provisioners = provisioners(&world, engine);
    let bob = caller(&world.people.bob);
    let form = provisioners.form(&bob, world.making, &values(&[])).await.unwrap();
    let names: Vec<_> = form.iter().map(|field| field.field.name.as_ref()).collect();
    assert_eq!(names, ["location", "size", "password"], "in their order");
    assert_eq!((choices(&form[0]), &form[0].source), (vec!["north", "south"], &ChoiceSource::Offered(noon())));
    assert_eq!((&form[1].field.kind, &form[1].source), (&FieldKind::Text, &ChoiceSource::Undetermined));
    assert_eq!(form[2].source, ChoiceSource::Declared);

    let form = provisioners.form(&bob, world.making, &values(&[("location", "north")])).await.unwrap();
    assert_eq!((choices(&form[1]), form[1].field.default.clone()), (vec!["s", "m"], Some(DefaultValue::text("m"))));
    let form = provisioners.form(&bob, world.making, &values(&[("region", "south")])).await.unwrap();
    assert_eq!((choices(&form[1]), form[1].field.default.clone()), (vec!["xl"], None), "a default that is not offered");
}

#[tokio::test]
async fn fields_whose_offers_cannot_be_read_take_any_text_and_say_why() {
    let world = World::new();
    let error = EngineError::unreachable(ReasonCode::ProviderTimedOut, "no response in time".to_owned());
    let engine = offering(move |_| Err(error.clone()));
    let form = provisioners(&world, engine).form(&caller(&world.people.bob), world.making, &values(&[])).await.unwrap();
    for field in &form[..2] {
        let ChoiceSource::Unavailable(reason) = &field.source else { panic!("{field:?}") };
        assert_eq!((reason.code, &field.field.kind), (ReasonCode::ProviderTimedOut, &FieldKind::Text));
    }
}

#[tokio::test]
async fn values_of_unknown_and_secret_fields_are_rejected() {
    let world = World::new();
    let provisioners = provisioners(&world, offering(|_| panic!("the provider is not asked")));
    let given = values(&[("zone", "a"), ("password", "p")]);
    let found = fields(provisioners.form(&caller(&world.people.bob), world.making, &given).await);
    let names: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(names, ["password", "zone"]);
}

#[tokio::test]
async fn the_form_is_for_those_who_may_create_clusters() {
    let world = World::new();
    let provisioners = provisioners(&world, offering(|_| Ok(Vec::new())));
    let none = values(&[]);
    let people = &world.people;
    assert_eq!(status(&provisioners.form(&caller(&people.ada), world.making, &none).await), 200);
    assert_eq!(status(&provisioners.form(&caller(&people.bob), world.making, &none).await), 200);
    assert_eq!(status(&provisioners.form(&caller(&people.eve), world.making, &none).await), 404);
    assert_eq!(
        status(&provisioners.form(&caller(&people.ada), world.provisioner, &none).await),
        409,
        "its engine is not offered"
    );
    world.policy(&[(Action::ClusterCreate, Rule::IsAdmin)]);
    assert_eq!(status(&provisioners.form(&caller(&people.bob), world.making, &none).await), 403);
}
