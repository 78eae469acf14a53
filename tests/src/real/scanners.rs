//! A thousand scanners of one invitation, over real sockets.
//!
//! Somebody photographed the QR and gave it to everybody. Each of the crowd is a libp2p peer with the invitation's true secret, and all race
//! with the one for whom it was meant, a real node. Whoever is first uses the invitation up. In one round the one it was meant for has a
//! little start; in the others whoever of the crowd is first goes on as far as the fourth message, or is gone. Nobody gets in whom two
//! persons did not compare words with, and the owner learns how many others tried. Afterwards the crowd tries again, with the node killed and
//! started in between: nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use allod_crypto::{BundleSecrets, Invitation, pairing::Scanner};
use allod_protocol::{
    codec::Coded,
    wire::pair::{PairAnswer, PairRequest},
};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::{Value, json};

use super::{
    Findings, Form, Plan,
    api::{Api, items},
    hostile::{RSS_MAX_BYTES, Watch, raise_open_files},
    kill::{begin, spoke_of_a_panic, verified},
    process::Node,
    raw::{Asker, Heard, Speaks, own_address},
};

/// The node lets a hundred and some in at a time, and checks a hundred first messages a second: the crowd takes its turns.
const CROWD_DEADLINE: Duration = Duration::from_secs(240);
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// Who is to be first, and what it does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Meant,
    ThiefGoesOn,
    ThiefIsGone,
}

const ROUNDS: [First; 3] = [First::Meant, First::ThiefGoesOn, First::ThiefIsGone];
/// The start of whoever is to be first.
const AHEAD: Duration = Duration::from_millis(400);

/// Rounds on each engine.
#[must_use]
pub fn run(plan: &Plan) -> Findings {
    raise_open_files();
    plan.engines_of_its_form().iter().flat_map(|engine| on(plan, engine)).collect()
}

/// What the crowd was told.
#[derive(Debug, Default)]
struct Told {
    begun: AtomicU64,
    fourth: AtomicU64,
    used: AtomicU64,
    expired: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    never: AtomicU64,
    connections: AtomicU64,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [begun, fourth, used, expired, failed, refused, never, connections] = [
            &self.begun,
            &self.fourth,
            &self.used,
            &self.expired,
            &self.failed,
            &self.refused,
            &self.never,
            &self.connections,
        ]
        .map(|number| number.load(Relaxed));
        write!(
            f,
            "{begun} begun, {fourth} of them up to the fourth message, {used} refused as used, {expired} as expired, {failed} failed, \
             {never} never served; {refused} times asked to wait; {connections} connections"
        )
    }
}

fn on(plan: &Plan, engine: &str) -> Findings {
    let crowd = plan.rounds(120, 1_000);
    let dir = plan.dir.join(format!("scanners-{engine}"));
    let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
    let mut alice = Node::made(&plan.exe, &dir.join("alice"), "alice", engine);
    shop.must_start();
    alice.must_start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let mut findings = Findings::new();
    // A thief who is gone is waited for, half a minute.
    let rounds = if plan.form == Form::Soak { &ROUNDS[..] } else { &ROUNDS[..2] };
    for (round, first) in rounds.iter().enumerate() {
        let found = race(&runtime, &mut shop, &alice, engine, crowd, *first);
        findings.extend(found.into_iter().map(|what| format!("scanners {engine}, round {round}: {what}")));
    }
    for node in [&mut alice, &mut shop] {
        findings.extend(verified(&node.api()).err());
        findings.extend(spoke_of_a_panic(node));
        findings.extend(node.stop().err().map(|ended| format!("it does not stop: {ended:?}")));
    }
    findings
}

fn race(
    runtime: &tokio::runtime::Runtime,
    shop: &mut Node,
    alice: &Node,
    engine: &str,
    crowd: usize,
    first: First,
) -> Findings {
    let mut findings = Findings::new();
    let peers = |api: &Api| api.get("/v1/peers", &[]).map(|all| items(&all).len()).unwrap_or(usize::MAX);
    let before = peers(&shop.api());
    let watch = Watch::begin(shop.process().expect("the node runs"));
    let invited = shop.api().post("/v1/invitations", &json!({ "expires_s": 600 })).expect("a sound node invites");
    let text = invited["invitation"].as_str().unwrap_or_default().to_owned();
    let id = invited["id"].as_str().unwrap_or_default().to_owned();
    let address = format!("/ip4/127.0.0.1/tcp/{}", shop.port());
    let began = Instant::now();
    let told = Arc::new(Told::default());
    let accepted = thread::scope(|scope| {
        let meant = scope.spawn(|| {
            if first != First::Meant {
                thread::sleep(AHEAD);
            }
            alice.api().post("/v1/accept", &json!({ "text": text })).unwrap_or_default()
        });
        if first == First::Meant {
            thread::sleep(AHEAD);
        }
        runtime.block_on(everybody(&text, &address, crowd, first == First::ThiefGoesOn, &told));
        meant.join().expect("a call does not panic")
    });
    let took = began.elapsed();
    // Words to compare are what somebody has who got through.
    let met = accepted["words"].as_array().is_some_and(|words| !words.is_empty());
    let tried = tried(&shop.api(), &id);
    let begun = told.begun.load(Relaxed) + u64::from(met);
    println!(
        "scanners {engine}: {crowd} and the one it was meant for, {}: {told}; the one it was meant for {}; {tried} others reported; \
         {:.1} s; resident at most {} MiB",
        match first {
            First::Meant => "who is a little ahead",
            First::ThiefGoesOn => "the first of the crowd goes on",
            First::ThiefIsGone => "the first of the crowd is gone",
        },
        if met { "was first" } else { "came too late" },
        took.as_secs_f64(),
        watch.most() >> 20
    );
    if begun > 1 {
        findings.push(format!("{begun} began with one invitation"));
    }
    if begun == 0 {
        findings.push("nobody began at all, so that nothing was tested".to_owned());
    }
    let used = told.used.load(Relaxed);
    if tried < used {
        findings.push(format!("{used} were told that it was used, and the owner of {tried}"));
    }
    if told.never.load(Relaxed) > 0 {
        findings.push(format!("{} were never served in {CROWD_DEADLINE:?}", told.never.load(Relaxed)));
    }
    if watch.most() > RSS_MAX_BYTES {
        findings.push(format!("{} MiB resident", watch.most() >> 20));
    }
    // Two persons compare words, if it was the right one.
    if met {
        findings.extend(compare(shop, alice, &id, &accepted).err());
    }
    let after = peers(&shop.api());
    if after > before + usize::from(met) {
        findings.push(format!("{before} peers became {after}"));
    }
    // Used is used, also for another process of the node.
    for restarted in [false, true] {
        if restarted {
            shop.kill();
            findings.extend(begin(shop).err());
        }
        let again = Arc::new(Told::default());
        runtime.block_on(everybody(&text, &address, crowd.min(100), true, &again));
        if again.begun.load(Relaxed) > 0 || again.used.load(Relaxed) == 0 {
            findings.push(format!("tried again, restarted {restarted}: {again}"));
        }
    }
    findings
}

