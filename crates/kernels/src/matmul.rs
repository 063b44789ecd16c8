//! Matrix product, in registers alone.
//!
//! # Formula
//! `c[s] = op(a) · op(b)` over the s-th share of the inner dimension, where `op` transposes if asked to. The
//! product itself is the sum of `c` over `s`; [`column_sum`](crate::column_sum) makes it.
//!
//! # Shapes
//! | layout | `a` | `b` | `c` |
//! |---|---|---|---|
//! | [`Layout::NN`] | `[m, k]` | `[k, n]` | `[splits, m, n]` |
//! | [`Layout::NT`] | `[m, k]` | `[n, k]` | `[splits, m, n]` |
//! | [`Layout::TN`] | `[k, m]` | `[k, n]` | `[splits, m, n]` |
//!
//! # Dispatch
//! One thread per `ROWS × COLUMNS` tile of `c` and split: x along columns, y along rows, z along splits.
//!
//! # Errors
//! A dimension of zero, more splits than `k`, or a buffer of another length.
//!
//! # Source
//! Register tiling without workgroup memory suits adapters that emulate barriers; see `matmul_shared` for
//! the other family. Splitting the inner dimension is the "split-K" of NVIDIA's CUTLASS documentation.

use crate::contract::prelude::*;

buffers! {
    /// Left factor.
    a: Read<f32 | f16>,
    /// Right factor.
    b: Read<f32 | f16>,
    /// Products, one per split.
    c: Write<f32 | f16>,
}

params! {
    /// Rows of the product.
    m: u32,
    /// Columns of the product.
    n: u32,
    /// Inner dimension.
    k: u32,
    /// 1 if `a` is stored as `[k, m]`.
    trans_a: u32,
    /// 1 if `b` is stored as `[n, k]`.
    trans_b: u32,
    /// Shares that the inner dimension is cut into.
    splits: u32,
}

/// Which factors are stored transposed. Both at once is never needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Neither.
    NN,
    /// The right factor.
    NT,
    /// The left factor.
    TN,
}

/// Dimensions of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dims {
    /// Rows of the product.
    pub m: u32,
    /// Columns of the product.
    pub n: u32,
    /// Inner dimension.
    pub k: u32,
    /// How the factors are stored.
    pub layout: Layout,
    /// Shares that the inner dimension is cut into; see [`splits`].
    pub splits: u32,
}

impl Dims {
    fn params(self) -> Vec<u32> {
        let Self { m, n, k, layout, splits } = self;
        let (trans_a, trans_b) = (u32::from(layout == Layout::TN), u32::from(layout == Layout::NT));
        Params { m, n, k, trans_a, trans_b, splits }.to_words()
    }
}

