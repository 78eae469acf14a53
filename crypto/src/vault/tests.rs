use super::*;
use crate::dice::SeededDice;
use crate::key::sha256;
use crate::limits::{PASSPHRASE_LANES_MAX, PASSPHRASE_MEMORY_MAX_KIB, PASSPHRASE_PASSES_MAX};

const PASSPHRASE: &[u8] = b"correct horse battery staple";
/// The least that Argon2 takes, so that these tests take no seconds.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

struct Home {
    vault: Vault,
    phrase: Phrase,
    dice: SeededDice,
}

impl Home {
    fn with(protection: Protection<'_>) -> Home {
        let mut dice = SeededDice::new(1);
        let phrase = Phrase::random(&mut dice);
        let vault = Vault::create_at_cost(protection, &phrase, CHEAP, &mut dice);
        Home { vault, phrase, dice }
    }

    fn file(&mut self) -> Vec<u8> {
        self.vault.to_bytes(&mut self.dice).to_vec()
    }
}

/// Everything in a vault that must come back, as bytes.
fn contents(vault: &Vault) -> Vec<u8> {
    let mut all = [vault.index_key().expose().as_slice(), vault.backup_key().expose()].concat();
    all.push(u8::from(vault.store_created()));
    for bucket in 0..=255 {
        let bucket = vault.bucket(bucket);
        all.extend_from_slice(&bucket.generation().to_le_bytes());
        all.extend_from_slice(bucket.key().expose());
        if let Some((generation, key)) = bucket.previous() {
            all.extend_from_slice(&generation.to_le_bytes());
            all.extend_from_slice(key.expose());
        }
    }
    all
}

/// What the vault seals, before it is sealed.
fn encoded(vault: &Vault) -> Zeroizing<Vec<u8>> {
    let content = Content {
        root: vault.root.root(),
        index_key: &vault.index_key,
        store_created: vault.store_created,
        passphrase_key: None,
        buckets: &vault.buckets,
    };
    content.encode()
}

/// Repairs the hash at the end, as somebody would who changes a file on purpose.
fn with_checksum(mut file: Vec<u8>) -> Vec<u8> {
    let signed = file.len() - 32;
    let checksum = sha256(&[&file[..signed]]);
    file[signed..].copy_from_slice(&checksum);
    file
}

#[test]
fn the_passphrase_and_the_phrase_open_the_same_vault() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    home.vault.set_store_created();
    home.vault.begin_rotation(17, &mut home.dice).unwrap();
    let locked = Vault::read(&home.file()).unwrap();
    assert_eq!(locked.protection(), ProtectionKind::Passphrase);
    let expected = contents(&home.vault);
    assert_eq!(contents(&locked.unlock_passphrase(PASSPHRASE).unwrap()), expected);
    let phrase = Phrase::parse(&home.phrase.words().join(" ")).unwrap();
    assert_eq!(contents(&locked.unlock_phrase(&phrase).unwrap()), expected);
}

#[test]
fn what_does_not_open_the_vault_is_wrong_and_not_damaged() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let locked = Vault::read(&home.file()).unwrap();
    assert_eq!(locked.unlock_passphrase(b"correct horse battery stable").err(), Some(UnlockError::Wrong));
    assert_eq!(locked.unlock_passphrase(b"").err(), Some(UnlockError::Wrong));
    assert_eq!(locked.unlock_phrase(&Phrase::random(&mut home.dice)).err(), Some(UnlockError::Wrong));
    assert_eq!(locked.unlock_open().err(), Some(UnlockError::Wrong));
    assert!(locked.unlock_passphrase(PASSPHRASE).is_ok(), "a wrong try may be followed by another");
}

#[test]
fn a_store_was_created_only_once_that_was_noted() {
    let mut home = Home::with(Protection::None);
    let noted = |home: &mut Home| Vault::read(&home.file()).unwrap().unlock_open().unwrap().store_created();
    assert!(!noted(&mut home));
    home.vault.set_store_created();
    assert!(noted(&mut home));
}

