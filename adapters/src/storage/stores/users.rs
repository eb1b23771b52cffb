//! Users with their secrets, unique usernames and unique e-mail addresses.

use std::sync::Arc;

use async_trait::async_trait;
use kqueen_domain::{
    id::UserId,
    name::EmailAddress,
    port::store::{StoreError, UserSecrets, UserStore},
    revision::{Revision, Versioned},
    secret::{PasswordHash, SecretDocument},
    user::User,
};

use crate::storage::{
    backend::{Refusal, Test, Transaction},
    core::Core,
    key::{self, By, Key, Secret, Used},
    record,
};

pub(crate) struct Users(pub(crate) Arc<Core>);

fn username(user: &User) -> Key {
    key::unique("username", user.username.as_str())
}

fn email(address: &EmailAddress) -> Key {
    key::unique("email", &address.folded())
}

/// Makes the transaction depend on another user being at its expected revision. If that user is gone, it is a conflict, because `Missing`
/// would refer to the user that is written.
fn depend_on(transaction: &mut Transaction, other: Option<Versioned<UserId>>) {
    if let Some(Versioned { value: id, revision }) = other {
        let key = key::user(id);
        transaction.require(key.clone(), Test::Present, Refusal::Conflict).unchanged(key, revision);
    }
}

impl Users {
    async fn as_expected(&self, id: UserId, expected: Revision) -> Result<User, StoreError> {
        match self.0.model.catalog.user(id) {
            Some(entry) if entry.revision == expected => Ok(entry.record.clone()),
            _ => self.0.stored_as_expected(&key::user(id), expected).await,
        }
    }

    fn change_secrets(
        &self,
        transaction: &mut Transaction,
        id: UserId,
        secrets: &UserSecrets,
    ) -> Result<(), StoreError> {
        self.0.change_secret(transaction, Secret::Password(id), &secrets.password, PasswordHash::expose)?;
        self.0.change_secret(transaction, Secret::UserMetadata(id), &secrets.metadata, SecretDocument::expose)
    }
}

#[async_trait]
impl UserStore for Users {
    async fn create(&self, user: &User, secrets: UserSecrets) -> Result<Revision, StoreError> {
        let key = key::user(user.id);
        let organization = key::organization(user.organization);
        let mut transaction = Transaction::default();
        transaction
            .require(key.clone(), Test::Absent, Refusal::Conflict)
            .require(organization, Test::Present, Refusal::Dangling("organization"))
            .require(username(user), Test::Absent, Refusal::Taken("username"))
            .put(key, record::written(user)?)
            .put(username(user), user.id.to_string())
            .put(key::uses(Used::Organization(user.organization), By::User(user.id)), "");
        if let Some(address) = &user.email {
            let address = email(address);
            transaction.require(address.clone(), Test::Absent, Refusal::Taken("email"));
            transaction.put(address, user.id.to_string());
        }
        self.change_secrets(&mut transaction, user.id, &secrets)?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn update(
        &self,
        user: &User,
        secrets: UserSecrets,
        expected: Revision,
        beside: Option<Versioned<UserId>>,
    ) -> Result<Revision, StoreError> {
        let old = self.as_expected(user.id, expected).await?;
        let key = key::user(user.id);
        let mut transaction = Transaction::default();
        transaction.unchanged(key.clone(), expected).put(key, record::written(user)?);
        depend_on(&mut transaction, beside);
        if old.username != user.username {
            transaction
                .require(username(user), Test::Absent, Refusal::Taken("username"))
                .put(username(user), user.id.to_string())
                .delete(username(&old));
        }
        let (old_address, address) = (old.email.as_ref().map(email), user.email.as_ref().map(email));
        if old_address != address {
            if let Some(address) = address {
                transaction.require(address.clone(), Test::Absent, Refusal::Taken("email"));
                transaction.put(address, user.id.to_string());
            }
            if let Some(address) = old_address {
                transaction.delete(address);
            }
        }
        if old.organization != user.organization {
            transaction
                .require(key::organization(user.organization), Test::Present, Refusal::Dangling("organization"))
                .require(key::uses_of(Used::User(user.id)), Test::NothingBelow, Refusal::InUse)
                .put(key::uses(Used::Organization(user.organization), By::User(user.id)), "")
                .delete(key::uses(Used::Organization(old.organization), By::User(user.id)));
        }
        self.change_secrets(&mut transaction, user.id, &secrets)?;
        Ok(self.0.commit(transaction).await?)
    }

    async fn delete(
        &self,
        id: UserId,
        expected: Revision,
        beside: Option<Versioned<UserId>>,
    ) -> Result<(), StoreError> {
        let old = self.as_expected(id, expected).await?;
        let key = key::user(id);
        let mut transaction = Transaction::default();
        transaction.unchanged(key.clone(), expected);
        depend_on(&mut transaction, beside);
        transaction
            .require(key::uses_of(Used::User(id)), Test::NothingBelow, Refusal::InUse)
            .delete(key)
            .delete(username(&old))
            .delete(key::uses(Used::Organization(old.organization), By::User(id)))
            .delete(Secret::Password(id).into())
            .delete(Secret::UserMetadata(id).into());
        if let Some(address) = &old.email {
            transaction.delete(email(address));
        }
        self.0.commit(transaction).await?;
        Ok(())
    }

    async fn password_hash(&self, id: UserId) -> Result<Option<PasswordHash>, StoreError> {
        Ok(self.0.secret(Secret::Password(id)).await?.map(PasswordHash::new))
    }

    async fn metadata(&self, id: UserId) -> Result<Option<SecretDocument>, StoreError> {
        Ok(self.0.secret(Secret::UserMetadata(id)).await?.map(SecretDocument::new))
    }
}
