//! The settings of a home: `config.toml`, written once by `init` and then the owner's to edit, and `ports.toml`, which the node keeps.
//!
//! A setting that nobody knows is refused, not passed over. A home of a newer program is refused before anything in it is touched.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
};

use allod_protocol::command::NodeKind;
use serde::{Deserialize, Serialize};

use crate::{
    daemon::{
        failure::{Failure, NodeRefusal},
        limits::CONFIG_MAX_BYTES,
        vault_file::FILE as VAULT,
    },
    store::{
        EngineName,
        home::{open_file, replace_file},
    },
};

/// The file of the settings.
pub const FILE: &str = "config.toml";
/// The file of the ports that the system chose.
const PORTS_FILE: &str = "ports.toml";
/// The newest form of a home that this program knows.
pub const FORMAT: u32 = 1;
/// Where a node listens unless told otherwise: every IPv4 address of the machine, on ports that the system chooses once.
const LISTEN_DEFAULT: [&str; 2] = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    format: u32,
    /// The node's own id. It never leaves the home.
    pub node: String,
    /// What the node calls itself to its peers.
    pub name: String,
    pub kind: KindWord,
    /// Multiaddrs to listen on.
    #[serde(default = "listen_default")]
    pub listen: Vec<String>,
    /// Whether hints of others are carried; a vendor's node does unless told not to, a person's does if told to.
    pub carry: Option<bool>,
    #[serde(default)]
    pub store: StoreSettings,
}

/// How the store is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    #[serde(default)]
    pub engine: EngineName,
}

/// A person's node or a company's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindWord {
    Person,
    Vendor,
}

impl KindWord {
    /// The engine's word for it.
    #[must_use]
    pub const fn into_kind(self) -> NodeKind {
        match self {
            Self::Person => NodeKind::Person,
            Self::Vendor => NodeKind::Vendor,
        }
    }
}

impl From<NodeKind> for KindWord {
    fn from(kind: NodeKind) -> Self {
        match kind {
            NodeKind::Person => Self::Person,
            NodeKind::Vendor => Self::Vendor,
        }
    }
}

/// What is read of any version's settings.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

fn listen_default() -> Vec<String> {
    LISTEN_DEFAULT.map(str::to_owned).to_vec()
}

impl Settings {
    /// The settings of a new home.
    #[must_use]
    pub fn new(node: String, name: String, kind: KindWord) -> Self {
        let store = StoreSettings::default();
        Self { format: FORMAT, node, name, kind, listen: listen_default(), carry: None, store }
    }

    /// Whether hints of others are carried.
    #[must_use]
    pub fn carries(&self) -> bool {
        self.carry.unwrap_or(self.kind == KindWord::Vendor)
    }

    /// Reads the settings of a home.
    ///
    /// # Errors
    /// The failure to show: there are none, they do not read, or a newer program wrote them.
    pub fn load(home: &Path) -> Result<Self, Failure> {
        let path = home.join(FILE);
        let shown = path.display().to_string();
        let text = match read_small(&path) {
            Ok(text) => text,
            // "There is none" would send its owner to make another, while the whole life is here.
            Err(error) if error.kind() == io::ErrorKind::NotFound && home.join(VAULT).exists() => {
                return Err(NodeRefusal::SettingsGone { path: shown }.into());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(NodeRefusal::NoHome { home: home.display().to_string() }.into());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(NodeRefusal::BadSettings { path: shown, why: error.to_string() }.into());
            }
            Err(error) => return Err(NodeRefusal::HomeIo { path: shown, detail: error.to_string() }.into()),
        };
        Self::read(&text, shown)
    }

