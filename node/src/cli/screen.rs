//! What a person or a program sees: stdout is the answer and nothing else, stderr is everything said beside it.
//!
//! One value decides how: JSON or text, which language, whether there is a terminal and how wide it is, whether colour may be used, and
//! whether the reader asked for text that a screen reader can follow (`ALLOD_ACCESSIBLE`, `ACCESSIBLE`, `TERM=dumb`): no boxes, no
//! redraws, tables as `name: value` lines.

use std::io::{self, IsTerminal, Write};

use allod_protocol::{purpose::Purpose, time::Timestamp};
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table as Drawn, Width, presets};
use jiff::tz::TimeZone;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::ending::{Done, Ending};
use crate::{
    messages::{Facts, Lang, Messages, plain},
    time_text,
};

/// Blanks between two columns.
const GAP: u16 = 2;

/// Whether stdout is for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Text,
}

/// How the output looks.
pub struct Screen {
    form: Form,
    messages: &'static Messages,
    layout: Layout,
    colour: bool,
    /// Columns of the terminal that stdout is; none for a pipe or a file, which is never wrapped.
    columns: Option<u16>,
    zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Columns,
    Lines,
}

/// Rows under named columns. A column in which every cell is empty is not shown.
#[derive(Debug, Default)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns: message ids.
    #[must_use]
    pub fn new(screen: &Screen, columns: &[&str]) -> Self {
        Self { headers: columns.iter().map(|id| screen.word(id)).collect(), rows: Vec::new() }
    }

    /// One more row. Cells are stripped of what could move a cursor.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.headers.len());
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The longest word of each column.
    fn widest_words(&self) -> Vec<usize> {
        let widest = |cell: &String| cell.split(' ').map(UnicodeWidthStr::width).max().unwrap_or_default();
        let cells = |column: usize| self.rows.iter().map(move |row| &row[column]);
        (0..self.headers.len())
            .map(|column| cells(column).chain([&self.headers[column]]).map(widest).max().unwrap_or_default())
            .collect()
    }

    /// Columns of a terminal in which no word is cut.
    fn width_min(&self) -> usize {
        self.widest_words().iter().map(|width| width + usize::from(GAP)).sum::<usize>().saturating_sub(GAP.into())
    }

    fn without_empty_columns(mut self) -> Self {
        let kept: Vec<bool> =
            (0..self.headers.len()).map(|column| self.rows.iter().any(|row| !row[column].is_empty())).collect();
        for cells in self.rows.iter_mut().chain([&mut self.headers]) {
            let mut columns = kept.iter();
            cells.retain(|_| columns.next().copied().unwrap_or(true));
        }
        self
    }
}

impl Screen {
    /// The screen that environment and terminal give.
    #[must_use]
    pub fn of_environment(form: Form, lang: Lang) -> Self {
        let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns =
            terminal_size::terminal_size_of(io::stdout()).map(|(terminal_size::Width(columns), _)| columns.max(20));
        Self {
            form,
            messages: Messages::of(lang),
            layout: if named("ALLOD_ACCESSIBLE") || named("ACCESSIBLE") || dumb {
                Layout::Lines
            } else {
                Layout::Columns
            },
            colour: io::stdout().is_terminal() && !named("NO_COLOR") && !dumb,
            columns,
            zone: TimeZone::system(),
        }
    }

    /// Whether stdout is for a program.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Whether the reader asked for text without boxes and redraws.
    #[must_use]
    pub fn is_accessible(&self) -> bool {
        self.layout == Layout::Lines
    }

    /// Whether colour may be used on stdout.
    #[must_use]
    pub const fn has_colour(&self) -> bool {
        self.colour
    }

    /// The reader's language.
    #[must_use]
    pub fn lang(&self) -> Lang {
        self.messages.lang()
    }

    /// The reader's time zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// A sentence in the reader's language.
    #[must_use]
    pub fn text(&self, id: &str, facts: &Facts) -> String {
        self.messages.text(id, facts)
    }

    /// What happened and what to try, in the reader's language.
    #[must_use]
    pub fn two_lines(&self, id: &str, facts: &Facts) -> (String, String) {
        self.messages.two_lines(id, facts)
    }

