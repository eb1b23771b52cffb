//! Limits on open event streams: each keeps a connection and memory for hours.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kqueen_domain::id::UserId;

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The user has reached the limit of streams per user.
    #[error("you have {0} open event streams, which is the limit per user; close one first")]
    User(usize),
    /// The limit of all streams is reached.
    #[error("{0} event streams are open, which is the limit of this installation; try again later")]
    All(usize),
}

#[derive(Debug, Default)]
struct Taken {
    of_users: HashMap<UserId, usize>,
    all: usize,
}

/// The seats for event streams.
#[derive(Debug)]
pub(super) struct Seats {
    each: usize,
    all: usize,
    taken: Mutex<Taken>,
}

/// A seat that is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    user: UserId,
}

impl Seats {
    /// `each` seats for each user, and `all` in total.
    pub(super) fn new(each: usize, all: usize) -> Arc<Self> {
        Arc::new(Self { each, all, taken: Mutex::default() })
    }

    /// Takes a seat for `user`.
    pub(super) fn take(self: &Arc<Self>, user: UserId) -> Result<Seat, Full> {
        let mut taken = self.taken();
        if taken.of_users.get(&user).is_some_and(|count| *count >= self.each) {
            return Err(Full::User(self.each));
        }
        if taken.all >= self.all {
            return Err(Full::All(self.all));
        }
        taken.all += 1;
        *taken.of_users.entry(user).or_default() += 1;
        drop(taken);
        Ok(Seat { seats: self.clone(), user })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        if let Some(count) = taken.of_users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.of_users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_per_user_and_in_total_and_freed_on_drop() {
        let seats = Seats::new(2, 3);
        let (ann, bob, cid) = (UserId::random(), UserId::random(), UserId::random());
        let first = seats.take(ann).unwrap();
        let _second = seats.take(ann).unwrap();
        assert_eq!(seats.take(ann).unwrap_err(), Full::User(2));
        let third = seats.take(bob).unwrap();
        assert_eq!(seats.take(cid).unwrap_err(), Full::All(3));
        drop((first, third));
        let _again = (seats.take(ann).unwrap(), seats.take(cid).unwrap());
        assert_eq!(seats.taken().of_users.len(), 2, "users without streams are removed");
    }
}