/// How many others tried, as the owner learns once there are words, or once it is over.
fn tried(shop: &Api, id: &str) -> u64 {
    for _ in 0..3 {
        let seen = shop.get(&format!("/v1/pairings/{id}"), &[("seen", "open")]).unwrap_or_default();
        if seen["stage"] != "open" {
            return seen["others_tried"].as_u64().unwrap_or(0);
        }
    }
    0
}

fn compare(shop: &Node, alice: &Node, id: &str, accepted: &Value) -> Result<(), String> {
    let failed = |fault| format!("the pairing it was meant for: {fault:?}");
    let theirs = accepted["id"].as_str().unwrap_or_default();
    let shown = shop.api().get(&format!("/v1/pairings/{id}"), &[("seen", "open")]).map_err(failed)?;
    if shown["words"] != accepted["words"] {
        return Err("the words differ".to_owned());
    }
    for (node, id) in [(shop, id), (alice, theirs)] {
        node.api().post(&format!("/v1/pairings/{id}/confirm"), &json!({ "same": true })).map_err(failed)?;
    }
    let seen = alice.api().get(&format!("/v1/pairings/{theirs}"), &[("seen", "waiting")]).map_err(failed)?;
    if seen["stage"] == "paired" { Ok(()) } else { Err(format!("the pairing it was meant for is {}", seen["stage"])) }
}

/// All of them, until each was told something.
async fn everybody(text: &str, address: &str, crowd: usize, goes_on: bool, told: &Arc<Told>) {
    let all = (0..crowd).map(|number| {
        let (text, address, told) = (text.to_owned(), address.to_owned(), Arc::clone(told));
        tokio::spawn(async move {
            let one = scan(&text, &address, number, goes_on, &told);
            if tokio::time::timeout(CROWD_DEADLINE, one).await.is_err() {
                told.never.fetch_add(1, Relaxed);
            }
        })
    });
    for one in all.collect::<Vec<_>>() {
        let _ = one.await;
    }
}

/// One of the crowd: tries until it is told something about the invitation.
async fn scan(text: &str, address: &str, number: usize, goes_on: bool, told: &Told) {
    let mut dice = UnwrapErr(SysRng);
    let invitation = Invitation::parse(text).expect("the invitation is one");
    let mut wait = 40 + (number as u64 * 37) % 160;
    loop {
        let (state, noise) =
            Scanner::start(&invitation, BundleSecrets::generate(&mut dice), &mut dice).expect("a handshake begins");
        told.connections.fetch_add(1, Relaxed);
        if let Some(mut asker) = Asker::connected(address, own_address(number), ANSWER_DEADLINE).await {
            let first = PairRequest::First { noise }.encode();
            match asker.ask(Speaks::Pair, &first, ANSWER_DEADLINE).await {
                Heard::Answer(answer) => {
                    let counter = match PairAnswer::decode(&answer) {
                        Ok(PairAnswer::Second { attempt, noise }) => {
                            told.begun.fetch_add(1, Relaxed);
                            if goes_on && let Ok((_, noise)) = state.on_second(&noise, &mut dice) {
                                let third = PairRequest::Third { attempt, noise }.encode();
                                if let Heard::Answer(answer) = asker.ask(Speaks::Pair, &third, ANSWER_DEADLINE).await
                                    && matches!(PairAnswer::decode(&answer), Ok(PairAnswer::Fourth { .. }))
                                {
                                    told.fourth.fetch_add(1, Relaxed);
                                }
                                let declined = PairRequest::Declined { attempt }.encode();
                                let _ = asker.ask(Speaks::Pair, &declined, ANSWER_DEADLINE).await;
                            }
                            return;
                        }
                        Ok(PairAnswer::Used) => &told.used,
                        Ok(PairAnswer::Expired) => &told.expired,
                        _ => &told.failed,
                    };
                    counter.fetch_add(1, Relaxed);
                    return;
                }
                Heard::Refused => drop(told.refused.fetch_add(1, Relaxed)),
                Heard::Gone => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        wait = (wait * 2).min(2_000);
    }
}
