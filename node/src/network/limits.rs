//! Every bound of the driver, in one table: name, value, unit, why, and the test that hits it.
//!
//! libp2p's own defaults are mostly "none", so what is not set here is not bounded. The constants are what the code
//! uses; [`TABLE`] lists them for readers, for `docs/PROTOCOL.md` and for the test that no row goes untested.

use std::time::Duration;

/// Topics `/allod/mail/00` to `/allod/mail/63`. Below the 100 names at which gossipsub ignores a whole hello.
pub const MAIL_TOPICS: u8 = 64;
/// Every hint has this length, so that its size says nothing and any node can judge it.
pub const HINT_BYTES: usize = 512;
/// What gossipsub compares with the topic cap is the encoded message; this is the room its framing needs.
pub const HINT_ENCODED_MAX_BYTES: usize = 1024 + 64;
/// One gossip RPC. Never lower: it is compared with all bytes read so far, and a smaller cap cuts honest bursts off.
pub const GOSSIP_RPC_MAX_BYTES: usize = 64 * 1024;
/// Messages waiting for one slow gossip peer. 256 and 1,024 both passed a burst of 200 hints.
pub const GOSSIP_QUEUE_MESSAGES: usize = 1024;
/// Hints one neighbour may hand over at once: several times the burst an honest carrier forwards in a second.
pub const HINTS_BURST: u32 = 512;
/// Hints per second and neighbour after the burst.
pub const HINTS_PER_SECOND: u32 = 64;
/// Hints over the rate before the neighbour counts as a flood: ids of ignored hints still cost memory for a minute.
pub const HINTS_OVERDRAWN_MAX: u32 = 1024;
/// Hints of all neighbours together that are heard at once: ids of each cost some 600 bytes for two minutes.
pub const HINTS_ALL_BURST: u32 = 8192;
/// Hints per second of all neighbours together after the burst.
pub const HINTS_ALL_PER_SECOND: u32 = 256;
/// While there are more, a stranger that said more than these lately stays unheard for a while; who says little is heard.
pub const HINTS_HEAVY: u32 = 64;
/// How long a paired neighbour that floods stays unheard; a stranger is cut off instead.
pub const FLOOD_SILENCE: Duration = Duration::from_secs(60);

/// One message on `/allod/session/1`: 1 MiB of protocol message and what sealing it adds.
pub const SESSION_FRAME_MAX_BYTES: usize = (1 << 20) + 4096;
/// One message on `/allod/pair/1`: two bundles and X-Wing ciphertexts are under 4 KiB.
pub const PAIR_FRAME_MAX_BYTES: usize = 16 * 1024;
/// Session frames of proven peers in memory at once, all links together.
pub const SESSION_BUDGET_BYTES: usize = 32 << 20;
/// Room of each unproven peer for itself on `/allod/session/1`: a hello always fits, whatever others do.
pub const STRANGER_OWN_BYTES: usize = 64 * 1024;
/// Room for larger frames of all unproven peers together: all that strangers can use up.
pub const STRANGER_BUDGET_BYTES: usize = 4 << 20;
/// Frames of an unproven peer that wait for room, a protocol: the muxer keeps up to 256 KiB of each meanwhile, whatever it announced.
pub const STRANGER_FRAMES_WAITING: usize = 2;
/// Room of each peer on `/allod/pair/1`, proven or not, and of nobody else: pairing can starve only itself.
pub const PAIR_OWN_BYTES: usize = 32 * 1024;

