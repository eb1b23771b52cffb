//! The keys that sign tokens and encrypt secrets, and the key that is generated in development mode.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::settings::Settings;

const MIN_KEY_LENGTH: usize = 16;
/// Minimum number of characters besides well-known words.
const MIN_OTHER_CHARACTERS: usize = 8;
const ADVICE: &str = "use at least 16 characters that are hard to guess, for example from `openssl rand -base64 32`";

/// The keys in use.
#[derive(Clone)]
pub struct SecretKeys {
    /// Signs and encrypts.
    pub current: SecretString,
    /// Still accepted for decryption, newest first.
    pub previous: Vec<SecretString>,
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKeys(hidden)")
    }
}

/// What to do in development mode if there is no key yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// Generate one and store it next to the data.
    Make,
    /// Write nothing, and return a temporary key that decrypts nothing. For read-only commands.
    Temporary,
}

impl SecretKeys {
    pub(super) fn read(
        settings: &mut Settings,
        dev_mode: bool,
        store: Option<&Path>,
        missing: MissingKey,
    ) -> Option<Self> {
        let current = settings.secret("secret_key");
        let previous = settings.secrets("secret_key_previous");
        let current = match (current?, store) {
            (Some(key), _) => {
                let text = key.expose_secret();
                let length = text.chars().count();
                if length < MIN_KEY_LENGTH {
                    settings.reject("secret_key", format!("has {length} characters"), ADVICE);
                } else if !dev_mode && is_well_known(text, MIN_OTHER_CHARACTERS) {
                    settings.reject(
                        "secret_key",
                        "consists of well-known words or of few different characters",
                        ADVICE,
                    );
                }
                key
            }
            (None, Some(store)) if dev_mode => match generated_key(&generated_path(store), missing) {
                Ok(key) => key,
                Err(error) => {
                    let wrong = format!("cannot be kept in {}: {error}", generated_path(store).display());
                    settings.reject("secret_key", wrong, "make the folder writable, or set KQUEEN_SECRET_KEY");
                    return None;
                }
            },
            (None, _) if dev_mode => return None,
            (None, _) => {
                let advice = format!("{ADVICE}; or set KQUEEN_DEV_MODE=true to try KQueen out on this machine");
                settings.reject("secret_key", "is missing", advice);
                return None;
            }
        };
        Some(Self { current, previous: previous? })
    }
}

/// The file of the generated key: next to the data that it encrypts.
pub(super) fn generated_path(store: &Path) -> PathBuf {
    store.parent().unwrap_or(Path::new("")).join("secret_key")
}

fn generated_key(path: &Path, missing: MissingKey) -> io::Result<SecretString> {
    match read_key(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match missing {
            MissingKey::Make => generate_key(path),
            MissingKey::Temporary => Ok(new_key()),
        },
        read => read,
    }
}

fn read_key(path: &Path) -> io::Result<SecretString> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    fs::File::open(path)?.take(4096).read_to_string(&mut text)?;
    if text.trim().len() < MIN_KEY_LENGTH {
        return Err(io::Error::other("the file's content is too short to be a key"));
    }
    Ok(SecretString::from(text.trim()))
}

fn new_key() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    SecretString::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Writes a new key if there is none. If two processes start at once, one of them writes it and both use it.
fn generate_key(path: &Path) -> io::Result<SecretString> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("{}.part", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(new_key().expose_secret().as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces an existing file.
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    })();
    // A leftover draft is harmless, and ignored by git.
    drop(fs::remove_file(&draft));
    written?;
    read_key(path)
}

/// Whether a secret consists of well-known words, with fewer than `others` other letters and digits, or of few different characters.
pub(super) fn is_well_known(secret: &str, others: usize) -> bool {
    const WORDS: [&str; 24] = [
        "0123456789abcdef",
        "abcdefghijklmnop",
        "1234567890",
        "0123456789",
        "password",
        "changeme",
        "change",
        "secret",
        "default",
        "example",
        "replace",
        "kqueen",
        "qwerty",
        "passwd",
        "insert",
        "admin",
        "token",
        "super",
        "123456",
        "test",
        "12345",
        "this",
        "your",
        "key",
    ];
    let mut rest = secret.to_lowercase();
    let mut characters: Vec<char> = rest.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    let left = rest.chars().filter(|character| character.is_alphanumeric()).count();
    characters.len() < 4 || left < others
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn well_known_secrets() {
        for weak in [
            "SecretSecretSecret123",
            "changemechangeme",
            "aaaaaaaaaaaaaaaaaa",
            "1234567890123456",
            "default",
            "admin123",
            "my-secret-key-secret-key",
        ] {
            assert!(is_well_known(weak, 4), "{weak}");
        }
        for fine in [
            "correct horse battery staple",
            "a secret key of our own 4f2a",
            "0rTqb3o2mX8yW1uKf9sLz7",
            "f3a91c77be02d4415a9e",
            "Tr0ub4dor&3",
        ] {
            assert!(!is_well_known(fine, 8), "{fine}");
        }
    }

    #[test]
    fn the_key_is_generated_once_and_readable_only_by_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/secret_key");
        generated_key(&path, MissingKey::Temporary).unwrap();
        assert!(!path.exists());
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| generated_key(&path, MissingKey::Make).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().expose_secret().to_owned()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 64));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no drafts stay");
        fs::write(&path, "short").unwrap();
        assert!(generated_key(&path, MissingKey::Make).is_err());
    }
}
