//! Tables: CSV as banks, meters and offices hand it out.
//!
//! The separator and the line that names the columns are told from the first lines; lines above it (an account's name, a period) are
//! listed as skipped. A column becomes the schema's field if it has the field's name or one that others use for it, else a field of its
//! own name. Reading goes twice over the text: once for how numbers and days are written, once for the rows.

use allod_protocol::{
    limits::FIELDS_PER_RECORD_MAX,
    path::{FieldName, Kind, RecordPath},
    schema::{Field, Schema},
    value::{Scalar, Type, Value},
};
use csv::{ReaderBuilder, StringRecord};

use super::{
    Collected, Format, ImportError, Imported, ImportedRecord, Notes, Place, Reason,
    digest::Content,
    limits::{COLUMNS_MAX, HEADER_SEARCH_LINES, UNCLOSED_QUOTES_MAX},
    names::{Ids, Naming, plain_name},
    text::decode,
    too_many_fields,
    written::{Days, Numbers, instant},
};

/// In order of trust: a comma may as well be the point of a number.
const SEPARATORS: [char; 4] = [';', '\t', '|', ','];

/// Whether this looks like a table: two lines at least, each with the same number of cells, and that is more than one.
pub(super) fn is_table(text: &str) -> bool {
    let separator = separator(text);
    let widths: Vec<_> = Rows::new(text, separator).take(HEADER_SEARCH_LINES).map(|row| row.cells.len()).collect();
    widths.len() >= 2 && widths[0] > 1 && widths.iter().all(|width| *width == widths[0])
}

/// Reads a table.
pub(super) fn read(bytes: &[u8], kind: &Kind) -> Result<Imported, ImportError> {
    let (text, encoding) = decode(bytes);
    let (separator, text, first_line) = match named_separator(&text) {
        Some((separator, rest)) => (separator, rest, 2),
        None => (separator(&text), &*text, 1),
    };
    let rows = || Rows::new(text, separator).starting_on(first_line);
    let mut collected = Collected::default();
    let notes = Notes { encoding: encoding.name(), separator: Some(separator), columns: Vec::new() };
    let Some(header_at) = header(text, separator) else {
        return Ok(collected.finish(Format::Csv, notes));
    };
    for row in rows().take(header_at) {
        collected.skip(row.place(), Reason::AboveHeader {});
    }
    let header = rows().nth(header_at).expect("the header was found in these rows");
    if filled(&header.cells) > COLUMNS_MAX {
        return Err(ImportError::TooManyColumns { columns: filled(&header.cells) });
    }
    if let Some(cell) = header.cells.iter().find(|cell| is_no_name(cell)) {
        return Err(ImportError::NoHeader { line: header.line, cell: cell.to_owned() });
    }
    let mut table = Table::new(header.cells, kind);
    for row in rows().skip(header_at + 1) {
        table.observe(&row.cells);
    }
    table.agree();
    let mut ids = Ids::default();
    for row in rows().skip(header_at + 1) {
        match row.quotes {
            Quotes::Sound if filled(&row.cells) == 0 => {}
            Quotes::Sound => table.take(&row, &mut ids, &mut collected)?,
            Quotes::Open => collected.skip(row.place(), Reason::OpenQuote {}),
            Quotes::OpenThrough { last_line } => collected.skip(row.place(), Reason::OpenQuotes { last_line }),
        }
    }
    let columns =
        table.titles.iter().map(str::to_owned).zip(table.columns.into_iter().map(|column| column.name)).collect();
    Ok(collected.finish(Format::Csv, Notes { columns, ..notes }))
}

/// `sep=;`, as spreadsheets write it on a first line.
fn named_separator(text: &str) -> Option<(char, &str)> {
    let rest = text.strip_prefix("sep=")?;
    let separator = rest.chars().next().filter(char::is_ascii)?;
    let (end, rest) = rest[1..].split_once('\n')?;
    end.trim().is_empty().then_some((separator, rest))
}

/// The separator that cuts the first lines into equally many cells; with several, the one that makes more cells.
fn separator(text: &str) -> char {
    let score = |separator: char| {
        let widths: Vec<_> = Rows::new(text, separator).take(HEADER_SEARCH_LINES).map(|row| row.cells.len()).collect();
        let width = most_common(&widths);
        let agreeing = widths.iter().filter(|other| **other == width).count();
        if width > 1 { (agreeing, width) } else { (0, 0) }
    };
    let best =
        SEPARATORS.into_iter().map(|separator| (score(separator), separator)).rev().max_by_key(|(score, _)| *score);
    best.expect("there are four").1
}