#[test]
fn a_vault_without_passphrase_opens_by_itself_and_by_the_phrase() {
    let mut home = Home::with(Protection::None);
    let locked = Vault::read(&home.file()).unwrap();
    assert_eq!((locked.protection(), home.vault.protection()), (ProtectionKind::None, ProtectionKind::None));
    assert_eq!(contents(&locked.unlock_open().unwrap()), contents(&home.vault));
    assert_eq!(contents(&locked.unlock_phrase(&home.phrase).unwrap()), contents(&home.vault));
    assert_eq!(locked.unlock_passphrase(b"").err(), Some(UnlockError::Wrong));
}

#[test]
fn every_changed_byte_of_a_vault_file_is_noticed() {
    for protection in [Protection::Passphrase(PASSPHRASE), Protection::None] {
        let file = Home::with(protection).file();
        for byte in (0..400).chain((400..file.len()).step_by(37)).chain(file.len() - 40..file.len()) {
            let mut broken = file.clone();
            broken[byte] ^= 0x20;
            assert_eq!(Vault::read(&broken).err(), Some(VaultError::Damaged), "byte {byte}");
        }
        for length in (0..300).chain((300..file.len()).step_by(41)) {
            assert_eq!(Vault::read(&file[..length]).err(), Some(VaultError::Damaged), "length {length}");
        }
    }
}

#[test]
fn bytes_changed_on_purpose_open_nothing_else() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let file = home.file();
    for byte in (0..400).chain((400..file.len() - 32).step_by(113)) {
        let mut broken = file.clone();
        broken[byte] ^= 1;
        let Ok(locked) = Vault::read(&with_checksum(broken)) else { continue };
        // Each slot is bound to what stands around it, and the content to both; the other slot may still open.
        let by_passphrase = locked.unlock_passphrase(PASSPHRASE);
        let by_phrase = locked.unlock_phrase(&home.phrase);
        assert!(by_passphrase.is_err() || by_phrase.is_err(), "byte {byte}");
        for vault in [by_passphrase, by_phrase].into_iter().flatten() {
            assert_eq!(contents(&vault), contents(&home.vault));
        }
    }
}

#[test]
fn a_byte_too_many_is_damage_in_the_file_and_in_what_it_seals() {
    let mut home = Home::with(Protection::None);
    let mut file = home.file();
    file.insert(file.len() - 32, 0);
    assert_eq!(Vault::read(&with_checksum(file)).err(), Some(VaultError::Damaged));

    let content = encoded(&home.vault);
    assert!(file::decode_content(&content).is_some());
    assert!(file::decode_content(&[content.as_slice(), &[0]].concat()).is_none());
}

#[test]
fn a_flag_that_is_neither_is_damage() {
    let home = Home::with(Protection::None);
    let content = encoded(&home.vault);
    // Behind both keys: whether there is a store, and whether there is a passphrase.
    for at in [64, 65] {
        let mut changed = content.to_vec();
        changed[at] = 2;
        assert!(file::decode_content(&changed).is_none(), "{at}");
    }
}

#[test]
fn what_is_sealed_is_written_without_growing_since_growing_leaves_keys_behind() {
    let mut home = Home::with(Protection::None);
    let content = encoded(&home.vault);
    assert_eq!(content.len(), content.capacity());
    let file = home.vault.to_bytes(&mut home.dice);
    assert!(file.capacity() - file.len() < 256, "no more room than a slot with a passphrase would need");
}

#[test]
fn a_later_version_is_named_and_not_called_damaged() {
    let mut file = Home::with(Protection::None).file();
    file[8] = 2;
    assert_eq!(Vault::read(&with_checksum(file.clone())).err(), Some(VaultError::Newer { version: 2 }));
    file[8] = 0;
    assert_eq!(Vault::read(&with_checksum(file)).err(), Some(VaultError::Damaged));
}

