//! Sessions: a hello each way, requests and answers, and what is refused. One side is always the engine's own code; the other is built
//! here from the layouts of `docs/PROTOCOL.md`.

use allod_crypto::{MessageKind, Role, SecretKey, SessionInitiator, SessionKeys, session};
use allod_protocol::{
    codec::Coded,
    effect::SessionId,
    id::LogId,
    relationship::Side,
    restore,
    session::Sessions,
    wire::{
        body::Acknowledged,
        header::WireEntry,
        session::{Offer, RESTORE_GENERATION, Resumption, SessionAnswer, SessionRequest, Sync},
    },
};
use serde_json::{Value, json};

use crate::{
    Dice, bytes16, bytes32, check, hex,
    home::{Home, Identity, T0, relationship_shown, schedule},
    log::{Log, head},
    shown, word,
};

const LINK: u64 = 1;
const NOW: u64 = T0 + 20_000;

fn prologue(asked: &Identity, asks: &Identity, role: Role, generation: u32) -> Vec<u8> {
    [
        b"/allod/session/1".as_slice(),
        asked.route.as_bytes(),
        asks.route.as_bytes(),
        &[role.byte()],
        &generation.to_le_bytes(),
    ]
    .concat()
}

/// A hello of the lender, who invited.
struct Hello {
    prologue: Vec<u8>,
    psk: SecretKey,
    mine: &'static str,
    theirs: [u8; 32],
}

impl Hello {
    fn good() -> Self {
        let (lender, holder) = (Identity::of("lender"), Identity::of("holder"));
        Self {
            prologue: prologue(&holder, &lender, Role::Inviter, 0),
            psk: schedule().session_psk,
            mine: "lender",
            theirs: holder.agreement.public(),
        }
    }

    fn start(&self) -> (SessionInitiator, Vec<u8>) {
        let mine = Identity::of(self.mine).agreement;
        SessionInitiator::start(&mine, &self.theirs, &self.psk, &self.prologue, &mut Dice::named("hello")).unwrap()
    }
}

fn session_id() -> SessionId {
    SessionId(bytes16("session"))
}

/// What the holder answers to a first message, and its sessions after that.
fn asked(home: &mut Home, generation: u32, noise: &[u8]) -> (Sessions, Option<Vec<u8>>) {
    let relationship = home.relationship();
    let mut sessions = Sessions::default();
    let answer = home
        .step(NOW, &mut Dice::named("welcome"), |tx| {
            let keys = restore::keys_to_answer(tx, &relationship, generation)?;
            Ok(keys.and_then(|keys| sessions.answer_hello(tx, &relationship, LINK, session_id(), &keys, noise)))
        })
        .unwrap();
    (sessions, answer)
}

/// Both sides of a session that the lender asked for: its keys, and the holder's sessions.
fn session() -> (SessionKeys, Sessions) {
    let (initiator, noise) = Hello::good().start();
    let (sessions, answer) = asked(&mut Home::of(Side::Scanner), 0, &noise);
    let Ok(SessionAnswer::Welcome { noise }) = SessionAnswer::decode(&answer.unwrap()) else { panic!("no welcome") };
    (initiator.finish(&noise).unwrap().0, sessions)
}

fn sync(log: &Log, count: usize, entries: Vec<WireEntry>) -> Sync {
    let have = Acknowledged { log: Identity::of("holder").log, sequence: 0, hash: [0; 32] };
    Sync { heads: vec![head(log, count, NOW).sign(&Identity::of("lender").signing)], have: vec![have], entries }
}

fn sealed(keys: &SessionKeys, counter: u64, plain: &[u8], name: &str) -> Vec<u8> {
    keys.seal_message(counter, MessageKind::Request, plain, &mut Dice::named(name))
}

#[test]
fn sessions_keep_to_their_vectors() {
    let log = Log::made();
    check(
        "session.json",
        "A session that the lender (pairing role 1) asks for, one that the holder (role 2) asks for, the first message of a lender that was put back from a backup, and what is refused. Dice are the 32 bytes drawn for an ephemeral key or a nonce.",
        json!({
            "relationship": relationship_shown(), "lender_asks": lender_asks(&log), "holder_asks": holder_asks(),
            "lender_was_put_back": lender_was_put_back(), "refused_hellos": refused_hellos(), "requests": requests(&log),
        }),
    );
}

