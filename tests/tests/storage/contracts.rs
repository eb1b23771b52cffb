//! Every store satisfies the storage contract.

mod memory {
    kqueen_tests::storage_contract!(kqueen_tests::contract::TestStore::memory);
}

mod sled {
    kqueen_tests::storage_contract!(kqueen_tests::contract::TestStore::sled);
}

mod etcd {
    kqueen_tests::storage_contract!(kqueen_tests::contract::TestStore::etcd);
}
