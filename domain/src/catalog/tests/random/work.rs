//! What is done to clusters, at random: operations that move on, orphans that are decided about, clusters that leave.

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

    /// Asks for an operation or moves it on; there need not be such a cluster.
    fn operation(&mut self, random: &mut Random) -> Change {
        let all = operations();
        let number = random.below(all.len());
        let id = all[number];
        let status = random.pick(&[OperationStatus::Pending, OperationStatus::Running, OperationStatus::Failed]);
        let known = self.model.work.operations.iter().find(|o| o.value.id == id).map(|o| o.value.clone());
        let operation = match known {
            Some(known) => Operation { status, ..known },
            None => {
                // An operation is about the same cluster for ever. Some have several.
                let cluster = clusters()[number % 3];
                let asked = random.time();
                let requested =
                    Operation::requested(cluster, OperationKind::Deploy, random.pick(&users()), asked, asked);
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

    /// One transaction in which a cluster leaves while something is done to it, with its changes in any order.
    pub(in super::super) fn leave(&mut self, random: &mut Random) -> Vec<(Revision, Change)> {
        let there = self.model.clusters.iter().map(|c| c.value.clone()).collect::<Vec<_>>();
        if there.is_empty() {
            return Vec::new();
        }
        let cluster = random.pick(&there);
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
        random.shuffled(changes).into_iter().map(|change| self.happened(change)).collect()
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
