//! Whole stories, in whole sentences, against whole nodes.

use allod_protocol::refusal::Code;
use allod_tests::World;

#[test]
fn a_vendor_reads_what_is_lent_follows_changes_and_nothing_after_the_revocation() {
    let mut world = World::seeded(7);
    let (alice, shop) = world.paired("alice", "shop");
    world.set(alice, "contact/me/city", "Paris");
    let grant = world.grant(alice, shop, ["contact/me/city"]);
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Paris");
    world.set(alice, "contact/me/city", "Lyon");
    assert_eq!(world.text(shop, alice, "contact/me/city"), "Lyon");
    world.revoke(alice, &grant);
    world.set(alice, "contact/me/city", "Marseille");
    world.settle();
    assert_eq!(world.refused(shop, alice, "contact/me/city"), Code::Revoked);
    assert_eq!(world.own(alice, "contact/me/city"), "Marseille");
    world.verify(alice);
    world.verify(shop);
}
