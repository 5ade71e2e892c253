//! Files that are not what they should be.

use super::blocks::blocks;
use super::*;

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let place = Place::new();
    let entry = [text("k"), 8u32.to_le_bytes().to_vec(), text("v")].concat();
    let list = [
        text("l"),
        [9u32, 4].map(u32::to_le_bytes).concat(),
        vec![0; 8],
    ]
    .concat();
    let whole = file("x", &[32, 2], 2, &[entry, list], &blocks(18, &[(0, 0.5)]));
    assert!(place.read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(place.read(&whole[..length]).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            drop(place.read(&damaged));
        }
    }
}

#[test]
fn errors_say_what_was_found() {
    let place = Place::new();
    assert!(
        place
            .message(b"\x93NUMPY\x01\0")
            .contains("looks like an npy file")
    );
    assert!(
        place
            .message(b"GGUF\x01\0\0\0")
            .contains("version 1; expected 2 or 3")
    );
    assert!(place.message(b"GGUF\0\0\0\x03").contains("big-endian"));
    let unknown = place.message(&file("x", &[256], 23, &[], &[0; 136]));
    assert!(
        unknown.contains("tensor `x`: type 23 (IQ4_XS)"),
        "{unknown}"
    );
    assert!(unknown.contains("Q6_K"), "{unknown}");
    let rows = place.message(&file("x", &[33], 2, &[], &[0; 36]));
    assert!(rows.contains("rows of 33 numbers; Q4_0 packs 32"), "{rows}");
    let huge = place.message(&file("x", &[1 << 30, 1 << 30, 1 << 30], 0, &[], &[]));
    assert!(huge.contains("beyond counting"), "{huge}");
    let nested = [
        text("k"),
        [9u32, 9].map(u32::to_le_bytes).concat(),
        vec![0; 8],
    ]
    .concat();
    let nested = place.message(&file("x", &[1], 0, &[nested], &[0; 4]));
    assert!(nested.contains("array of arrays"), "{nested}");
    let entry = [text("k"), 7u32.to_le_bytes().to_vec(), vec![1]].concat();
    let twice = place.message(&file("x", &[1], 0, &[entry.clone(), entry], &[0; 4]));
    assert!(twice.contains("metadata `k` is there twice"), "{twice}");
    let packed = Array::from_slice(&[1u32], &[1]);
    let error = write_gguf(&place.path(), &[("w".into(), packed)], &[]).unwrap_err();
    assert!(
        error.to_string().contains("tensor `w` is uint32"),
        "{error}"
    );
}
