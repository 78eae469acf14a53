//! What was acknowledged, noted outside the node, and what follows for any later moment.
//!
//! A request that was begun and not answered may have been done or not: after a restart either is right, and which one it was is
//! settled by looking. Whatever was answered is settled already: a value is that value, a grant is there, and a revocation is for good.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Findings,
    api::{Api, Fault, items},
};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Absent,
    /// The text that its path, this number and this length make.
    Text {
        number: u64,
        bytes: usize,
    },
}

impl Content {
    /// The text itself.
    #[must_use]
    pub fn text(self, path: &str) -> Option<String> {
        let Self::Text { number, bytes } = self else { return None };
        let mut text = format!("{path}#{number}#");
        let mut letter = number;
        while text.len() < bytes {
            letter = letter.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
            text.push((b'a' + u8::try_from((letter >> 40) % 26).expect("a letter")) as char);
        }
        text.truncate(bytes);
        Some(text)
    }
}

#[derive(Clone, Debug)]
struct Field {
    acknowledged: Content,
    /// Begun and not answered.
    begun: Option<Content>,
    /// A grant of this field was begun and not answered: there may be one whose id is not known.
    lending: bool,
    touched: bool,
}

/// How far a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lent {
    Active,
    /// A revocation was begun and not answered.
    Revoking,
    Revoked,
}

#[derive(Clone, Debug)]
struct Grant {
    path: String,
    lent: Lent,
    touched: bool,
}

/// The notes.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    fields: BTreeMap<String, Field>,
    grants: BTreeMap<String, Grant>,
    next: u64,
    /// Answers that said that something was done.
    pub acknowledged: u64,
    /// Those that said that something was revoked.
    pub revocations: u64,
}

impl Oracle {
    fn field(&mut self, path: &str) -> &mut Field {
        self.fields.entry(path.to_owned()).or_insert(Field {
            acknowledged: Content::Absent,
            begun: None,
            lending: false,
            touched: false,
        })
    }

    /// A new content for a field of that length.
    pub fn fresh(&mut self, bytes: usize) -> Content {
        self.next += 1;
        Content::Text { number: self.next, bytes }
    }

    /// What the field holds, as far as it was acknowledged.
    #[must_use]
    pub fn content(&self, path: &str) -> Content {
        self.fields.get(path).map_or(Content::Absent, |field| field.acknowledged)
    }

    /// A write or removal is sent.
    pub fn begin(&mut self, path: &str, content: Content) {
        let field = self.field(path);
        field.begun = Some(content);
        field.touched = true;
    }

    /// It was answered.
    pub fn done(&mut self, path: &str) {
        self.acknowledged += 1;
        let field = self.field(path);
        if let Some(content) = field.begun.take() {
            field.acknowledged = content;
        }
    }

    /// It was refused: nothing was done.
    pub fn undone(&mut self, path: &str) {
        let field = self.field(path);
        field.begun = None;
        field.lending = false;
    }

    /// A grant of the field is asked for.
    pub fn begin_grant(&mut self, path: &str) {
        let field = self.field(path);
        field.lending = true;
        field.touched = true;
    }

    /// It was answered.
    pub fn granted(&mut self, path: &str, grant: &str) {
        self.acknowledged += 1;
        self.field(path).lending = false;
        self.grants.insert(grant.to_owned(), Grant { path: path.to_owned(), lent: Lent::Active, touched: true });
    }

    /// A revocation is sent.
    pub fn begin_revoke(&mut self, grant: &str) {
        self.change(grant, Lent::Revoking);
    }

    /// It was answered.
    pub fn revoked(&mut self, grant: &str) {
        self.acknowledged += 1;
        self.revocations += 1;
        self.change(grant, Lent::Revoked);
    }

    /// It was refused.
    pub fn not_revoked(&mut self, grant: &str) {
        self.change(grant, Lent::Active);
    }