/// The width that most rows have; of equals the largest.
fn most_common(widths: &[usize]) -> usize {
    let count = |width: usize| widths.iter().filter(|other| **other == width).count();
    widths.iter().copied().max_by_key(|width| (count(*width), *width)).unwrap_or_default()
}

/// Which row names the columns: the first that is as wide as most are, blank cells at the end of it aside.
fn header(text: &str, separator: char) -> Option<usize> {
    let widths: Vec<_> = Rows::new(text, separator).take(HEADER_SEARCH_LINES).map(|row| row.cells.len()).collect();
    let width = most_common(&widths);
    widths.iter().position(|other| *other == width || *other == width + 1)
}

/// A cell that a header never has: a day, or a number with a fraction. Whole numbers may be years or hours.
fn is_no_name(cell: &str) -> bool {
    let mut numbers = Numbers::default();
    numbers.observe(cell);
    numbers != Numbers::default() || (cell.len() > 8 && Days::default().date(cell, None).is_some())
}

/// How many cells there are, without the blank ones at the end.
fn filled(cells: &StringRecord) -> usize {
    cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty()).last().map_or(0, |(last, _)| last + 1)
}

/// One row, and the line where it begins.
struct Row {
    cells: StringRecord,
    line: u64,
    quotes: Quotes,
}

/// Whether the quotation marks of a row can be trusted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Sound,
    /// One opens in this line and never closes, or closes in the middle of a later cell; the row is this line alone.
    Open,
    /// The same, and the row is all the lines up to this one.
    OpenThrough {
        last_line: u64,
    },
}

impl Row {
    const fn place(&self) -> Place {
        Place::Line(self.line)
    }
}

/// The rows of a table.
///
/// A quotation mark without a partner would make one cell of the rows behind it. Such a line is given back as [`Quotes::Open`], and
/// reading goes on with the next line; when that has happened too often, the swallowed lines are given back as one.
struct Rows<'t> {
    reader: csv::Reader<&'t [u8]>,
    text: &'t str,
    separator: char,
    /// Where in `text` the reader began, and on which line.
    start: usize,
    start_line: u64,
    restarts: usize,
}

impl<'t> Rows<'t> {
    fn new(text: &'t str, separator: char) -> Self {
        Self { reader: reader(text, separator), text, separator, start: 0, start_line: 1, restarts: 0 }
    }

    fn starting_on(mut self, line: u64) -> Self {
        self.start_line = line;
        self
    }
}

fn reader(text: &str, separator: char) -> csv::Reader<&[u8]> {
    let separator = u8::try_from(separator).expect("separators are ASCII");
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(text.as_bytes())
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let mut cells = StringRecord::new();
        // The text is UTF-8 and read from memory, and rows may differ in width: nothing is left that could fail.
        if !self.reader.read_record(&mut cells).unwrap_or(false) {
            return None;
        }
        let (at, line) = cells.position().map_or((0, 1), |position| (position.byte(), position.line()));
        let within = |byte: u64| self.start + usize::try_from(byte).expect("within the text");
        let (start, end) = (within(at), within(self.reader.position().byte()));
        // The reader counts the blank lines before a row to the row.
        let row = self.text[start..end].trim_start_matches(['\r', '\n']);
        let blank = &self.text[start..end - row.len()];
        let line = self.start_line + line - 1 + blank.matches('\n').count() as u64;
        let row = row.trim_end_matches(['\r', '\n']);
        let Some(first_line) = row.find('\n').filter(|_| !closes_its_quotes(row, self.separator)) else {
            return Some(Row { cells, line, quotes: Quotes::Sound });
        };
        if self.restarts == UNCLOSED_QUOTES_MAX {
            let last_line = line + row.matches('\n').count() as u64;
            return Some(Row { cells, line, quotes: Quotes::OpenThrough { last_line } });
        }
        self.start = start + blank.len() + first_line + 1;
        self.start_line = line + 1;
        self.reader = reader(&self.text[self.start..], self.separator);
        self.restarts += 1;
        Some(Row { cells, line, quotes: Quotes::Open })
    }
}

/// Whether each quotation mark that opens a cell of this row has a partner at the cell's end.
fn closes_its_quotes(row: &str, separator: char) -> bool {
    let mut letters = row.chars().peekable();
    let mut at_start = true;
    while let Some(letter) = letters.next() {
        if !(at_start && letter == '"') {
            at_start = letter == separator;
            continue;
        }
        loop {
            match (letters.next(), letters.peek()) {
                (None, _) => return false,
                (Some('"'), Some('"')) => {
                    letters.next();
                }
                (Some('"'), behind) => {
                    if behind.is_some_and(|behind| *behind != separator && !matches!(behind, '\r' | '\n')) {
                        return false;
                    }
                    break;
                }
                (Some(_), _) => {}
            }
        }
        at_start = false;
    }
    true
}

