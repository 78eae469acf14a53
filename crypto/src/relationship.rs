//! The secret that two paired nodes share, and the keys that come from it.
//!
//! ```text
//! pairing -> RS_0 -> KeySchedule of generation 0 -- rekey --> RS_1 -> KeySchedule of generation 1 -> ...
//! ```
//! [`RelationshipSecret::schedule`] consumes the secret: once its keys are out, it is gone. The next one comes from the rekey
//! key *and* from two fresh X-Wing secrets, so that a thief who copied a state and then only listens is shut out.

use std::fmt;

use crate::chain::ChainValue;
use crate::key::{SecretKey, sha256};

/// Who we were when we paired. It never changes: only the inviter starts a rekey, for instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Inviter,
    Scanner,
}

impl Role {
    pub fn other(self) -> Role {
        match self {
            Role::Inviter => Role::Scanner,
            Role::Scanner => Role::Inviter,
        }
    }

    /// The byte that stands for the role in everything hashed or signed.
    pub fn byte(self) -> u8 {
        match self {
            Role::Inviter => 1,
            Role::Scanner => 2,
        }
    }

    pub fn from_byte(byte: u8) -> Option<Role> {
        match byte {
            1 => Some(Role::Inviter),
            2 => Some(Role::Scanner),
            _ => None,
        }
    }
}

/// RS of one generation, between its making and the moment when its keys are taken out.
pub struct RelationshipSecret(SecretKey);

/// The keys of one generation.
#[derive(Debug)]
pub struct KeySchedule {
    /// The psk of this generation's sessions.
    pub session_psk: SecretKey,
    /// What the next generation's secret is salted with.
    pub rekey_key: SecretKey,
    /// First chain value of the inviter's log, and of the scanner's, in this generation.
    pub chain_inviter: ChainValue,
    pub chain_scanner: ChainValue,
    /// The tags of gossip hints.
    pub hint_key: SecretKey,
    /// The psk of a session after a restore. Only that of generation 0 is ever used: it is in every backup.
    pub restore_psk: SecretKey,
    /// What each side calls itself, sealed beside the last messages of a pairing.
    pub profile_key: SecretKey,
    /// MACs by which each side shows that it arrived at the same secret.
    pub confirm_inviter: SecretKey,
    pub confirm_scanner: SecretKey,
}

impl RelationshipSecret {
    pub(crate) fn from_key(key: SecretKey) -> RelationshipSecret {
        RelationshipSecret(key)
    }

    /// The secret of the next generation. `for_inviter` was encapsulated to the inviter's fresh X-Wing key, `for_scanner` to
    /// the scanner's; `context` holds all that both sides said, byte for byte.
    pub fn next(
        rekey_key: &SecretKey,
        for_inviter: SecretKey,
        for_scanner: SecretKey,
        context: &[u8],
    ) -> RelationshipSecret {
        RelationshipSecret(SecretKey::extract(
            rekey_key.expose(),
            &[for_inviter.expose(), for_scanner.expose()],
            &[b"allod/rs-next/1", &sha256(&[context])],
        ))
    }

    /// The secret from which a relationship goes on after one side was put back from a backup: of the psk that both have kept since they
    /// paired, and of the first chain values that each drew for its new log. `context` names the two logs, the inviter's first.
    pub fn resumed(
        restore_psk: &SecretKey,
        inviter: &ChainValue,
        scanner: &ChainValue,
        context: &[u8],
    ) -> RelationshipSecret {
        RelationshipSecret(SecretKey::extract(
            restore_psk.expose(),
            &[inviter.to_bytes().as_slice(), scanner.to_bytes().as_slice()],
            &[b"allod/rs-resumed/1", context],
        ))
    }

    /// All keys of this generation; the secret itself is wiped.
    pub fn schedule(self) -> KeySchedule {
        KeySchedule {
            session_psk: self.0.derive(b"allod/rs/session-psk/1"),
            rekey_key: self.0.derive(b"allod/rs/rekey/1"),
            chain_inviter: ChainValue::from_key(self.0.derive(b"allod/rs/chain-inviter/1")),
            chain_scanner: ChainValue::from_key(self.0.derive(b"allod/rs/chain-scanner/1")),
            hint_key: self.0.derive(b"allod/rs/hint/1"),
            restore_psk: self.0.derive(b"allod/rs/restore-psk/1"),
            profile_key: self.0.derive(b"allod/rs/profile/1"),
            confirm_inviter: self.confirm_key(Role::Inviter),
            confirm_scanner: self.confirm_key(Role::Scanner),
        }
    }

