use super::*;

#[test]
fn an_unknown_kind_is_kept_and_named() {
    let body = Body::decode(999, b"whatever").unwrap();
    assert_eq!(body.name(), "unknown kind 999");
    assert_eq!(body.encode(), b"whatever");
}

/// Whether each of these reads, in turn.
fn reads(bodies: impl IntoIterator<Item = Body>) -> Vec<bool> {
    let read = |body: Body| match Body::decode(body.kind(), &body.encode()) {
        Ok(same) => {
            assert_eq!(same, body);
            true
        }
        Err(error) => {
            assert_eq!(error, DecodeError::Malformed);
            false
        }
    };
    bodies.into_iter().map(read).collect()
}

fn grant() -> GrantId {
    GrantId::from_bytes([1; 16])
}

fn purpose() -> Purpose {
    Purpose::parse("delivery").unwrap()
}

/// A purpose that nobody can type, as a changed node would send it.
fn no_purpose() -> Purpose {
    bincode::serde::decode_from_slice(&[0], bincode::config::standard()).unwrap().0
}

fn selectors(count: usize) -> Vec<Selector> {
    (0..count).map(|number| format!("contact/{number}/city").parse().unwrap()).collect()
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn a_profile_has_a_name_addresses_and_a_mailbox_within_limits() {
    let profile = |name: usize, addresses: usize, bytes: usize, mailbox: u8| {
        let addresses = vec![text(bytes); addresses];
        Profile { name: text(name), kind: NodeKind::Vendor, addresses, mailbox }
    };
    let both = |profile: Profile| [Body::Profile(profile.clone()), Body::Paired(Paired { profile })];
    assert_eq!(reads(both(profile(PETNAME_MAX_BYTES, ADDRESSES_MAX, ADDRESS_MAX_BYTES, 63))), [true; 2]);
    assert_eq!(reads(both(profile(PETNAME_MAX_BYTES + 1, 1, 1, 0))), [false; 2]);
    assert_eq!(reads(both(profile(1, ADDRESSES_MAX + 1, 1, 0))), [false; 2]);
    assert_eq!(reads(both(profile(1, 1, ADDRESS_MAX_BYTES + 1, 0))), [false; 2]);
    assert_eq!(reads(both(profile(1, 1, 1, 64))), [false; 2]);
}

#[test]
fn an_ask_asks_for_something_once_and_says_why_in_a_text_of_some_length() {
    let ask = |required: Vec<Selector>, optional: Vec<Selector>, reason: usize, benefit: usize, purpose: Purpose| {
        let (ask, reason, benefit) = (AskId::from_bytes([2; 16]), text(reason), text(benefit));
        Body::Asked(Asked { ask, required, optional, purpose, reason, benefit, until: None, mode: Mode::Follow })
    };
    let one = selectors(1);
    let [first, rest] = [selectors(SELECTORS_MAX)[..10].to_vec(), selectors(SELECTORS_MAX)[10..].to_vec()];
    let more = [rest.clone(), vec!["contact/one-more/city".parse().unwrap()]].concat();
    let good = [
        ask(one.clone(), Vec::new(), TEXT_MAX_BYTES, TEXT_MAX_BYTES, purpose()),
        ask(Vec::new(), one.clone(), 0, 0, purpose()),
        ask(first.clone(), rest, 0, 0, purpose()),
    ];
    assert_eq!(reads(good), [true; 3]);
    let bad = [
        ask(Vec::new(), Vec::new(), 0, 0, purpose()),
        ask(one.clone(), one.clone(), 0, 0, purpose()),
        ask(first, more, 0, 0, purpose()),
        ask(one.clone(), Vec::new(), TEXT_MAX_BYTES + 1, 0, purpose()),
        ask(one.clone(), Vec::new(), 0, TEXT_MAX_BYTES + 1, purpose()),
        ask(one, Vec::new(), 0, 0, no_purpose()),
    ];
    assert_eq!(reads(bad), [false; 6]);
    let answered = |reason| {
        Body::Answered(Answered { ask: AskId::from_bytes([2; 16]), end: AskEnd::Declined, reason: text(reason) })
    };
    assert_eq!(reads([answered(TEXT_MAX_BYTES), answered(TEXT_MAX_BYTES + 1)]), [true, false]);
}

#[test]
fn a_grant_lends_something_once_and_for_a_purpose() {
    let granted = |selectors: Vec<Selector>, purpose: Purpose| {
        Body::Granted(Granted {
            grant: grant(),
            ask: None,
            selectors,
            purpose,
            mode: Mode::Follow,
            not_before: Timestamp::from_millis(0),
            not_after: None,
            lease_ms: None,
            reads_per_hour: 0,
            agreement: [0; 32],
        })
    };
    let most = granted(selectors(SELECTORS_MAX), purpose());
    assert_eq!(reads([granted(selectors(1), purpose()), most]), [true; 2]);
    let bad = [
        granted(Vec::new(), purpose()),
        granted(selectors(SELECTORS_MAX + 1), purpose()),
        granted([selectors(1), selectors(1)].concat(), purpose()),
        granted(selectors(1), no_purpose()),
    ];
    assert_eq!(reads(bad), [false; 4]);
}

#[test]
fn lists_are_neither_empty_nor_too_long() {
    let cell = CellRef { selector: 0, record: None, epoch: 0, version: 1, gone: false };
    let line = |purpose| {
        let at = Timestamp::from_millis(1);
        UseLine { grant: grant(), selector: 0, purpose, count: 1, from: at, to: at }
    };
    let few = |count: usize| {
        let selectors: Vec<u16> = (0..count).map(|number| u16::try_from(number).unwrap()).collect();
        [
            Body::Keys(KeysChanged { grant: grant(), keys: vec![(0, 0); count] }),
            Body::Revoked(Revoked { grant: grant(), selectors: selectors.clone() }),
            Body::Purged(Purged::Selectors { grant: grant(), selectors }),
            Body::Used(Used { lines: vec![line(purpose()); count] }),
        ]
    };
    let many = |count: usize| {
        let cells = vec![cell.clone(); count];
        [
            Body::Cells(Cells { grant: grant(), cells: cells.clone() }),
            Body::Purged(Purged::Cells { grant: grant(), cells }),
        ]
    };
    assert_eq!(reads([few(1), few(SELECTORS_MAX)].concat()), [true; 8]);
    assert_eq!(reads([few(0), few(SELECTORS_MAX + 1)].concat()), [false; 8]);
    assert_eq!(reads([many(1), many(CELLS_PER_ENTRY_MAX)].concat()), [true; 4]);
    assert_eq!(reads([many(0), many(CELLS_PER_ENTRY_MAX + 1)].concat()), [false; 4]);
    assert_eq!(reads([Body::Used(Used { lines: vec![line(purpose()), line(no_purpose())] })]), [false]);
}

#[test]
fn a_change_of_keys_brings_keys_and_ciphertexts_of_their_one_length() {
    let rekey = |step| Body::Rekey(Rekey { generation: 1, step });
    let route = RouteId::from_bytes([3; 16]);
    let steps = |public: usize, ciphertext: usize| {
        let (public, ciphertext) = (vec![1; public], vec![2; ciphertext]);
        [
            rekey(RekeyStep::Start { public: public.clone(), route }),
            rekey(RekeyStep::Reply { ciphertext: ciphertext.clone(), public, route }),
            rekey(RekeyStep::Finish { ciphertext }),
        ]
    };
    assert_eq!(reads(steps(PUBLIC_BYTES, CIPHERTEXT_BYTES)), [true; 3]);
    for by in [-1, 1] {
        let off = |bytes: usize| bytes.checked_add_signed(by).unwrap();
        assert_eq!(reads(steps(off(PUBLIC_BYTES), CIPHERTEXT_BYTES)), [false, false, true]);
        assert_eq!(reads(steps(PUBLIC_BYTES, off(CIPHERTEXT_BYTES))), [true, false, false]);
    }
}