/// Our own requests without an answer, a link. Half of the streams, so that the other half is the peer's.
pub const WINDOW_REQUESTS: usize = 16;
/// The peer's requests without our answer, a link.
pub const WINDOW_EXCHANGES: usize = 16;
/// Request-response streams a connection, in and out. Over it libp2p drops ours with an error and theirs silently.
pub const SESSION_STREAMS: usize = 32;
/// Pairing is one conversation: a few streams suffice.
pub const PAIR_STREAMS: usize = 4;
/// Requests a stranger may send at once, and per second after that: a pairing and a hello need five.
pub const STRANGER_REQUESTS_BURST: u32 = 32;
/// Requests per second a stranger may send after the burst.
pub const STRANGER_REQUESTS_PER_SECOND: u32 = 8;
/// One exchange, with the other side's work in it. 1 MiB on a line of 300 kbit/s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Dials and handshakes under way, in each direction.
pub const PENDING_IN: usize = 32;
/// Dials under way.
pub const PENDING_OUT: usize = 32;
/// Connections of strangers that they opened. Protected peers do not count.
pub const STRANGERS_IN: usize = 128;
/// Of those, connections from one address: whoever has one address does not fill all seats.
pub const STRANGERS_PER_ADDRESS: usize = 32;
/// Connections that strangers of one address (IPv4, or the /64 of IPv6) may open at once. One that is proven is put back.
pub const ADDRESS_CONNECTIONS_BURST: u32 = 32;
/// Connections per second and address after the burst.
pub const ADDRESS_CONNECTIONS_PER_SECOND: u32 = 4;
/// Connections that a broken rule costs the address: from a full bucket 8 s, from an empty one 16 s.
pub const ADDRESS_FINE: u32 = 64;
/// Addresses whose buckets are kept in mind.
pub const ADDRESSES_KNOWN: usize = 4096;
/// Connections that strangers of all addresses together may open at once. One that is proven is put back.
pub const NEWCOMERS_BURST: u32 = 64;
/// Connections per second of all strangers after the burst: a handshake and a burst of streams each, some hundredths of a processor.
pub const NEWCOMERS_PER_SECOND: u32 = 8;
/// Streams that a stranger may open at once: its requests, gossip, and libp2p's own.
pub const STRANGER_STREAMS_BURST: u32 = 48;
/// Streams per second that a stranger may open after the burst.
pub const STRANGER_STREAMS_PER_SECOND: u32 = 8;
/// Connections of strangers that we opened.
pub const STRANGERS_OUT: usize = 128;
/// Connections of strangers in all.
pub const STRANGERS_ALL: usize = 200;
/// Connections in all, protected ones too: 512 at 122 KiB are 61 MiB, and half of the usual 1,024 descriptors.
pub const CONNECTIONS_ALL: usize = 512;
/// Connections of one peer. Never 1: two nodes that dial each other could both lose theirs.
pub const CONNECTIONS_PER_PEER: usize = 3;
/// Resident memory of the process over which no new connection is made.
pub const MEMORY_MAX_BYTES: usize = 256 << 20;
/// A connection without a proven peer and without a request is closed after this.
pub const STRANGER_IDLE: Duration = Duration::from_secs(60);
/// libp2p's own idle limit. Gossip keeps a stream open on every connection, so in practice it is never reached.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(3600);

/// Yamux streams a connection. Over it yamux closes the whole connection, so the other bounds stay far below.
pub const YAMUX_STREAMS: usize = 128;
/// QUIC streams a connection.
pub const QUIC_STREAMS: u32 = 128;
/// QUIC window a stream: holds one whole frame, so that unread streams do not stall each other.
pub const QUIC_STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// QUIC window a connection.
pub const QUIC_CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Streams that are still agreeing on their protocol, a connection.
pub const NEGOTIATING_STREAMS: usize = 64;

/// Handshake included. libp2p's own figure.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a link is probed.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Silence after a probe that ends a link.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Addresses tried in one dial; a pairing code holds two and a profile a handful.
pub const DIAL_ADDRESSES: usize = 8;
/// How long the better address has before the next one is tried beside it.
pub const DIAL_STAGGER: Duration = Duration::from_millis(300);

/// Commands waiting for the driver.
pub const COMMANDS_WAITING: usize = 256;
/// Events the driver keeps when the engine does not take them; past it no command is taken and no stranger let in.
pub const EVENTS_KEPT: usize = 4096;
/// Addresses that others said they see us at, remembered so that each is told once.
pub const OBSERVED_ADDRESSES: usize = 16;
/// How long a connection stays after its last answer when we shut down: what it takes to cross a slow line's buffers.
pub const SHUTDOWN_LINGER: Duration = Duration::from_millis(300);
/// Time to flush answers and say goodbye, the lingering included.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    pub value: u64,
    pub unit: &'static str,
    pub over_it: &'static str,
    /// The test that goes up to the limit and past it.
    pub test: &'static str,
}