    fn read(text: &str, path: String) -> Result<Self, Failure> {
        let bad = |error: &toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            NodeRefusal::BadSettings { path: path.clone(), why: format!("line {line}: {}", error.message()) }
        };
        let AnyFormat { format } = toml::from_str(text).map_err(|error| bad(&error))?;
        if format > FORMAT {
            return Err(NodeRefusal::HomeNewer { version: format.into() }.into());
        }
        Ok(toml::from_str(text).map_err(|error| bad(&error))?)
    }

    /// The file as `init` writes it.
    fn to_text(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let listen: Vec<_> = self.listen.iter().map(|address| quoted(address)).collect();
        format!(
            "# Settings of an Allod node. The node reads them when it starts.\n\
             format = {FORMAT}\n\
             node = {node}\n\
             # What this node calls itself to its peers.\n\
             name = {name}\n\
             # \"person\" or \"vendor\".\n\
             kind = {kind}\n\
             # Where to listen. The system chooses a port 0 once, and the node keeps it.\n\
             listen = [{listen}]\n\
             # Whether hints of others are carried; a vendor's node does unless told not to.\n\
             {carry}\n\
             \n\
             [store]\n\
             # \"sled\" or \"redb\". It can't be changed once there is a store.\n\
             engine = {engine}\n",
            node = quoted(&self.node),
            name = quoted(&self.name),
            kind = quoted(self.kind.into_kind().as_str()),
            carry = self.carry.map_or_else(|| "# carry = true".to_owned(), |carry| format!("carry = {carry}")),
            listen = listen.join(", "),
            engine = quoted(self.store.engine.as_str()),
        )
    }

    /// Writes the file of a new home.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, home: &Path) -> io::Result<()> {
        replace_file(&home.join(FILE), self.to_text().as_bytes())
    }
}

fn read_small(path: &Path) -> io::Result<String> {
    let mut file = open_file(path)?;
    let bytes = file.metadata()?.len();
    if bytes > CONFIG_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{bytes} bytes are too many")));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// The ports that the system chose, by the address with port 0 that asked for one: a peer finds the node there again.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// The remembered ports. A file that does not read is as good as none: new ones are chosen.
    #[must_use]
    pub fn load(home: &Path) -> Self {
        let text = read_small(&home.join(PORTS_FILE)).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    /// This address with a port that is free: the remembered one if it is, else one that the system chooses. Other addresses stay
    /// as they are.
    pub fn choose(&mut self, address: &str) -> String {
        let Some(wanted) = Wanted::read(address) else { return address.to_owned() };
        let remembered = self.0.get(address).copied();
        let free = |port| wanted.try_port(port).ok();
        match remembered.and_then(free).or_else(|| free(0)) {
            Some(port) => {
                self.0.insert(address.to_owned(), port);
                wanted.with_port(port)
            }
            None => address.to_owned(),
        }
    }

    /// Forgets the port of this address.
    pub fn forget(&mut self, address: &str) {
        self.0.remove(address);
    }

    /// Keeps them for the next start.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn save(&self, home: &Path) -> io::Result<()> {
        let text = toml::to_string(&self.0).map_err(io::Error::other)?;
        replace_file(&home.join(PORTS_FILE), text.as_bytes())
    }
}

/// An address with port 0.
struct Wanted<'a> {
    family: &'a str,
    ip: IpAddr,
    transport: Transport,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Quic,
}

impl<'a> Wanted<'a> {
    fn read(address: &'a str) -> Option<Self> {
        let parts: Vec<_> = address.split('/').collect();
        let (family, ip, transport) = match parts[..] {
            ["", family, ip, "tcp", "0"] => (family, ip, Transport::Tcp),
            ["", family, ip, "udp", "0", "quic-v1"] => (family, ip, Transport::Quic),
            _ => return None,
        };
        let ip: IpAddr = ip.parse().ok()?;
        Some(Self { family, ip, transport }).filter(|_| family == if ip.is_ipv4() { "ip4" } else { "ip6" })
    }

    /// Whether this port is free at this moment, and which it is if it was left open.
    fn try_port(&self, port: u16) -> io::Result<u16> {
        let at = SocketAddr::new(self.ip, port);
        let bound = match self.transport {
            Transport::Tcp => TcpListener::bind(at)?.local_addr()?,
            Transport::Quic => UdpSocket::bind(at)?.local_addr()?,
        };
        Ok(bound.port())
    }

