use super::*;
use crate::dice::SeededDice;

const EXPIRES: u64 = 1_795_000_000;

fn ip4() -> DialAddress {
    DialAddress { host: Host::Ip4(Ipv4Addr::new(192, 0, 2, 7)), transport: Transport::Quic, port: 4001 }
}

fn dns(name: &str) -> DialAddress {
    DialAddress { host: Host::Dns(name.to_owned()), transport: Transport::Tcp, port: 443 }
}

fn invitation(addresses: Vec<DialAddress>) -> Invitation {
    Invitation::new([5; 32], addresses, EXPIRES, &mut SeededDice::new(1)).unwrap()
}

fn refused(text: &str) -> Option<InvitationError> {
    Invitation::parse(text).err()
}

#[test]
fn an_invitation_reads_back_whatever_a_messenger_does_to_it() {
    let ip6 = DialAddress { host: Host::Ip6(Ipv6Addr::LOCALHOST), transport: Transport::Tcp, port: 1 };
    for addresses in [vec![], vec![ip4()], vec![ip6.clone(), dns("node.example.org")], vec![ip4(), ip6]] {
        let made = invitation(addresses);
        let text = made.to_text();
        assert!(text.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'2'..=b'7' | b':')), "{}", *text);
        let wrapped: Vec<String> = text.as_bytes().chunks(30).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect();
        for sent in [text.to_string(), text.to_lowercase(), format!("\n  {} \n", *text), wrapped.join("\r\n")] {
            let read = Invitation::parse(&sent).unwrap();
            assert_eq!(*read.to_bytes(), *made.to_bytes());
            assert_eq!(read.hash(), made.hash());
            assert_eq!(read.psk().expose(), made.psk().expose());
            assert_eq!(read.addresses(), made.addresses());
            assert_eq!((read.bundle_hash(), read.expires_unix_s()), (&[5; 32], EXPIRES));
        }
    }
}

#[test]
fn every_shorter_text_is_cut_short() {
    let text = invitation(vec![ip4(), dns("node.example.org")]).to_text();
    for length in PREFIX.len()..text.len() {
        assert_eq!(refused(&text[..length]), Some(InvitationError::CutShort), "{length} of {}", text.len());
    }
    for length in 0..PREFIX.len() {
        assert!(matches!(refused(&text[..length]), Some(InvitationError::NotAnInvitation { .. })), "{length}");
    }
}

#[test]
fn every_wrong_character_is_noticed() {
    let text = invitation(vec![ip4()]).to_text();
    for place in PREFIX.len()..text.len() {
        for wrong in ['A', 'Q', '7', '0', '1', '8', '=', '-', 'é'] {
            let mut broken: Vec<char> = text.chars().collect();
            if broken[place] == wrong {
                continue;
            }
            broken[place] = wrong;
            let broken: String = broken.into_iter().collect();
            // A wrong length in front makes the end look missing; nothing makes a wrong text look right.
            let error = refused(&broken);
            assert!(matches!(error, Some(InvitationError::Damaged | InvitationError::CutShort)), "{place} {error:?}");
        }
    }
}

#[test]
fn one_invitation_has_one_text() {
    for addresses in [vec![], vec![ip4()], vec![dns("a.b")], vec![dns("ab.c")], vec![dns("abc.d")], vec![dns("abcd.e")]]
    {
        let text = invitation(addresses).to_text();
        for extra in ["A", "AA", "B", "7777", "AAAAAAAA"] {
            assert_eq!(refused(&format!("{}{extra}", *text)), Some(InvitationError::Damaged), "{extra}");
        }
        // The bits that fill the last character are zeros, and no others are read.
        let last = text.chars().last().unwrap();
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".chars().filter(|c| *c != last) {
            assert_eq!(refused(&format!("{}{other}", &text[..text.len() - 1])), Some(InvitationError::Damaged));
        }
    }
}

#[test]
fn what_is_no_invitation_is_named_by_its_beginning() {
    let error = refused("https://example.org/ALLOD:AAAA").unwrap();
    assert_eq!(error, InvitationError::NotAnInvitation { begins: "https://exam".to_owned() });
    assert_eq!(error.to_string(), "this is not an invitation: it begins with \"https://exam\"");
    let begins = |text| match refused(text) {
        Some(InvitationError::NotAnInvitation { begins }) => begins,
        other => panic!("{other:?}"),
    };
    assert_eq!(begins(""), "");
    assert_eq!(begins("ALLODé:AAAA"), "ALLODé:AAAA");
    assert_eq!(begins("a\u{1b}[31mred"), "a [31mred");
}

