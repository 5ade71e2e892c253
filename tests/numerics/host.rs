//! The loops of our own give what MLX's operations give, gradients of all orders included.
#![cfg(not(target_os = "macos"))]

use mlx_repl::Result;
use mlx_repl::mlx::host::{self, Seen};
use mlx_repl::mlx::{Array, autograd, slice};
use mlx_repl::nn::{Position, RmsNorm, Rope, Scaling};
use mlx_repl::tensor::to_f32;
use mlx_rs::fast::{ScaledDotProductAttentionMask, scaled_dot_product_attention};

type Function<'a> = dyn Fn(&[Array]) -> Result<Array> + 'a;

fn normal(shape: &[i32], seed: u64) -> Array {
    let key = mlx_repl::mlx::random::key(seed).unwrap();
    mlx_rs::random::normal::<f32>(shape, None, 1.0, &key).unwrap()
}

/// A view whose numbers lie in another order.
fn strided(shape: &[i32], seed: u64) -> Array {
    let mut wide = shape.to_vec();
    wide.reverse();
    let axes: Vec<i32> = (0..shape.len() as i32).rev().collect();
    normal(&wide, seed).transpose_axes(&axes).unwrap()
}

/// The largest difference, relative to the largest number.
fn difference(ours: &Array, theirs: &Array) -> f32 {
    assert_eq!(ours.shape(), theirs.shape());
    let pairs = to_f32(ours)
        .unwrap()
        .into_iter()
        .zip(to_f32(theirs).unwrap());
    let (mut off, mut most) = (0.0f32, 1e-3f32);
    for (a, b) in pairs {
        assert_eq!(a.is_finite(), b.is_finite(), "{a} {b}");
        if a.is_finite() {
            off = off.max((a - b).abs());
            most = most.max(b.abs());
        }
    }
    off / most
}

/// Compares the values, the gradients by all `inputs`, and the gradients of these.
fn compare(name: &str, inputs: &[Array], ours: &Function, theirs: &Function) {
    let y = [ours(inputs).unwrap(), theirs(inputs).unwrap()];
    assert!(difference(&y[0], &y[1]) < 1e-5, "{name}: values");
    let cotangent = strided(y[0].shape(), 77);
    let first = |f: &Function, inputs: &[Array]| -> Result<Vec<Array>> {
        let run = |inputs: &[Array]| Ok(vec![f(inputs)?]);
        Ok(autograd::vjp(run, inputs, std::slice::from_ref(&cotangent), None)?.1)
    };
    let grads = [first(ours, inputs).unwrap(), first(theirs, inputs).unwrap()];
    for (i, (a, b)) in grads[0].iter().zip(&grads[1]).enumerate() {
        let off = difference(a, b);
        assert!(off < 1e-5, "{name}: gradient {i} is off by {off}");
    }
    let second = |f: &Function| {
        let sum = |inputs: &[Array]| -> Result<Vec<Array>> {
            let mut sum = Array::from_f32(0.0);
            for grad in first(f, inputs)? {
                sum = sum.add(grad.square()?.sum(false)?)?;
            }
            Ok(vec![sum])
        };
        autograd::value_and_grad(sum, inputs).unwrap().1
    };
    for (i, (a, b)) in second(ours).iter().zip(second(theirs)).enumerate() {
        let off = difference(a, &b);
        assert!(off < 1e-4, "{name}: second gradient {i} is off by {off}");
    }
    let tangents: Vec<Array> = inputs.iter().map(|x| normal(x.shape(), 5)).collect();
    let forward = |f: &Function| {
        let run = |inputs: &[Array]| Ok(vec![f(inputs)?]);
        autograd::jvp(run, inputs, &tangents, None)
            .unwrap()
            .1
            .remove(0)
    };
    assert!(
        difference(&forward(ours), &forward(theirs)) < 1e-5,
        "{name}: jvp"
    );
}

#[test]
fn normalisation_is_that_of_mlx() {
    for shape in [&[3][..], &[1, 1], &[7, 33], &[2, 5, 16], &[700, 64]] {
        let width = *shape.last().unwrap();
        let inputs = [strided(shape, 1), normal(&[width], 2)];
        compare(
            &format!("rms_norm {shape:?}"),
            &inputs,
            &|x| Ok(host::rms_norm(&x[0], &x[1], 1e-5)?.unwrap()),
            &|x| Ok(mlx_rs::fast::rms_norm(&x[0], Some(&x[1]), 1e-5)?),
        );
    }
}

#[test]
fn gates_are_those_of_mlx() {
    for shape in [&[1][..], &[3, 5], &[2, 3, 17], &[300, 70]] {
        let inputs = [strided(shape, 1), normal(shape, 2)];
        compare(
            &format!("swiglu {shape:?}"),
            &inputs,
            &|x| Ok(host::swiglu(&x[0], &x[1])?.unwrap()),
            &|x| mlx_repl::nn::activations::swiglu(&x[0], &x[1]),
        );
    }
}

