/// A name for the content of files: the set-up puts what it compiles from them in a folder of that
/// name, and `build.rs` sees by it whether the set-up is older than the sources.
pub fn fingerprint(sources: &[&str]) -> String {
    // FNV-1a; a separator keeps what moves from one file to the next apart.
    let bytes = sources.iter().flat_map(|text| text.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
