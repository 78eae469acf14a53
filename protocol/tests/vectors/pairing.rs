//! Pairing as the channel carries it: the handshake of `crypto/vectors/pairing.json` in its requests and answers, and the profiles beside
//! it. What is refused is sent to an engine that invited.

use allod_crypto::{
    Aad, Domain, Invitation, KeySchedule, Padding, SecretKey,
    pairing::{BundleSecrets, Inviter, Paired, Scanner},
    seal,
};
use allod_protocol::{
    codec::Coded,
    pairing::{PairingWork, Pairings},
    relationship::Side,
    wire::{
        body::Profile,
        pair::{PairAnswer, PairRequest},
    },
};
use serde_json::json;
use std::time::Duration;

use crate::{
    Dice,
    bodies::profile,
    bytes16, bytes32, check, hex,
    home::{Home, T0, bundle_secrets},
    shown,
};

const ADDRESS: &str = "/ip4/192.0.2.7/udp/4001/quic-v1";
const LINK: u64 = 1;

fn sealed_profile(key: &SecretKey, tag: &[u8; 32], role: u8, plain: &[u8], padding: Padding) -> Vec<u8> {
    let aad = Aad::new(b"pairing-profile").hash(tag).u8(role).finish();
    seal(key, Domain::PairingMessage, &aad, plain, padding, &mut Dice::named(&format!("profile {role}")))
}

fn scanners_profile() -> Profile {
    profile("Boutique à l'angle", &["/ip4/192.0.2.7/tcp/4001"])
}

type Sealed = Box<dyn Fn(&SecretKey, &[u8; 32]) -> Vec<u8>>;

/// Profiles that the inviter must not take from the scanner.
fn broken_profiles() -> Vec<(&'static str, Sealed)> {
    let plain = || scanners_profile().encode();
    let with = |change: fn(&mut Profile)| {
        let mut profile = scanners_profile();
        change(&mut profile);
        profile.encode()
    };
    let says =
        |plain: Vec<u8>| -> Sealed { Box::new(move |key, tag| sealed_profile(key, tag, 2, &plain, Padding::Padme)) };
    vec![
        ("of the other role", Box::new(move |key, tag| sealed_profile(key, tag, 1, &plain(), Padding::Padme))),
        (
            "of another pairing",
            Box::new(move |key, _| sealed_profile(key, &bytes32("other tag"), 2, &plain(), Padding::Padme)),
        ),
        (
            "under another key",
            Box::new(move |_, tag| sealed_profile(&crate::key("other"), tag, 2, &plain(), Padding::Padme)),
        ),
        ("without padding", Box::new(move |key, tag| sealed_profile(key, tag, 2, &plain(), Padding::None))),
        (
            "changed",
            Box::new(move |key, tag| {
                let mut sealed = sealed_profile(key, tag, 2, &plain(), Padding::Padme);
                sealed[200] ^= 1;
                sealed
            }),
        ),
        ("nothing", Box::new(|_, _| Vec::new())),
        ("version 2", says([&[2], &plain()[1..]].concat())),
        ("a byte after it", says([plain(), vec![0]].concat())),
        ("a name of 65 bytes", says(with(|profile| profile.name = "x".repeat(65)))),
        ("mailbox 64", says(with(|profile| profile.mailbox = 64))),
        ("nine addresses", says(with(|profile| profile.addresses = vec![ADDRESS.into(); 9]))),
    ]
}

