use super::*;
use crate::dice::SeededDice;
use crate::pairing::invitation::{DialAddress, Host, Transport};

/// Two people about to pair, and the invitation that one shows the other.
struct World {
    invitation: Invitation,
    inviter: BundleSecrets,
    scanner: BundleSecrets,
    dice: SeededDice,
}

impl World {
    fn seeded(seed: u64) -> World {
        let mut dice = SeededDice::new(seed);
        let inviter = BundleSecrets::generate(&mut dice);
        let scanner = BundleSecrets::generate(&mut dice);
        let invitation = Invitation::new(inviter.bundle().hash(), vec![], 1_795_000_000, &mut dice).unwrap();
        World { invitation, inviter, scanner, dice }
    }

    /// After message 1.
    fn first(self) -> (Inviter, ScannerAwaitsSecond, Vec<u8>, SeededDice) {
        let World { invitation, inviter, scanner, mut dice } = self;
        let inviter = Inviter::begin(&invitation, inviter, &mut dice).unwrap();
        let (scanner, first) = Scanner::start(&invitation, scanner, &mut dice).unwrap();
        (inviter, scanner, first, dice)
    }

    /// After message 2.
    fn second(self) -> (InviterAwaitsThird, ScannerAwaitsSecond, Vec<u8>, SeededDice) {
        let (inviter, scanner, first, dice) = self.first();
        let (inviter, second) = inviter.on_first(&first).unwrap();
        (inviter, scanner, second, dice)
    }

    /// After message 3.
    fn third(self) -> (InviterAwaitsThird, ScannerAwaitsFourth, Vec<u8>, SeededDice) {
        let (inviter, scanner, second, mut dice) = self.second();
        let (scanner, third) = scanner.on_second(&second, &mut dice).unwrap();
        (inviter, scanner, third, dice)
    }

    /// After message 4.
    fn fourth(self) -> (InviterAwaitsFifth, ScannerAwaitsFourth, Vec<u8>, SeededDice) {
        let (inviter, scanner, third, mut dice) = self.third();
        let (inviter, fourth) = inviter.on_third(&third, &mut dice).unwrap();
        (inviter, scanner, fourth, dice)
    }

    /// After message 5, which the inviter has not seen yet.
    fn fifth(self) -> (InviterAwaitsFifth, Paired, Vec<u8>) {
        let (inviter, scanner, fourth, mut dice) = self.fourth();
        let (scanner, fifth) = scanner.on_fourth(&fourth, &mut dice).unwrap();
        (inviter, scanner, fifth)
    }

    fn paired(self) -> (Paired, Paired) {
        let (inviter, scanner, fifth) = self.fifth();
        (inviter.on_fifth(&fifth).unwrap(), scanner)
    }
}

#[test]
fn two_people_pair_and_see_the_same() {
    let world = World::seeded(1);
    let bundles = (world.inviter.bundle(), world.scanner.bundle());
    let (inviter, scanner) = world.paired();
    assert_eq!((inviter.role, scanner.role), (Role::Inviter, Role::Scanner));
    assert_eq!((&inviter.my_bundle, &inviter.their_bundle), (&bundles.0, &bundles.1));
    assert_eq!((&scanner.my_bundle, &scanner.their_bundle), (&bundles.1, &bundles.0));
    assert_eq!(inviter.my.signing.public(), bundles.0.verify_key);
    assert_eq!(scanner.my.agreement.public(), bundles.1.agreement);
    assert_eq!((scanner.my.route_id, scanner.my.log_id), (bundles.1.route_id, bundles.1.log_id));
    assert_eq!(inviter.transcript, scanner.transcript);
    assert_eq!((inviter.sas.words(), inviter.sas.emoji()), (scanner.sas.words(), scanner.sas.emoji()));
    let (inviter, scanner) = (inviter.rs.schedule(), scanner.rs.schedule());
    assert_eq!(inviter.session_psk.expose(), scanner.session_psk.expose());
    assert_eq!(*inviter.chain_scanner.to_bytes(), *scanner.chain_scanner.to_bytes());
}

#[test]
fn two_pairings_of_the_same_two_people_have_nothing_in_common() {
    let (one, _) = World::seeded(2).paired();
    let (other, _) = World::seeded(3).paired();
    assert!(!one.my_bundle.shares_with(&other.my_bundle) && !one.their_bundle.shares_with(&other.their_bundle));
    assert_ne!(one.transcript, other.transcript);
    assert!(one.sas != other.sas);
    assert_ne!(one.rs.schedule().session_psk.expose(), other.rs.schedule().session_psk.expose());
}

