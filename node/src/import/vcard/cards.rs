//! A vCard file cut into cards, and cards into properties with their lines.
//!
//! A property goes on over lines that begin with a blank, over soft breaks of quoted-printable, and over bare lines of Base64. A card
//! whose END is missing is reported and not handed on: half a card reads like a whole one, and would lose what it does not say.

use super::property::Carrier;
use crate::import::{Reason, limits::PROPERTIES_PER_CARD_MAX};

/// A card: its properties, between BEGIN and END.
pub(super) struct Card<'b> {
    /// The line of BEGIN.
    pub(super) line: u64,
    pub(super) lines: Vec<Line<'b>>,
}

/// One property, folded as it was, without the last line end.
pub(super) struct Line<'b> {
    pub(super) number: u64,
    pub(super) raw: &'b [u8],
}

/// What the file consists of.
pub(super) enum Piece<'b> {
    Card(Card<'b>),
    Broken { line: u64, why: Reason },
}

/// Whether this line begins a card.
pub(in crate::import) fn begins_card(line: &str) -> bool {
    is_mark(line.as_bytes(), b"BEGIN")
}

/// `BEGIN:VCARD` or `END:VCARD`, in any case and with blanks around the colon, as some phones write it.
fn is_mark(line: &[u8], word: &[u8]) -> bool {
    if line.len() > 64 {
        return false;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (left, right) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    left.eq_ignore_ascii_case(word) && right.eq_ignore_ascii_case(b"VCARD")
}

/// Goes through a file, one card in memory at a time.
pub(super) struct Cards<'b> {
    body: &'b [u8],
    at: usize,
    number: u64,
    /// A BEGIN that was met inside a card: the next card begins there.
    begun_at: Option<u64>,
}

/// The property that is being read.
struct Open {
    number: u64,
    start: usize,
    end: usize,
    carrier: Carrier,
    /// Whether the card of an `AGENT:` is being read, up to that card's END.
    in_agent: bool,
}

impl<'b> Cards<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { body, at: 0, number: 0, begun_at: None }
    }

    /// The next line: its number, where it begins and ends.
    fn line(&mut self) -> Option<(u64, usize, usize)> {
        if self.at >= self.body.len() {
            return None;
        }
        let start = self.at;
        let end = self.body[start..].iter().position(|byte| *byte == b'\n').map_or(self.body.len(), |at| start + at);
        self.at = end + 1;
        self.number += 1;
        let end = if end > start && self.body[end - 1] == b'\r' { end - 1 } else { end };
        Some((self.number, start, end))
    }

    /// The rest of the card that begins on line `begin`.
    fn card(&mut self, begin: u64) -> Piece<'b> {
        let body = self.body;
        let mut lines: Vec<Line<'b>> = Vec::new();
        let mut open: Option<Open> = None;
        let close = |lines: &mut Vec<Line<'b>>, open: &mut Option<Open>| {
            let open = open.take().filter(|_| lines.len() <= PROPERTIES_PER_CARD_MAX);
            lines.extend(open.map(|open| Line { number: open.number, raw: &body[open.start..open.end] }));
        };
        while let Some((number, start, end)) = self.line() {
            let line = &body[start..end];
            if let Some(open) = &mut open
                && open.goes_on(body, line)
            {
                open.end = end;
                open.in_agent &= !is_mark(line, b"END");
                continue;
            }
            if is_mark(line, b"END") {
                close(&mut lines, &mut open);
                if lines.len() > PROPERTIES_PER_CARD_MAX {
                    let most = PROPERTIES_PER_CARD_MAX as u64;
                    return Piece::Broken { line: begin, why: Reason::CardTooLong { most } };
                }
                return Piece::Card(Card { line: begin, lines });
            }
            if is_mark(line, b"BEGIN") {
                if let Some(open) = &mut open
                    && is_empty_agent(&body[open.start..open.end])
                {
                    (open.end, open.in_agent) = (end, true);
                    continue;
                }
                self.begun_at = Some(number);
                break;
            }
            close(&mut lines, &mut open);
            if !line.trim_ascii().is_empty() {
                open = Some(Open { number, start, end, carrier: carrier(line), in_agent: false });
            }
        }
        Piece::Broken { line: begin, why: Reason::CardCutOff {} }
    }
}

