//! Keys: HMAC-SHA256, cut to 16 bytes, and AES-256-GCM.
//!
//! Which algorithm it is, is never read from an envelope. An envelope says only which key, so that keys
//! can be replaced while both are in use.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::header::MAC_LEN;

/// Bytes in front of what is encrypted.
pub const NONCE_LEN: usize = 12;
/// Bytes behind what is encrypted.
pub const TAG_LEN: usize = 16;

/// What MACs are of, so that they are valid for nothing else that the same key is used for.
const DOMAIN: &[u8; 4] = b"tc1\0";

/// A key as it is configured.
pub struct KeyMaterial {
    /// Names the key in envelopes; several may have the same.
    pub id: u8,
    /// Of the MAC.
    pub mac: Vec<u8>,
    /// Of the encryption.
    pub cipher: Option<[u8; 32]>,
}

/// A key with everything computed that is the same for all envelopes of a namespace.
pub struct Key {
    id: u8,
    /// Has taken in the domain and the namespace.
    mac: Hmac<Sha256>,
    cipher: Option<Box<Aes256Gcm>>,
}

impl Key {
    /// Prepares a key.
    pub fn new(material: &KeyMaterial, namespace: &[u8]) -> Self {
        // HMAC takes keys of any length.
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&material.mac)
            .unwrap_or_else(|_| unreachable!("no length is invalid"));
        mac.update(DOMAIN);
        mac.update(namespace);
        Self {
            id: material.id,
            mac,
            cipher: material
                .cipher
                .map(|key| Box::new(Aes256Gcm::new(&key.into()))),
        }
    }

    /// Its name in envelopes.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// Whether it is one to encrypt with, too.
    pub fn encrypts(&self) -> bool {
        self.cipher.is_some()
    }

    fn of(&self, key: &[u8], envelope: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(&(key.len() as u32).to_le_bytes());
        mac.update(key);
        mac.update(envelope);
        mac
    }

    /// The MAC of an envelope without it.
    pub fn sign(&self, key: &[u8], envelope: &[u8]) -> [u8; MAC_LEN] {
        let mac = self.of(key, envelope).finalize().into_bytes();
        let mut cut = [0; MAC_LEN];
        cut.copy_from_slice(&mac[..MAC_LEN]);
        cut
    }

    /// Whether this is the MAC of an envelope, in a time that does not tell how much of it is right.
    pub fn verify(&self, key: &[u8], envelope: &[u8], mac: &[u8; MAC_LEN]) -> bool {
        self.of(key, envelope).verify_truncated_left(mac).is_ok()
    }

    /// Encrypts what is between the room for a nonce and that for a tag, and fills both.
    pub fn encrypt(&self, associated: &[u8], payload: &mut [u8]) -> Option<()> {
        let cipher = self.cipher.as_ref()?;
        let (nonce, rest) = payload.split_first_chunk_mut::<NONCE_LEN>()?;
        let (text, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
        getrandom::fill(nonce).ok()?;
        let found = cipher.encrypt_inout_detached(&Nonce::from(*nonce), associated, text.into());
        tag.copy_from_slice(&found.ok()?);
        Some(())
    }

    /// Decrypts what is between a nonce and a tag; `None` if it is not authentic.
    pub fn decrypt(&self, associated: &[u8], payload: &mut [u8]) -> Option<()> {
        let cipher = self.cipher.as_ref()?;
        let (nonce, rest) = payload.split_first_chunk_mut::<NONCE_LEN>()?;
        let (text, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
        let (nonce, tag) = (Nonce::from(*nonce), Tag::from(*tag));
        cipher
            .decrypt_inout_detached(&nonce, associated, text.into(), &tag)
            .ok()
    }
}
