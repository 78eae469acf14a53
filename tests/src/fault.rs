//! The weather of a run: which faults it has, and how often.

use std::time::Duration;

use crate::{dice::Dice, network::Lines};

/// Chances are out of a million, each at every action of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    pub lines: Lines,
    /// Some node crashes a few effects later.
    pub crash: u32,
    /// Some node's next commit is refused.
    pub refused_commit: u32,
    /// Some line is cut, for a while.
    pub cut: u32,
    /// Some wall clock jumps, by three hours at most.
    pub clock: u32,
    /// A recorded frame is played back, whole or with a flipped bit.
    pub replay: u32,
    /// Some node is stopped in good order, for a while.
    pub stop: u32,
    /// Some node gets other addresses.
    pub moves: u32,
    /// Some home is put back to an earlier state.
    pub rollback: u32,
    /// A node that turned evil does something to another.
    pub evil: u32,
    /// A long job is cut off, whenever one is begun.
    pub cut_off: u32,
    /// Some disk is nearly full, for a while.
    pub short_of_room: u32,
    /// Some home is backed up, or put back from a backup as its person would do it.
    pub backup: u32,
}

impl Weather {
    const CALM: Self = Self {
        lines: Lines::CALM,
        crash: 0,
        refused_commit: 0,
        cut: 0,
        clock: 0,
        replay: 0,
        stop: 0,
        moves: 0,
        rollback: 0,
        evil: 0,
        cut_off: 0,
        short_of_room: 0,
        backup: 0,
    };

    /// The weather of a seed: calm, or with one kind of trouble, or with all of them. In one of five, homes are lost and put back.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let calm = Self::CALM;
        let backup = if seed % 5 == 4 { 60_000 } else { 0 };
        let other = match seed % 8 {
            0 => calm,
            1 => Self { lines: Lines::ROUGH, ..calm },
            2 => Self { crash: 250_000, stop: 30_000, cut_off: 500_000, ..calm },
            3 => Self { cut: 120_000, moves: 20_000, ..calm },
            4 => Self { refused_commit: 120_000, crash: 60_000, cut_off: 300_000, short_of_room: 60_000, ..calm },
            5 => Self { clock: 50_000, stop: 50_000, ..calm },
            6 => Self { replay: 200_000, crash: 60_000, rollback: 15_000, evil: 150_000, ..calm },
            _ => Self {
                lines: Lines::ROUGH,
                crash: 120_000,
                refused_commit: 40_000,
                cut: 50_000,
                clock: 20_000,
                replay: 100_000,
                stop: 30_000,
                moves: 10_000,
                rollback: 5_000,
                evil: 40_000,
                cut_off: 200_000,
                short_of_room: 20_000,
                ..calm
            },
        };
        Self { backup, ..other }
    }

    /// How long a node stays down, or a line cut.
    #[must_use]
    pub fn spell(dice: &mut Dice) -> Duration {
        match dice.below(4) {
            0 => Duration::from_millis(dice.between(1, 2_000)),
            1 => Duration::from_secs(dice.between(1, 120)),
            2 => Duration::from_secs(dice.between(60, 1_800)),
            _ => Duration::from_secs(dice.between(600, 14_400)),
        }
    }
}
