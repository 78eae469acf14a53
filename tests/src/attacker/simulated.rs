//! A node of a simulated world as loot.

use crate::{network::NodeId, world::World};
use allod_crypto::Vault;
use allod_protocol::{
    effect::Channel,
    id::GrantId,
    table::{Key, Table},
};

use super::Loot;

impl World {
    /// From here on, everything that this node writes, draws, sends and receives can be had later.
    pub fn expose(&mut self, node: NodeId) {
        self.wiretap.get_or_insert_with(Vec::new);
        self.nodes[node.0].disk.keep_wreckage();
        self.nodes[node.0].dice.keep_draws();
    }

    /// Everything that a node had since it was exposed, and all that was on any line. `older` are vaults that it had before.
    #[must_use]
    pub fn loot(&self, node: NodeId, older: Vec<Vault>) -> Loot {
        let node = &self.nodes[node.0];
        let frames = self.wiretap.iter().flatten().filter(|frame| frame.channel == Channel::Session);
        let rows = node.disk.wreckage().iter().cloned();
        Loot {
            rows: rows.chain(node.disk.rows().iter().map(|(key, value)| (key.clone(), value.clone()))).collect(),
            vaults: older.into_iter().chain([node.vault()]).collect(),
            frames: frames.map(|frame| frame.bytes.clone()).collect(),
            draws: node.dice.draws().iter().filter_map(|draw| draw.as_slice().try_into().ok()).collect(),
            keys: Vec::new(),
        }
    }

    /// The ids of all grants whose rows a node's disk holds, as they are.
    #[must_use]
    pub fn held_grants(&self, node: NodeId) -> Vec<GrantId> {
        let rows = self.nodes[node.0].disk.rows().keys().filter(|key| Table::of(key) == Some(Table::Grants));
        rows.map(|key| GrantId::from_bytes(Key::from_stored(key.clone()).sixteen(16))).collect()
    }

    /// What a thief finds who takes the disk as it is now: no old rows, nothing that was only in memory.
    #[must_use]
    pub fn stolen_disk(&self, node: NodeId) -> Loot {
        let node = &self.nodes[node.0];
        let rows = node.disk.rows().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Loot { rows, vaults: vec![node.vault()], ..Loot::default() }
    }

    /// The same with every row that ever stood on the disk, and what was on the lines.
    #[must_use]
    pub fn stolen_disk_with_old_bytes(&self, node: NodeId) -> Loot {
        Loot { draws: Vec::new(), ..self.loot(node, Vec::new()) }
    }
}
