//! A TCP line that a test can hold back until it lets go, and freeze: bytes stop, connections stay.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

pub(super) struct Wire {
    pub(super) address: String,
    open: watch::Sender<bool>,
    frozen: watch::Sender<bool>,
}

impl Wire {
    /// A line to `/ip4/127.0.0.1/tcp/PORT`.
    pub(super) async fn to(address: &str) -> Self {
        let wire = Self::held(address).await;
        wire.let_go();
        wire
    }

    /// One that takes connections and carries nothing until it is let go.
    pub(super) async fn held(address: &str) -> Self {
        let port: u16 = address.rsplit('/').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (open, mut gone) = watch::channel(false);
        let (frozen, flag) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if gone.wait_for(|open| *open).await.is_err() {
                    return;
                }
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::spawn(carry(near_in, far_out, flag.clone()));
                tokio::spawn(carry(far_in, near_out, flag.clone()));
            }
        });
        Self { address: format!("/ip4/127.0.0.1/tcp/{own}"), open, frozen }
    }

    /// The same for datagrams, to `/ip4/127.0.0.1/udp/PORT/quic-v1`, for one caller.
    pub(super) async fn held_quic(address: &str) -> Self {
        let port: u16 = address.rsplit('/').nth(1).unwrap().parse().unwrap();
        let (near, far) =
            (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        far.connect(("127.0.0.1", port)).await.unwrap();
        let own = near.local_addr().unwrap().port();
        let (open, mut gone) = watch::channel(false);
        let (frozen, _) = watch::channel(false);
        tokio::spawn(async move {
            let (mut out, mut back) = (vec![0; 2048], vec![0; 2048]);
            if gone.wait_for(|open| *open).await.is_err() {
                return;
            }
            let mut caller = None;
            loop {
                tokio::select! {
                    Ok((count, from)) = near.recv_from(&mut out) => {
                        caller = Some(from);
                        let _ = far.send(&out[..count]).await;
                    }
                    Ok(count) = far.recv(&mut back) => {
                        if let Some(caller) = caller {
                            let _ = near.send_to(&back[..count], caller).await;
                        }
                    }
                }
            }
        });
        Self { address: format!("/ip4/127.0.0.1/udp/{own}/quic-v1"), open, frozen }
    }

    pub(super) fn let_go(&self) {
        self.open.send_replace(true);
    }

    pub(super) fn freeze(&self) {
        self.frozen.send_replace(true);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let stop = async { frozen.wait_for(|frozen| *frozen).await.is_ok() };
        let count = tokio::select! {
            // Holds both ends open until the test is over.
            _ = stop => return std::future::pending().await,
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