#[test]
fn pairing_on_the_channel_keeps_to_its_vector() {
    let (inviter, scanner) = bundle_secrets();
    let secret = allod_crypto::sha256(&[b"vector secret"]);
    let invitation =
        Invitation::new(inviter.bundle().hash(), vec![], 1_795_000_000, &mut Dice::given(&secret)).unwrap();
    let attempt = bytes16("attempt");

    let inviter = Inviter::begin(&invitation, inviter, &mut Dice::seeded(2)).unwrap();
    let (scanner, first) = Scanner::start(&invitation, scanner, &mut Dice::seeded(3)).unwrap();
    let (inviter, second) = inviter.on_first(&first).unwrap();
    let (scanner, third) = scanner.on_second(&second, &mut Dice::seeded(4)).unwrap();
    let (inviter, fourth) = inviter.on_third(&third, &mut Dice::seeded(5)).unwrap();
    let (scanner, fifth) = scanner.on_fourth(&fourth, &mut Dice::seeded(6)).unwrap();
    let Paired { rs, transcript: tag, .. } = inviter.on_fifth(&fifth).unwrap();
    assert_eq!(scanner.transcript, tag);
    let KeySchedule { profile_key, .. } = rs.schedule();

    let of_scanner = sealed_profile(&profile_key, &tag, 2, &scanners_profile().encode(), Padding::Padme);
    let of_inviter = sealed_profile(&profile_key, &tag, 1, &profile("Alice", &[]).encode(), Padding::Padme);
    let refused: Vec<_> = broken_profiles()
        .iter()
        .map(|(name, sealed)| json!({ "name": name, "profile": hex(&sealed(&profile_key, &tag)), "refusal": "failed" }))
        .collect();
    check(
        "pairing.json",
        "The pairing of crypto/vectors/pairing.json, frame by frame, with the two profiles; then profiles that the inviter refuses.",
        json!({
            "invitation": *invitation.to_text(), "attempt": hex(&attempt), "tag": hex(&tag),
            "profile_key": hex(profile_key.expose()),
            "scanner_profile": shown(&scanners_profile()), "inviter_profile": shown(&profile("Alice", &[])),
            "frames": {
                "first": hex(&PairRequest::First { noise: first }.encode()),
                "second": hex(&PairAnswer::Second { attempt, noise: second }.encode()),
                "third": hex(&PairRequest::Third { attempt, noise: third }.encode()),
                "fourth": hex(&PairAnswer::Fourth { noise: fourth }.encode()),
                "fifth": hex(&PairRequest::Fifth { attempt, noise: fifth, profile: of_scanner }.encode()),
                "done": hex(&PairAnswer::Done { profile: of_inviter }.encode()),
                "declined": hex(&PairRequest::Declined { attempt }.encode()),
                "used": hex(&PairAnswer::Used.encode()),
                "expired": hex(&PairAnswer::Expired.encode()),
                "failed": hex(&PairAnswer::Failed.encode()),
            },
            "refused_profiles": refused,
        }),
    );
}

/// An engine's pairings with one open invitation, and the invitation as its scanner reads it.
struct Invited {
    home: Home,
    pairings: Pairings,
    invitation: Invitation,
    dice: Dice,
}

impl Invited {
    fn new() -> Self {
        let (mut home, mut pairings, mut dice) = (Home::of(Side::Inviter), Pairings::default(), Dice::seeded(11));
        let addresses = [ADDRESS.to_owned()];
        let lifetime = Duration::from_secs(120);
        let (_, text, _) = home.step(T0, &mut dice, |tx| pairings.invite(tx, &addresses, lifetime)).unwrap();
        Self { home, pairings, invitation: Invitation::parse(&text).unwrap(), dice }
    }

    /// What the engine answers at that time, over that link; none if it refuses.
    fn ask(&mut self, now: u64, link: u64, request: PairRequest) -> Option<PairAnswer> {
        let request = PairRequest::decode(&request.encode()).unwrap();
        let profile = profile("Alice", &[]);
        let pairings = &mut self.pairings;
        match self.home.step(now, &mut self.dice, |tx| pairings.request(tx, link, request, &profile)).unwrap() {
            PairingWork::Answer(answer) => Some(answer),
            PairingWork::Refuse => None,
            _ => panic!("an inviter answers or refuses"),
        }
    }

    fn first(&mut self) -> (allod_crypto::pairing::ScannerAwaitsSecond, PairRequest) {
        let secrets = BundleSecrets::generate(&mut self.dice);
        let (scanner, noise) = Scanner::start(&self.invitation, secrets, &mut self.dice).unwrap();
        (scanner, PairRequest::First { noise })
    }