fn lender_asks(log: &Log) -> Value {
    let (initiator, noise) = Hello::good().start();
    let hello =
        SessionRequest::Hello { route: Identity::of("holder").route, generation: 0, session: session_id(), noise };
    let SessionRequest::Hello { noise, .. } = &hello else { panic!("a hello") };
    let mut home = log.received(3);
    let (mut sessions, welcome) = asked(&mut home, 0, noise);
    let welcome = welcome.unwrap();
    let Ok(SessionAnswer::Welcome { noise }) = SessionAnswer::decode(&welcome) else { panic!("no welcome") };
    let (keys, payload) = initiator.finish(&noise).unwrap();
    assert!(payload.is_empty());

    let asks = sync(log, 4, vec![log.entries[3].clone()]);
    let request = SessionRequest::Sealed {
        session: session_id(),
        counter: 0,
        sealed: sealed(&keys, 0, &asks.encode(), "request"),
    };
    let SessionRequest::Sealed { sealed, .. } = &request else { panic!("a request") };
    assert_eq!(sessions.open_request(session_id(), 0, sealed).unwrap().sync, asks);

    // What the holder answers: its own empty log, and how far it has the lender's.
    crate::log::take(&mut home, NOW, &log.entries[3]).unwrap();
    let answer = home
        .step(NOW, &mut Dice::named("answer"), |tx| Ok(sessions.message(tx, session_id(), Some(0), None)?))
        .unwrap()
        .unwrap();
    let Ok(SessionAnswer::Sealed { sealed }) = SessionAnswer::decode(&answer) else { panic!("no answer") };
    let plain = keys.open_message(0, MessageKind::Answer, &sealed).unwrap();
    let said = Sync::decode(&plain).unwrap();
    assert_eq!(said.have[0].sequence, 4);
    json!({
        "prologue": hex(&Hello::good().prologue), "hello_dice": hex(&dice("hello")), "hello": hex(&hello.encode()),
        "welcome_dice": hex(&dice("welcome")), "welcome": hex(&welcome), "handshake_hash": hex(keys.hash()),
        "request_sync": shown(&asks), "request": hex(&request.encode()),
        "answer_sync": shown(&said), "answer": hex(&answer),
    })
}

fn dice(name: &str) -> [u8; 32] {
    allod_crypto::sha256(&[b"vector dice ", name.as_bytes()])
}

/// Its hello under the first keys, and a message that offers a log of which it says nothing yet.
fn lender_was_put_back() -> Value {
    let (lender, holder) = (Identity::of("lender"), Identity::of("holder"));
    let hello = Hello {
        prologue: prologue(&holder, &lender, Role::Inviter, RESTORE_GENERATION),
        psk: schedule().restore_psk,
        ..Hello::good()
    };
    let shown_prologue = hex(&hello.prologue);
    let (initiator, noise) = hello.start();
    let (mut sessions, welcome) = asked(&mut Home::of(Side::Scanner), RESTORE_GENERATION, &noise);
    let (_, refused) = asked(&mut Home::of(Side::Scanner), 0, &noise);
    assert_eq!(refused, None, "under no other generation");
    let hello =
        SessionRequest::Hello { route: holder.route, generation: RESTORE_GENERATION, session: session_id(), noise };
    let welcome = welcome.unwrap();
    let Ok(SessionAnswer::Welcome { noise }) = SessionAnswer::decode(&welcome) else { panic!("no welcome") };
    let (keys, _) = initiator.finish(&noise).unwrap();
    let offer = Offer { log: LogId::from_bytes(bytes16("new log")), chain: bytes32("new chain") };
    let says = Resumption { offer: Some(offer), sync: Sync::nothing() };
    let sealed = sealed(&keys, 0, &says.encode(), "request");
    let heard = sessions.open_request(session_id(), 0, &sealed).unwrap();
    assert_eq!(
        heard.offer.as_ref().map(|offer| (offer.log, offer.chain)),
        says.offer.as_ref().map(|o| (o.log, o.chain))
    );
    let request = SessionRequest::Sealed { session: session_id(), counter: 0, sealed };
    json!({
        "prologue": shown_prologue, "hello_dice": hex(&dice("hello")), "hello": hex(&hello.encode()),
        "welcome_dice": hex(&dice("welcome")), "welcome": hex(&welcome), "handshake_hash": hex(keys.hash()),
        "request_resumption": shown(&says), "request": hex(&request.encode()),
    })
}

