//! Purposes: a fixed vocabulary of W3C DPV 2.3 terms. What is lent for one purpose is not lent for another.
//!
//! A purpose travels as its term. A term that this program does not know can come from a newer peer: it is kept and shown as it is, and
//! our own side can neither ask nor lend for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The terms, with the short words that people type for them. Source: <https://w3id.org/dpv> 2.3, section Purposes.
const TERMS: &[(&str, &[&str])] = &[
    ("RequestedServiceProvision", &["service", "servicedelivery"]),
    ("DeliveryOfGoods", &["delivery", "livraison"]),
    ("PaymentManagement", &["payment", "paiement"]),
    ("CustomerCare", &["care", "support"]),
    ("CustomerOrderManagement", &["order", "commande"]),
    ("CustomerClaimsManagement", &["claims"]),
    ("IdentityVerification", &["identity", "identite"]),
    ("AgeVerification", &["age"]),
    ("FraudPreventionAndDetection", &["fraud"]),
    ("LegalCompliance", &["legal"]),
    ("ServicePersonalisation", &["personalisation", "personalization"]),
    ("PersonalisedBenefits", &["benefits"]),
    ("ProvideProductRecommendations", &["recommendations"]),
    ("ServiceUsageAnalytics", &["analytics"]),
    ("DirectMarketing", &["marketing"]),
    ("TargetedAdvertising", &["advertising", "publicite"]),
    ("SellDataToThirdParties", &["sell"]),
    ("ResearchAndDevelopment", &["research", "recherche"]),
    ("DataAltruism", &["altruism"]),
    ("VendorSelectionAssessment", &["offers"]),
    ("RightsFulfilment", &["rights"]),
];

/// What something is lent for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Purpose(String);

impl Purpose {
    /// The longest term, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// All terms that can be asked or lent for.
    pub fn all() -> impl Iterator<Item = &'static str> {
        TERMS.iter().map(|(term, _)| *term)
    }

    /// Reads a term or one of its short words, in any case, with or without `dpv:` and hyphens.
    ///
    /// # Errors
    /// The nearest terms, best first.
    pub fn parse(word: &str) -> Result<Self, Vec<&'static str>> {
        let plain = plain(word.strip_prefix("dpv:").unwrap_or(word));
        let found =
            TERMS.iter().find(|(term, words)| plain == term.to_ascii_lowercase() || words.contains(&plain.as_str()));
        match found {
            Some((term, _)) => Ok(Self((*term).to_owned())),
            None => Err(nearest(&plain)),
        }
    }

    /// The term.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a term of the vocabulary, which what comes from a peer need not be.
    #[must_use]
    pub fn is_known(&self) -> bool {
        Self::all().any(|term| term == self.0)
    }

    /// Whether what a peer sent can be a term at all.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        (1..=Self::MAX_BYTES).contains(&self.0.len()) && self.0.bytes().all(|b| b.is_ascii_alphanumeric())
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn nearest(word: &str) -> Vec<&'static str> {
    let mut scored: Vec<(usize, &'static str)> = TERMS
        .iter()
        .map(|(term, words)| {
            let lower = term.to_ascii_lowercase();
            let candidates = words.iter().copied().chain([lower.as_str()]);
            let score = candidates
                .map(|candidate| {
                    let shared = shared_pieces(word, candidate);
                    if word.len() > 2 && (candidate.contains(word) || word.contains(candidate)) {
                        0
                    } else {
                        100 - shared
                    }
                })
                .min()
                .unwrap_or(100);
            (score, *term)
        })
        .collect();
    scored.sort();
    scored.into_iter().take(3).map(|(_, term)| term).collect()
}

/// Three-letter pieces that both words hold, in percent of the shorter word's.
fn shared_pieces(one: &str, other: &str) -> usize {
    let pieces = |word: &str| -> Vec<String> {
        word.as_bytes().windows(3).map(|w| String::from_utf8_lossy(w).into_owned()).collect()
    };
    let (one, other) = (pieces(one), pieces(other));
    let least = one.len().min(other.len());
    let shared = one.iter().filter(|piece| other.contains(piece)).count().min(least);
    (shared * 100).checked_div(least).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_and_their_short_words_are_read() {
        for word in ["DeliveryOfGoods", "deliveryofgoods", "dpv:DeliveryOfGoods", "delivery", "delivery-of-goods"] {
            assert_eq!(Purpose::parse(word).unwrap().as_str(), "DeliveryOfGoods", "{word}");
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_nearest_terms_first() {
        assert_eq!(Purpose::parse("adverts").unwrap_err()[0], "TargetedAdvertising");
        assert_eq!(Purpose::parse("deliverey").unwrap_err()[0], "DeliveryOfGoods");
        assert_eq!(Purpose::parse("").unwrap_err().len(), 3);
    }
}