    fn with_port(&self, port: u16) -> String {
        let Self { family, ip, .. } = self;
        match self.transport {
            Transport::Tcp => format!("/{family}/{ip}/tcp/{port}"),
            Transport::Quic => format!("/{family}/{ip}/udp/{port}/quic-v1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use allod_protocol::refusal::{Code, Fact};

    use super::*;

    fn settings(name: &str) -> Settings {
        Settings::new("0123abcd".to_owned(), name.to_owned(), KindWord::Vendor)
    }

    fn read(text: &str) -> Result<Settings, Failure> {
        Settings::read(text, "config.toml".to_owned())
    }

    #[test]
    fn what_init_writes_reads_as_the_same_whatever_the_name() {
        for name in ["alice", "d'Arc \"la\" \\ Pucelle", "Ω\n[store]\nengine = \"x\""] {
            assert_eq!(read(&settings(name).to_text()).unwrap(), settings(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_line() {
        let failure = read(&settings("shop").to_text().replace("listen =", "lisen =")).unwrap_err();
        assert_eq!(failure.id, "node-bad-settings");
        let Fact::Text(why) = &failure.facts[1].1 else { panic!("a text") };
        assert!(why.starts_with("line 9: unknown field `lisen`"), "{why}");
    }

    #[test]
    fn settings_of_a_newer_program_are_known_as_such_even_if_they_do_not_read() {
        let failure = read("format = 2\n[store]\nengine = \"postgresql\"\nfleet = true\n").unwrap_err();
        assert_eq!(failure, NodeRefusal::HomeNewer { version: 2 }.into());
        assert_eq!(failure.code, Code::Failed);
    }

    #[test]
    fn a_home_without_settings_is_none_only_if_there_is_no_vault() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(home.path()).unwrap_err().id, "node-no-home");
        fs::write(home.path().join(VAULT), "").unwrap();
        let failure = Settings::load(home.path()).unwrap_err();
        assert_eq!((failure.id, failure.code), ("node-settings-gone", Code::Damaged));
    }

    #[test]
    fn settings_that_are_no_text_are_bad_settings() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(FILE), b"format = 1\nnode = \"\xff\"\n").unwrap();
        let failure = Settings::load(home.path()).unwrap_err();
        assert_eq!((failure.id, failure.code), ("node-bad-settings", Code::Usage));
    }

    #[test]
    fn settings_left_out_have_defaults() {
        let read = read("format = 1\nnode = \"n\"\nname = \"alice\"\nkind = \"person\"\n").unwrap();
        assert_eq!((read.listen.len(), read.store.engine, read.carries()), (2, EngineName::Sled, false));
    }

    #[test]
    fn a_settings_file_that_is_far_too_large_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        settings("shop").write(home.path()).unwrap();
        let path = home.path().join(FILE);
        let room = usize::try_from(CONFIG_MAX_BYTES).unwrap() - fs::read(&path).unwrap().len();
        let padded = |blanks: usize| fs::read_to_string(&path).unwrap() + &"\n".repeat(blanks);
        fs::write(&path, padded(room)).unwrap();
        assert_eq!(Settings::load(home.path()).unwrap(), settings("shop"));
        fs::write(&path, padded(1)).unwrap();
        assert_eq!(Settings::load(home.path()).unwrap_err().id, "node-home-io");
    }

    #[test]
    fn a_port_is_remembered_and_another_is_chosen_when_it_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let address = "/ip4/127.0.0.1/tcp/0";
        let mut ports = Ports::load(home.path());
        let first = ports.choose(address);
        ports.save(home.path()).unwrap();
        let mut again = Ports::load(home.path());
        assert_eq!(again.choose(address), first);
        let port: u16 = first.rsplit('/').next().unwrap().parse().unwrap();
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let other = again.choose(address);
        assert_ne!(other, first);
        assert!(other.starts_with("/ip4/127.0.0.1/tcp/"));
        assert_ne!(other, address);
    }

    #[test]
    fn an_address_with_a_port_stays_as_it_is() {
        let mut ports = Ports::default();
        for address in
            ["/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/udp/4001/quic-v1", "/dns/x/tcp/0", "junk", "/ip4/::1/tcp/0"]
        {
            assert_eq!(ports.choose(address), address);
        }
        assert!(ports.choose("/ip4/127.0.0.1/udp/0/quic-v1").ends_with("/quic-v1"));
    }
}