#[test]
fn only_a_message_by_somebody_who_holds_the_invitation_is_an_attempt() {
    let world = World::seeded(4);
    let stranger = World::seeded(5);
    let (_, first) = Scanner::start(&world.invitation, world.scanner, &mut SeededDice::new(6)).unwrap();
    assert!(first_message_is_genuine(&world.invitation, &first));
    assert!(!first_message_is_genuine(&stranger.invitation, &first));
    for byte in 0..first.len() {
        let mut broken = first.clone();
        broken[byte] ^= 2;
        assert!(!first_message_is_genuine(&world.invitation, &broken), "byte {byte}");
        assert!(!first_message_is_genuine(&world.invitation, &first[..byte]), "length {byte}");
    }
    assert!(!first_message_is_genuine(&world.invitation, &[first, vec![0]].concat()));
}

#[test]
fn an_invitation_that_was_changed_on_the_way_pairs_nobody() {
    let world = World::seeded(7);
    // The thief of a QR turns the scanner to an address of their own; the secret is the same.
    let address = DialAddress { host: Host::Dns("thief.example".into()), transport: Transport::Tcp, port: 1 };
    let mut raw = world.invitation.to_bytes().to_vec();
    let count = 1 + 32 + 32 + 8;
    raw.truncate(count);
    let other = Invitation::new(*world.invitation.bundle_hash(), vec![address], 1_795_000_000, &mut SeededDice::new(1));
    raw.extend_from_slice(&other.unwrap().to_bytes()[count..]);
    let end = raw.len() - 4;
    let sum = sha256(&[&raw[..end]]);
    raw[end..].copy_from_slice(&sum[..4]);
    let changed = Invitation::from_bytes(&raw).unwrap();
    let (_, first) = Scanner::start(&changed, world.scanner, &mut SeededDice::new(2)).unwrap();
    assert!(!first_message_is_genuine(&world.invitation, &first));
}

#[test]
fn an_inviter_whose_bundle_is_not_in_the_qr_is_refused_by_both_sides() {
    let World { invitation, inviter: _, scanner, mut dice } = World::seeded(8);
    let impostor = BundleSecrets::generate(&mut dice);
    assert_eq!(
        Inviter::begin(&invitation, impostor, &mut dice).err(),
        Some(PairingRefused::NotTheInviter),
        "our own node does not begin with keys that the invitation does not name"
    );
    // One that was patched does, and it knows the secret.
    let impostor = BundleSecrets::generate(&mut dice);
    let honest = Invitation::new(impostor.bundle().hash(), vec![], 1, &mut dice).unwrap();
    let mut inviter = Inviter::begin(&honest, impostor, &mut dice).unwrap();
    let prologue = prologue(&invitation.hash());
    let psk = invitation.psk();
    inviter.handshake =
        Handshake::new(PATTERN, Turn::Second, &inviter.secrets.agreement, None, &psk, &prologue, &mut dice).unwrap();
    let (scanner, first) = Scanner::start(&invitation, scanner, &mut dice).unwrap();
    let (_, second) = inviter.on_first(&first).unwrap();
    assert_eq!(scanner.on_second(&second, &mut dice).err(), Some(PairingRefused::NotTheInviter));
}

#[test]
fn an_inviter_who_shows_the_right_bundle_without_its_key_is_refused() {
    let World { invitation, inviter, scanner, mut dice } = World::seeded(9);
    let mut inviter = Inviter::begin(&invitation, inviter, &mut dice).unwrap();
    let thief = AgreementIdentity::random(&mut dice);
    let prologue = prologue(&invitation.hash());
    inviter.handshake =
        Handshake::new(PATTERN, Turn::Second, &thief, None, &invitation.psk(), &prologue, &mut dice).unwrap();
    let (scanner, first) = Scanner::start(&invitation, scanner, &mut dice).unwrap();
    let (_, second) = inviter.on_first(&first).unwrap();
    assert_eq!(scanner.on_second(&second, &mut dice).err(), Some(PairingRefused::OtherStaticKey));
}

