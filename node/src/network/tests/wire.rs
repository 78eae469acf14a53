//! A TCP line that a test can freeze: bytes stop, connections stay.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(super) struct Wire {
    pub(super) address: String,
    frozen: watch::Sender<bool>,
}

impl Wire {
    /// A line to `/ip4/127.0.0.1/tcp/PORT`.
    pub(super) async fn to(address: &str) -> Self {
        let port: u16 = address.rsplit('/').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (frozen, flag) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                tokio::spawn(carry(near_in, far_out, flag.clone()));
                tokio::spawn(carry(far_in, near_out, flag.clone()));
            }
        });
        Self { address: format!("/ip4/127.0.0.1/tcp/{own}"), frozen }
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
