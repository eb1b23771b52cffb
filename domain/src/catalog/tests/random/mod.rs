//! Reproducible random changes, with ids and texts from small pools, so that ties, repeats and dangling references are frequent.

mod work;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{Change, Filter, Query, Record, RecordId, Scope, Sort, Visibility, Window},
    model::Model,
};
use crate::{
    access::Policy,
    cluster::{Cluster, Lifecycle},
    document::Document,
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    name::Namespace,
    observation::{ObservedStatus, ProbeResult, ProviderStatus},
    organization::Organization,
    provisioner::{Check, Checked, Provisioner, ProvisionerPhase},
    reason::{Reason, ReasonCode, Responsible},
    revision::{Revision, Versioned},
    user::{AuthMethod, Role, User},
};

/// Names that differ only in case, and names with letters that take a different number of bytes in lower case.
pub(super) const NAMES: [&str; 14] = [
    "alpha",
    "Alpha",
    "ALPHA-2",
    "beta",
    "Beta 1",
    "gamma",
    "Größe",
    "GRÖSSE",
    "İstanbul",
    "a",
    "z",
    "éclair",
    "10",
    "9",
];
const ENGINES: [&str; 3] = ["kqueen.engines.ManualEngine", "kqueen.engines.AksEngine", "kqueen.engines.GceEngine"];
const WANTED: [&str; 12] = ["", "a", "A", "alph", "PHA", "größ", "Ö", "engine", "MANUAL", "kqueen.", "z", "nowhere"];

fn pool<T: From<Uuid>, const N: usize>(kind: u128) -> [T; N] {
    // Multiplied, so that the order of the ids is not the order of the pool.
    std::array::from_fn(|n| {
        T::from(Uuid::from_u128((n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) ^ kind))
    })
}

pub(super) fn organizations() -> [OrganizationId; 4] {
    pool(1)
}

pub(super) fn users() -> [UserId; 7] {
    pool(2)
}

pub(super) fn provisioners() -> [ProvisionerId; 5] {
    pool(3)
}

pub(super) fn clusters() -> [ClusterId; 16] {
    pool(4)
}

pub(super) fn operations() -> [OperationId; 10] {
    pool(5)
}

pub(super) fn scopes() -> [Scope; 5] {
    let [a, b, c, d] = organizations().map(Scope::Organization);
    [Scope::All, a, b, c, d]
}

pub(super) fn namespace(id: OrganizationId) -> Namespace {
    format!("n{}", id.uuid().simple()).try_into().unwrap()
}

/// A SplitMix64 generator: every seed gives another sequence, the same on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// True once in `n` calls on average.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub(super) fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
        items
    }

    pub(super) fn time(&mut self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + i64::try_from(self.below(5)).unwrap(), 0).unwrap()
    }

    pub(super) fn visibility(&mut self) -> Visibility {
        match self.below(6) {
            0 => Visibility::Nothing,
            1 | 2 => Visibility::OwnedBy(self.pick(&users())),
            _ => Visibility::All,
        }
    }

    fn wanted(&mut self) -> Option<String> {
        self.one_in(3).then(|| self.pick(&WANTED).to_owned())
    }

    pub(super) fn query(&mut self, sort: Sort) -> Query {
        Query {
            scope: self.pick(&scopes()),
            visibility: self.visibility(),
            filter: Filter {
                name: self.wanted(),
                provisioner: self.wanted(),
                engine: self.wanted(),
                phases: self.one_in(4).then(|| vec![self.pick(&["OK", "Deploying", "Error"]), "Not Reachable"]),
            },
            sort,
            descending: self.one_in(2),
            window: Window {
                offset: self.pick(&[0, 0, 1, 2, 5, 15, 100, usize::MAX]),
                limit: self.pick(&[0, 1, 2, 5, 20, usize::MAX, usize::MAX]),
            },
        }
    }
}

/// Generates changes, each valid after those before it, and keeps the model up to date.
#[derive(Default)]
pub(super) struct Script {
    pub(super) model: Model,
    revision: u64,
}

impl Script {
    pub(super) fn next(&mut self, random: &mut Random) -> (Revision, Change) {
        let change = match random.below(33) {
            0 | 1 => self.organization(random.pick(&organizations()), random),
            2..=4 => self.user(random),
            5 | 6 => self.provisioner(random),
            7 | 8 => Change::Put(Record::ProvisionerCheck(checked(random))),
            9..=15 => self.cluster(random),
            16..=18 => Change::Put(Record::ObservedStatus(observed(random))),
            19 | 20 => Change::Put(Record::ObservedAt(
                (0..random.below(4)).map(|_| (random.pick(&clusters()), random.time())).collect(),
            )),
            21 => Change::Deleted(RecordId::ObservedStatus(random.pick(&clusters()))),
            22 | 23 => Change::Deleted(RecordId::Cluster(random.pick(&clusters()))),
            24..=31 => self.work(random),
            _ => match random.below(3) {
                0 => Change::Deleted(RecordId::Organization(random.pick(&organizations()))),
                1 => Change::Deleted(RecordId::User(random.pick(&users()))),
                _ => Change::Deleted(RecordId::Provisioner(random.pick(&provisioners()))),
            },
        };
        self.apply(change)
    }

    /// A change without a revision belongs to the last write.
    fn apply(&mut self, change: Change) -> (Revision, Change) {
        let revision = Revision(self.revision);
        self.model.apply(revision, &change);
        (revision, change)
    }

