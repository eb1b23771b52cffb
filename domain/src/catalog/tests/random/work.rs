//! Random changes of operations, orphans and tombstones, and deletions of clusters.

use super::{Random, Script, clusters, operations, organizations, provisioners, users};
use crate::{
    catalog::{Change, Record, RecordId, tests::random::NAMES},
    operation::{Operation, OperationKind, OperationStatus},
    orphan::{Orphan, OrphanState},
    revision::Revision,
    timeline::Tombstone,
};

impl Script {
    pub(super) fn work(&mut self, random: &mut Random) -> Change {
        match random.below(14) {
            0..=4 => self.operation(random),
            5..=7 => Change::Deleted(RecordId::Operation(random.pick(&operations()))),
            8 | 9 => self.orphan(random),
            10 => Change::Deleted(RecordId::Orphan(random.pick(&clusters()))),
            11 | 12 => Change::Put(Record::Tombstone(tombstone(random))),
            _ => Change::Deleted(RecordId::Tombstone(random.pick(&clusters()))),
        }
    }

    /// Requests an operation or changes its status; its cluster need not exist.
    fn operation(&mut self, random: &mut Random) -> Change {
        let all = operations();
        let number = random.below(all.len());
        let id = all[number];
        let status = random.pick(&[OperationStatus::Pending, OperationStatus::Running, OperationStatus::Failed]);
        let known = self.model.work.operations.iter().find(|o| o.value.id == id).map(|o| o.value.clone());
        let operation = match known {
            Some(known) => Operation { status, ..known },
            None => {
                // The cluster of an operation never changes. Some clusters have several operations.
                let cluster = clusters()[number % 3];
                let requested_at = random.time();
                let requested = Operation::requested(
                    cluster,
                    OperationKind::Deploy,
                    random.pick(&users()),
                    requested_at,
                    requested_at,
                );
                Operation { id, status, ..requested }
            }
        };
        Change::Put(Record::Operation(self.at_new_revision(operation)))
    }

    fn orphan(&mut self, random: &mut Random) -> Change {
        let (by, since) = (random.pick(&users()), random.time());
        let state = random.pick(&[
            OrphanState::Listed,
            OrphanState::Deleting { by, since, last_error: None },
            OrphanState::Ignored { by, since },
        ]);
        let orphan = Orphan {
            cluster: random.pick(&clusters()),
            name: random.one_in(2).then(|| random.pick(&NAMES).to_owned()),
            organization: random.pick(&organizations()),
            provisioner: random.pick(&provisioners()),
            resources: Vec::new(),
            state,
            listed_at: random.time(),
            seen_at: None,
        };
        Change::Put(Record::Orphan(self.at_new_revision(orphan)))
    }

    /// One transaction that deletes a cluster during an operation, with its changes in random order.
    pub(in super::super) fn delete_cluster(&mut self, random: &mut Random) -> Vec<(Revision, Change)> {
        let existing = self.model.clusters.iter().map(|c| c.value.clone()).collect::<Vec<_>>();
        if existing.is_empty() {
            return Vec::new();
        }
        let cluster = random.pick(&existing);
        let tombstone = Tombstone {
            cluster: cluster.id,
            name: cluster.name.clone(),
            organization: cluster.organization,
            owner: cluster.owner,
            at: random.time(),
        };
        let mut changes =
            vec![Change::Deleted(RecordId::Cluster(cluster.id)), Change::Put(Record::Tombstone(tombstone))];
        let newest = self.model.work.operations.iter().find(|o| o.value.cluster == cluster.id).map(|o| o.value.clone());
        if let Some(newest) = newest {
            changes.push(Change::Put(Record::Operation(self.at_new_revision(newest))));
        }
        random.shuffled(changes).into_iter().map(|change| self.apply(change)).collect()
    }
}

fn tombstone(random: &mut Random) -> Tombstone {
    Tombstone {
        cluster: random.pick(&clusters()),
        name: random.pick(&NAMES).try_into().unwrap(),
        organization: random.pick(&organizations()),
        owner: random.pick(&users()),
        at: random.time(),
    }
}