macro_rules! table {
    ($($name:ident [$unit:tt] $over_it:literal: $test:literal;)*) => {
        &[$(Limit {
            name: stringify!($name),
            value: table!(value $name $unit),
            unit: $unit,
            over_it: $over_it,
            test: $test,
        }),*]
    };
    (value $name:ident "ms") => { $name.as_millis() as u64 };
    (value $name:ident $unit:tt) => { $name as u64 };
}

/// All of them, in the order a peer meets them.
#[rustfmt::skip]
pub const TABLE: &[Limit] = table! {
    DIAL_ADDRESSES ["addresses"] "not dialled": "more_addresses_than_the_limit_are_not_dialled";
    DIAL_STAGGER ["ms"] "the next address is tried beside it": "a_dead_address_before_a_live_one_is_no_obstacle";
    PENDING_OUT ["dials"] "DialFailed(Busy)": "a_dial_more_than_the_limit_fails_at_once";
    PENDING_IN ["handshakes"] "cut": "a_handshake_more_than_the_limit_is_cut_and_those_before_it_stay";
    CONNECT_TIMEOUT ["ms"] "DialFailed(Unreachable)": "a_peer_that_accepts_and_never_speaks_is_unreachable_after_the_deadline";
    MEMORY_MAX_BYTES ["bytes"] "no connection is taken or made": "a_process_over_its_memory_neither_takes_a_connection_nor_makes_one";
    STRANGERS_IN ["connections"] "established, then closed": "a_node_full_of_strangers_closes_the_next_and_takes_a_new_one_when_one_is_proven";
    ADDRESS_CONNECTIONS_BURST ["connections"] "cut": "an_address_has_a_burst_of_connections_and_then_so_many_a_second";
    ADDRESS_CONNECTIONS_PER_SECOND ["connections/s"] "cut": "an_address_has_a_burst_of_connections_and_then_so_many_a_second";
    ADDRESS_FINE ["connections"] "cut": "an_address_that_was_fined_waits_and_others_do_not";
    ADDRESSES_KNOWN ["addresses"] "the one nearest to a new one is forgotten": "the_number_of_addresses_kept_in_mind_ends_and_the_fined_stay";
    NEWCOMERS_BURST ["connections"] "cut": "strangers_from_everywhere_have_a_pace_together";
    NEWCOMERS_PER_SECOND ["connections/s"] "cut": "strangers_from_everywhere_have_a_pace_together";
    STRANGERS_PER_ADDRESS ["connections"] "established, then closed": "strangers_of_one_address_do_not_take_all_seats";
    STRANGER_STREAMS_BURST ["streams"] "the connection ends, a fine": "a_stranger_with_too_many_streams_is_cut_and_its_address_waits";
    STRANGER_STREAMS_PER_SECOND ["streams/s"] "the connection ends, a fine": "a_stranger_with_too_many_streams_is_cut_and_its_address_waits";
    STRANGERS_OUT ["connections"] "DialFailed(Busy)": "we_open_no_more_links_to_strangers_than_the_limit_and_no_more_in_all";
    STRANGERS_ALL ["connections"] "established, then closed": "we_open_no_more_links_to_strangers_than_the_limit_and_no_more_in_all";
    CONNECTIONS_ALL ["connections"] "established, then closed": "proven_peers_too_have_an_end";
    CONNECTIONS_PER_PEER ["connections"] "established, then closed": "one_peer_has_three_connections_and_they_are_one_link";
    STRANGER_IDLE ["ms"] "closed": "an_idle_stranger_is_closed_and_a_proven_peer_is_not";
    PING_INTERVAL ["ms"] "a probe": "a_link_that_answers_no_ping_ends";
    PING_TIMEOUT ["ms"] "the second in a row closes": "a_link_that_answers_no_ping_ends";
    YAMUX_STREAMS ["streams"] "the connection ends": "a_connection_with_too_many_streams_ends_and_no_other_does";
    QUIC_STREAMS ["streams"] "the sender waits": "quic_gets_our_bounds_and_a_stream_window_holds_a_whole_frame";
    QUIC_STREAM_WINDOW_BYTES ["bytes"] "the sender waits": "quic_gets_our_bounds_and_a_stream_window_holds_a_whole_frame";
    QUIC_CONNECTION_WINDOW_BYTES ["bytes"] "the sender waits": "quic_gets_our_bounds_and_a_stream_window_holds_a_whole_frame";
    NEGOTIATING_STREAMS ["streams"] "the next waits": "a_stream_that_would_be_one_too_many_to_agree_on_its_protocol_waits_for_another_to_end";
    SESSION_STREAMS ["streams"] "dropped": "a_stream_over_the_limit_is_dropped_and_one_at_the_limit_is_served";
    PAIR_STREAMS ["streams"] "dropped": "a_stream_over_the_limit_is_dropped_and_one_at_the_limit_is_served";
    SESSION_FRAME_MAX_BYTES ["bytes"] "refused unread, TooLarge": "a_frame_at_the_cap_passes_and_one_over_it_names_its_link_and_leaves_the_link_up";
    PAIR_FRAME_MAX_BYTES ["bytes"] "refused unread, TooLarge": "a_frame_at_the_cap_passes_and_one_over_it_names_its_link_and_leaves_the_link_up";
    STRANGER_OWN_BYTES ["bytes"] "the frame waits": "large_frames_of_strangers_wait_for_room_and_a_hello_passes_them_by";
    STRANGER_BUDGET_BYTES ["bytes"] "the frame waits": "large_frames_of_strangers_wait_for_room_and_a_hello_passes_them_by";
    STRANGER_FRAMES_WAITING ["frames"] "refused unread": "a_strangers_third_frame_that_would_wait_for_room_is_refused";
    PAIR_OWN_BYTES ["bytes"] "the frame waits": "pairing_frames_have_a_small_room_for_each_peer";
    SESSION_BUDGET_BYTES ["bytes"] "the frame waits": "frames_of_all_proven_peers_share_one_room";
    WINDOW_REQUESTS ["requests"] "Failed(Busy)": "the_seventeenth_request_of_ours_is_busy_until_one_is_answered";
    WINDOW_EXCHANGES ["requests"] "refused": "the_seventeenth_request_of_a_peer_is_refused_until_we_answered_one";
    STRANGER_REQUESTS_BURST ["requests"] "refused": "a_stranger_that_asks_too_often_is_refused_and_a_proven_peer_is_not";
    STRANGER_REQUESTS_PER_SECOND ["requests/s"] "refused": "a_stranger_that_asks_too_often_is_refused_and_a_proven_peer_is_not";
    REQUEST_TIMEOUT ["ms"] "Failed(Timeout)": "a_request_without_an_answer_times_out_on_both_sides";
    MAIL_TOPICS ["topics"] "not subscribed to": "every_topic_has_its_number_and_no_other_name_has_one";
    HINT_BYTES ["bytes"] "rejected, and the score falls": "three_junk_hints_and_a_neighbour_is_not_heard_any_more";
    HINT_ENCODED_MAX_BYTES ["bytes"] "rejected, and the score falls": "three_junk_hints_and_a_neighbour_is_not_heard_any_more";
    GOSSIP_RPC_MAX_BYTES ["bytes"] "the stream is dropped": "a_message_over_the_rpc_cap_harms_nobody_else";
    GOSSIP_QUEUE_MESSAGES ["messages"] "not sent to that neighbour": "a_neighbour_that_reads_nothing_delays_no_other";
    HINTS_BURST ["hints"] "ignored": "hints_over_a_neighbours_rate_are_ignored_and_others_are_heard";
    HINTS_PER_SECOND ["hints/s"] "ignored": "hints_over_a_neighbours_rate_are_ignored_and_others_are_heard";
    HINTS_OVERDRAWN_MAX ["hints"] "a stranger is cut, a proven peer silenced": "a_stranger_that_floods_is_cut_and_a_proven_peer_is_silenced";
    HINTS_ALL_BURST ["hints"] "strangers with many are silenced": "when_too_many_hints_come_strangers_with_many_are_silenced_and_those_with_few_are_heard";
    HINTS_ALL_PER_SECOND ["hints/s"] "strangers with many are silenced": "when_too_many_hints_come_strangers_with_many_are_silenced_and_those_with_few_are_heard";
    HINTS_HEAVY ["hints"] "silenced while too many come": "when_too_many_hints_come_strangers_with_many_are_silenced_and_those_with_few_are_heard";
    FLOOD_SILENCE ["ms"] "heard again": "a_silenced_peer_is_heard_again_when_its_time_is_over";
    COMMANDS_WAITING ["commands"] "the engine waits": "commands_wait_in_a_channel_that_ends";
    EVENTS_KEPT ["events"] "no command is taken and no stranger let in": "the_number_of_kept_events_is_told";
    OBSERVED_ADDRESSES ["addresses"] "the oldest is forgotten": "the_oldest_address_gives_way";
    SHUTDOWN_LINGER ["ms"] "the connection closes": "a_shutdown_flushes_the_last_answer_and_declines_the_rest";
    SHUTDOWN_GRACE ["ms"] "connections are cut": "a_shutdown_does_not_wait_for_a_peer_that_reads_nothing";
};

