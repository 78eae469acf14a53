//! A paired node that sends more than the disk holds: what is left of the disk is the owner's, who still writes, lends and takes back.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Extent, Findings, Plan,
    api::{Api, Fault},
    disk::{mount, unmount},
    kill::{LEVEL_WITHIN, verified},
    oracle::{Oracle, read},
    pairing::pair,
    process::Node,
    workload,
};

/// Fields that the peer lends, one value each: more than the disk holds, and less than the larger one.
const FIELDS: usize = 400;
const VALUE_BYTES: usize = 200_000;
/// The disk: 16 MiB of it are kept for the owner.
const DISK: &str = "size=80m,mode=0700";
const LARGER: &str = "size=800m,mode=0700";
/// The disk is full by then, or never will be; and all is there by then.
const FILLED_WITHIN: Duration = Duration::from_secs(180);

/// One engine's disk is filled, then made larger.
pub fn on(plan: &Plan, engine: &str) -> Findings {
    let dir = plan.dir.join(format!("filled-{engine}"));
    let disk = dir.join("disk");
    fs::create_dir_all(&disk).expect("a directory can be made");
    if !mount(&disk, DISK) {
        plan.left_out.note(Extent::Part, format!("{engine}: a disk to fill can't be mounted"));
        return Findings::new();
    }
    let findings = match filled(plan, engine, &dir, &disk) {
        Ok(()) => Findings::new(),
        Err(what) => vec![format!("{engine}, a disk that a peer fills: {what}")],
    };
    unmount(&disk);
    findings
}

fn filled(plan: &Plan, engine: &str, dir: &Path, disk: &Path) -> Result<(), String> {
    let mut alice = Node::made(&plan.exe, &disk.join("alice"), "alice", engine);
    alice.log = dir.join("alice.stderr");
    let mut shop = Node::made(&plan.exe, &dir.join("shop"), "shop", engine);
    alice.must_start();
    shop.must_start();
    let names = pair(&shop, &alice).map_err(|fault| format!("they do not pair: {fault:?}"))?;
    let (api, theirs) = (alice.api(), shop.api());
    let oracle = Mutex::new(Oracle::default());
    let told = |fault: Fault| format!("{fault:?}");
    let lend = |name: &str| {
        let path = format!("note/{name}/text");
        let content = oracle.lock().unwrap_or_else(PoisonError::into_inner).fresh(300);
        workload::set(&api, &path, content, &oracle).map_err(told)?;
        workload::grant(&api, &names.acceptors, &path, &oracle).map_err(told)
    };
    let before = lend("before")?;

    for first in (0..FIELDS).step_by(4) {
        let items: Vec<_> = (first..first + 4)
            .map(|number| json!({ "path": field(number), "type": "text", "text": value(number) }))
            .collect();
        theirs.post("/v1/set", &json!({ "items": items })).map_err(told)?;
    }
    for first in (0..FIELDS).step_by(100) {
        let selectors: Vec<_> = (first..first + 100).map(field).collect();
        let grant = json!({ "peer": names.inviters, "selectors": selectors, "purpose": "DeliveryOfGoods" });
        theirs.post("/v1/grants", &grant).map_err(told)?;
    }
    wait("the disk was never nearly full", || is_short(&api).unwrap_or(false))?;
    // More is on its way all the time.
    thread::sleep(Duration::from_secs(3));
    if !is_short(&api).map_err(|fault| format!("it does not answer on the full disk: {fault:?}"))? {
        return Err("it did not say that the disk is nearly full".to_owned());
    }
    let checks = api.get("/v1/doctor", &[]).map_err(told)?;
    let named = checks["checks"].as_array().is_some_and(|checks| {
        checks.iter().any(|check| check["name"] == "disk" && check["ok"] == false && !check["try"].is_null())
    });
    if !named {
        return Err(format!("doctor does not name the disk: {checks}"));
    }
    let after = lend("after")?;
    workload::revoke(&api, &before, &oracle).map_err(told)?;
    let level = |oracle: &Mutex<Oracle>| {
        let oracle = oracle.lock().unwrap_or_else(PoisonError::into_inner);
        oracle.compare_holder(&theirs, &names.inviters, LEVEL_WITHIN).first().map_or(Ok(()), |what| Err(what.clone()))
    };
    level(&oracle)?;
    workload::revoke(&api, &after, &oracle).map_err(told)?;
    level(&oracle)?;
    // It starts on such a disk, too.
    alice.stop().map_err(|ended| format!("it does not stop: {ended:?}"))?;
    alice.must_start();
    if let Some(what) = oracle.lock().unwrap_or_else(PoisonError::into_inner).compare(&api, true).first() {
        return Err(what.clone());
    }

    if !mount(disk, &format!("remount,{LARGER}")) {
        return Err("the disk can't be enlarged".to_owned());
    }
    let has = |number| read(&api, &field(number), Some(&names.acceptors)).is_ok_and(|text| text == Some(value(number)));
    wait("what the peer lends did not come when there was room", || has(FIELDS - 1) && (0..FIELDS).all(has))?;
    verified(&api)?;
    verified(&theirs)?;
    println!("disk {engine}, filled by a peer: it went on, and had all of it when there was room");
    let _ = (alice.stop(), shop.stop());
    Ok(())
}

fn field(number: usize) -> String {
    format!("offer/{number}/text")
}

fn value(number: usize) -> String {
    format!("{number} ").repeat(VALUE_BYTES / 4).chars().take(VALUE_BYTES).collect()
}

fn is_short(api: &Api) -> Result<bool, Fault> {
    Ok(api.get("/v1/status", &[])?["last_problem"]["id"] == "status-disk-short")
}

fn wait(what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > FILLED_WITHIN {
            return Err(what.to_owned());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
