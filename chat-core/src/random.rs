//! Bytes from the operating system's generator.

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness to give. Nothing that this crate does is safe without it.
#[allow(clippy::expect_used)]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// `N` random bytes as lower-case hex: a name that nobody can guess.
pub(crate) fn name<const N: usize>() -> String {
    use std::fmt::Write;
    bytes::<N>().iter().fold(String::with_capacity(N * 2), |mut name, byte| {
        // Writing to a String does not fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}
