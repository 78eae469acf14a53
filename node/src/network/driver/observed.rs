//! The addresses that peers said they see us at.

use std::collections::VecDeque;

use libp2p::Multiaddr;

use super::limits;

/// Those told lately, so that a hundred peers that agree make one event.
#[derive(Default)]
pub(super) struct Observed(VecDeque<Multiaddr>);

impl Observed {
    pub(super) fn knows(&self, address: &Multiaddr) -> bool {
        self.0.contains(address)
    }

    pub(super) fn add(&mut self, address: Multiaddr) {
        self.0.push_back(address);
        if self.0.len() > limits::OBSERVED_ADDRESSES {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_address_gives_way() {
        let address = |port: usize| format!("/ip4/192.0.2.1/tcp/{port}").parse::<Multiaddr>().unwrap();
        let mut observed = Observed::default();
        for port in 0..limits::OBSERVED_ADDRESSES {
            observed.add(address(port));
        }
        assert!(observed.knows(&address(0)));
        observed.add(address(1000));
        assert!(!observed.knows(&address(0)) && observed.knows(&address(1)) && observed.knows(&address(1000)));
    }
}