#[test]
fn a_scanner_cannot_choose_its_share_or_its_keys_after_it_saw_ours() {
    let (inviter, mut scanner, second, mut dice) = World::seeded(10).second();
    scanner.nonce[0] ^= 1;
    let (_, third) = scanner.on_second(&second, &mut dice).unwrap();
    assert_eq!(inviter.on_third(&third, &mut dice).err(), Some(PairingRefused::CommitmentBroken));

    let (inviter, mut scanner, second, mut dice) = World::seeded(11).second();
    scanner.my_bundle.verify_key = SigningIdentity::random(&mut dice).public();
    let (_, third) = scanner.on_second(&second, &mut dice).unwrap();
    assert_eq!(inviter.on_third(&third, &mut dice).err(), Some(PairingRefused::CommitmentBroken));
}

/// A scanner that claims, from its first message on, a bundle which is not all its own.
fn misbound(seed: u64, change: impl FnOnce(&mut Bundle, &World)) -> (Result<(), PairingRefused>, &'static str) {
    let world = World::seeded(seed);
    let mut claimed = world.scanner.bundle();
    change(&mut claimed, &world);
    let World { invitation, inviter, scanner, mut dice } = world;
    let inviter = Inviter::begin(&invitation, inviter, &mut dice).unwrap();
    let (mut scanner, _) = Scanner::start(&invitation, scanner, &mut dice).unwrap();
    let prologue = prologue(&invitation.hash());
    let mine = &scanner.secrets.agreement;
    scanner.handshake =
        Handshake::new(PATTERN, Turn::First, mine, None, &invitation.psk(), &prologue, &mut dice).unwrap();
    scanner.my_bundle = claimed;
    let first = scanner.handshake.write(&commitment(&scanner.nonce, &scanner.my_bundle.to_bytes())).unwrap();
    let (inviter, second) = inviter.on_first(&first).unwrap();
    let (scanner, third) = match scanner.on_second(&second, &mut dice) {
        Ok(next) => next,
        Err(refused) => return (Err(refused), "the scanner itself, at message 2"),
    };
    let (inviter, fourth) = match inviter.on_third(&third, &mut dice) {
        Ok(next) => next,
        Err(refused) => return (Err(refused), "the inviter, at message 3"),
    };
    let (_, fifth) = match scanner.on_fourth(&fourth, &mut dice) {
        Ok(next) => next,
        Err(refused) => return (Err(refused), "the scanner, at message 4"),
    };
    (inviter.on_fifth(&fifth).map(|_| ()), "the inviter, at message 5")
}

#[test]
fn who_claims_the_keys_of_a_third_is_not_taken_for_it() {
    let third = World::seeded(99).scanner.bundle();
    assert_eq!(misbound(12, |_, _| ()), (Ok(()), "the inviter, at message 5"), "an honest one passes");
    assert_eq!(
        misbound(12, |claimed, _| claimed.verify_key = third.verify_key),
        (Err(PairingRefused::BadSignature), "the inviter, at message 5")
    );
    assert_eq!(
        misbound(12, |claimed, _| claimed.agreement = third.agreement),
        (Err(PairingRefused::OtherStaticKey), "the inviter, at message 3")
    );
    // Whose X-Wing key it is shows in the secret: the scanner cannot even check the inviter's MAC.
    assert_eq!(
        misbound(12, |claimed, _| claimed.xwing_public = third.xwing_public),
        (Err(PairingRefused::BadConfirmation), "the scanner, at message 4")
    );
}

#[test]
fn a_scanner_without_the_claimed_x_wing_key_is_refused_even_if_it_skips_its_own_checks() {
    let (inviter, scanner, _, mut dice) = World::seeded(13).fourth();
    let mut paired = inviter.paired;
    // It signs what was said, and guesses the secret.
    let said = said_by(&paired.transcript, Role::Scanner);
    let guess = RelationshipSecret::from_key(SecretKey::from_bytes([0; 32]));
    let mut proof = scanner.secrets.signing.sign(SIGNATURE_DOMAIN, &said).to_vec();
    proof.extend_from_slice(&hmac32(&guess.confirm_key(Role::Scanner), &[&said]));
    let fifth = inviter.said.seal_fifth(&proof, &mut dice);
    paired.role = Role::Inviter;
    let inviter = InviterAwaitsFifth { paired, said: inviter.said };
    assert_eq!(inviter.on_fifth(&fifth).err(), Some(PairingRefused::BadConfirmation));
}