#[test]
fn a_later_version_is_named_if_its_text_is_whole() {
    let mut raw = invitation(vec![]).to_bytes().to_vec();
    raw[0] = 2;
    let end = raw.len() - CHECKSUM_BYTES;
    let sum = checksum(&raw[..end]);
    assert_eq!(Invitation::from_bytes(&raw).err(), Some(InvitationError::Damaged), "its sum is version 1's");
    raw[end..].copy_from_slice(&sum);
    assert_eq!(Invitation::from_bytes(&raw).err(), Some(InvitationError::Newer { version: 2 }));
    let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&raw));
    assert_eq!(refused(&text), Some(InvitationError::Newer { version: 2 }));
    raw[0] = 0;
    assert_eq!(Invitation::from_bytes(&raw).err(), Some(InvitationError::Damaged));
}

#[test]
fn a_text_longer_than_any_invitation_is_not_even_decoded() {
    let label = "a".repeat(61);
    let longest = dns(&[label.as_str(); 4].join("."));
    let Host::Dns(name) = &longest.host else { unreachable!() };
    assert_eq!(name.len(), 247);
    let text = invitation(vec![longest.clone(), longest]).to_text();
    assert!(text.len() <= INVITATION_TEXT_MAX_BYTES && Invitation::parse(&text).is_ok());
    // The longest host name that there is: 253 bytes.
    let raw_max = 1 + 32 + 32 + 8 + 1 + INVITATION_ADDRESSES_MAX * (1 + 1 + HOST_NAME_MAX_BYTES + 1 + 2) + 4;
    assert!(PREFIX.len() + BASE32_NOPAD.encode_len(raw_max) <= INVITATION_TEXT_MAX_BYTES);
    let over = format!("{PREFIX}{}", "A".repeat(INVITATION_TEXT_MAX_BYTES));
    assert_eq!(refused(&over), Some(InvitationError::TooLong));
}

#[test]
fn addresses_that_cannot_be_dialled_stand_in_no_invitation() {
    let make = |addresses| Invitation::new([5; 32], addresses, EXPIRES, &mut SeededDice::new(1)).map(|_| ());
    assert_eq!(make(vec![ip4(), ip4(), ip4()]), Err(AddressError::TooMany));
    assert_eq!(make(vec![DialAddress { port: 0, ..ip4() }]), Err(AddressError::NoPort));
    let long_label = "a".repeat(64);
    let long_name = [["a"; 127].join(".").as_str(), "b"].join(".");
    for name in ["", ".", "a.", ".a", "a..b", "-a", "a-", "A.b", "a_b", "é.fr", "a b", &long_label, &long_name] {
        assert_eq!(make(vec![dns(name)]), Err(AddressError::HostName), "{name}");
    }
    let longest_name = ["a"; 127].join(".");
    assert_eq!(longest_name.len(), HOST_NAME_MAX_BYTES);
    for name in ["a", "a.b", "xn--caf-dma.example", "1.2.example", "a-b", &longest_name] {
        assert_eq!(make(vec![dns(name)]), Ok(()), "{name}");
    }
}

#[test]
fn raw_bytes_with_an_address_that_cannot_be_are_damaged() {
    let good = invitation(vec![ip4()]).to_bytes().to_vec();
    let count = 1 + 32 + 32 + 8;
    for (place, value) in [(count, 3), (count + 1, 5), (count + 6, 0), (count + 6, 3)] {
        let mut raw = good.clone();
        raw[place] = value;
        let end = raw.len() - CHECKSUM_BYTES;
        let sum = checksum(&raw[..end]);
        raw[end..].copy_from_slice(&sum);
        assert_eq!(Invitation::from_bytes(&raw).err(), Some(InvitationError::Damaged), "byte {place} = {value}");
    }
    let mut raw = good;
    let port = raw.len() - CHECKSUM_BYTES - 2;
    raw[port..port + 2].fill(0);
    let end = raw.len() - CHECKSUM_BYTES;
    let sum = checksum(&raw[..end]);
    raw[end..].copy_from_slice(&sum);
    assert_eq!(Invitation::from_bytes(&raw).err(), Some(InvitationError::Damaged));
}

#[test]
fn no_invitation_shows_its_secret_and_no_two_share_one() {
    let mut dice = SeededDice::new(2);
    let mut psk = || Invitation::new([5; 32], vec![], EXPIRES, &mut dice).unwrap().psk();
    assert_ne!(psk().expose(), psk().expose());
    assert_eq!(format!("{:?}", invitation(vec![])), "Invitation(..)");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text: String, tail in "[a-z2-7 ]{0,400}") {
        let _ = Invitation::parse(&text);
        let _ = Invitation::parse(&format!("ALLOD:{text}"));
        let _ = Invitation::parse(&format!("ALLOD:AE{tail}"));
    }

    #[test]
    fn what_any_bytes_read_as_writes_the_same_bytes(mut bytes: Vec<u8>) {
        bytes.insert(0, VERSION);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        if let Ok(invitation) = Invitation::from_bytes(&bytes) {
            proptest::prop_assert_eq!(&*invitation.to_bytes(), &bytes);
        }
    }
}