fn holder_asks() -> Value {
    let (lender, holder) = (Identity::of("lender"), Identity::of("holder"));
    let mut home = Home::of(Side::Scanner);
    let relationship = home.relationship();
    let mut sessions = Sessions::default();
    let drawn = [dice("hello of the holder").as_slice(), &bytes16("session of the holder")].concat();
    let keys = relationship.speaking();
    let hello = home
        .step(NOW, &mut Dice::given(&drawn), |tx| Ok(sessions.hello(tx, &relationship, keys, LINK, 9)))
        .unwrap()
        .unwrap();
    let Ok(SessionRequest::Hello { noise, session, route, generation: 0 }) = SessionRequest::decode(&hello) else {
        panic!("no hello")
    };
    assert_eq!(route, lender.route);
    let prologue = prologue(&lender, &holder, Role::Scanner, 0);
    let psk = schedule().session_psk;
    let theirs = holder.agreement.public();
    let mut drawn = Dice::named("welcome of the lender");
    let (noise, keys) = session::answer(&lender.agreement, &theirs, &psk, &prologue, &noise, &[], &mut drawn).unwrap();
    let taken = sessions.take_hello(9).unwrap();
    assert_eq!(sessions.welcomed(taken, &noise, std::time::Duration::ZERO), Ok(session));
    let request = home
        .step(NOW, &mut Dice::named("request of the holder"), |tx| Ok(sessions.message(tx, session, None, Some(10))?))
        .unwrap()
        .unwrap();
    let Ok(SessionRequest::Sealed { counter: 0, sealed, .. }) = SessionRequest::decode(&request) else {
        panic!("no request")
    };
    let said = Sync::decode(&keys.open_message(0, MessageKind::Request, &sealed).unwrap()).unwrap();
    json!({
        "prologue": hex(&prologue), "hello_dice": hex(&dice("hello of the holder")), "hello": hex(&hello),
        "welcome_dice": hex(&dice("welcome of the lender")), "welcome": hex(&SessionAnswer::Welcome { noise }.encode()),
        "handshake_hash": hex(keys.hash()), "request_sync": shown(&said), "request": hex(&request),
    })
}

fn refused_hellos() -> Vec<Value> {
    let (lender, holder) = (Identity::of("lender"), Identity::of("holder"));
    let good = Hello::good().start().1;
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    let with = |change: fn(&mut Hello)| {
        let mut hello = Hello::good();
        change(&mut hello);
        hello.start().1
    };
    let with_prologue = |prologue: Vec<u8>| Hello { prologue, ..Hello::good() }.start().1;
    let cases = [
        ("generation 1", 1, good.clone()),
        ("generation 1 in the prologue alone", 0, with_prologue(prologue(&holder, &lender, Role::Inviter, 1))),
        ("the other role", 0, with_prologue(prologue(&holder, &lender, Role::Scanner, 0))),
        ("routes in each other's place", 0, with_prologue(prologue(&lender, &holder, Role::Inviter, 0))),
        ("another protocol's name", 0, with_prologue([b"/allod/session/2", &Hello::good().prologue[16..]].concat())),
        ("another psk", 0, with(|hello| hello.psk = crate::key("other psk"))),
        ("another static key", 0, with(|hello| hello.mine = "holder")),
        ("for another static key", 0, with(|hello| hello.theirs = Identity::of("lender").agreement.public())),
        ("changed", 0, flipped),
        ("a byte short", 0, good[..47].to_vec()),
        ("a byte long", 0, [good.as_slice(), &[0]].concat()),
        ("an ephemeral key of zeros", 0, [&[0; 32], &good[32..]].concat()),
        ("nothing", 0, Vec::new()),
    ];
    let mut shown = Vec::new();
    for (name, generation, noise) in cases {
        let (_, answer) = asked(&mut Home::of(Side::Scanner), generation, &noise);
        assert_eq!(answer, None, "{name}");
        shown.push(json!({ "name": name, "generation": generation, "noise": hex(&noise), "refusal": "refused" }));
    }

    // The same session id a second time, whatever the handshake proves.
    let mut home = Home::of(Side::Scanner);
    let relationship = home.relationship();
    let (mut sessions, first) = asked(&mut home, 0, &good);
    assert!(first.is_some());
    let again = home.step(NOW, &mut Dice::named("welcome"), |tx| {
        let keys = relationship.speaking();
        Ok(sessions.answer_hello(tx, &relationship, LINK, session_id(), keys, &good))
    });
    assert_eq!(again.unwrap(), None);
    shown
}