impl<'b> Iterator for Cards<'b> {
    type Item = Piece<'b>;

    fn next(&mut self) -> Option<Piece<'b>> {
        if let Some(begin) = self.begun_at.take() {
            return Some(self.card(begin));
        }
        let mut stray: Option<(u64, u64)> = None;
        let outside = |(line, lines): (u64, u64)| Piece::Broken { line, why: Reason::OutsideCards { lines } };
        while let Some((number, start, end)) = self.line() {
            let line = &self.body[start..end];
            if is_mark(line, b"BEGIN") {
                let Some(stray) = stray else { return Some(self.card(number)) };
                self.begun_at = Some(number);
                return Some(outside(stray));
            }
            if !line.trim_ascii().is_empty() {
                let (first, count) = stray.unwrap_or((number, 0));
                stray = Some((first, count + 1));
            }
        }
        stray.map(outside)
    }
}

impl Open {
    /// Whether `line` belongs to this property.
    fn goes_on(&self, body: &[u8], line: &[u8]) -> bool {
        if self.in_agent || line.starts_with(b" ") || line.starts_with(b"\t") {
            return true;
        }
        match self.carrier {
            Carrier::QuotedPrintable => body[self.start..self.end].ends_with(b"="),
            Carrier::Base64 => {
                let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
                !line.is_empty() && line.iter().all(is_digit)
            }
            Carrier::Plain => false,
        }
    }
}

/// How the property that begins on this line is carried.
fn carrier(line: &[u8]) -> Carrier {
    let head = &line[..line.iter().position(|byte| *byte == b':').unwrap_or(line.len())];
    Carrier::of(&String::from_utf8_lossy(head))
}

fn is_empty_agent(raw: &[u8]) -> bool {
    let raw = raw.trim_ascii();
    raw.len() >= 6 && raw[..5].eq_ignore_ascii_case(b"AGENT") && raw.ends_with(b":") && !raw.contains(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(file: &str) -> Vec<String> {
        let shown = |piece| match piece {
            Piece::Card(card) => {
                let lines: Vec<_> = card.lines.iter().map(|line| line.number.to_string()).collect();
                format!("card {}: {}", card.line, lines.join(" "))
            }
            Piece::Broken { line, why } => format!("{line}: {why:?}"),
        };
        Cards::new(file.as_bytes()).map(shown).collect()
    }

    #[test]
    fn properties_go_on_over_folds_soft_breaks_and_bare_base64() {
        let file = "BEGIN:VCARD\nNOTE:a\n b\n\tc\nX;ENCODING=QUOTED-PRINTABLE:a=\nb=\nc\nKEY;BASE64:\nAAAA\nBB==\n\nFN:x\nEND:VCARD\n";
        assert_eq!(pieces(file), ["card 1: 2 5 8 12"]);
    }

    #[test]
    fn a_card_that_is_cut_off_is_named_by_its_line() {
        let cut = "CardCutOff";
        assert_eq!(
            pieces("BEGIN:VCARD\nFN:a\nBEGIN:VCARD\nFN:b\nEND:VCARD\nBEGIN:VCARD\nFN:c"),
            [format!("1: {cut}"), "card 3: 4".to_owned(), format!("6: {cut}")]
        );
    }

    #[test]
    fn lines_outside_of_cards_are_named_once() {
        assert_eq!(
            pieces("x\ny\n\nBEGIN:VCARD\nEND:VCARD\nz\n"),
            ["1: OutsideCards { lines: 2 }", "card 4: ", "6: OutsideCards { lines: 1 }"]
        );
    }

    #[test]
    fn the_card_of_an_agent_is_part_of_the_card() {
        let file = "BEGIN:VCARD\nAGENT:\nBEGIN:VCARD\nFN:b\nEND:VCARD\nFN:a\nEND:VCARD\n";
        assert_eq!(pieces(file), ["card 1: 2 6"]);
    }
}