#[test]
fn nobody_pairs_with_an_echo_of_itself() {
    for part in 0..5 {
        let outcome = misbound(14, |claimed, world| {
            let ours = world.inviter.bundle();
            match part {
                0 => claimed.verify_key = ours.verify_key,
                1 => claimed.agreement = ours.agreement,
                2 => claimed.xwing_public = ours.xwing_public,
                3 => claimed.route_id = ours.route_id,
                _ => claimed.log_id = ours.log_id,
            }
        });
        assert_eq!(outcome, (Err(PairingRefused::Echo), "the scanner itself, at message 2"), "part {part}");
    }
}

#[test]
fn the_inviter_too_refuses_an_echo_of_itself() {
    // A scanner that was patched: it leaves its own checks out.
    let World { invitation, inviter, scanner, mut dice } = World::seeded(15);
    let inviter = Inviter::begin(&invitation, inviter, &mut dice).unwrap();
    let mut claimed = scanner.bundle();
    claimed.log_id = inviter.my_bundle.log_id;
    let prologue = prologue(&invitation.hash());
    let mut handshake =
        Handshake::new(PATTERN, Turn::First, &scanner.agreement, None, &invitation.psk(), &prologue, &mut dice)
            .unwrap();
    let nonce = [1; NONCE_BYTES];
    let first = handshake.write(&commitment(&nonce, &claimed.to_bytes())).unwrap();
    let xwing_public = inviter.my_bundle.xwing_public;
    let (inviter, second) = inviter.on_first(&first).unwrap();
    handshake.read(&second).unwrap();
    let (ciphertext, _) = xwing::encapsulate(&xwing_public, &mut dice).unwrap();
    let third = handshake.write(&[nonce.as_slice(), &claimed.to_bytes(), &ciphertext].concat()).unwrap();
    assert_eq!(inviter.on_third(&third, &mut dice).err(), Some(PairingRefused::Echo));
}

#[test]
fn a_proof_of_the_other_role_is_no_proof() {
    let (inviter, scanner, _) = World::seeded(16).fifth();
    let paired = inviter.paired;
    let outcome = Outcome { rs: paired.rs, transcript: paired.transcript, sas: paired.sas };
    let check = |proof: &[u8], role| check_proof(proof, role, &scanner.rs, &scanner.transcript, &scanner.their_bundle);
    let proof = outcome.proof(Role::Inviter, &paired.my.signing);
    assert_eq!(check(&proof, Role::Inviter), Ok(()));
    assert_eq!(check(&proof, Role::Scanner), Err(PairingRefused::BadSignature));
    assert_eq!(
        check(&outcome.proof(Role::Scanner, &paired.my.signing), Role::Inviter),
        Err(PairingRefused::BadSignature)
    );
    // The right signature with a MAC under the other role's key.
    let mut mixed = proof;
    mixed[SIGNATURE_BYTES..].copy_from_slice(&outcome.proof(Role::Scanner, &paired.my.signing)[SIGNATURE_BYTES..]);
    assert_eq!(check(&mixed, Role::Inviter), Err(PairingRefused::BadConfirmation));
    assert_eq!(check(&proof[1..], Role::Inviter), Err(PairingRefused::Malformed));
    assert_eq!(check(&[&proof[..], &[0]].concat(), Role::Inviter), Err(PairingRefused::Malformed));
}

#[test]
fn two_scanners_or_two_inviters_make_no_pair() {
    let World { invitation, inviter, scanner, mut dice } = World::seeded(17);
    let (one, first) = Scanner::start(&invitation, scanner, &mut dice).unwrap();
    let (_, other_first) = Scanner::start(&invitation, BundleSecrets::generate(&mut dice), &mut dice).unwrap();
    assert_eq!(one.on_second(&other_first, &mut dice).err(), Some(PairingRefused::NotGenuine));
    let copy = BundleSecrets::from_bytes(&inviter.to_bytes()).unwrap();
    let (_, second) = Inviter::begin(&invitation, inviter, &mut dice).unwrap().on_first(&first).unwrap();
    let other = Inviter::begin(&invitation, copy, &mut dice).unwrap();
    assert_eq!(other.on_first(&second).err(), Some(PairingRefused::NotGenuine));
}

