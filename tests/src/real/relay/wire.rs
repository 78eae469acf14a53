//! Somebody in the middle who has nothing but the bytes: a forwarder of TCP connections.
//!
//! It passes pieces on as they come, or turns bits in them, cuts connections in the middle of one, says one twice, holds one back behind the
//! next, or puts an old one in. What the diallers said is kept, and [`play`] says it again on new connections of its own.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, tcp},
    task::JoinHandle,
    time::timeout,
};

use super::{
    super::{
        dice::Dice,
        raw::{connect_from, own_address},
    },
    change::changed,
};

/// Connections whose pieces are kept.
const KEPT_MAX: usize = 400;
/// Pieces of each.
const PIECES_MAX: usize = 200;
/// How long a piece is held back behind the next.
const HELD_AT_MOST: Duration = Duration::from_millis(300);
/// How many pieces of one recording are said on one connection.
const SAID_MAX: usize = 40;

/// What was seen and done on the wire.
#[derive(Debug)]
pub struct Tapped {
    /// Whether pieces are changed.
    pub changes: AtomicBool,
    dice: Mutex<Dice>,
    kept: Mutex<Vec<Vec<Vec<u8>>>>,
    pub connections: AtomicU64,
    pub passed: AtomicU64,
    pub changed: AtomicU64,
    pub cut: AtomicU64,
    pub played: AtomicU64,
    pub plays: AtomicU64,
}

impl Tapped {
    /// Nothing yet.
    #[must_use]
    pub fn new(dice: Dice) -> Arc<Self> {
        Arc::new(Self {
            changes: AtomicBool::new(false),
            dice: Mutex::new(dice),
            kept: Mutex::default(),
            connections: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            played: AtomicU64::new(0),
            plays: AtomicU64::new(0),
        })
    }

    fn dice<T>(&self, throw: impl FnOnce(&mut Dice) -> T) -> T {
        throw(&mut self.dice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self) -> Option<usize> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            return None;
        }
        kept.push(Vec::new());
        Some(kept.len() - 1)
    }

    fn keep(&self, connection: Option<usize>, piece: &[u8]) {
        let Some(connection) = connection else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept[connection].len() < PIECES_MAX {
            kept[connection].push(piece.to_vec());
        }
    }

    /// A recording, and how many there are.
    fn recording(&self, dice: &mut Dice) -> Option<Vec<Vec<u8>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() { None } else { Some(kept[dice.index(kept.len())].clone()) }
    }

    fn old(&self) -> Vec<u8> {
        let recording = self.dice(|dice| self.recording(dice)).unwrap_or_default();
        if recording.is_empty() {
            vec![0; 60]
        } else {
            recording[self.dice(|dice| dice.index(recording.len()))].clone()
        }
    }
}

/// Forwarders on several addresses.
#[derive(Debug)]
pub struct Wire(Vec<JoinHandle<()>>);

impl Wire {
    /// Passes on what comes to the first address of each pair to the second. The first may be one on which a node listens as on all others:
    /// whoever asks for exactly this one gets us.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn begin(pairs: &[(SocketAddr, SocketAddr)], tapped: &Arc<Tapped>) -> io::Result<Self> {
        let mut tasks = Vec::new();
        for (listen, node) in pairs {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
            socket.bind(*listen)?;
            let listener = socket.listen(1_024)?;
            let (tapped, node) = (Arc::clone(tapped), *node);
            tasks.push(tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tapped.connections.fetch_add(1, Relaxed);
                    tokio::spawn(forward(stream, node, Arc::clone(&tapped)));
                }
            }));
        }
        Ok(Self(tasks))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn forward(from: TcpStream, node: SocketAddr, tapped: Arc<Tapped>) {
    let Ok(to) = TcpStream::connect(node).await else { return };
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let (from_read, from_write) = from.into_split();
    let (to_read, to_write) = to.into_split();
    let recorded = tapped.begin();
    // Whichever way ends first takes the other with it.
    tokio::select! {
        () = one_way(from_read, to_write, &tapped, Some(recorded)) => {}
        () = one_way(to_read, from_write, &tapped, None) => {}
    }
}

