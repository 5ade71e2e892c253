//! Files that NumPy wrote, our own, and damaged ones.

use super::*;
use crate::mlx::Dtype;
use crate::tensor::to_f32;

/// A file as NumPy writes it: the start, blanks up to the alignment, the elements.
fn numpy(start: &[u8], blanks: usize, elements: &[u8]) -> Vec<u8> {
    [start, &b" ".repeat(blanks), b"\n", elements].concat()
}

fn message(bytes: &[u8]) -> String {
    parse(bytes, "a.npy").unwrap_err().to_string()
}

fn with_header(text: &str) -> Vec<u8> {
    let length = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
}

#[test]
fn what_numpy_writes_is_read() {
    let head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    let elements: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let array = parse(&numpy(head, 58, &elements), "a.npy").unwrap();
    assert_eq!(
        (array.dtype(), array.shape()),
        (Dtype::Float32, &[2, 3][..])
    );
    assert_eq!(to_f32(&array).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn the_other_orders_and_formats_are_read() {
    let head =
        b"\x93NUMPY\x02\x00t\x00\x00\x00{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
    let file = numpy(
        head,
        57,
        b"\x00\x00\x00\x03\x00\x01\x00\x04\x00\x02\x00\x05",
    );
    let array = parse(&file, "a.npy").unwrap();
    assert_eq!(array.shape(), [2, 3]);
    assert_eq!(to_f32(&array).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let head =
        b"\x93NUMPY\x03\x00t\x00\x00\x00{'descr': '<f8', 'fortran_order': False, 'shape': (), }";
    let array = parse(&numpy(head, 60, &2.5f64.to_le_bytes()), "a.npy").unwrap();
    assert_eq!((array.dtype(), array.ndim()), (Dtype::Float64, 0));
    assert_eq!(bytes(&array).unwrap(), 2.5f64.to_le_bytes());
    let head = b"\x93NUMPY\x01\x00v\x00{'descr': '>c8', 'fortran_order': False, 'shape': (1,), }";
    let array = parse(&numpy(head, 60, b"?\x80\0\0@\0\0\0"), "a.npy").unwrap();
    let number = [1f32.to_le_bytes(), 2f32.to_le_bytes()].concat();
    assert_eq!(bytes(&array).unwrap(), number);
}

#[test]
fn every_type_and_shape_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let numbers = Array::from_slice(&[0f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let types = [
        Dtype::Bool,
        Dtype::Uint8,
        Dtype::Uint16,
        Dtype::Uint32,
        Dtype::Uint64,
        Dtype::Int8,
        Dtype::Int16,
        Dtype::Int32,
        Dtype::Int64,
        Dtype::Float16,
        Dtype::Float32,
        Dtype::Complex64,
    ];
    for dtype in types {
        let whole = numbers.as_dtype(dtype).unwrap();
        for shape in [&[2, 3][..], &[6], &[1, 2, 3, 1]] {
            let array = whole.reshape(shape).unwrap().contiguous().unwrap();
            write_npy(&path, &array).unwrap();
            let found = read_npy(&path).unwrap();
            assert_eq!((found.dtype(), found.shape()), (dtype, shape));
            assert_eq!(bytes(&found).unwrap(), bytes(&array).unwrap());
        }
        for shape in [&[0][..], &[0, 3]] {
            let empty = from_bytes(&[], shape, dtype).unwrap();
            write_npy(&path, &empty).unwrap();
            let found = read_npy(&path).unwrap();
            assert_eq!((found.dtype(), found.shape()), (dtype, shape));
        }
    }
    let double = from_bytes(&0.1f64.to_le_bytes(), &[], Dtype::Float64).unwrap();
    write_npy(&path, &double).unwrap();
    assert_eq!(
        bytes(&read_npy(&path).unwrap()).unwrap(),
        0.1f64.to_le_bytes()
    );
    write_npy(&path, &numbers.transpose().unwrap()).unwrap();
    let turned = to_f32(&read_npy(&path).unwrap()).unwrap();
    assert_eq!(turned, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
}

#[test]
fn bfloat16_names_the_remedy_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let half = Array::from_int(1).as_dtype(Dtype::Bfloat16).unwrap();
    let error = write_npy(&dir.path().join("a.npy"), &half).unwrap_err();
    assert!(
        error.to_string().contains(".astype(\"float32\")"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // MLX's own spelling of it is read.
    let text = "{'descr': '<V2', 'fortran_order': False, 'shape': (1,), }\n";
    let file = [with_header(text), vec![0x80, 0x3f]].concat();
    assert_eq!(to_f32(&parse(&file, "a.npy").unwrap()).unwrap(), [1.0]);
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let (head, array) = encode(&Array::from_slice(&[1i32, 2], &[2]), "a.npy").unwrap();
    let whole = [&head, bytes(&array).unwrap()].concat();
    for length in 0..whole.len() {
        assert!(parse(&whole[..length], "a.npy").is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for flip in [1, 0x20, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            drop(parse(&damaged, "a.npy"));
        }
    }
    let with_more = [&whole[..], b"more"].concat();
    assert_eq!(
        to_f32(&parse(&with_more, "a.npy").unwrap()).unwrap(),
        [1.0, 2.0]
    );
}

#[test]
fn errors_say_what_was_found() {
    assert!(message(b"GGUF\x03\0\0\0").contains("looks like a GGUF file"));
    assert!(message(b"\x93NUMPY\x04\0v\0").contains("npy format 4"));
    let with = |element: &str, shape: &str| {
        let text = format!("{{'descr': {element}, 'fortran_order': False, 'shape': {shape}}}");
        message(&with_header(&text))
    };
    assert!(with("'|O'", "(1,)").contains("Python objects"));
    assert!(with("'<U3'", "(1,)").contains("text is not supported"));
    assert!(with("'<c16'", "(1,)").contains("complex64"));
    assert!(with("[('a', '<f4')]", "(1,)").contains("structured"));
    assert!(with("'<f4'", "(-1,)").contains("size `-1,)"));
    assert!(with("'<f4'", "(3000000000,)").contains("size `3000000000`"));
    let huge = with("'<f4'", "(2147483647, 2147483647, 2147483647)");
    assert!(huge.contains("beyond counting"), "{huge}");
    assert!(with("'<f4'", "(1000000000,)").contains("truncated: 0 bytes"));
    assert!(message(&with_header("{'shape': ()}")).contains("no `descr`"));
}
