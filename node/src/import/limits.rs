//! Every cap of the importers: name, value, unit, and why.

/// One file. It is read into memory, and its records take several times as much. Bytes.
pub const FILE_MAX_BYTES: usize = 256 * 1024 * 1024;
/// Records of one file: ten years of a busy shop's sales. Count.
pub const RECORDS_MAX: usize = 1_000_000;
/// Reasons kept for what was left out; more are counted. Count.
pub const SKIPS_MAX: usize = 10_000;
/// A field name made from somebody else's: leaves room for a number and for what is said about the field. Bytes.
pub const FOREIGN_NAME_MAX_BYTES: usize = 48;
/// A record id made from a name: still a word and not a paragraph. Bytes.
pub const SLUG_MAX_BYTES: usize = 64;
/// What is looked at to tell a format. Bytes.
pub const SNIFF_MAX_BYTES: usize = 64 * 1024;
/// What is looked at to tell an old encoding: the guess does not improve with more. Bytes.
pub const ENCODING_SAMPLE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Lines from which the separator and the header of a table are told. Count.
pub const HEADER_SEARCH_LINES: usize = 50;
/// Times that a line is skipped for its quotation mark and reading starts again behind it; each may cost a look at the rest of the
/// file. Count.
pub const UNCLOSED_QUOTES_MAX: usize = 20;
/// Columns of a table: a year of quarter hours of a day, side by side. Count.
pub const COLUMNS_MAX: usize = 4_096;
/// One object of a JSON file. In memory it may take thirty times as much. Bytes.
pub const JSON_ITEM_MAX_BYTES: usize = 8 * 1024 * 1024;
/// One property of a vCard: the largest value in Base64, folded, has 356 KiB. Bytes.
pub const PROPERTY_MAX_BYTES: usize = 1024 * 1024;
/// Properties of one vCard: many times what a record holds. Count.
pub const PROPERTIES_PER_CARD_MAX: usize = 4_096;