async fn one_way(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    tapped: &Tapped,
    recorded: Option<Option<usize>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut held: Option<Vec<u8>> = None;
    loop {
        // A piece that is held back waits for the next one, but not for ever: nobody may be about to say one.
        let wait = if held.is_some() { HELD_AT_MOST } else { Duration::MAX };
        let count = match timeout(wait, from.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => count,
            Ok(_) => return,
            Err(_) => {
                let late = held.take().unwrap_or_default();
                if to.write_all(&late).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let piece = &buffer[..count];
        if let Some(connection) = recorded {
            tapped.keep(connection, piece);
        }
        tapped.passed.fetch_add(1, Relaxed);
        let mut out = piece.to_vec();
        let (touch, way) = tapped.dice(|dice| (dice.one_in(60), dice.below(6)));
        if touch && tapped.changes.load(Relaxed) {
            tapped.changed.fetch_add(1, Relaxed);
            match way {
                0 => {
                    tapped.cut.fetch_add(1, Relaxed);
                    let _ = to.write_all(&piece[..count / 2]).await;
                    return;
                }
                1 => out.extend_from_slice(piece),
                2 => {
                    held = Some(out);
                    continue;
                }
                3 => {
                    out = tapped.old();
                    out.extend_from_slice(piece);
                }
                _ => {
                    let old = tapped.old();
                    out = tapped.dice(|dice| changed(dice, out, &old));
                }
            }
        }
        if let Some(held) = held.take() {
            out.extend(held);
        }
        if to.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// Says that many pieces again on new connections, each recording from its beginning, most of them changed somewhere.
pub async fn play(nodes: &[SocketAddr], tapped: &Tapped, mut dice: Dice, count: u64) {
    let (mut said, mut failures) = (0, 0);
    while said < count && failures < 1_000 {
        let Some(recording) = tapped.recording(&mut dice).filter(|recording| !recording.is_empty()) else {
            failures += 1;
            continue;
        };
        let node = nodes[dice.index(nodes.len())];
        // From addresses without end, each of which a node lets in.
        let from = own_address(dice.index(1 << 16));
        let Ok(Ok(mut stream)) = timeout(Duration::from_secs(5), connect_from(from, node)).await else {
            failures += 1;
            continue;
        };
        let _ = stream.set_nodelay(true);
        tapped.plays.fetch_add(1, Relaxed);
        let mut pieces: Vec<Vec<u8>> = recording.into_iter().take(SAID_MAX).collect();
        // As it was, in another order, or with changes from some piece on.
        match dice.below(4) {
            0 => {}
            1 if pieces.len() > 2 => {
                let (one, two) = (dice.index(pieces.len()), dice.index(pieces.len()));
                pieces.swap(one, two);
            }
            _ => {
                let at = dice.index(pieces.len());
                let other = pieces[dice.index(pieces.len())].clone();
                pieces[at] = changed(&mut dice, std::mem::take(&mut pieces[at]), &other);
            }
        }
        let mut answer = [0; 4096];
        for (number, piece) in pieces.iter().enumerate() {
            if said >= count || stream.write_all(piece).await.is_err() {
                break;
            }
            // The first pieces are a conversation: the other side says something to them, or it does not.
            let heard = timeout(Duration::from_millis(3), stream.read(&mut answer)).await;
            let is_cut = matches!(heard, Ok(Ok(0) | Err(_)));
            if is_cut && number == 0 {
                // It was not listened to: a node lets in so many a second.
                failures += 1;
                tokio::time::sleep(Duration::from_millis(25)).await;
                break;
            }
            failures = 0;
            said += 1;
            if is_cut {
                break;
            }
        }
    }
    tapped.played.fetch_add(said, Relaxed);
}
