//! What workloads begin with: records, vendors, grants. Made in memory and in no time that counts.

use std::time::Duration;

use allod_crypto::{AgreementIdentity, RelationshipSecret, SecretKey, SigningIdentity};
use allod_protocol::{
    command::{Command, ImportItem, Mode, NodeKind, PeerState},
    id::{LogId, RouteId},
    path::{FieldName, RecordPath},
    relationship::{NewRelationship, Relationship, Side},
    store::Batch,
    tx::Tx,
    value::Value,
    wire::body::Profile,
};
use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};

use super::node::Node;
use super::pair::{Pair, Who, column, customer, grant, petname};

/// Records of one import command: below what one step may write.
const PAGE_RECORDS: usize = 100;

/// A text of so many bytes that no two numbers share.
pub fn text(number: usize, bytes: usize) -> String {
    let mut text = format!("{number:010} ");
    while text.len() < bytes {
        text.push_str("the quick brown fox jumps over the lazy dog ");
    }
    text.truncate(bytes);
    text
}

/// The n-th record.
pub fn record(number: usize) -> RecordPath {
    format!("transaction/t{number:08}").parse().expect("a plain path")
}

/// Records with fields of so many bytes, in pages of one import command each.
pub fn pages(records: usize, fields: usize, value_bytes: usize) -> impl Iterator<Item = Vec<ImportItem>> {
    let names: Vec<FieldName> = field_names(fields);
    let item = move |number: usize| ImportItem {
        record: record(number),
        fields: names
            .iter()
            .enumerate()
            .map(|(place, name)| (name.clone(), Value::text(text(number * 16 + place, value_bytes))))
            .collect(),
    };
    let mut next = 0;
    std::iter::from_fn(move || {
        let end = (next + PAGE_RECORDS).min(records);
        let page: Vec<ImportItem> = (next..end).map(&item).collect();
        next = end;
        (!page.is_empty()).then_some(page)
    })
}

fn field_names(fields: usize) -> Vec<FieldName> {
    let name = |place| if place == 0 { "amount".to_owned() } else { format!("field{place}") };
    (0..fields).map(|place| FieldName::parse(&name(place)).expect("a plain name")).collect()
}

/// An import, as a command.
pub fn import(items: Vec<ImportItem>) -> Command {
    Command::Import { items, source: "import".to_owned(), dry_run: false }
}

/// A person with so many records of one field, and a vendor that met her.
pub fn with_records(records: usize, value_bytes: usize) -> Pair {
    let mut pair = Pair::in_memory();
    for page in pages(records, 1, value_bytes) {
        pair.person.ask(import(page));
    }
    pair.settle();
    pair.meet(0);
    pair
}

/// The column of all records' amounts.
pub const COLUMN: &str = "transaction/*/amount";

/// The vendor holds the whole column.
pub fn lend_column(pair: &mut Pair) {
    pair.command(Who::Person, grant(&petname(0), vec![column(COLUMN)], Mode::Follow)).expect("it is lent");
}

/// What the vendor calls the person.
pub fn owner() -> String {
    customer(0)
}

/// Relationships as pairing leaves them, each with keys of its own, without the handshakes: with peers that are nowhere.
pub fn relationships(node: &Node, petnames: impl Iterator<Item = String>) -> Batch {
    let (vault, mut dice) = (node.vault(), UnwrapErr(SysRng));
    let now = node.now();
    let mut tx = Tx::new(node.view(), &vault, &mut dice, now);
    let secret = || SecretKey::from_bytes(random());
    for petname in petnames {
        let new = NewRelationship {
            side: Side::Inviter,
            petname: petname.clone(),
            their_profile: Profile { name: petname, kind: NodeKind::Person, addresses: Vec::new(), mailbox: 3 },
            tag: random(),
            my_route: RouteId::from_bytes(random()),
            their_route: RouteId::from_bytes(random()),
            my_log: LogId::from_bytes(random()),
            their_log: LogId::from_bytes(random()),
            signing: SigningIdentity::from_bytes(&random()),
            agreement: AgreementIdentity::from_bytes(&random()),
            their_verify: random(),
            their_static: random(),
            keys: RelationshipSecret::next(&secret(), secret(), secret(), b"benchmark").schedule(),
        };
        let until = now.wall.after(Duration::from_secs(600));
        let mut relationship = Relationship::create(&mut tx, new, until).expect("it can be written");
        (relationship.confirmed_here, relationship.confirmed_there) = (true, true);
        relationship.state = PeerState::Paired;
        relationship.save(&mut tx);
    }
    tx.finish().0
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    bytes
}