    /// Goes on until the scanner has all but said its profile: the request that would end it, without a profile.
    fn up_to_fifth(&mut self) -> (Paired, [u8; 16], Vec<u8>) {
        let (scanner, first) = self.first();
        let Some(PairAnswer::Second { attempt, noise }) = self.ask(T0, LINK, first) else { panic!("no second") };
        let (scanner, noise) = scanner.on_second(&noise, &mut self.dice).unwrap();
        let third = PairRequest::Third { attempt, noise };
        let Some(PairAnswer::Fourth { noise }) = self.ask(T0, LINK, third) else { panic!("no fourth") };
        let (paired, noise) = scanner.on_fourth(&noise, &mut self.dice).unwrap();
        (paired, attempt, noise)
    }

    fn fifth(&mut self, sealed: &Sealed) -> Option<PairAnswer> {
        let (paired, attempt, noise) = self.up_to_fifth();
        let profile = sealed(&paired.rs.schedule().profile_key, &paired.transcript);
        self.ask(T0, LINK, PairRequest::Fifth { attempt, noise, profile })
    }
}

#[test]
fn an_inviter_takes_a_profile_as_the_document_seals_it_and_none_of_the_broken_ones() {
    let good: Sealed = Box::new(|key, tag| sealed_profile(key, tag, 2, &scanners_profile().encode(), Padding::Padme));
    assert!(matches!(Invited::new().fifth(&good), Some(PairAnswer::Done { .. })));
    for (name, sealed) in broken_profiles() {
        assert_eq!(Invited::new().fifth(&sealed), Some(PairAnswer::Failed), "{name}");
    }
}

#[test]
fn an_inviter_answers_each_first_message_as_the_document_says() {
    let mut invited = Invited::new();
    assert_eq!(invited.ask(T0, LINK, PairRequest::First { noise: vec![7; 80] }), None, "junk");
    let (_, first) = invited.first();
    let (_, another) = invited.first();
    assert_eq!(invited.ask(T0 + 120_000, LINK, first.clone()), Some(PairAnswer::Expired));
    assert!(matches!(invited.ask(T0, LINK, first), Some(PairAnswer::Second { .. })), "expired ones do not use it up");
    assert_eq!(invited.ask(T0, LINK, another), Some(PairAnswer::Used));

    let mut invited = Invited::new();
    let pairings = &mut invited.pairings;
    invited.home.step(T0, &mut invited.dice, |tx| Ok(pairings.cancel_all(tx)?)).unwrap();
    let (_, first) = invited.first();
    assert_eq!(invited.ask(T0, LINK, first), Some(PairAnswer::Expired), "cancelled");
}

#[test]
fn an_attempt_is_named_and_keeps_to_its_link() {
    for (name, link, attempt) in [("another link", 2, None), ("another attempt", LINK, Some([0; 16]))] {
        let mut invited = Invited::new();
        let (scanner, first) = invited.first();
        let Some(PairAnswer::Second { attempt: drawn, noise }) = invited.ask(T0, LINK, first) else {
            panic!("no second")
        };
        let (_, noise) = scanner.on_second(&noise, &mut invited.dice).unwrap();
        let third = |attempt| PairRequest::Third { attempt, noise: noise.clone() };
        assert_eq!(invited.ask(T0, link, third(attempt.unwrap_or(drawn))), Some(PairAnswer::Failed), "{name}");
        assert!(matches!(invited.ask(T0, LINK, third(drawn)), Some(PairAnswer::Fourth { .. })), "it harms nobody");
    }
    let mut invited = Invited::new();
    let (_, attempt, noise) = invited.up_to_fifth();
    assert_eq!(invited.ask(T0, LINK, PairRequest::Declined { attempt }), Some(PairAnswer::Failed));
    let late = PairRequest::Fifth { attempt, noise, profile: Vec::new() };
    assert_eq!(invited.ask(T0, LINK, late), Some(PairAnswer::Failed), "declined is over");
}
