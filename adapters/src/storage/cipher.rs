//! Sealing of secrets: AES-256-GCM, bound to the key the value is stored under.
//!
//! From each secret key of the settings a master key is derived with argon2id and a salt that belongs to the store, and from that,
//! with HKDF-SHA-256, one key per purpose. Values are sealed with the newest key and opened with the one they name. A sealed value is
//! `1 | key id (8) | nonce (12) | ciphertext and tag`, with the whole storage key as associated data: a value that is moved to another
//! key cannot be opened.

use kqueen_domain::port::store::StoreError;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key::Key;

const FORMAT: u8 = 1;
const ID_LEN: usize = 8;
const HEAD: usize = 1 + ID_LEN + NONCE_LEN;
const TAG: usize = 16;

/// Why a value cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CipherError {
    #[error(
        "the value is encrypted with a key that is neither KQUEEN_SECRET_KEY nor one of KQUEEN_SECRET_KEY_PREVIOUS"
    )]
    UnknownKey,
    #[error("the sealed value is damaged or was moved")]
    Damaged,
    #[error("the sealed value is of a newer format: run the release that wrote it, or a later one")]
    Newer,
    #[error("the operating system provides no random numbers")]
    NoRandomness,
    #[error("the parameters of the key derivation are out of range")]
    Derivation,
}

impl From<CipherError> for StoreError {
    fn from(error: CipherError) -> Self {
        match error {
            CipherError::NoRandomness => Self::Unavailable(Box::new(error)),
            CipherError::UnknownKey | CipherError::Damaged | CipherError::Newer | CipherError::Derivation => {
                Self::Unreadable(Box::new(error))
            }
        }
    }
}

/// Identifies a secret key without revealing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId([u8; ID_LEN]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The parameters from which master keys are derived for one store; stored there, so that they can be made stronger later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Derivation {
    format: u32,
    salt: [u8; 16],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Derivation {
    /// For a new store.
    pub(crate) fn random() -> Result<Self, CipherError> {
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| CipherError::NoRandomness)?;
        Ok(Self { format: 1, salt, memory_kib: 19 * 1024, passes: 2, lanes: 1 })
    }

    fn master(&self, secret: &SecretString) -> Result<Zeroizing<[u8; 32]>, CipherError> {
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let params = params.map_err(|_| CipherError::Derivation)?;
        let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut master = Zeroizing::new([0; 32]);
        argon
            .hash_password_into(secret.expose_secret().as_bytes(), &self.salt, &mut *master)
            .map_err(|_| CipherError::Derivation)?;
        Ok(master)
    }
}

/// A fingerprint, and the key it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub(crate) key: String,
    pub(crate) fingerprint: [u8; 32],
}

struct SecretKey {
    id: KeyId,
    sealing: LessSafeKey,
    derived: hkdf::Prk,
}

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(derived: &hkdf::Prk, purpose: &str) -> Result<Zeroizing<[u8; N]>, CipherError> {
    let mut key = Zeroizing::new([0; N]);
    let info = [purpose.as_bytes()];
    let expanded = derived.expand(&info, Bytes(N)).and_then(|okm| okm.fill(&mut *key));
    expanded.map_err(|_| CipherError::Derivation)?;
    Ok(key)
}

impl SecretKey {
    fn new(secret: &SecretString, derivation: &Derivation) -> Result<Self, CipherError> {
        let master = derivation.master(secret)?;
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, b"kqueen store").extract(&*master);
        let sealing = expand::<32>(&derived, "seal records")?;
        let sealing = UnboundKey::new(&AES_256_GCM, &*sealing).map_err(|_| CipherError::Derivation)?;
        let id = KeyId(*expand::<ID_LEN>(&derived, "name of the key")?);
        Ok(Self { id, sealing: LessSafeKey::new(sealing), derived })
    }

    fn fingerprinting(&self) -> Result<hmac::Key, CipherError> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*expand::<32>(&self.derived, "fingerprints of requests")?))
    }
}

/// Seals with the newest key, opens with any.
pub(crate) struct Cipher {
    newest: SecretKey,
    previous: Vec<SecretKey>,
}

impl Cipher {
    /// Derives the keys, which takes about 40 ms of CPU time each: do not call it on the async runtime.
    pub(crate) fn new(
        newest: &SecretString,
        previous: &[SecretString],
        derivation: &Derivation,
    ) -> Result<Self, CipherError> {
        let newest = SecretKey::new(newest, derivation)?;
        let previous = previous.iter().map(|secret| SecretKey::new(secret, derivation)).collect::<Result<_, _>>()?;
        Ok(Self { newest, previous })
    }

    pub(crate) fn newest(&self) -> KeyId {
        self.newest.id
    }