    pub(crate) fn confirm_key(&self, role: Role) -> SecretKey {
        self.0.derive(match role {
            Role::Inviter => b"allod/rs/confirm-inviter/1",
            Role::Scanner => b"allod/rs/confirm-scanner/1",
        })
    }
}

impl KeySchedule {
    /// First chain value of the logs that the side with this role writes.
    pub fn chain_of(&self, role: Role) -> &ChainValue {
        match role {
            Role::Inviter => &self.chain_inviter,
            Role::Scanner => &self.chain_scanner,
        }
    }

    pub fn confirm_key_of(&self, role: Role) -> &SecretKey {
        match role {
            Role::Inviter => &self.confirm_inviter,
            Role::Scanner => &self.confirm_scanner,
        }
    }
}

impl fmt::Debug for RelationshipSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelationshipSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(keys: &KeySchedule) -> [[u8; 32]; 9] {
        [
            *keys.session_psk.expose(),
            *keys.rekey_key.expose(),
            *keys.chain_inviter.to_bytes(),
            *keys.chain_scanner.to_bytes(),
            *keys.hint_key.expose(),
            *keys.restore_psk.expose(),
            *keys.profile_key.expose(),
            *keys.confirm_inviter.expose(),
            *keys.confirm_scanner.expose(),
        ]
    }

    fn next(rekey: u8, for_inviter: u8, for_scanner: u8, context: &[u8]) -> KeySchedule {
        let key = |byte| SecretKey::from_bytes([byte; 32]);
        RelationshipSecret::next(&key(rekey), key(for_inviter), key(for_scanner), context).schedule()
    }

    #[test]
    fn each_key_of_a_generation_is_its_own() {
        let mut keys = bytes_of(&next(1, 2, 3, b"said"));
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn the_next_generation_depends_on_every_part() {
        let base = bytes_of(&next(1, 2, 3, b"said"));
        assert_eq!(base, bytes_of(&next(1, 2, 3, b"said")));
        let others = [next(9, 2, 3, b"said"), next(1, 9, 3, b"said"), next(1, 2, 9, b"said"), next(1, 2, 3, b"sai")];
        for other in others.iter().map(bytes_of).chain([bytes_of(&next(1, 3, 2, b"said"))]) {
            assert!(base.iter().zip(other).all(|(a, b)| *a != b));
        }
    }

    #[test]
    fn the_secret_after_a_restore_depends_on_every_part() {
        let resumed = |psk, inviter, scanner, context: &[u8]| {
            let (psk, chain) = (SecretKey::from_bytes([psk; 32]), |byte| ChainValue::from_bytes([byte; 32]));
            bytes_of(&RelationshipSecret::resumed(&psk, &chain(inviter), &chain(scanner), context).schedule())
        };
        let base = resumed(1, 2, 3, b"logs");
        assert_eq!(base, resumed(1, 2, 3, b"logs"));
        let others = [resumed(9, 2, 3, b"logs"), resumed(1, 9, 3, b"logs"), resumed(1, 2, 9, b"logs")];
        for other in others.into_iter().chain([resumed(1, 3, 2, b"logs"), resumed(1, 2, 3, b"log")]) {
            assert!(base.iter().zip(other).all(|(a, b)| *a != b));
        }
        assert!(base.iter().zip(bytes_of(&next(1, 2, 3, b"logs"))).all(|(a, b)| *a != b));
    }

    #[test]
    fn roles_name_their_keys_and_bytes() {
        let keys = next(1, 2, 3, b"said");
        assert_eq!(*keys.chain_of(Role::Inviter).to_bytes(), *keys.chain_inviter.to_bytes());
        assert_eq!(*keys.chain_of(Role::Scanner).to_bytes(), *keys.chain_scanner.to_bytes());
        assert_eq!(keys.confirm_key_of(Role::Inviter).expose(), keys.confirm_inviter.expose());
        assert_eq!(keys.confirm_key_of(Role::Scanner).expose(), keys.confirm_scanner.expose());
        for role in [Role::Inviter, Role::Scanner] {
            assert_eq!(Role::from_byte(role.byte()), Some(role));
            assert_eq!(role.other().other(), role);
        }
        assert_eq!((Role::from_byte(0), Role::from_byte(3)), (None, None));
    }
}
