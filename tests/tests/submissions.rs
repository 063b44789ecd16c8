//! What is waited for on an adapter: a read waits for its own copy, not for what was submitted after it.

#![allow(clippy::print_stdout, reason = "what was covered is part of the result")]

use anyhow::{Context, Result};
use std::process::Command;
use std::time::{Duration, Instant};
use tilegrad_kernels::{Element, matmul};
use tilegrad_runtime::{Device, Graph, Memory, Plan, Purpose};
use tilegrad_tests::devices;

const SIDE: u32 = 256;

/// A product of two matrices of `SIDE` rows and columns, and the memory of its result.
fn product(device: &Device) -> Result<(Plan, Memory)> {
    let len = (SIDE * SIDE) as usize;
    let mut graph = Graph::new();
    let mut buffer = |name: &str| graph.external(name, len, Element::F32, Purpose::Scratch);
    let io = matmul::Io { a: buffer("a"), b: buffer("b"), c: buffer("c") };
    let slices = [io.a.clone(), io.b.clone(), io.c.clone()];
    let ones = vec![1.0f32.to_bits(); len];
    let memories = slices.iter().map(|slice| device.upload(&slice.name, &ones)).collect::<Result<Vec<_>, _>>()?;
    let dims = matmul::Dims { m: SIDE, n: SIDE, k: SIDE, layout: matmul::Layout::NN, splits: 1 };
    graph.push("product", matmul::call(io, dims)?);
    let external: Vec<_> = slices.iter().zip(&memories).collect();
    let plan = device.prepare(&graph, &external)?;
    Ok((plan, memories.into_iter().next_back().context("three memories")?))
}

/// Runs that take the device about `time`.
fn runs_of(device: &Device, plan: &Plan, time: Duration) -> Result<u32> {
    // The first run compiles.
    plan.run(1)?;
    device.wait()?;
    let mut runs = 1;
    loop {
        let started = Instant::now();
        plan.run(runs)?;
        device.wait()?;
        let taken = started.elapsed();
        if taken * 8 > time {
            return Ok((f64::from(runs) * time.as_secs_f64() / taken.as_secs_f64()).ceil() as u32);
        }
        runs *= 2;
    }
}

/// Set for the process that this test starts on another driver.
const CHILD: &str = "TILEGRAD_TEST_SNAPSHOTS";

/// On a driver whose submissions return at once, SwiftShader: lavapipe's wait for the work before them. The driver is chosen
/// per process, so this test runs itself again under it.
#[test]
fn an_old_snapshot_does_not_wait_for_newer_work() {
    if std::env::var_os(CHILD).is_some() {
        return old_and_new_snapshot().unwrap();
    }
    let Some(path) = devices::swiftshader() else {
        return println!("NOT COVERED: waits on SwiftShader, which is missing, as TILEGRAD_NO_SECOND_DRIVER says");
    };
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = devices::under_driver(&mut again, &path)
        .args(["an_old_snapshot_does_not_wait_for_newer_work", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("TILEGRAD_TEST_DEVICE", "SwiftShader")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn old_and_new_snapshot() -> Result<()> {
    let device = devices::adapter()?;
    let (plan, result) = product(&device)?;
    let runs = runs_of(&device, &plan, Duration::from_secs(2))?;
    // Long enough that the old snapshot is still under way when the newer work is submitted, in pieces as by a training.
    plan.run(runs.div_ceil(4))?;
    let old = device.snapshot(&result)?;
    for _ in 0..4 {
        plan.run(runs.div_ceil(4))?;
    }
    assert!(!old.is_ready(), "the device is faster than was measured");
    let new = device.snapshot(&result)?;
    let words = old.wait()?;
    assert!(!new.is_ready(), "the wait for an old snapshot drained the queue");
    assert!(words.iter().all(|&word| f32::from_bits(word) == SIDE as f32));
    assert_eq!(new.wait()?, words);
    Ok(())
}

#[test]
fn a_long_run_is_cut_at_calls_with_the_same_result() -> Result<()> {
    let device = devices::adapter()?;
    let (plan, result) = product(&device)?;
    assert_eq!(plan.run_in_pieces(3, Duration::from_secs(3600))?, 1);
    let whole = device.read(&result)?;
    device.write(&result, 0, &vec![0; whole.len()])?;
    assert_eq!(plan.run_in_pieces(3, Duration::ZERO)?, 3, "a submission for each call");
    assert_eq!(device.read(&result)?, whole);
    Ok(())
}