/// A column: where its cells go, and how they are written.
struct Column {
    name: FieldName,
    value_type: Option<Type>,
    century: Option<u8>,
    numbers: Numbers,
    days: Days,
}

struct Table<'k> {
    kind: &'k Kind,
    schema: Option<&'static Schema>,
    titles: StringRecord,
    columns: Vec<Column>,
}

impl<'k> Table<'k> {
    fn new(mut titles: StringRecord, kind: &'k Kind) -> Self {
        titles.truncate(filled(&titles));
        let schema = Schema::of(kind);
        let plain: Vec<_> = titles
            .iter()
            .enumerate()
            .map(|(index, title)| plain_name(title, "").unwrap_or_else(|| format!("column_{}", index + 1)))
            .collect();
        let column = |(name, field): (FieldName, Option<&Field>)| Column {
            name,
            value_type: field.map(|field| field.value_type),
            century: field.and_then(|field| field.century),
            numbers: Numbers::default(),
            days: Days::default(),
        };
        let columns = Naming::new(schema).assign(&plain).into_iter().map(column).collect();
        Self { kind, schema, titles, columns }
    }

    fn observe(&mut self, cells: &StringRecord) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match column.value_type {
                Some(Type::Decimal) => column.numbers.observe(cell),
                Some(Type::Date) => column.days.observe(cell),
                _ => {}
            }
        }
    }

    /// Columns that say nothing about themselves take what the others say.
    fn agree(&mut self) {
        let numbers = self.columns.iter().fold(Numbers::default(), |all, column| all.and(column.numbers));
        let days = self.columns.iter().fold(Days::default(), |all, column| all.and(column.days));
        for column in &mut self.columns {
            column.numbers = column.numbers.or(numbers);
            column.days = column.days.or(days);
        }
    }

    fn take(&self, row: &Row, ids: &mut Ids, collected: &mut Collected) -> Result<(), ImportError> {
        let place = row.place();
        if row.cells.len() < self.columns.len() || filled(&row.cells) > self.columns.len() {
            let (cells, columns) = (row.cells.len() as u64, self.columns.len() as u64);
            collected.skip(place, Reason::OtherWidth { cells, columns });
            return Ok(());
        }
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut content = Content::new();
        let mut day = None;
        for ((column, title), cell) in self.columns.iter().zip(&self.titles).zip(&row.cells) {
            if cell.trim().is_empty() {
                continue;
            }
            day = day.or_else(|| column.day(cell));
            content.part(title.as_bytes());
            content.part(cell.as_bytes());
            if let Some(value) = collected.checked(column.value(cell), &place, title) {
                fields.push((column.name.clone(), value));
            }
        }
        if fields.len() > FIELDS_PER_RECORD_MAX {
            // Said here, before an id is drawn for it.
            collected.skip(place, too_many_fields(fields.len()));
            return Ok(());
        }
        match ids.give(self.schema, &fields, day, content.finish()) {
            Some(id) => {
                let record = RecordPath { kind: self.kind.clone(), id };
                collected.take(ImportedRecord { record, fields }, place)
            }
            None => {
                collected.skip(place, Reason::SameRow {});
                Ok(())
            }
        }
    }
}

impl Column {
    /// The day that a cell tells by itself. What other cells say does not count: the row has the same id in another file.
    fn day(&self, cell: &str) -> Option<String> {
        let day = match self.value_type {
            Some(Type::Date) | None => Days::default().date(cell, self.century)?.to_string(),
            Some(Type::Instant) => instant(cell)?.to_string(),
            _ => return None,
        };
        day.get(..10).map(str::to_owned)
    }

    /// The cell as the schema's type, or as text if it does not read as that.
    fn value(&self, cell: &str) -> Value {
        let trimmed = cell.trim();
        let scalar = match self.value_type {
            Some(Type::Decimal) => self.numbers.decimal(trimmed).map(Scalar::Decimal),
            Some(Type::Integer) => trimmed.parse().ok().map(Scalar::Integer),
            Some(Type::Boolean) => trimmed.to_ascii_lowercase().parse().ok().map(Scalar::Boolean),
            Some(Type::Date) => self.days.date(trimmed, self.century).map(Scalar::Date),
            Some(Type::Instant) => instant(trimmed).map(Scalar::Instant),
            Some(Type::List) => return Value::List(vec![Scalar::Text(cell.to_owned())]),
            Some(Type::Text | Type::Bytes | Type::Map) | None => None,
        };
        Value::Scalar(scalar.unwrap_or_else(|| Scalar::Text(cell.to_owned())))
    }
}