#[test]
fn with_roles_the_other_way_round_in_one_prologue_nothing_opens() {
    let World { invitation, inviter, scanner, mut dice } = World::seeded(18);
    let mut swapped = prologue(&invitation.hash());
    swapped[32..].reverse();
    let mut handshake =
        Handshake::new(PATTERN, Turn::First, &scanner.agreement, None, &invitation.psk(), &swapped, &mut dice).unwrap();
    let first = handshake.write(&[0; 32]).unwrap();
    assert!(!first_message_is_genuine(&invitation, &first));
    let refused = Inviter::begin(&invitation, inviter, &mut dice).unwrap().on_first(&first);
    assert_eq!(refused.err(), Some(PairingRefused::NotGenuine));
}

#[test]
fn messages_of_one_attempt_are_nothing_in_another() {
    // The same invitation and bundles, attempted twice: only the dice of the attempt differ.
    let attempt = |seed| {
        let World { invitation, inviter, scanner, .. } = World::seeded(19);
        let mut dice = SeededDice::new(seed);
        let inviter = Inviter::begin(&invitation, inviter, &mut dice).unwrap();
        let (scanner, first) = Scanner::start(&invitation, scanner, &mut dice).unwrap();
        let (inviter, second) = inviter.on_first(&first).unwrap();
        (inviter, scanner, second, dice)
    };
    let (inviter_a, scanner_a, second_a, mut dice) = attempt(1);
    let (inviter_b, scanner_b, second_b, _) = attempt(2);
    assert_eq!(scanner_a.on_second(&second_b, &mut dice).err(), Some(PairingRefused::NotGenuine));
    let (scanner_b, third_b) = scanner_b.on_second(&second_b, &mut dice).unwrap();
    assert_eq!(inviter_a.on_third(&third_b, &mut dice).err(), Some(PairingRefused::NotGenuine));

    let (inviter_a, scanner_a, _, _) = attempt(1);
    let (scanner_a, third_a) = scanner_a.on_second(&second_a, &mut dice).unwrap();
    let (inviter_a, fourth_a) = inviter_a.on_third(&third_a, &mut dice).unwrap();
    let (inviter_b, fourth_b) = inviter_b.on_third(&third_b, &mut dice).unwrap();
    assert_eq!(scanner_a.on_fourth(&fourth_b, &mut dice).err(), Some(PairingRefused::NotGenuine));
    let (_, fifth_b) = scanner_b.on_fourth(&fourth_b, &mut dice).unwrap();
    assert_eq!(inviter_a.on_fifth(&fifth_b).err(), Some(PairingRefused::NotGenuine));
    assert_eq!(inviter_b.on_fifth(&fourth_a).err(), Some(PairingRefused::NotGenuine));
}

#[test]
fn a_message_in_the_place_of_another_is_refused() {
    let (inviter, _, first, mut dice) = World::seeded(20).first();
    let (inviter, second) = inviter.on_first(&first).unwrap();
    assert_eq!(inviter.on_third(&first, &mut dice).err(), Some(PairingRefused::NotGenuine));
    let (inviter, _, second_again, mut dice) = World::seeded(20).second();
    assert_eq!(second_again, second, "the same dice say the same");
    assert_eq!(inviter.on_third(&second, &mut dice).err(), Some(PairingRefused::NotGenuine));
    let (inviter, scanner, fourth, mut dice) = World::seeded(20).fourth();
    assert_eq!(inviter.on_fifth(&fourth).err(), Some(PairingRefused::NotGenuine), "its own message comes back");
    let (_, fifth) = scanner.on_fourth(&fourth, &mut dice).unwrap();
    let (_, scanner, _, mut dice) = World::seeded(20).fourth();
    assert_eq!(scanner.on_fourth(&fifth, &mut dice).err(), Some(PairingRefused::NotGenuine));
}

