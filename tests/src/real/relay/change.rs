//! What becomes of a frame in bad hands.

use super::super::dice::Dice;

/// A frame with bits turned, a part of it gone, something more, a number in it that is another, or the end of another frame.
#[must_use]
pub fn changed(dice: &mut Dice, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![0];
    }
    let at = dice.index(bytes.len());
    match dice.below(8) {
        0..=2 => bytes[at] ^= 1 << dice.below(8),
        3 => bytes.push(low(dice)),
        4 => bytes.truncate(at),
        // The counter, the session and the kind stand in front.
        5 => {
            let near = dice.index(bytes.len().min(40));
            bytes[near] = low(dice);
        }
        6 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[at.min(other.len())..]);
        }
        _ => {
            let end = (at + 8).min(bytes.len());
            let fill = if dice.one_in(2) { 0 } else { 0xff };
            bytes[at..end].fill(fill);
        }
    }
    bytes
}

fn low(dice: &mut Dice) -> u8 {
    u8::try_from(dice.below(256)).expect("a byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_every_change_changes_something() {
        let mut dice = Dice::seeded(1);
        let frame: Vec<u8> = (0..200u8).collect();
        let other = vec![7; 90];
        let same = (0..1_000).filter(|_| changed(&mut dice, frame.clone(), &other) == frame).count();
        assert!(same < 40, "{same} of 1000");
        assert_eq!(changed(&mut dice, Vec::new(), &other), [0]);
    }
}