    fn at_new_revision<T>(&mut self, value: T) -> Versioned<T> {
        self.revision += 1;
        Versioned { value, revision: Revision(self.revision) }
    }

    fn organization(&mut self, id: OrganizationId, random: &mut Random) -> Change {
        let name = random.pick(&NAMES).try_into().unwrap();
        let known = self.model.organizations.iter().find(|o| o.value.id == id).map(|o| o.value.clone());
        let organization = match known {
            Some(known) => Organization { name, ..known },
            None => Organization {
                id,
                name,
                namespace: namespace(id),
                policy: Policy::default(),
                created_at: random.time(),
            },
        };
        Change::Put(Record::Organization(self.at_new_revision(organization)))
    }

    /// Creates or renames a user, moves it to another organization, changes its role. Names are unique at any time.
    fn user(&mut self, random: &mut Random) -> Change {
        let id = random.pick(&users());
        let free: Vec<&str> = NAMES.into_iter().filter(|name| self.model.user_by_name(name).is_none()).collect();
        let known = self.model.users.iter().find(|u| u.value.id == id).map(|u| u.value.clone());
        let user = match known {
            Some(mut user) => {
                match random.below(4) {
                    0 | 1 => user.username = random.pick(&free).try_into().unwrap(),
                    2 => user.organization = random.pick(&organizations()),
                    _ => {
                        user.role = random.pick(&Role::ALL);
                        user.active = !user.active;
                    }
                }
                user
            }
            None => User {
                id,
                username: random.pick(&free).try_into().unwrap(),
                email: None,
                organization: random.pick(&organizations()),
                role: random.pick(&Role::ALL),
                active: random.one_in(2),
                auth: AuthMethod::Local,
                metadata: None,
                token_generation: 0,
                created_at: random.time(),
            },
        };
        Change::Put(Record::User(self.at_new_revision(user)))
    }

    fn provisioner(&mut self, random: &mut Random) -> Change {
        let id = random.pick(&provisioners());
        let name = random.pick(&NAMES).try_into().unwrap();
        let check = check(random);
        let known = self.model.provisioners.iter().find(|p| p.value.id == id).map(|p| p.value.clone());
        let provisioner = match known {
            Some(known) if random.one_in(2) => Provisioner { name, ..known },
            Some(known) => Provisioner { check, owner: random.pick(&users()), ..known },
            None => Provisioner {
                id,
                name,
                engine: random.pick(&ENGINES).into(),
                organization: random.pick(&organizations()),
                owner: random.pick(&users()),
                parameters: Document::default(),
                state_changed_at: check.at,
                check,
                created_at: random.time(),
            },
        };
        Change::Put(Record::Provisioner(self.at_new_revision(provisioner)))
    }

    /// Creates or changes a cluster; provisioner, owner and organization need not have arrived yet.
    fn cluster(&mut self, random: &mut Random) -> Change {
        let id = random.pick(&clusters());
        let lifecycle = random.pick(&[
            Lifecycle::Ready,
            Lifecycle::Ready,
            Lifecycle::Deploying,
            Lifecycle::Updating,
            Lifecycle::Destroying,
            Lifecycle::Failed {
                reason: Reason::new(ReasonCode::ProvisioningFailed, "a test reason", Responsible::Provider, ""),
            },
        ]);
        let known = self.model.clusters.iter().find(|c| c.value.id == id).map(|c| c.value.clone());
        let cluster = match known {
            Some(known) => match random.below(3) {
                0 => Cluster { name: random.pick(&NAMES).try_into().unwrap(), ..known },
                1 => Cluster { owner: random.pick(&users()), has_kubeconfig: !known.has_kubeconfig, ..known },
                _ => Cluster { lifecycle, changed_at: random.time(), ..known },
            },
            None => Cluster {
                id,
                name: random.pick(&NAMES).try_into().unwrap(),
                organization: random.pick(&organizations()),
                provisioner: random.pick(&provisioners()),
                owner: random.pick(&users()),
                metadata: None,
                has_kubeconfig: random.one_in(2),
                lifecycle,
                operation: None,
                changed_at: random.time(),
                created_at: random.time(),
            },
        };
        Change::Put(Record::Cluster(self.at_new_revision(cluster)))
    }
}

fn check(random: &mut Random) -> Check {
    Check { phase: random.pick(&ProvisionerPhase::ALL), code: None, reason: "a test reason".into(), at: random.time() }
}

fn checked(random: &mut Random) -> Checked {
    Checked { provisioner: random.pick(&provisioners()), check: check(random), state_changed_at: random.time() }
}

fn observed(random: &mut Random) -> ObservedStatus {
    let probe = random.pick(&[
        Some(ProbeResult::Reached { version: "v1.37.2".into() }),
        Some(ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "not Kubernetes".into() }),
        Some(ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "connection refused".into() }),
        None,
    ]);
    let last_error =
        random.one_in(2).then(|| Reason::new(ReasonCode::ProviderUnreachable, "no answer", Responsible::Provider, ""));
    let provider =
        random.one_in(2).then(|| ProviderStatus { message: "it runs".into(), last_error, ..ProviderStatus::default() });
    let cluster = random.pick(&clusters());
    let observed_status = ObservedStatus::after(None, cluster, probe, provider, random.time()).unwrap();
    ObservedStatus { at: random.time(), ..observed_status }
}