#[test]
fn a_cost_out_of_bounds_is_refused_before_it_is_paid() {
    let file = Home::with(Protection::Passphrase(PASSPHRASE)).file();
    let with_cost = |memory: u32, passes: u32, lanes: u32| {
        let mut file = file.clone();
        file[11..15].copy_from_slice(&memory.to_le_bytes());
        file[15..19].copy_from_slice(&passes.to_le_bytes());
        file[19..23].copy_from_slice(&lanes.to_le_bytes());
        Vault::read(&with_checksum(file)).map(|_| ())
    };
    assert_eq!(with_cost(8, 1, 1), Ok(()));
    let most = (PASSPHRASE_MEMORY_MAX_KIB, PASSPHRASE_PASSES_MAX, PASSPHRASE_LANES_MAX);
    assert_eq!(with_cost(most.0, most.1, most.2), Ok(()));
    for (memory, passes, lanes) in [
        (most.0 + 1, 1, 1),
        (u32::MAX, 1, 1),
        (8, most.1 + 1, 1),
        (1 << 20, 1, most.2 + 1),
        (8, 0, 1),
        (8, 1, 0),
        (7, 1, 1),
        (8, 1, 2),
        (0, 1, 1),
    ] {
        assert_eq!(with_cost(memory, passes, lanes), Err(VaultError::Damaged), "{memory} {passes} {lanes}");
    }
}

#[test]
fn a_rotation_keeps_the_old_key_until_it_is_finished() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let old = home.vault.bucket(9).key().duplicate();
    home.vault.begin_rotation(9, &mut home.dice).unwrap();
    assert_eq!(home.vault.begin_rotation(9, &mut home.dice), Err(RotationUnderWay { bucket: 9 }));

    // A crash here: the file holds both keys.
    let mut reopened = Vault::read(&home.file()).unwrap().unlock_passphrase(PASSPHRASE).unwrap();
    let bucket = reopened.bucket(9);
    assert_eq!(bucket.generation(), 1);
    assert_eq!(bucket.key_of(0).unwrap().expose(), old.expose());
    assert_ne!(bucket.key_of(1).unwrap().expose(), old.expose());
    assert!(bucket.key_of(2).is_none());

    reopened.finish_rotation(9, &mut home.dice);
    let file = reopened.to_bytes(&mut home.dice);
    let finished = Vault::read(&file).unwrap().unlock_passphrase(PASSPHRASE).unwrap();
    assert!(finished.bucket(9).key_of(0).is_none() && finished.bucket(9).previous().is_none());
    assert_eq!(finished.bucket(9).generation(), 1);
    assert!((0..=255).filter(|bucket| *bucket != 9).all(|bucket| finished.bucket(bucket).generation() == 0));
}

#[test]
fn after_a_rotation_the_new_vault_key_opens_no_older_content() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let before = VaultFile::decode(&home.file()).unwrap();
    home.vault.begin_rotation(9, &mut home.dice).unwrap();
    home.vault.finish_rotation(9, &mut home.dice);
    let mut after = VaultFile::decode(&home.file()).unwrap();
    // The old content in the new file: both slots open it with the new vault key.
    after.content = before.content;
    let mixed = Vault::read(&after.encode()).unwrap();
    assert_eq!(mixed.unlock_passphrase(PASSPHRASE).err(), Some(UnlockError::Damaged));
    assert_eq!(mixed.unlock_phrase(&home.phrase).err(), Some(UnlockError::Damaged));
}

#[test]
fn a_changed_passphrase_shuts_the_old_one_out_and_keeps_the_phrase() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let before = VaultFile::decode(&home.file()).unwrap();
    let expected = contents(&home.vault);
    home.vault.set_passphrase(Protection::Passphrase(b"another"), &mut home.dice);
    let file = home.file();
    let locked = Vault::read(&file).unwrap();
    assert_eq!(locked.unlock_passphrase(PASSPHRASE).err(), Some(UnlockError::Wrong));
    assert_eq!(contents(&locked.unlock_passphrase(b"another").unwrap()), expected);
    assert_eq!(contents(&locked.unlock_phrase(&home.phrase).unwrap()), expected);

    // The old slot in the new file leads to a vault key that opens nothing any more.
    let mut mixed = VaultFile::decode(&file).unwrap();
    mixed.open_slot = before.open_slot;
    let mixed = Vault::read(&mixed.encode()).unwrap();
    assert_eq!(mixed.unlock_passphrase(PASSPHRASE).err(), Some(UnlockError::Damaged));

    home.vault.set_passphrase(Protection::None, &mut home.dice);
    let locked = Vault::read(&home.file()).unwrap();
    assert_eq!(contents(&locked.unlock_open().unwrap()), expected);
}

