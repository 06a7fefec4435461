//! Envelopes: what is sealed comes back, and nothing else does.

use overdrive_core::envelope::header::{LEN, MAC_LEN};
use overdrive_core::envelope::{
    Compression, Config, Header, KeyMaterial, Message, Refused, Sealer, flag,
};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000_000;

/// What the envelopes of a test have.
#[derive(Clone, Copy, Debug)]
struct Kind {
    mac: bool,
    encrypt: bool,
    compression: Option<Compression>,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let compressions = [None, Some(Compression::Zstd), Some(Compression::Lz4)];
    (
        any::<bool>(),
        any::<bool>(),
        proptest::sample::select(compressions.to_vec()),
    )
        .prop_map(|(mac, encrypt, compression)| Kind {
            mac: mac || encrypt,
            encrypt,
            compression,
        })
}

fn material(id: u8, mac: &[u8]) -> KeyMaterial {
    KeyMaterial {
        id,
        mac: mac.to_vec(),
        cipher: Some([mac[0]; 32]),
    }
}

fn config(kind: Kind) -> Config {
    let keys = if kind.mac {
        vec![material(7, b"secret")]
    } else {
        vec![]
    };
    Config {
        namespace: b"app".to_vec(),
        keys,
        write_key: kind.mac.then_some(7),
        require_mac: kind.mac,
        encrypt: kind.encrypt,
        max_raw: 1 << 20,
        compression: kind.compression,
        min_compress: 64,
        keep_below: 0.9,
    }
}

fn message<'a>(key: &'a [u8], tags: &'a [u64]) -> Message<'a> {
    Message {
        key,
        flags: 0,
        serializer: 2,
        schema: 9,
        version: 1 << 40,
        created_ms: NOW,
        soft: 10.0,
        hard: 60.0,
        cost: 15,
        epoch: Some(4),
        tags,
    }
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let repeated = (proptest::collection::vec(any::<u8>(), 1..20), 0_usize..40)
        .prop_map(|(unit, times)| unit.repeat(times));
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), repeated]
}

proptest! {
    #[test]
    fn what_is_sealed_comes_back(
        kind in kinds(),
        payload in payloads(),
        key in proptest::collection::vec(any::<u8>(), 0..40),
        tags in proptest::collection::vec(any::<u64>(), 0..5),
    ) {
        let sealer = Sealer::new(config(kind));
        let message = message(&key, &tags);
        let envelope = sealer.seal_payload(&message, &payload).expect("it is small");
        let (header, raw) = sealer.open(&key, &envelope, NOW, Some(9)).expect("it is whole");
        prop_assert_eq!(raw, payload);
        prop_assert_eq!(header.has(flag::MAC), kind.mac);
        prop_assert_eq!(header.has(flag::ENCRYPTED), kind.encrypt);
        prop_assert_eq!(header.extension(&envelope), (Some(4), tags.clone()));
        prop_assert_eq!(Header::parse(&envelope[..LEN]), Ok(header));
        prop_assert_eq!(&header.to_bytes()[..], &envelope[..LEN]);
    }

    #[test]
    fn random_bytes_are_refused(kind in kinds(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let sealer = Sealer::new(config(kind));
        prop_assert!(sealer.open(b"k", &bytes, NOW, None).is_err());
        let mut magic = b"\xf5T\x01".to_vec();
        magic.extend(bytes);
        prop_assert!(sealer.open(b"k", &magic, NOW, None).is_err());
    }

    #[test]
    fn forged_checksums_of_random_headers_never_panic(
        fields in proptest::array::uniform32(any::<u8>()),
        codec in 0_u8..4,
        flags in 0_u8..64,
        raw_len in prop_oneof![any::<u32>(), 0_u32..2000],
        payload in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let kind = Kind { mac: false, encrypt: false, compression: None };
        let sealer = Sealer::new(config(kind));
        let plain = sealer.seal_payload(&message(b"k", &[]), &payload).expect("it is small");
        let mut header = Header::parse(&plain).expect("it is one");
        header.codec = codec;
        header.flags = flags & !flag::MAC;
        header.raw_len = raw_len;
        header.schema = u32::from(fields[0]);
        let mut forged = header.to_bytes().to_vec();
        forged.extend_from_slice(&plain[LEN..]);
        header.checksum = reference_checksum(b"app", b"k", &forged);
        forged[..LEN].copy_from_slice(&header.to_bytes());
        if let Ok((_, raw)) = sealer.open(b"k", &forged, NOW, None) {
            prop_assert_eq!(raw.len(), raw_len as usize);
        }
    }
}

/// As the documentation says it.
fn reference_checksum(namespace: &[u8], key: &[u8], envelope: &[u8]) -> u64 {
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    let covered = [
        &length(namespace)[..],
        namespace,
        &length(key),
        key,
        &envelope[..48],
        &envelope[LEN..],
    ];
    xxhash_rust::xxh3::xxh3_64(&covered.concat())
}

fn all_kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for compression in [None, Some(Compression::Zstd), Some(Compression::Lz4)] {
        for (mac, encrypt) in [(false, false), (true, false), (true, true)] {
            kinds.push(Kind {
                mac,
                encrypt,
                compression,
            });
        }
    }
    kinds
}