/// Limits without a test of their own, and why.
pub const UNTESTED: &[(&str, &str)] = &[("CONNECTION_IDLE", "gossip's streams keep it from ever being reached")];

// The limits fit each other.
const _: () = {
    // Both windows fit into the streams, and the streams stay below the cap over which yamux ends a connection.
    assert!(WINDOW_REQUESTS + WINDOW_EXCHANGES <= SESSION_STREAMS);
    assert!(SESSION_STREAMS + PAIR_STREAMS + NEGOTIATING_STREAMS < YAMUX_STREAMS);
    // A stranger's requests find streams, and a fine is paid off.
    assert!(
        STRANGER_STREAMS_BURST as usize >= STRANGER_REQUESTS_BURST as usize + 16
            && STRANGERS_PER_ADDRESS < STRANGERS_IN
    );
    assert!(ADDRESS_FINE >= ADDRESS_CONNECTIONS_BURST && STRANGERS_PER_ADDRESS <= ADDRESS_CONNECTIONS_BURST as usize);
    // A frame at its cap finds room, so that none waits for ever.
    assert!(SESSION_FRAME_MAX_BYTES <= STRANGER_BUDGET_BYTES && PAIR_FRAME_MAX_BYTES <= PAIR_OWN_BYTES);
    assert!(HINT_BYTES + 64 <= HINT_ENCODED_MAX_BYTES && HINT_ENCODED_MAX_BYTES < GOSSIP_RPC_MAX_BYTES);
    // Frames and connections at their worst take no more than half of the memory: the rest is the engine's.
    let frames = SESSION_BUDGET_BYTES + STRANGER_BUDGET_BYTES + STRANGERS_ALL * STRANGER_OWN_BYTES;
    assert!(frames + CONNECTIONS_ALL * (PAIR_OWN_BYTES + 122 * 1024) <= MEMORY_MAX_BYTES / 2);
};

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &[&str] = &[
        include_str!("addresses.rs"),
        include_str!("behaviour.rs"),
        include_str!("codec.rs"),
        include_str!("dialling.rs"),
        include_str!("driver/observed.rs"),
        include_str!("gossip.rs"),
        include_str!("links.rs"),
        include_str!("outbox.rs"),
        include_str!("tests/hints.rs"),
        include_str!("tests/links.rs"),
        include_str!("tests/muxer.rs"),
        include_str!("tests/seats.rs"),
        include_str!("tests/windows.rs"),
    ];

    #[test]
    fn every_limit_is_in_the_table_once_and_its_test_exists() {
        let defined = include_str!("limits.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
        for name in defined.filter_map(|line| line.split_once(": ")).map(|(name, _)| name) {
            if name == "TABLE" || name == "UNTESTED" || UNTESTED.iter().any(|(untested, _)| *untested == name) {
                continue;
            }
            assert_eq!(TABLE.iter().filter(|row| row.name == name).count(), 1, "{name}");
        }
        for Limit { name, value, test, .. } in TABLE {
            let definition = format!("fn {test}()");
            assert!(SOURCES.iter().any(|source| source.contains(&definition)), "{name}: no test {test}");
            assert!(*value > 0, "{name}");
        }
    }
}
