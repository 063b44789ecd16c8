//! Fast functions on the CPU hold their operands to the params, whoever made either: they panic instead of reading beyond.

use std::panic::{AssertUnwindSafe, catch_unwind};
use tilegrad_kernels::{Case, Kernel, find, operands};

/// Those that load without bounds checks, each with the operands that a call may leave unread.
const UNCHECKED: [(&str, &[&str]); 5] = [
    ("matmul", &[]),
    ("conv2d", &[]),
    ("conv2d_pool", &[]),
    ("conv2d_grad_input", &["winner", "x"]),
    ("conv2d_grad_weight", &["winner"]),
];

/// Whether the fast function of `case` refuses `params` and `contents`.
fn panics(kernel: &Kernel, params: &[u32], mut contents: Vec<Vec<u32>>) -> bool {
    let fast = kernel.fast_cpu().unwrap();
    catch_unwind(AssertUnwindSafe(|| fast(params, operands(kernel, &mut contents)))).is_err()
}

fn contents(case: &Case) -> Vec<Vec<u32>> {
    case.buffers.iter().map(|buffer| buffer.words.clone()).collect()
}

/// The smaller cases of each kernel, and what it may leave unread.
fn cases() -> impl Iterator<Item = (&'static Kernel, Case, &'static [&'static str])> {
    UNCHECKED.iter().flat_map(|(name, unread)| {
        let kernel = find(name).unwrap();
        let small = |case: &Case| case.buffers.iter().map(|buffer| buffer.words.len()).sum::<usize>() < 20_000;
        let cases: Vec<Case> = (kernel.cases)().into_iter().filter(small).collect();
        assert!(cases.len() > 5, "{name} has only {} small cases", cases.len());
        cases.into_iter().map(move |case| (kernel, case, *unread))
    })
}

#[test]
fn operands_of_other_lengths_are_refused() {
    for (kernel, case, unread) in cases() {
        assert!(!panics(kernel, case.call.params(), contents(&case)), "{} {}: as it should be", kernel.name, case.name);
        for (at, binding) in kernel.bindings.iter().enumerate().filter(|(_, binding)| !unread.contains(&binding.name)) {
            let mut short = contents(&case);
            short[at].pop();
            let what = format!("{} {}: `{}`", kernel.name, case.name, binding.name);
            assert!(panics(kernel, case.call.params(), short), "{what} is one short");
            let mut long = contents(&case);
            long[at].push(0);
            assert!(panics(kernel, case.call.params(), long), "{what} is one long");
        }
    }
}

/// No params make one read beyond its operands: sizes that say more than there is are refused, whatever else changes is either
/// refused or does no harm. Strides and pads only move a little: copies of padded images grow with them until memory ends.
#[test]
fn params_that_say_more_than_there_is_are_refused() {
    // The kernel's sides are not among them: a gap behind the weights' gradient may hold larger ones.
    const SIZES: [&str; 8] = ["m", "n", "k", "batch", "height", "width", "channels", "filters"];
    for (kernel, case, _) in cases() {
        for (at, field) in kernel.params.iter().enumerate() {
            let little = field.name.starts_with("stride") || field.name.starts_with("pad");
            let others = [|word: u32| word + 1, |_| 0, |word: u32| word.saturating_mul(1000), |_| u32::MAX];
            for other in &others[..if little { 2 } else { 4 }] {
                let mut params = case.call.params().to_vec();
                params[at] = other(params[at]);
                let refused = panics(kernel, &params, contents(&case));
                let larger = params[at] > case.call.params()[at];
                let what = format!("{} {}: {} {}", kernel.name, case.name, field.name, params[at]);
                assert!(refused || !larger || !SIZES.contains(&field.name), "{what}");
            }
        }
    }
}
