//! The comparisons of cryptography, and the one that leaks.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use allod_crypto::{
    BundleSecrets, Domain, Invitation, Padding, SecretKey, SigningIdentity, VerifyKey, ct_eq, open, pairing, seal,
};

use super::{Expected, Figure, Kind, compare};
use crate::dice::Dice;

/// A comparison of 32 bytes takes less than the clock can tell: this many in a row count as one.
const IN_A_ROW: u32 = 32;
/// Where a commitment begins and ends in what is sealed: version, suite and nonce stand before it.
const COMMITMENT: [usize; 2] = [27, 58];

pub(super) fn run(samples: usize, say: &mut impl FnMut(Figure)) {
    let mut dice = Dice::stream(1, "timing");
    say(compared("a comparison that stops: first byte / last byte", Expected::Control, samples, stops_early));
    say(compared("ct_eq of 32 bytes: first byte differs / last byte", Expected::Alike, samples, ct_eq));
    say(commitment(samples, &mut dice));
    say(tag(samples, &mut dice));
    say(first_message(samples / 4, &mut dice));
    say(signature(samples / 10, &mut dice));
}

/// As nobody should compare secrets.
fn stops_early(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(left, right)| black_box(*left) == black_box(*right))
}

fn compared(what: &'static str, expected: Expected, samples: usize, equal: fn(&[u8], &[u8]) -> bool) -> Figure {
    let secret = [0x5a; 32];
    let mut guess = secret;
    compare(what, expected, samples, |kind| {
        guess = secret;
        guess[which_of(kind, [0, 31])] ^= 1;
        timed(|| {
            for _ in 0..IN_A_ROW {
                assert!(!equal(black_box(&secret), black_box(&guess)));
            }
        })
    })
}

/// The first of two places, or the second.
fn which_of(kind: Kind, places: [usize; 2]) -> usize {
    match kind {
        Kind::One => places[0],
        Kind::Other => places[1],
    }
}

pub(super) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A sealed thing, one byte of which is wrong.
fn spoilt(what: &'static str, places: [usize; 2], samples: usize, sealed: &[u8], key: &SecretKey) -> Figure {
    let mut forged = sealed.to_vec();
    compare(what, Expected::Alike, samples, |kind| {
        forged.copy_from_slice(sealed);
        forged[which_of(kind, places)] ^= 1;
        timed(|| {
            let opened = open(black_box(key), Domain::Cell, b"a place", black_box(&forged), Padding::Padme);
            assert!(opened.is_err());
        })
    })
}

fn commitment(samples: usize, dice: &mut Dice) -> Figure {
    let key = SecretKey::random(dice);
    let sealed = seal(&key, Domain::Cell, b"a place", b"a value", Padding::Padme, dice);
    spoilt("seal: commitment wrong in its first byte / its last", COMMITMENT, samples, &sealed, &key)
}

fn tag(samples: usize, dice: &mut Dice) -> Figure {
    let key = SecretKey::random(dice);
    let sealed = seal(&key, Domain::Cell, b"a place", b"a value", Padding::Padme, dice);
    let last = sealed.len() - 1;
    spoilt("seal: tag wrong in its first byte / its last", [last - 15, last], samples, &sealed, &key)
}

/// The first message of a pairing proves the secret of the invitation by its tag.
fn first_message(samples: usize, dice: &mut Dice) -> Figure {
    let inviter = BundleSecrets::generate(dice);
    let invitation = Invitation::new(inviter.bundle().hash(), Vec::new(), 2_000_000_000, dice).expect("no addresses");
    let scanner = BundleSecrets::generate(dice);
    let (_, first) = pairing::Scanner::start(&invitation, scanner, dice).expect("secrets of our own");
    let mut forged = first.clone();
    let last = first.len() - 1;
    let what = "pairing: proof of the secret wrong in its first byte / its last";
    compare(what, Expected::Alike, samples, |kind| {
        forged.copy_from_slice(&first);
        forged[which_of(kind, [last - 15, last])] ^= 1;
        timed(|| assert!(!pairing::first_message_is_genuine(black_box(&invitation), black_box(&forged))))
    })
}

/// Signing is what touches a secret here: the same key over two messages, one of zeros.
fn signature(samples: usize, dice: &mut Dice) -> Figure {
    let identity = SigningIdentity::random(dice);
    let verify: VerifyKey = identity.public();
    let zeros = [0; 64];
    let drawn: [u8; 64] = std::array::from_fn(|_| u8::try_from(dice.below(256)).expect("below 256"));
    assert!(verify.verify("timing", &zeros, &identity.sign("timing", &zeros)).is_ok());
    let mut message = zeros;
    compare("signing: a message of zeros / a random one", Expected::Alike, samples, |kind| {
        message = match kind {
            Kind::One => zeros,
            Kind::Other => drawn,
        };
        timed(|| {
            black_box(identity.sign("timing", black_box(&message)));
        })
    })
}