    fn change(&mut self, grant: &str, lent: Lent) {
        let grant = self.grants.get_mut(grant).expect("only a grant that was acknowledged is revoked");
        grant.lent = lent;
        grant.touched = true;
    }

    /// Grants that are active as far as is known, of paths that begin so.
    #[must_use]
    pub fn active(&self, prefix: &str) -> Vec<String> {
        let active = |grant: &Grant| grant.lent == Lent::Active && grant.path.starts_with(prefix);
        self.grants.iter().filter(|(_, grant)| active(grant)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether a grant of the field is active or may be.
    #[must_use]
    pub fn is_lent(&self, path: &str) -> bool {
        self.fields.get(path).is_some_and(|field| field.lending)
            || self.grants.values().any(|grant| grant.path == path && grant.lent != Lent::Revoked)
    }

    /// How many grants were made.
    #[must_use]
    pub fn grants(&self) -> usize {
        self.grants.len()
    }

    /// Looks at the node whether all that was acknowledged is there, and settles what was begun. What was not touched since the last
    /// look is left out unless `all` is to be seen.
    pub fn compare(&mut self, api: &Api, all: bool) -> Findings {
        let mut findings = Findings::new();
        for (path, field) in &mut self.fields {
            if all || field.touched {
                field.touched = false;
                findings.extend(field.compare(path, api).err());
            }
            if std::mem::take(&mut field.lending) {
                adopt(path, api, &mut self.grants).unwrap_or_else(|finding| findings.push(finding));
            }
        }
        // A look at one by its name goes through all of them.
        let listed = if all { states(api) } else { Ok(BTreeMap::new()) };
        match &listed {
            Err(finding) => findings.push(finding.clone()),
            Ok(listed) => {
                for (id, grant) in self.grants.iter_mut().filter(|(_, grant)| all || grant.touched) {
                    grant.touched = false;
                    findings.extend(grant.compare(id, api, listed.get(id).filter(|_| all)).err());
                }
            }
        }
        findings
    }

    /// Looks at the holder, for as long as it takes, whether it reads what is lent, the newest, and nothing else.
    pub fn compare_holder(&self, holder: &Api, lender: &str, within: Duration) -> Findings {
        let until = Instant::now() + within;
        let mut findings = Findings::new();
        for path in self.fields.keys() {
            let wanted = self.held(path);
            loop {
                let seen = read(holder, path, Some(lender));
                let holds = match &seen {
                    Ok(text) => wanted.is_some() && *text == wanted,
                    Err(Fault::Refused { .. }) => wanted.is_none(),
                    Err(_) => false,
                };
                if holds {
                    break;
                }
                if Instant::now() > until {
                    let seen = shown(&seen.map(|text| text.unwrap_or_default()));
                    let lent: Vec<_> = self.grants.iter().filter(|(_, grant)| grant.path == *path).collect();
                    findings.push(format!(
                        "{path}: after {within:?} the holder reads {seen} instead of {}; lent: {lent:?}",
                        wanted.map_or("nothing".to_owned(), |text| start(&text)),
                    ));
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        findings
    }

    /// What the holder may read of the field.
    fn held(&self, path: &str) -> Option<String> {
        let lent = self.grants.values().any(|grant| grant.path == path && grant.lent == Lent::Active);
        if lent { self.content(path).text(path) } else { None }
    }
}

impl Field {
    fn compare(&mut self, path: &str, api: &Api) -> Result<(), String> {
        let text = match read(api, path, None) {
            Ok(text) => text,
            Err(fault) if fault.is("not_found") => None,
            Err(fault) => return Err(format!("{path} can't be read: {fault:?}")),
        };
        if let Some(begun) = self.begun.take()
            && text == begun.text(path)
        {
            self.acknowledged = begun;
            return Ok(());
        }
        if text == self.acknowledged.text(path) {
            return Ok(());
        }
        let seen = text.map_or("nothing".to_owned(), |text| start(&text));
        Err(format!("{path}: {:?} was acknowledged, and {seen} is read", self.acknowledged))
    }
}

/// The state of each grant, by its name.
fn states(api: &Api) -> Result<BTreeMap<String, String>, String> {
    let mut states = BTreeMap::new();
    let mut after = String::new();
    loop {
        let mut query = vec![("limit", "1000")];
        if !after.is_empty() {
            query.push(("after", &after));
        }
        let page = api.get("/v1/grants", &query).map_err(|fault| format!("the grants can't be listed: {fault:?}"))?;
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        states.extend(items(&page).iter().map(|grant| (word(&grant["grant"]), word(&grant["state"]))));
        after = word(&page["next"]);
        if after.is_empty() {
            return Ok(states);
        }
    }
}

impl Grant {
    /// By what a listing says, or by asking for it.
    fn compare(&mut self, id: &str, api: &Api, listed: Option<&String>) -> Result<(), String> {
        let asked = || -> Result<String, String> {
            let seen = api.get(&format!("/v1/grants/{id}"), &[]);
            let seen = seen.map_err(|fault| format!("grant {id} of {}: {fault:?}", self.path))?;
            Ok(seen["state"].as_str().unwrap_or_default().to_owned())
        };
        let state = listed.cloned().map_or_else(asked, Ok)?;
        match (self.lent, state.as_str()) {
            (Lent::Active | Lent::Revoking, "active") => self.lent = Lent::Active,
            (Lent::Revoking | Lent::Revoked, "revoked") => self.lent = Lent::Revoked,
            (known, state) => return Err(format!("grant {id} of {} was {known:?} and is {state}", self.path)),
        }
        Ok(())
    }
}

/// Notes the grants of the field whose answers did not arrive.
fn adopt(path: &str, api: &Api, grants: &mut BTreeMap<String, Grant>) -> Result<(), String> {
    let seen = api.get("/v1/access", &[("path", path)]).map_err(|fault| format!("access {path}: {fault:?}"))?;
    for grant in items(&seen).iter().filter(|grant| grant["state"] == "active") {
        let id = grant["grant"].as_str().unwrap_or_default().to_owned();
        grants.entry(id).or_insert(Grant { path: path.to_owned(), lent: Lent::Active, touched: false });
    }
    Ok(())
}

/// The text of a field, of the node's own or lent to it.
///
/// # Errors
/// [`Fault`].
pub fn read(api: &Api, path: &str, from: Option<&str>) -> Result<Option<String>, Fault> {
    let mut query = vec![("path", path)];
    query.extend(from.map(|from| ("from", from)));
    let seen = api.get("/v1/fields", &query)?;
    Ok(items(&seen).first().and_then(|field| field["value"].as_str()).map(str::to_owned))
}

fn shown(seen: &Result<String, Fault>) -> String {
    match seen {
        Ok(text) => start(text),
        Err(Fault::Refused { code, .. }) => format!("a refusal ({code})"),
        Err(fault) => format!("{fault:?}"),
    }
}

fn start(text: &str) -> String {
    format!("\"{}\" ({} bytes)", text.chars().take(40).collect::<String>(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_length_and_differs_from_all_others() {
        let text = |number, bytes| Content::Text { number, bytes }.text("note/a/b").unwrap();
        assert_eq!(text(3, 300).len(), 300);
        assert_ne!(text(3, 300), text(4, 300));
        assert!(text(4, 40).starts_with("note/a/b#4#"));
    }

    #[test]
    fn what_was_begun_is_no_acknowledgement_until_it_was_answered() {
        let mut oracle = Oracle::default();
        let first = oracle.fresh(40);
        oracle.begin("note/a/b", first);
        assert_eq!(oracle.content("note/a/b"), Content::Absent);
        oracle.done("note/a/b");
        assert_eq!(oracle.content("note/a/b"), first);
        let second = oracle.fresh(40);
        oracle.begin("note/a/b", second);
        oracle.undone("note/a/b");
        assert_eq!(oracle.content("note/a/b"), first);
    }
}
