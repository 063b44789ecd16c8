//! The commands that show what there is and prove it: `validate`, `kernel` and `graph`.

mod cli_common;

use cli_common::*;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The adapter of the other tests.
fn adapter() -> String {
    std::env::var("TILEGRAD_TEST_DEVICE").unwrap_or_else(|_| "software".into())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The one object that a successful command prints.
fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&succeed(folder, args).out).expect("one JSON object")
}

#[test]
fn validate_names_every_variant_and_what_it_left_out() {
    let dir = folder();
    let args = ["validate", "--device", &adapter(), "--filter", "relu", "--report", "report.txt"];
    let text = succeed(dir.path(), &args).out;
    for part in
        ["bias_relu", "relu_grad", "line64", "passed on ", "3 kernels in 3 variants", "not covered: golden steps"]
    {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    let report = fs::read_to_string(dir.path().join("report.txt")).expect("the report");
    for part in ["with wgpu ", "features ", "largest buffer: ", "1x1", "4200000", "passed on "] {
        assert!(report.contains(part), "`{part}` is missing: {report}");
    }
}

#[test]
fn validate_in_json_has_every_case() {
    let dir = folder();
    let args = ["validate", "--device", &adapter(), "--filter", "relu_grad", "--json", "--report", "r.json"];
    let found = json(dir.path(), &args);
    assert_eq!((found["passed"].as_bool(), found["filter"].as_str()), (Some(true), Some("relu_grad")));
    let device = &found["devices"][0];
    assert!(device["adapter"]["limits"].is_object() && device["adapter"]["features"].is_array(), "{device}");
    let row = &device["kernels"][0];
    assert_eq!((row["kernel"].as_str(), row["variant"].as_str()), (Some("relu_grad"), Some("line64")));
    let cases = row["cases"].as_array().expect("cases");
    let kernel = tilegrad_kernels::find("relu_grad").expect("it is in the list");
    // Each once in 32 bits and once in 16.
    assert_eq!(cases.len(), 2 * (kernel.cases)().len());
    assert!(cases.iter().all(|case| case["outcome"] == "compared" && case["largest_error"].is_f64()), "{cases:?}");
    let report = fs::read_to_string(dir.path().join("r.json")).expect("the report");
    assert_eq!(serde_json::from_str::<Value>(&report).expect("JSON")["devices"], found["devices"]);
}

#[test]
fn validate_on_the_cpu_says_that_no_shader_ran() {
    let dir = folder();
    let text = succeed(dir.path(), &["validate", "--device", "cpu", "--filter", "relu"]).out;
    assert!(text.contains("not covered: the WGSL of every kernel") && text.contains("--device software"), "{text}");
    assert!(text.contains("3 kernels without a fast_cpu"), "{text}");
}

#[test]
fn golden_steps_are_run_from_anywhere() {
    let dir = folder();
    let found = json(dir.path(), &["validate", "--device", "cpu", "--json"]);
    let golden = &found["devices"][0]["golden"];
    assert_eq!(golden["outcome"], "compared", "{golden}");
    assert_eq!(golden["losses"].as_array().map(Vec::len), Some(10), "{golden}");
    assert!(golden["largest_error"].as_f64().is_some_and(|share| share <= 1.0), "{golden}");
}

#[test]
fn unknown_names_are_answered_with_known_ones() {
    let dir = folder();
    fail(dir.path(), &["validate", "--device", "cpu", "--filter", "bais"], &["`bais`", "did you mean `bias`?"]);
    fail(dir.path(), &["kernel", "matmull"], &["`matmull`", "did you mean `matmul`?"]);
    fail(dir.path(), &["kernel", "matmul", "--variant", "9x9"], &["`9x9`", "did you mean `8x"]);
    fail(dir.path(), &["validate", "--all-adapters", "--device", "cpu"], &["cannot be used with"]);
}

#[test]
fn a_machine_without_adapters_cannot_validate_them_all() {
    let dir = folder();
    if cfg!(target_os = "linux") {
        let mut command = command(dir.path(), &["validate", "--all-adapters"]);
        let said = command.env("VK_ICD_FILENAMES", "none").env("VK_DRIVER_FILES", "none").output();
        let said = Said::from(said.expect("the binary starts"));
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("no adapter") && said.err.contains("apt-get install"), "{said:?}");
    }
}

#[test]
fn help_has_examples() {
    let dir = folder();
    for command in ["validate", "kernel", "graph"] {
        assert!(succeed(dir.path(), &[command, "--help"]).out.contains("Example"), "{command}");
    }
}

#[test]
fn a_kernels_card_has_its_parts() {
    let dir = folder();
    let text = succeed(dir.path(), &["kernel", "matmul", "--variant", "8x4"]).out;
    let parts =
        ["read_write", "trans_b  u32", "4x1 of 8x8 threads", "matmul_vec4, matmul_shared", "const COLUMNS: u32 = 4u;"];
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
    let list = succeed(dir.path(), &["kernel"]).out;
    assert!(tilegrad_kernels::KERNELS.iter().all(|kernel| list.contains(kernel.summary)), "{list}");
}

#[test]
fn graph_has_a_line_per_call_in_every_mode() {
    let dir = folder();
    let calls = |mode: &str| {
        let text = succeed(dir.path(), &["graph", "--batch", "3", "--mode", mode]).out;
        assert!(text.contains("batch=3") && text.contains("total: "), "{text}");
        // A heading, a rule, a blank line and the totals.
        text.lines().count() - 4
    };
    let [train, evaluate, predict] = ["train", "evaluate", "predict"].map(calls);
    assert!(train > evaluate && evaluate > predict && predict > 5, "{train} {evaluate} {predict}");
}

#[test]
fn dot_draws_every_call() {
    let dir = folder();
    let dot = succeed(dir.path(), &["graph", "--dot", "--mode", "train"]).out;
    assert!(dot.starts_with("digraph step {") && dot.trim_end().ends_with('}'), "{dot}");
    assert!(dot.contains("softmax_cross_entropy\\nloss"), "{dot}");
    let Ok(mut child) = Command::new("dot").arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        // What Graphviz says about it is one more check where it is installed.
        return;
    };
    child.stdin.take().expect("a pipe").write_all(dot.as_bytes()).expect("dot reads");
    let output = child.wait_with_output().expect("dot ends");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("<svg"));
}

#[test]
fn compare_finds_no_call_that_differs_and_wants_an_adapter() {
    let dir = folder();
    let text = succeed(dir.path(), &["compare", "--device", &adapter(), "--batch", "4"]).out;
    assert!(text.contains("every call of the step agrees with the CPU"), "{text}");
    fail(dir.path(), &["compare", "--device", "cpu"], &["nothing to be compared with", "software"]);
}
