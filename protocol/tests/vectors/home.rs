//! Two homes that paired: the lender invited, the holder scanned. What is random between two nodes is fixed here by names.

use allod_crypto::{
    AgreementIdentity, KeySchedule, Protection, RelationshipSecret, SigningIdentity, Vault, pairing::BundleSecrets,
};
use allod_protocol::{
    command::{NodeKind, PeerState},
    id::{LogId, RelationshipId, RouteId},
    relationship::{NewRelationship, Relationship, Side},
    time::{Now, Timestamp},
    tx::{Stop, Tx},
    wire::body::Profile,
};
use rand_core::CryptoRng;
use serde_json::{Value, json};

use crate::{Memory, Stuck, bytes16, bytes32, hex, key};

/// The moment around which everything happens: 2026-11-18.
pub const T0: u64 = 1_795_000_000_000;
/// What a stuck generator hands out: the holder's and the lender's pseudonym keys are made of it.
pub const STUCK: u8 = 0x5a;

/// All keys of the relationship: those that `crypto/vectors/chain.json` shows after a rekey.
pub fn schedule() -> KeySchedule {
    RelationshipSecret::next(&key("rekey"), key("for inviter"), key("for scanner"), b"all that both sides said")
        .schedule()
}

pub fn tag() -> [u8; 32] {
    bytes32("tag")
}

/// One side's keys and ids.
pub struct Identity {
    pub signing: SigningIdentity,
    pub agreement: AgreementIdentity,
    pub route: RouteId,
    pub log: LogId,
}

impl Identity {
    pub fn of(name: &str) -> Self {
        Self {
            signing: SigningIdentity::from_bytes(&bytes32(&format!("{name} signing"))),
            agreement: AgreementIdentity::from_bytes(&bytes32(&format!("{name} agreement"))),
            route: RouteId::from_bytes(bytes16(&format!("{name} route"))),
            log: LogId::from_bytes(bytes16(&format!("{name} log"))),
        }
    }

    pub fn shown(&self) -> Value {
        json!({
            "signing_seed": hex(self.signing.to_bytes().as_slice()), "verify_key": hex(self.signing.public().as_bytes()),
            "agreement_scalar": hex(self.agreement.to_bytes().as_slice()), "agreement_key": hex(&self.agreement.public()),
            "route": hex(self.route.as_bytes()), "log": hex(self.log.as_bytes()),
        })
    }
}

pub fn relationship_shown() -> Value {
    let keys = schedule();
    json!({
        "lender": Identity::of("lender").shown(),
        "holder": Identity::of("holder").shown(),
        "tag": hex(&tag()),
        "chain_of_lender": hex(keys.chain_inviter.to_bytes().as_slice()),
        "chain_of_holder": hex(keys.chain_scanner.to_bytes().as_slice()),
        "session_psk": hex(keys.session_psk.expose()),
        "restore_psk": hex(keys.restore_psk.expose()),
    })
}

/// One side's store, with a relationship in state paired and two empty logs.
pub struct Home {
    memory: Memory,
    vault: Vault,
    id: RelationshipId,
}

impl Home {
    pub fn of(side: Side) -> Self {
        let (my_name, their_name) = match side {
            Side::Inviter => ("lender", "holder"),
            Side::Scanner => ("holder", "lender"),
        };
        let (mine, theirs) = (Identity::of(my_name), Identity::of(their_name));
        let mut dice = Stuck(STUCK);
        let (vault, _) = Vault::create(Protection::None, &mut dice);
        let mut home = Self { memory: Memory::default(), vault, id: RelationshipId::from_bytes([STUCK; 16]) };
        let new = NewRelationship {
            side,
            petname: their_name.to_owned(),
            their_profile: Profile {
                name: their_name.to_owned(),
                kind: NodeKind::Vendor,
                addresses: Vec::new(),
                mailbox: 0,
            },
            tag: tag(),
            my_route: mine.route,
            their_route: theirs.route,
            my_log: mine.log,
            their_log: theirs.log,
            signing: mine.signing,
            agreement: mine.agreement,
            their_verify: theirs.signing.public().to_bytes(),
            their_static: theirs.agreement.public(),
            keys: schedule(),
        };
        home.step(T0, &mut dice, |tx| {
            let mut relationship = Relationship::create(tx, new, Timestamp::from_millis(T0))?;
            relationship.state = PeerState::Paired;
            relationship.save(tx);
            Ok(())
        })
        .unwrap();
        home
    }

    /// One step at this time; what is refused writes nothing.
    pub fn step<T>(
        &mut self,
        wall: u64,
        dice: &mut dyn CryptoRng,
        act: impl FnOnce(&mut Tx<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let now = Now { wall: Timestamp::from_millis(wall), running: std::time::Duration::from_secs(1) };
        let mut tx = Tx::new(&self.memory, &self.vault, dice, now);
        let done = act(&mut tx)?;
        let (batch, _) = tx.finish();
        self.memory.apply(&batch);
        Ok(done)
    }

    pub fn relationship(&mut self) -> Relationship {
        let id = self.id;
        self.step(T0, &mut Stuck(STUCK), |tx| Ok(Relationship::load(tx, id)?)).unwrap()
    }
}

/// Bundle secrets as `crypto/vectors/pairing.json` has them: the inviter's, then the scanner's.
pub fn bundle_secrets() -> (BundleSecrets, BundleSecrets) {
    let mut dice = crate::Dice::seeded(1);
    (BundleSecrets::generate(&mut dice), BundleSecrets::generate(&mut dice))
}