/// Requests in the session of `lender_asks`, one after the other.
fn requests(log: &Log) -> Vec<Value> {
    let (keys, mut sessions) = session();
    let plain = sync(log, 0, Vec::new()).encode();
    let good = |counter: u64| sealed(&keys, counter, &plain, &format!("request {counter}"));
    let says = |counter: u64, plain: &[u8]| sealed(&keys, counter, plain, &format!("request {counter}"));
    let changed = |counter: u64| {
        let mut sealed = good(counter);
        *sealed.last_mut().unwrap() ^= 1;
        sealed
    };
    let as_answer = keys.seal_message(9, MessageKind::Answer, &plain, &mut Dice::named("request 9"));
    let mut long = plain.clone();
    assert_eq!(long[2], 1);
    long.splice(2..3, [251, 1, 0]);
    let entry = log.entries[0].clone();
    let with = |heads: usize, have: usize, entries: usize| {
        let one = sync(log, 0, Vec::new());
        Sync {
            heads: vec![one.heads[0].clone(); heads],
            have: vec![one.have[0]; have],
            entries: vec![WireEntry { body: Vec::new(), ..entry.clone() }; entries],
        }
        .encode()
    };
    let cases = vec![
        ("the first", 5, good(5), "taken"),
        ("one that overtook it", 3, good(3), "taken"),
        ("the first again", 5, good(5), "forged"),
        ("under another counter", 6, good(7), "forged"),
        ("changed", 8, changed(8), "forged"),
        ("the counter of one that did not open", 8, good(8), "taken"),
        ("an answer sent as a request", 9, as_answer, "forged"),
        ("far ahead", 5_000, good(5_000), "taken"),
        ("1,023 behind the newest", 3_977, good(3_977), "taken"),
        ("1,024 behind the newest", 3_976, good(3_976), "forged"),
        ("the last counter", u64::MAX, good(u64::MAX), "forged"),
        ("an integer that is too long", 10_000, says(10_000, &long), "malformed"),
        ("a byte after the end", 10_001, says(10_001, &[plain.as_slice(), &[0]].concat()), "malformed"),
        ("version 2", 10_002, says(10_002, &[&[2], &plain[1..]].concat()), "malformed"),
        ("no heads, no acknowledgement, no entries", 10_003, says(10_003, &with(0, 0, 0)), "taken"),
        ("17 heads", 10_004, says(10_004, &with(17, 0, 0)), "malformed"),
        ("17 acknowledgements", 10_005, says(10_005, &with(0, 17, 0)), "malformed"),
        ("257 entries", 10_006, says(10_006, &with(0, 0, 257)), "malformed"),
    ];
    let mut shown = Vec::new();
    for (name, counter, sealed, outcome) in cases {
        let became = match sessions.open_request(session_id(), counter, &sealed) {
            Ok(_) => "taken",
            Err(misbehaviour) => word(misbehaviour),
        };
        assert_eq!(became, outcome, "{name}");
        shown.push(json!({ "name": name, "counter": counter, "sealed": hex(&sealed), "outcome": outcome }));
    }
    shown
}