/// A tile of `ROWS × COLUMNS` elements per thread; it fits if eight threads along x all have columns.
macro_rules! tile {
    ($name:literal, $workgroup:expr, $rows:literal, $columns:literal, $family:ident) => {
        Variant {
            name: $name,
            workgroup: $workgroup,
            constants: &[
                ("WORKGROUP_X", $workgroup[0]),
                ("WORKGROUP_Y", $workgroup[1]),
                ("ROWS", $rows),
                ("COLUMNS", $columns),
            ],
            family: Family::$family,
            subgroup: None,
            fits: |words| Params::from_words(words).n >= $columns * 8 || $columns == 1,
        }
    };
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "matmul",
    summary: "matrix product in registers, optionally split along the inner dimension",
    wgsl: include_str!("../../../shaders/matmul.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads,
    variants: &[
        tile!("8x8", [8, 1, 1], 8, 8, BarrierFree),
        tile!("8x4", [8, 1, 1], 8, 4, BarrierFree),
        tile!("8x1", [8, 1, 1], 8, 1, BarrierFree),
        tile!("4x1 of 8x8 threads", [8, 8, 1], 4, 1, Any),
    ],
    alternatives: &[
        &crate::matmul_subgroup::KERNEL,
        &crate::matmul_blocks::KERNEL,
        &crate::matmul_vec4::KERNEL,
        &crate::matmul_shared::KERNEL,
    ],
    tolerance: Tolerance::SUMMED,
    cost,
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: Some(|words, operands| fast(Params::from_words(words), Host::new(operands))),
    cases,
};

/// How many shares to cut the inner dimension into. It follows from the shape alone, so that the order of
/// every sum is the same on every run: enough workgroups to fill a GPU, at least 256 terms to a share, and at
/// most 8192, since lavapipe ends all loops of a thread after 65535 rounds without a word.
pub fn splits(m: u32, n: u32, k: u32) -> u32 {
    const TILE: u32 = 32;
    const WANTED_GROUPS: u32 = 128;
    let groups = m.div_ceil(TILE).saturating_mul(n.div_ceil(TILE));
    let to_fill = WANTED_GROUPS.div_ceil(groups.max(1));
    to_fill.min(k.div_ceil(256)).max(k.div_ceil(8192)).max(1)
}

/// One product, or `dims.splits` partial ones.
///
/// # Errors
/// [`ShapeError`] for a zero dimension, more splits than `k` and buffers of another length.
pub fn call(io: Io, dims: Dims) -> Result<Call, ShapeError> {
    call_of(&KERNEL, io.into_slices(), dims)
}

pub(crate) fn call_of(kernel: &'static Kernel, slices: Vec<Slice>, dims: Dims) -> Result<Call, ShapeError> {
    let Dims { m, n, k, layout, splits } = dims;
    let (m_, n_, k_) = (("m", m), ("n", n), ("k", k));
    let (a, b) = match layout {
        Layout::NN => ([m_, k_], [k_, n_]),
        Layout::NT => ([m_, k_], [n_, k_]),
        Layout::TN => ([k_, m_], [k_, n_]),
    };
    Ok(Check::new(kernel, slices)
        .rule(m > 0 && n > 0 && k > 0, || format!("m, n and k must be positive, got {m}, {n} and {k}"))?
        .rule(splits >= 1 && splits <= k, || format!("splits must be between 1 and k = {k}, got {splits}"))?
        .len("a", &a)?
        .len("b", &b)?
        .len("c", &[("splits", splits), m_, n_])?
        .call(dims.params()))
}

fn threads(words: &[u32], tile: Tile) -> Threads {
    let p = Params::from_words(words);
    Threads::Grid([
        u64::from(p.n).div_ceil(tile.get("COLUMNS")),
        u64::from(p.m).div_ceil(tile.get("ROWS")),
        p.splits.into(),
    ])
}

/// Rows, columns, inner dimension and layout of a call.
pub(crate) fn shape(words: &[u32]) -> (u32, u32, u32, Layout) {
    let p = Params::from_words(words);
    let layout = match (p.trans_a, p.trans_b) {
        (1, _) => Layout::TN,
        (_, 1) => Layout::NT,
        _ => Layout::NN,
    };
    (p.m, p.n, p.k, layout)
}

/// Rows, columns and splits of a call.
pub(crate) fn extent(words: &[u32]) -> (u64, u64, u64) {
    let p = Params::from_words(words);
    (p.m.into(), p.n.into(), p.splits.into())
}

pub(crate) fn cost(words: &[u32]) -> Cost {
    let p = Params::from_words(words);
    let [m, n, k, splits] = [p.m, p.n, p.k, p.splits].map(u64::from);
    Cost { flops: 2 * m * n * k, bytes: 4 * (m * k + k * n + splits * m * n) }
}

/// First and last inner index of share `split`; a share is a multiple of four, for vector loads.
fn share(p: Params, split: usize) -> (usize, usize) {
    let size = p.k.div_ceil(p.splits).next_multiple_of(4) as usize;
    let first = (split * size).min(p.k as usize);
    (first, (first + size).min(p.k as usize))
}

pub(crate) fn reference_of(words: &[u32], operands: Vec<Operand<'_>>) {
    reference(Params::from_words(words), Host::new(operands));
}

fn reference(p: Params, io: Host<'_>) {
    let [m, n, k] = [p.m, p.n, p.k].map(|dim| dim as usize);
    let a = |row: usize, i: usize| if p.trans_a == 1 { io.a[i * m + row] } else { io.a[row * k + i] };
    let b = |i: usize, column: usize| if p.trans_b == 1 { io.b[column * k + i] } else { io.b[i * n + column] };
    io.c.par_chunks_mut(n).enumerate().for_each(|(line, c_row)| {
        let (split, row) = (line / m, line % m);
        let (first, last) = share(p, split);
        for (column, c) in c_row.iter_mut().enumerate() {
            *c = (first..last).map(|i| f64::from(a(row, i)) * f64::from(b(i, column))).sum::<f64>() as f32;
        }
    });
}

pub(crate) fn fast_of(words: &[u32], operands: Vec<Operand<'_>>) {
    fast(Params::from_words(words), Host::new(operands));
}

fn fast(p: Params, io: Host<'_>) {
    // What the pointers below rely on, whoever made the params.
    demand("a", io.a.len(), &[("m", p.m), ("k", p.k)]);
    demand("b", io.b.len(), &[("k", p.k), ("n", p.n)]);
    demand("c", io.c.len(), &[("splits", p.splits), ("m", p.m), ("n", p.n)]);
    let [m, n, k] = [p.m, p.n, p.k].map(|dim| dim as usize);
    // Distance in memory between neighbours along the inner dimension and along the other one.
    let (a_inner, a_row) = if p.trans_a == 1 { (m, 1) } else { (1, k) };
    let (b_inner, b_column) = if p.trans_b == 1 { (1, k) } else { (n, 1) };
    io.c.par_chunks_mut(m * n).enumerate().for_each(|(split, c)| {
        let (first, last) = share(p, split);
        let a = &io.a[(first * a_inner).min(io.a.len())..];
        let b = &io.b[(first * b_inner).min(io.b.len())..];
        let parallelism = if p.splits == 1 { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
        // SAFETY: a has m*k elements, b has k*n and c splits*m*n, as demanded above, so that these chunks of c have m*n each.
        // `share` keeps first..last within k, so the strides of either layout stay within the factors; c is borrowed
        // mutably, so it overlaps neither.
        unsafe {
            gemm::gemm(
                m,
                n,
                last - first,
                c.as_mut_ptr(),
                1,
                n as isize,
                false,
                a.as_ptr(),
                a_inner as isize,
                a_row as isize,
                b.as_ptr(),
                b_column as isize,
                b_inner as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    });
}

fn cases() -> Vec<Case> {
    cases_of(&KERNEL)
}

pub(crate) fn cases_of(kernel: &'static Kernel) -> Vec<Case> {
    let all = [Layout::NN, Layout::NT, Layout::TN]
        .into_iter()
        .flat_map(|layout| SHAPES.iter().map(move |&(m, n, k)| Dims { m, n, k, layout, splits: splits(m, n, k) }));
    // Some kernels take only part of the shapes.
    let fits = |params: &[u32]| kernel.variants.iter().any(|variant| (variant.fits)(params));
    all.filter(|&dims| fits(&dims.params())).map(|dims| case_of(kernel, dims)).collect()
}

/// Tiles ± 1, primes, one, the reference network's own shapes at a small batch, and long inner sums.
const SHAPES: &[(u32, u32, u32)] = &[
    (1, 1, 1),
    (41, 47, 55),
    (64, 64, 64),
    (63, 65, 33),
    (65, 63, 31),
    (60, 68, 36),
    (132, 140, 12),
    (7, 10, 64),
    (242, 64, 288),
    (9, 32, 1352),
    (3, 5, 70_001),
    (4, 8, 70_004),
];

fn case_of(kernel: &'static Kernel, dims: Dims) -> Case {
    let Dims { m, n, k, layout, splits } = dims;
    let mut case = Case::named(format!("{layout:?} {m}x{n}x{k} in {splits}"));
    let slices = vec![
        case.random("a", (m * k) as usize),
        case.random("b", (k * n) as usize),
        case.output("c", (splits * m * n) as usize),
    ];
    case.finish(call_of(kernel, slices, dims))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(layout: Layout, a: &[f32], b: &[f32]) -> Vec<f32> {
        let mut c = vec![0.0; 4];
        let p = Params {
            m: 2,
            n: 2,
            k: 3,
            trans_a: u32::from(layout == Layout::TN),
            trans_b: u32::from(layout == Layout::NT),
            splits: 1,
        };
        reference(p, Host { a, b, c: &mut c });
        c
    }

    #[test]
    fn a_product_worked_by_hand() {
        let expected = [58.0, 64.0, 139.0, 154.0];
        let (a, a_transposed) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let (b, b_transposed) = ([7.0, 8.0, 9.0, 10.0, 11.0, 12.0], [7.0, 9.0, 11.0, 8.0, 10.0, 12.0]);
        assert_eq!(product(Layout::NN, &a, &b), expected);
        assert_eq!(product(Layout::NT, &a, &b_transposed), expected);
        assert_eq!(product(Layout::TN, &a_transposed, &b), expected);
    }

    #[test]
    fn a_wrong_buffer_is_named_with_both_lengths() {
        let mut case = Case::named("wrong");
        let io = Io { a: case.random("x", 6), b: case.random("cols", 5), c: case.output("y", 4) };
        let error = call(io, Dims { m: 2, n: 2, k: 3, layout: Layout::NN, splits: 1 }).unwrap_err();
        assert_eq!(error.to_string(), "matmul: buffer `cols` bound as `b` has 5 elements, expected k*n = 3*2 = 6");
    }

    #[test]
    fn splits_follow_the_shape_and_keep_loops_short() {
        assert_eq!(splits(512, 512, 512), 1);
        for k in [1, 255, 65_537, 1_000_000] {
            let splits = splits(9, 32, k);
            assert!(splits <= k && k.div_ceil(splits) <= 8192, "k {k}: {splits}");
        }
    }
}
