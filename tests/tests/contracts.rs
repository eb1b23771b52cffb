//! Every store keeps every promise.

mod memory {
    kqueen_tests::storage_contract!(kqueen_tests::contract::Site::memory);
}

mod sled {
    kqueen_tests::storage_contract!(kqueen_tests::contract::Site::sled);
}

mod etcd {
    kqueen_tests::storage_contract!(kqueen_tests::contract::Site::etcd);
}