#[test]
fn every_flipped_byte_of_every_message_is_refused() {
    // Each try is a handshake of its own, so not every byte of the long middle is tried.
    let places = |length: usize| (0..100.min(length)).chain((100..length).step_by(53)).chain([length - 1]);
    let flipped = |message: &[u8], byte: usize| {
        let mut broken = message.to_vec();
        broken[byte] ^= 0x10;
        broken
    };
    let lengths = [80, 96 + Bundle::BYTES + 32, 64 + 32 + Bundle::BYTES + CIPHERTEXT_BYTES, 75 + 1120 + 96, 75 + 96];
    for byte in places(lengths[0]) {
        let (inviter, _, first, _) = World::seeded(21).first();
        assert_eq!(first.len(), lengths[0]);
        assert_eq!(inviter.on_first(&flipped(&first, byte)).err(), Some(PairingRefused::NotGenuine), "1, byte {byte}");
    }
    for byte in places(lengths[1]) {
        let (_, scanner, second, mut dice) = World::seeded(21).second();
        assert_eq!(second.len(), lengths[1]);
        let refused = scanner.on_second(&flipped(&second, byte), &mut dice).err();
        assert_eq!(refused, Some(PairingRefused::NotGenuine), "2, byte {byte}");
    }
    for byte in places(lengths[2]) {
        let (inviter, _, third, mut dice) = World::seeded(21).third();
        assert_eq!(third.len(), lengths[2]);
        let refused = inviter.on_third(&flipped(&third, byte), &mut dice).err();
        assert_eq!(refused, Some(PairingRefused::NotGenuine), "3, byte {byte}");
    }
    for byte in places(lengths[3]) {
        let (_, scanner, fourth, mut dice) = World::seeded(21).fourth();
        assert_eq!(fourth.len(), lengths[3]);
        let refused = scanner.on_fourth(&flipped(&fourth, byte), &mut dice).err();
        assert_eq!(refused, Some(PairingRefused::NotGenuine), "4, byte {byte}");
    }
    for byte in places(lengths[4]) {
        let (inviter, _, fifth) = World::seeded(21).fifth();
        assert_eq!(fifth.len(), lengths[4]);
        assert_eq!(inviter.on_fifth(&flipped(&fifth, byte)).err(), Some(PairingRefused::NotGenuine), "5, byte {byte}");
    }
}

#[test]
fn a_man_in_the_middle_who_knows_the_secret_is_seen_on_the_two_screens() {
    // The thief pairs with the inviter as a scanner of their own; the honest scanner then compares with the inviter.
    let World { invitation, inviter, scanner, mut dice } = World::seeded(22);
    let copy = BundleSecrets::from_bytes(&inviter.to_bytes()).unwrap();
    let run = |inviter, scanner, dice: &mut SeededDice| {
        let inviter = Inviter::begin(&invitation, inviter, dice).unwrap();
        let (scanner, first) = Scanner::start(&invitation, scanner, dice).unwrap();
        let (inviter, second) = inviter.on_first(&first).unwrap();
        let (scanner, third) = scanner.on_second(&second, dice).unwrap();
        let (inviter, fourth) = inviter.on_third(&third, dice).unwrap();
        let (scanner, fifth) = scanner.on_fourth(&fourth, dice).unwrap();
        (inviter.on_fifth(&fifth).unwrap().sas, scanner.sas)
    };
    let (with_thief, thief) = run(inviter, BundleSecrets::generate(&mut dice), &mut dice);
    let (honest_inviter, honest) = run(copy, scanner, &mut dice);
    assert!(with_thief == thief && honest_inviter == honest);
    assert!(with_thief.words() != honest.words() && with_thief.emoji() != honest.emoji());
}

#[test]
fn the_code_to_compare_depends_on_both_shares_and_both_bundles() {
    let (_, scanner, _, _) = World::seeded(23).third();
    let mut said = scanner.said;
    let (a, b) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
    let sas = |said: &Said, scanner, inviter| said.outcome(&a, &b, &[scanner; 32], &[inviter; 32]).sas;
    let base = sas(&said, 1, 2);
    assert!(base == sas(&said, 1, 2));
    assert!(base != sas(&said, 9, 2) && base != sas(&said, 1, 9) && base != sas(&said, 2, 1));
    said.inviter[1] ^= 1;
    assert!(base != sas(&said, 1, 2));
    said.inviter[1] ^= 1;
    said.scanner[1] ^= 1;
    assert!(base != sas(&said, 1, 2));
}