#[test]
fn who_opened_by_the_phrase_can_rotate_and_the_passphrase_still_opens() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let mut vault = Vault::read(&home.file()).unwrap().unlock_phrase(&home.phrase).unwrap();
    vault.begin_rotation(200, &mut home.dice).unwrap();
    vault.finish_rotation(200, &mut home.dice);
    let locked = Vault::read(&vault.to_bytes(&mut home.dice)).unwrap();
    assert_eq!(contents(&locked.unlock_passphrase(PASSPHRASE).unwrap()), contents(&vault));
}

#[test]
fn a_new_home_costs_what_it_should_and_shares_no_key_with_another() {
    let mut dice = SeededDice::new(3);
    let (vault, phrase) = Vault::create(Protection::Passphrase(PASSPHRASE), &mut dice);
    let cost = vault.passphrase.as_ref().unwrap().cost;
    assert_eq!((cost.memory_kib, cost.passes, cost.lanes), (65_536, 3, 1));
    let locked = Vault::read(&vault.to_bytes(&mut dice)).unwrap();
    assert_eq!(contents(&locked.unlock_passphrase(PASSPHRASE).unwrap()), contents(&vault));

    let again = Vault::create_with_phrase(Protection::None, &phrase, &mut dice);
    assert_eq!(again.backup_key().expose(), vault.backup_key().expose(), "the same phrase opens old backups");
    assert_ne!(again.index_key().expose(), vault.index_key().expose());
    let mut keys: Vec<_> = (0..=255).flat_map(|n| [&vault, &again].map(|v| *v.bucket(n).key().expose())).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn no_key_stands_in_a_protected_file_and_none_is_shown() {
    let mut home = Home::with(Protection::Passphrase(PASSPHRASE));
    let file = home.file();
    let secrets = [*home.vault.index_key.expose(), *home.vault.vault_key.expose(), *home.phrase.root().expose()];
    for secret in secrets.iter().chain([home.vault.bucket(0).key().expose()]) {
        assert!(!file.windows(32).any(|window| window == secret));
    }
    assert_eq!(format!("{:?}", home.vault), "Vault(..)");
}

#[test]
fn another_implementation_of_argon2_agrees() {
    // OpenSSL's Argon2id, by way of Python's `cryptography`.
    let cost = Cost { memory_kib: 64, passes: 2, lanes: 1 };
    let key = cost.stretch(b"password", b"somesaltsomesaltsomesaltsomesalt").unwrap();
    let expected = "a6d7d4f69797ffaefa877a4a6a874a606139e0952176d7bae3e7dccef2253fd4";
    assert_eq!(data_encoding::HEXLOWER.encode(key.expose()), expected);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_as_a_vault(bytes: Vec<u8>, checked: bool) {
        let mut file = [b"ALLODVLT\x01\0", bytes.as_slice(), &[0; 32]].concat();
        if checked {
            file = with_checksum(file);
        }
        proptest::prop_assert_eq!(Vault::read(&file).err(), Some(VaultError::Damaged));
    }
}

#[test]
fn what_a_vault_signs_is_what_the_identity_of_the_seed_signs() {
    let vault = Home::with(Protection::None).vault;
    // More than are kept, twice, so that each is set up, found again, and set up again.
    for seed in (0..40).chain(0..40).chain([39, 39, 3]) {
        let identity = SigningIdentity::from_bytes(&[seed; 32]);
        let signature = vault.sign(&[seed; 32], "test", b"bytes");
        assert_eq!(signature, identity.sign("test", b"bytes"));
        assert!(identity.public().verify("test", b"bytes", &signature).is_ok());
    }
    assert_eq!(vault.signers.borrow().len(), SIGNERS_MAX);
}