#[test]
fn heads_are_turned_as_by_mlx() {
    let rows = Array::from_slice(&[-2i32, 30], &[2]);
    for (l, h, d) in [(1, 1, 2), (5, 3, 6), (40, 2, 32), (70, 1, 18)] {
        for position in [Position::Same(3), Position::PerRow(rows.clone())] {
            for normed in [true, false] {
                let rotation = Rope::new(d, 1e4, Scaling::Default)
                    .rotation(&position, l)
                    .unwrap();
                let norm = |weight: &Array| RmsNorm {
                    weight: weight.clone(),
                    eps: 1e-6,
                };
                let mut inputs = vec![strided(&[2, l, h, d], 1)];
                inputs.extend(normed.then(|| normal(&[d], 2)));
                let ours = |x: &[Array]| rotation.of_heads(&x[0], x.get(1).map(norm).as_ref());
                let theirs = |x: &[Array]| {
                    let x = match x.get(1) {
                        Some(weight) => mlx_rs::fast::rms_norm(&x[0], Some(weight), 1e-6)?,
                        None => x[0].clone(),
                    };
                    rotation.apply(&x.transpose_axes(&[0, 2, 1, 3])?)
                };
                let name = format!("turn {l} {h} {d} {position:?} {normed}");
                compare(&name, &inputs, &ours, &theirs);
            }
        }
    }
}

#[test]
fn attention_is_that_of_mlx() {
    for (l, s, heads, kv, d) in [
        (1, 1, 1, 1, 2),
        (1, 37, 4, 2, 32),
        (3, 3, 2, 2, 6),
        (5, 9, 6, 2, 20),
        (50, 50, 2, 1, 16),
        (63, 101, 4, 2, 32),
        (100, 130, 1, 1, 64),
    ] {
        let inputs = [
            normal(&[2, l, heads, d], 1)
                .transpose_axes(&[0, 2, 1, 3])
                .unwrap(),
            slice(
                &normal(&[2, kv, s + 3, d], 2),
                &[0, 0, 1, 0],
                &[2, kv, s + 1, d],
            )
            .unwrap(),
            strided(&[2, kv, s, d], 3),
        ];
        let seen = normal(&[2, 1, l, s], 4).gt(Array::from_f32(-0.5)).unwrap();
        let full = normal(&[2, heads, l, s], 5)
            .gt(Array::from_f32(-0.5))
            .unwrap();
        for kind in [
            Seen::All,
            Seen::Causal,
            Seen::Where(&seen),
            Seen::Where(&full),
        ] {
            let theirs = |x: &[Array]| {
                let [q, k, v] = [&x[0], &x[1], &x[2]];
                let causal = ScaledDotProductAttentionMask::Causal;
                Ok(match kind {
                    Seen::All => scaled_dot_product_attention(q, k, v, 0.3, None, None),
                    Seen::Causal => scaled_dot_product_attention(q, k, v, 0.3, causal, None),
                    Seen::Where(mask) => scaled_dot_product_attention(q, k, v, 0.3, mask, None),
                }?)
            };
            compare(
                &format!("attend {l} {s} {heads} {kv} {d} {kind:?}"),
                &inputs,
                &|x| Ok(host::attend(&x[0], &x[1], &x[2], kind, 0.3)?.unwrap()),
                &theirs,
            );
        }
    }
}

#[test]
fn a_row_alone_is_the_row_of_a_batch() {
    let (q, k) = (normal(&[5, 4, 60, 32], 1), normal(&[5, 2, 90, 32], 2));
    let all = host::attend(&q, &k, &k, Seen::Causal, 0.2)
        .unwrap()
        .unwrap();
    let third = |a: &Array| slice(a, &[3, 0, 0, 0], &[4, a.dim(1), a.dim(2), 32]).unwrap();
    let alone = host::attend(&third(&q), &third(&k), &third(&k), Seen::Causal, 0.2);
    let alone = to_f32(&alone.unwrap().unwrap()).unwrap();
    assert_eq!(to_f32(&third(&all)).unwrap(), alone);
}

#[test]
fn what_is_no_number_stays_none() {
    let bad = |value: f32| Array::from_slice(&[1.0, value, 2.0, 0.5, 1.0, -1.0], &[2, 3]);
    let ones = Array::ones::<f32>(&[2, 3]).unwrap();
    for value in [f32::NAN, f32::INFINITY] {
        let x = bad(value);
        let is_finite = |y: Option<Array>| -> Vec<bool> {
            let numbers = to_f32(&y.unwrap()).unwrap();
            numbers.into_iter().map(f32::is_finite).collect()
        };
        let weight = Array::ones::<f32>(&[3]).unwrap();
        let normed = is_finite(host::rms_norm(&x, &weight, 1e-6).unwrap());
        assert!(!normed[1] && normed[3..].iter().all(|ok| *ok), "{value}");
        let gated = is_finite(host::swiglu(&x, &ones).unwrap());
        assert_eq!(gated, [true, false, true, true, true, true], "{value}");
        let heads = x.reshape(&[1, 1, 2, 3]).unwrap();
        let plain = ones.reshape(&[1, 1, 2, 3]).unwrap();
        let answers = host::attend(&heads, &plain, &plain, Seen::All, 1.0).unwrap();
        assert_eq!(
            is_finite(answers),
            [false, false, false, true, true, true],
            "{value}"
        );
    }
}