    /// Whether values that name this key can be opened.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.all().any(|key| key.id.to_string() == id)
    }

    /// Whether `value` is sealed with the newest key.
    pub(crate) fn is_newest(&self, value: &[u8]) -> bool {
        value.first() == Some(&FORMAT) && value.get(1..=ID_LEN) == Some(&self.newest.id.0)
    }

    /// A separate key for `purpose`: the same on every replica, and a different one after the secret key has changed.
    pub(crate) fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, CipherError> {
        expand(&self.newest.derived, &format!("purpose: {purpose}"))
    }

    /// The fingerprint of a request, keyed with the newest key: without the key, no guess of the request can be tested with it.
    pub(crate) fn fingerprint(&self, hash: &[u8; 32]) -> Result<Keyed, CipherError> {
        let tag = hmac::sign(&self.newest.fingerprinting()?, hash);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(tag.as_ref());
        Ok(Keyed { key: self.newest.id.to_string(), fingerprint })
    }

    /// Whether a keyed fingerprint is that of `hash`; `None` if its key is not known any more.
    pub(crate) fn is_fingerprint_of(&self, keyed: &Keyed, hash: &[u8; 32]) -> Result<Option<bool>, CipherError> {
        let Some(key) = self.all().find(|key| key.id.to_string() == keyed.key) else { return Ok(None) };
        Ok(Some(hmac::verify(&key.fingerprinting()?, hash, &keyed.fingerprint).is_ok()))
    }

    pub(crate) fn seal(&self, at: &Key, plain: &[u8]) -> Result<Vec<u8>, CipherError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| CipherError::NoRandomness)?;
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.newest.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, body) = sealed.split_at_mut(HEAD);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.newest.sealing.seal_in_place_separate_tag(nonce, Aad::from(at.as_bytes()), body);
        sealed.extend_from_slice(tag.map_err(|_| CipherError::Damaged)?.as_ref());
        Ok(sealed)
    }

    pub(crate) fn open(&self, at: &Key, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CipherError> {
        match sealed.first() {
            Some(&FORMAT) => {}
            Some(&format) if format > FORMAT => return Err(CipherError::Newer),
            _ => return Err(CipherError::Damaged),
        }
        let (head, body) = sealed.split_at_checked(HEAD).ok_or(CipherError::Damaged)?;
        let (id, nonce) = head[1..].split_at(ID_LEN);
        let key = self.all().find(|key| key.id.0 == id).ok_or(CipherError::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CipherError::Damaged)?;
        let (text, tag) = body.split_last_chunk::<TAG>().ok_or(CipherError::Damaged)?;
        // Allocated with the exact length of the text, so that callers need not copy it.
        let mut plain = Zeroizing::new(text.to_vec());
        let aad = Aad::from(at.as_bytes());
        key.sealing
            .open_in_place_separate_tag(nonce, aad, (*tag).into(), &mut plain, 0..)
            .map_err(|_| CipherError::Damaged)?;
        Ok(plain)
    }

    fn all(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.newest).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::key::{all_idempotency_records, all_sealed};

    fn derivation() -> Derivation {
        // As cheap as argon2 allows: these tests are about the use of the keys.
        Derivation { format: 1, salt: [7; 16], memory_kib: 8, passes: 1, lanes: 1 }
    }

    fn cipher(newest: &str, previous: &[&str]) -> Cipher {
        let previous: Vec<SecretString> = previous.iter().map(|key| SecretString::from(*key)).collect();
        Cipher::new(&newest.into(), &previous, &derivation()).unwrap()
    }

    #[test]
    fn a_value_opens_only_under_the_key_it_was_sealed_for() {
        let cipher = cipher("one", &[]);
        let (here, there) = (all_sealed(), all_idempotency_records());
        let sealed = cipher.seal(&here, b"secret").unwrap();
        let opened = cipher.open(&here, &sealed).unwrap();
        assert_eq!((&**opened, opened.capacity()), (&b"secret"[..], 6), "callers need not copy the text");
        assert_eq!(cipher.open(&there, &sealed), Err(CipherError::Damaged));
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn every_changed_bit_is_detected() {
        let cipher = cipher("one", &[]);
        let here = all_sealed();
        let sealed = cipher.seal(&here, b"secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(cipher.open(&here, &changed).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(cipher.open(&here, &sealed[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let cipher = cipher("one", &[]);
        assert_ne!(cipher.seal(&all_sealed(), b"x").unwrap(), cipher.seal(&all_sealed(), b"x").unwrap());
    }

    #[test]
    fn an_earlier_key_opens_and_the_newest_seals() {
        let here = all_sealed();
        let old = cipher("old", &[]).seal(&here, b"secret").unwrap();
        let both = cipher("new", &["older", "old"]);
        assert_eq!(&**both.open(&here, &old).unwrap(), b"secret");
        assert!(!both.is_newest(&old));
        let new = both.seal(&here, b"secret").unwrap();
        assert!(both.is_newest(&new));
        assert_eq!(cipher("old", &[]).open(&here, &new), Err(CipherError::UnknownKey));
        assert_eq!(&**cipher("new", &[]).open(&here, &new).unwrap(), b"secret");
    }

    #[test]
    fn fingerprints_are_compared_with_the_key_they_were_made_with() {
        let one = cipher("one", &[]);
        let (hash, other) = ([1; 32], [2; 32]);
        let keyed = one.fingerprint(&hash).unwrap();
        assert_ne!(keyed.fingerprint, hash);
        assert_ne!(keyed.fingerprint, cipher("two", &[]).fingerprint(&hash).unwrap().fingerprint);
        assert_eq!(keyed, cipher("one", &["zero"]).fingerprint(&hash).unwrap(), "the same on every replica");
        for knows in [one, cipher("two", &["zero", "one"])] {
            assert_eq!(knows.is_fingerprint_of(&keyed, &hash), Ok(Some(true)));
            assert_eq!(knows.is_fingerprint_of(&keyed, &other), Ok(Some(false)));
        }
        assert_eq!(cipher("two", &[]).is_fingerprint_of(&keyed, &hash), Ok(None));
    }

    #[test]
    fn each_purpose_has_a_separate_key() {
        let one = cipher("one", &[]);
        assert_eq!(one.derive("tokens").unwrap(), cipher("one", &["two"]).derive("tokens").unwrap());
        assert_ne!(one.derive("tokens").unwrap(), one.derive("links").unwrap());
        assert_ne!(one.derive("tokens").unwrap(), cipher("two", &["one"]).derive("tokens").unwrap());
    }
}