    /// A word or a sentence without facts.
    #[must_use]
    pub fn word(&self, id: &str) -> String {
        self.messages.word(id)
    }

    /// Whether there is such a message.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.messages.has(id)
    }

    /// A word of JSON in the reader's language: `state-active`; the word itself if the catalogue lacks it.
    #[must_use]
    pub fn term(&self, family: &str, word: &str) -> String {
        let id = format!("{family}-{}", word.replace('_', "-"));
        if word.is_empty() || !self.messages.has(&id) { plain(word) } else { self.messages.word(&id) }
    }

    /// A purpose in the reader's language; a term that this program does not know is shown as it is.
    #[must_use]
    pub fn purpose(&self, term: &str) -> String {
        match Purpose::parse(term) {
            Ok(purpose) => self.term("purpose", purpose.as_str()),
            Err(_) => plain(term),
        }
    }

    /// A time of JSON for people; empty for none.
    #[must_use]
    pub fn time(&self, value: &Value) -> String {
        value.as_str().and_then(time_text::parse_rfc3339).map(|time| self.moment(time)).unwrap_or_default()
    }

    /// A time for people.
    #[must_use]
    pub fn moment(&self, time: Timestamp) -> String {
        time_text::show(time, self.lang(), &self.zone)
    }

    /// One JSON document on a line of stdout, at once.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn json(&self, value: &Value) -> Done {
        self.print(&value.to_string())
    }

    /// A line on stdout, at once.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn print(&self, line: &str) -> Done {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush().map_err(Ending::from)
    }

    /// Bytes on stdout, at once.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn write(&self, bytes: &[u8]) -> Done {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush().map_err(Ending::from)
    }

    /// A sentence on stdout.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn say(&self, id: &str, facts: &Facts) -> Done {
        self.print(&self.text(id, facts))
    }

    /// A table on stdout.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn table(&self, table: Table) -> Done {
        if table.is_empty() { Ok(()) } else { self.print(&self.draw(table)) }
    }

    /// A line on stderr: what a person needs beside the answer. Nothing depends on whether it can be written.
    pub fn note(&self, line: &str) {
        let mut err = io::stderr().lock();
        let _ = writeln!(err, "{line}");
        let _ = err.flush();
    }

    /// The table as lines.
    #[must_use]
    pub fn draw(&self, table: Table) -> String {
        let table = table.without_empty_columns();
        match (self.layout, self.columns) {
            (Layout::Lines, _) => self.draw_lines(&table),
            // Where words would be cut in two, lines read better than columns.
            (_, Some(columns)) if table.width_min() > usize::from(columns) => self.draw_lines(&table),
            _ => self.draw_columns(table),
        }
    }

    fn draw_lines(&self, table: &Table) -> String {
        let colon = self.word("label-colon");
        let rows = table.rows.iter().map(|row| {
            let lines = table.headers.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
            lines.map(|(header, cell)| format!("{header}{colon}{cell}")).collect::<Vec<_>>().join("\n")
        });
        rows.collect::<Vec<_>>().join("\n\n")
    }

    fn draw_columns(&self, table: Table) -> String {
        let widest_words = table.widest_words();
        let mut drawn = Drawn::new();
        drawn.load_style(presets::NOTHING);
        match self.columns {
            Some(columns) => {
                drawn.set_width(columns).set_content_arrangement(ContentArrangement::Dynamic);
            }
            None => {
                drawn.set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
            }
        }
        if self.colour {
            drawn.enforce_styling();
        }
        let bold = |header: String| {
            if self.colour { Cell::new(header).add_attribute(Attribute::Bold) } else { Cell::new(header) }
        };
        drawn.set_header(table.headers.into_iter().map(bold).collect::<Vec<_>>());
        drawn.add_rows(table.rows);
        let count = drawn.column_count();
        for (place, column) in drawn.column_iter_mut().enumerate() {
            let gap = if place + 1 == count { 0 } else { GAP };
            column.set_padding((0, gap));
            if self.columns.is_some() {
                let least = u16::try_from(widest_words[place]).unwrap_or(u16::MAX).saturating_add(gap);
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
        }
        drawn.trim_fmt()
    }

    /// One thing's properties: `name: value` lines with the names aligned; empty ones are left out.
    ///
    /// # Errors
    /// Stdout is closed or full.
    pub fn properties(&self, properties: &[(&str, String)]) -> Done {
        let shown: Vec<(String, String)> = properties
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(id, value)| (format!("{}{}", self.word(id), self.word("label-colon").trim_end()), plain(value)))
            .collect();
        let width = shown.iter().map(|(name, _)| UnicodeWidthStr::width(name.as_str())).max();
        for (name, value) in shown {
            let gap = match self.layout {
                Layout::Lines => 1,
                Layout::Columns => width.unwrap_or_default() - UnicodeWidthStr::width(name.as_str()) + 1,
            };
            self.print(&format!("{name}{}{value}", " ".repeat(gap)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(layout: Layout, columns: Option<u16>) -> Screen {
        let messages = Messages::of(Lang::English);
        Screen { form: Form::Text, messages, layout, colour: false, columns, zone: TimeZone::UTC }
    }

    fn table(screen: &Screen) -> Table {
        let mut table = Table::new(screen, &["column-peer", "column-purge", "column-selectors"]);
        table.row(["b\u{fc}cherei".into(), String::new(), "contact/me/city, contact/me/street".into()]);
        table.row(["\u{672c}\u{5c4b}".into(), String::new(), "contact/me/email\u{1b}[2J\u{202e}".into()]);
        table
    }

    #[test]
    fn columns_are_padded_by_width_and_empty_ones_left_out() {
        let screen = screen(Layout::Columns, None);
        let drawn = screen.draw(table(&screen));
        assert_eq!(
            drawn,
            "Peer      Selectors\nb\u{fc}cherei  contact/me/city, contact/me/street\n\u{672c}\u{5c4b}      contact/me/email[2J"
        );
    }

    #[test]
    fn words_that_no_catalogue_has_and_texts_of_answers_are_shown_plain() {
        let screen = screen(Layout::Columns, None);
        let hostile = "a\u{1b}[2J\u{202e}b\nc";
        let plain = "a[2Jb c";
        assert_eq!((screen.term("peer-state", hostile), screen.purpose(hostile)), (plain.into(), plain.into()));
        let answer = serde_json::json!([hostile, hostile]);
        assert_eq!(crate::cli::forms::text(&answer[0]), plain);
        assert_eq!(crate::cli::forms::texts(&answer), format!("{plain}, {plain}"));
    }

    #[test]
    fn a_narrow_terminal_wraps_between_words_and_a_narrower_one_gets_lines() {
        let narrow = screen(Layout::Columns, Some(30));
        let drawn = narrow.draw(table(&narrow));
        assert!(drawn.lines().all(|line| UnicodeWidthStr::width(line) <= 30), "{drawn}");
        assert!(drawn.contains("contact/me/street") && drawn.contains("contact/me/city,"), "{drawn}");
        let narrower = screen(Layout::Columns, Some(20));
        assert!(narrower.draw(table(&narrower)).starts_with("Peer: b\u{fc}cherei\nSelectors: contact/me/city"));
    }

    #[test]
    fn a_reader_who_asked_for_it_gets_lines_without_boxes_or_escapes() {
        let accessible = screen(Layout::Lines, Some(200));
        let drawn = accessible.draw(table(&accessible));
        assert_eq!(
            drawn,
            "Peer: b\u{fc}cherei\nSelectors: contact/me/city, contact/me/street\n\nPeer: \u{672c}\u{5c4b}\nSelectors: contact/me/email[2J"
        );
    }

    #[test]
    fn a_purpose_or_state_of_a_newer_program_is_shown_as_it_is() {
        let screen = screen(Layout::Columns, None);
        assert_eq!(screen.purpose("DeliveryOfGoods"), "Delivery of goods");
        assert_eq!(screen.purpose("TeleportationOfGoods"), "TeleportationOfGoods");
        assert_eq!(screen.term("grant-state", "of_2031"), "of_2031");
        assert_eq!(screen.term("grant-state", ""), "");
    }
}
