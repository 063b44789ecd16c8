//! The reference network's training step as text, against a snapshot: a change of the step is seen in review.

mod cli_common;

use cli_common::*;
use std::path::Path;

#[test]
fn the_step_of_the_reference_network_is_as_recorded() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/mnist_cnn_step.txt");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let got = succeed(dir.path(), &["graph", "--batch", "64"]).out;
    if std::env::var_os("TILEGRAD_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &got).expect("the snapshot is written");
    }
    let expected = std::fs::read_to_string(&path).expect("the snapshot").replace('\r', "");
    let first = got.lines().zip(expected.lines()).find(|(got, expected)| got != expected);
    assert!(
        got == expected,
        "the step has changed, first in\n{first:#?}\nif it was meant to, run this test with TILEGRAD_UPDATE_SNAPSHOTS=1 \
         and look at the difference of {}",
        path.display()
    );
}