#[test]
fn the_secret_and_what_is_signed_depend_on_everything_said() {
    let (_, scanner, _, _) = World::seeded(24).third();
    let mut said = scanner.said;
    let secret = |byte| SecretKey::from_bytes([byte; 32]);
    let outcome = |said: &Said, for_inviter, for_scanner| {
        let outcome = said.outcome(&secret(for_inviter), &secret(for_scanner), &[1; 32], &[2; 32]);
        (*outcome.rs.schedule().session_psk.expose(), outcome.transcript)
    };
    let base = outcome(&said, 1, 2);
    assert_eq!(base, outcome(&said, 1, 2));
    for (a, b) in [(9, 2), (1, 9), (2, 1)] {
        assert_ne!(base.0, outcome(&said, a, b).0);
    }
    type Change = fn(&mut Said);
    let changes: [(&str, Change); 6] = [
        ("hash", |said| said.split.hash[0] ^= 1),
        ("inviter", |said| said.inviter[9] ^= 1),
        ("scanner", |said| said.scanner[9] ^= 1),
        ("for inviter", |said| said.for_inviter[9] ^= 1),
        ("for scanner", |said| said.for_scanner[9] ^= 1),
        ("split", |said| std::mem::swap(&mut said.split.from_first, &mut said.split.from_second)),
    ];
    for (name, change) in changes {
        change(&mut said);
        let changed = outcome(&said, 1, 2);
        assert_ne!(base.0, changed.0, "{name}");
        assert_eq!(base.1 == changed.1, name == "split", "{name}");
        change(&mut said);
        assert_eq!(base, outcome(&said, 1, 2), "{name}");
    }
    let splits: [fn(&mut Said) -> &mut SecretKey; 2] =
        [|said| &mut said.split.from_first, |said| &mut said.split.from_second];
    for split in splits {
        let kept = std::mem::replace(split(&mut said), secret(7));
        assert_ne!(base.0, outcome(&said, 1, 2).0);
        *split(&mut said) = kept;
    }
    said.invitation_hash[0] ^= 1;
    assert_ne!(base.1, outcome(&said, 1, 2).1);
}

#[test]
fn a_bundle_is_read_strictly() {
    let mut dice = SeededDice::new(25);
    let bundle = BundleSecrets::generate(&mut dice).bundle();
    let bytes = bundle.to_bytes();
    assert_eq!(Bundle::from_bytes(&bytes), Ok(bundle));
    assert_eq!(Bundle::from_bytes(&bytes[1..]), Err(BundleError));
    assert_eq!(Bundle::from_bytes(&[&bytes[..], &[0]].concat()), Err(BundleError));
    let with = |place: std::ops::Range<usize>, value: &[u8]| {
        let mut bytes = bytes;
        bytes[place].copy_from_slice(value);
        Bundle::from_bytes(&bytes)
    };
    assert_eq!(with(0..1, &[2]), Err(BundleError), "another version");
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(with(1..33, &neutral), Err(BundleError), "an Ed25519 key of small order");
    assert_eq!(with(33..65, &[0; 32]), Err(BundleError), "an X25519 key of small order");
    assert_eq!(with(65..67, &[0xff; 2]), Err(BundleError), "an ML-KEM key that is not canonical");
    assert_eq!(with(65 + 1184..65 + 1216, &[0; 32]), Err(BundleError), "an X-Wing key whose X25519 half is zero");
}

#[test]
fn bundle_secrets_are_written_without_growing_since_growing_leaves_them_behind() {
    let bytes = BundleSecrets::generate(&mut SeededDice::new(5)).to_bytes();
    assert_eq!(bytes.len(), bytes.capacity());
}

#[test]
fn bundle_secrets_come_back_from_where_they_were_sealed() {
    let mut dice = SeededDice::new(26);
    let secrets = BundleSecrets::generate(&mut dice);
    let bytes = secrets.to_bytes();
    assert_eq!(BundleSecrets::from_bytes(&bytes).unwrap().bundle(), secrets.bundle());
    assert_eq!(BundleSecrets::from_bytes(&bytes[1..]).err(), Some(BundleError));
    assert_eq!(BundleSecrets::from_bytes(&[&bytes[..], &[0]].concat()).err(), Some(BundleError));
    assert_eq!(format!("{secrets:?} {:?}", secrets.bundle()), "BundleSecrets(..) Bundle(..)");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_as_any_message(bytes: Vec<u8>) {
        let (inviter, scanner, _, mut dice) = World::seeded(27).first();
        proptest::prop_assert!(inviter.on_first(&bytes).is_err());
        proptest::prop_assert!(scanner.on_second(&bytes, &mut dice).is_err());
    }
}
