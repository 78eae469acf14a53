//! The release binary, built if need be, and two of its nodes that are paired.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use allod_tests::{
    process::cargo,
    real::{
        api::Api,
        pairing::{Pair, pair},
        process::Node,
    },
};
use serde_json::{Value, json};

/// Longer than any step of two nodes on a busy machine took, by far.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it is.
pub fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project");
        let status = cargo()
            .args(["build", "--release", "--bin", "allod", "--quiet"])
            .current_dir(root)
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binary does not build");
        let us = std::env::current_exe().expect("a test has a path");
        us.ancestors().nth(2).expect("target/release/deps").join("allod")
    })
}

/// A person and a vendor.
pub struct Two {
    pub ana: Node,
    pub shop: Node,
    /// What each calls the other.
    pub names: Pair,
}

impl Two {
    /// Both run, with that engine, and are paired. `environment` is theirs.
    pub fn paired(place: &Path, engine: &str, environment: &[(&str, &str)]) -> Self {
        let node = |name: &str| {
            let mut node = Node::made(binary(), &place.join(name), name, engine);
            let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            node.environment = environment.collect();
            node.must_start();
            node
        };
        let (ana, shop) = (node("ana"), node("shop"));
        let names = pair(&ana, &shop).expect("two nodes on one machine pair");
        Self { ana, shop, names }
    }

    /// Ana writes texts.
    pub fn set(&self, items: &[(String, String)]) {
        for items in items.chunks(100) {
            let items: Vec<Value> = items.iter().map(|(path, text)| json!({ "path": path, "text": text })).collect();
            self.ana.api().post("/v1/set", &json!({ "items": items })).expect("texts can be written");
        }
    }

    /// Ana lends. Returns the grant.
    pub fn lend(&self, selectors: &[&str]) -> String {
        let body = json!({ "peer": self.names.inviters, "selectors": selectors, "purpose": "DeliveryOfGoods" });
        let lent = self.ana.api().post("/v1/grants", &body).expect("a grant");
        lent["grant"].as_str().expect("a grant has an id").to_owned()
    }

    /// The shop reads until it has this text.
    pub fn shop_reads(&self, path: &str, text: &str) {
        let api = self.shop.api();
        let read = || api.get("/v1/fields", &[("path", path), ("from", &self.names.acceptors)]);
        until(&format!("the shop reads {path}"), || {
            read().is_ok_and(|fields| fields["items"][0]["value"].as_str() == Some(text))
        });
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `GET` answers.
pub fn told(api: &Api, path: &str) -> Value {
    api.get(path, &[]).expect("an answer")
}
