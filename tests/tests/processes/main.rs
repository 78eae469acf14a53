//! Whole stories between real processes of the release binary, on both engines.

/// Makes a test of each story on each engine.
macro_rules! on_both_engines {
    ($($story:ident),* $(,)?) => {
        mod on_sled {
            $( #[test] fn $story() { super::$story(allod_tests::process::Engine::Sled); } )*
        }
        mod on_redb {
            $( #[test] fn $story() { super::$story(allod_tests::process::Engine::Redb); } )*
        }
    };
}

mod backup;
mod contract;
mod denied;
mod faults;
mod home;
mod lending;
mod records;
mod roads;
mod secrecy;
mod strangers;
mod taking_back;
