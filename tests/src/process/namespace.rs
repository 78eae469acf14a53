//! Hosts on one machine: network namespaces on one bridge, with a firewall of their own each. Root alone may make them.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use super::has_tool;

/// Some hosts that reach each other. They go with this.
pub struct Network {
    bridge: String,
    hosts: Vec<String>,
    subnet: u8,
}

impl Network {
    /// Makes them; nothing, and a word about it, where that is not possible.
    #[must_use]
    pub fn new(hosts: usize) -> Option<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        if !has_tool("ip") || !has_tool("nft") {
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{:x}{number}", std::process::id());
        let subnet = (std::process::id() % 120) as u8 * 2 + number % 2;
        let mut network = Self { bridge: format!("ab{tag}"), hosts: Vec::new(), subnet };
        if !network.make(&tag, hosts) {
            println!("skipped: network namespaces need root");
            return None;
        }
        Some(network)
    }

    fn make(&mut self, tag: &str, hosts: usize) -> bool {
        let bridge = self.bridge.clone();
        if !ip(&format!("link add {bridge} type bridge")) || !ip(&format!("link set {bridge} up")) {
            return false;
        }
        (0..hosts).all(|host| {
            let (name, outside) = (format!("an{tag}-{host}"), format!("av{tag}-{host}"));
            self.hosts.push(name.clone());
            [
                format!("netns add {name}"),
                format!("link add {outside} type veth peer name eth0 netns {name}"),
                format!("link set {outside} master {bridge} up"),
                format!("-n {name} addr add {}/24 dev eth0", self.address(host)),
                format!("-n {name} link set eth0 up"),
                format!("-n {name} link set lo up"),
            ]
            .iter()
            .all(|line| ip(line))
        })
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, host: usize) -> String {
        format!("10.77.{}.{}", self.subnet, host + 1)
    }

    /// What stands in front of a command that runs on a host.
    #[must_use]
    pub fn inside(&self, host: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.hosts[host]].map(str::to_owned).to_vec()
    }

    /// From now on a host can't call others; what they begin is answered.
    ///
    /// # Panics
    /// When the firewall takes no rule.
    pub fn forbid_calls(&self, host: usize, others: &[usize]) {
        let mut rules =
            "add table inet door\nadd chain inet door out { type filter hook output priority 0; }\n".to_owned();
        for other in others {
            let address = self.address(*other);
            rules.push_str(&format!("add rule inet door out ip daddr {address} ct state new drop\n"));
        }
        let mut nft = Command::new("ip");
        nft.args(["netns", "exec", &self.hosts[host], "nft", "-f", "-"]);
        let outcome = super::Outcome::of(&mut nft, rules.as_bytes());
        assert_eq!(outcome.exit, 0, "{outcome}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            ip(&format!("netns del {host}"));
        }
        ip(&format!("link del {}", self.bridge));
    }
}

/// Whether `ip` did it.
fn ip(line: &str) -> bool {
    let mut command = Command::new("ip");
    let status = command.args(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