#[test]
fn every_flipped_bit_is_refused() {
    for kind in all_kinds() {
        let sealer = Sealer::new(config(kind));
        let envelope = sealer
            .seal_payload(&message(b"k", &[1, 2]), &b"abcdefgh".repeat(20))
            .expect("it is small");
        for bit in 0..8 * envelope.len() {
            let mut damaged = envelope.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let opened = sealer.open(b"k", &damaged, NOW, None);
            assert!(opened.is_err(), "bit {bit} of {kind:?}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    for kind in all_kinds() {
        let sealer = Sealer::new(config(kind));
        let envelope = sealer
            .seal_payload(&message(b"k", &[1]), &b"abcdefgh".repeat(20))
            .expect("it is small");
        for length in 0..envelope.len() {
            let opened = sealer.open(b"k", &envelope[..length], NOW, None);
            assert!(opened.is_err(), "{length} bytes of {kind:?}");
        }
        let mut longer = envelope.clone();
        longer.push(0);
        assert_eq!(sealer.open(b"k", &longer, NOW, None), Err(Refused::Length));
    }
}

#[test]
fn a_value_of_another_key_namespace_or_secret_is_refused() {
    for kind in all_kinds() {
        let sealer = Sealer::new(config(kind));
        let envelope = sealer
            .seal_payload(&message(b"k", &[]), b"value")
            .expect("it is small");
        let wrong = if kind.mac {
            Refused::Mac
        } else {
            Refused::Checksum
        };
        assert_eq!(sealer.open(b"l", &envelope, NOW, None), Err(wrong));
        // What is at the border of namespace and key belongs to one of them.
        for (namespace, key) in [(&b"app2"[..], &b"k"[..]), (b"ap", b"pk"), (b"appk", b"")] {
            let other = Sealer::new(Config {
                namespace: namespace.to_vec(),
                ..config(kind)
            });
            assert_eq!(other.open(key, &envelope, NOW, None), Err(wrong));
        }
        if kind.mac {
            let other = |id, secret: &[u8]| {
                Sealer::new(Config {
                    keys: vec![material(id, secret)],
                    ..config(kind)
                })
            };
            assert_eq!(
                other(7, b"guessed").open(b"k", &envelope, NOW, None),
                Err(Refused::Mac)
            );
            assert_eq!(
                other(8, b"secret").open(b"k", &envelope, NOW, None),
                Err(Refused::Key)
            );
        }
    }
}

#[test]
fn keys_are_replaced_while_both_are_in_use() {
    let kind = Kind {
        mac: true,
        encrypt: true,
        compression: None,
    };
    let sealer_of = |keys: Vec<KeyMaterial>, write_key| {
        Sealer::new(Config {
            keys,
            write_key: Some(write_key),
            ..config(kind)
        })
    };
    let old = sealer_of(vec![material(1, b"old")], 1);
    let both = sealer_of(vec![material(2, b"new"), material(1, b"old")], 2);
    let new = sealer_of(vec![material(2, b"new")], 2);
    let namesakes = sealer_of(vec![material(1, b"other"), material(1, b"old")], 1);
    let by_old = old
        .seal_payload(&message(b"k", &[]), b"value")
        .expect("it is small");
    let by_both = both
        .seal_payload(&message(b"k", &[]), b"value")
        .expect("it is small");
    for sealer in [&old, &both, &namesakes] {
        let opened = sealer
            .open(b"k", &by_old, NOW, None)
            .expect("the key is known");
        assert_eq!(opened.1, b"value");
    }
    assert!(new.open(b"k", &by_both, NOW, None).is_ok());
    assert_eq!(new.open(b"k", &by_old, NOW, None), Err(Refused::Key));
    assert_eq!(old.open(b"k", &by_both, NOW, None), Err(Refused::Key));
}

#[test]
fn an_unsigned_value_is_refused_where_a_mac_is_required() {
    let plain = Kind {
        mac: false,
        encrypt: false,
        compression: None,
    };
    let signed = Kind { mac: true, ..plain };
    let unsigned = Sealer::new(config(plain))
        .seal_payload(&message(b"k", &[]), b"value")
        .expect("it is small");
    let strict = Sealer::new(config(signed));
    assert_eq!(strict.open(b"k", &unsigned, NOW, None), Err(Refused::Mac));
    let lenient = Sealer::new(Config {
        require_mac: false,
        ..config(signed)
    });
    assert!(lenient.open(b"k", &unsigned, NOW, None).is_ok());
}

#[test]
fn the_end_of_a_lifetime_and_another_schema_are_refused() {
    let sealer = Sealer::new(config(all_kinds()[1]));
    let sealed = |hard| {
        let message = Message {
            hard,
            ..message(b"k", &[])
        };
        sealer
            .seal_payload(&message, b"value")
            .expect("it is small")
    };
    let envelope = sealed(60.0);
    assert!(sealer.open(b"k", &envelope, NOW + 59_999, None).is_ok());
    assert!(sealer.open(b"k", &envelope, NOW - 5_000, None).is_ok());
    assert_eq!(
        sealer.open(b"k", &envelope, NOW + 60_000, None),
        Err(Refused::Expired)
    );
    assert!(
        sealer
            .open(b"k", &sealed(f32::INFINITY), u64::MAX, None)
            .is_ok()
    );
    for none in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
        assert_eq!(
            sealer.open(b"k", &sealed(none), NOW, None),
            Err(Refused::Expired)
        );
    }
    assert_eq!(
        sealer.open(b"k", &envelope, NOW, Some(8)),
        Err(Refused::Schema)
    );
}

#[test]
fn a_bomb_is_refused_before_there_is_room_for_it() {
    for compression in [Compression::Zstd, Compression::Lz4] {
        let kind = Kind {
            mac: false,
            encrypt: false,
            compression: Some(compression),
        };
        let large = Sealer::new(Config {
            max_raw: 64 << 20,
            ..config(kind)
        });
        let envelope = large
            .seal_payload(&message(b"k", &[]), &vec![0; 32 << 20])
            .expect("it is below the limit");
        assert!(envelope.len() < 1 << 20);
        let sealer = Sealer::new(config(kind));
        assert_eq!(sealer.open(b"k", &envelope, NOW, None), Err(Refused::Bomb));
        // One that lies about how much it is.
        for raw_len in [0, 1000, 1 << 20] {
            let mut header = Header::parse(&envelope).expect("it is one");
            header.raw_len = raw_len;
            let mut forged = [&header.to_bytes()[..], &envelope[LEN..]].concat();
            header.checksum = reference_checksum(b"app", b"k", &forged);
            forged[..LEN].copy_from_slice(&header.to_bytes());
            assert_eq!(sealer.open(b"k", &forged, NOW, None), Err(Refused::Bomb));
        }
    }
}

#[test]
fn equal_values_are_encrypted_differently_and_show_nothing() {
    let kind = Kind {
        mac: true,
        encrypt: true,
        compression: None,
    };
    let sealer = Sealer::new(config(kind));
    let text = b"a text that would be found";
    let seal = || {
        sealer
            .seal_payload(&message(b"k", &[]), text)
            .expect("it is small")
    };
    let (one, two) = (seal(), seal());
    assert_ne!(one, two);
    assert!(
        !one.windows(8)
            .any(|window| text.windows(8).any(|part| part == window))
    );
    assert_eq!(one.len(), LEN + 8 + 12 + text.len() + 16 + MAC_LEN);
}
