// Matrix product c[s] = op(a) * op(b) over the s-th share of the inner dimension, through workgroup memory.
// m rows, n columns, k inner; a workgroup makes a BLOCK_M x BLOCK_N tile, a thread 4 x 4 of its elements.
// Both factors are staged with the inner index outermost, so that the inner loop is an outer product.
// Rust: crates/kernels/src/matmul_shared.rs

override m: u32;
override n: u32;
override k: u32;
override trans_a: u32;
override trans_b: u32;
override splits: u32;

const WORKGROUP: u32 = 64u;
const BLOCK_M: u32 = 32u;
const BLOCK_N: u32 = 32u;
const BLOCK_K: u32 = 8u;
const THREADS_N: u32 = BLOCK_N / 4u;

@group(0) @binding(0) var<storage, read> a: array<f32>; // [m, k], or [k, m] if trans_a
@group(0) @binding(1) var<storage, read> b: array<f32>; // [k, n], or [n, k] if trans_b
@group(0) @binding(2) var<storage, read_write> c: array<f32>; // [splits, m, n]

var<workgroup> a_tile: array<f32, BLOCK_K * BLOCK_M>; // [BLOCK_K, BLOCK_M]
var<workgroup> b_tile: array<f32, BLOCK_K * BLOCK_N>; // [BLOCK_K, BLOCK_N]

fn load_a(row: u32, p: u32, last: u32) -> f32 {
    if row >= m || p >= last {
        return 0.0;
    }
    return a[select(row * k + p, p * m + row, trans_a == 1u)];
}

fn load_b(p: u32, column: u32, last: u32) -> f32 {
    if column >= n || p >= last {
        return 0.0;
    }
    return b[select(p * n + column, column * k + p, trans_b == 1u)];
}

// Neighbouring threads read neighbouring addresses: along the inner dimension only where that is contiguous.
fn stage(row0: u32, column0: u32, p0: u32, last: u32, thread: u32) {
    for (var i = thread; i < BLOCK_K * BLOCK_M; i += WORKGROUP) {
        let row = select(i / BLOCK_K, i % BLOCK_M, trans_a == 1u);
        let p = select(i % BLOCK_K, i / BLOCK_M, trans_a == 1u);
        a_tile[p * BLOCK_M + row] = load_a(row0 + row, p0 + p, last);
    }
    for (var i = thread; i < BLOCK_K * BLOCK_N; i += WORKGROUP) {
        let column = select(i % BLOCK_N, i / BLOCK_K, trans_b == 1u);
        let p = select(i / BLOCK_N, i % BLOCK_K, trans_b == 1u);
        b_tile[p * BLOCK_N + column] = load_b(p0 + p, column0 + column, last);
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let column0 = group.x * BLOCK_N;
    let row0 = group.y * BLOCK_M;
    let share = ((k + splits - 1u) / splits + 3u) / 4u * 4u;
    let first = min(group.z * share, k);
    let last = min(first + share, k);
    let my_column = (thread % THREADS_N) * 4u;
    let my_row = (thread / THREADS_N) * 4u;

    var sum: array<vec4f, 4>;
    for (var p0 = first; p0 < last; p0 += BLOCK_K) {
        stage(row0, column0, p0, last, thread);
        workgroupBarrier();
        for (var p = 0u; p < BLOCK_K; p++) {
            let b_at = p * BLOCK_N + my_column;
            let b_row = vec4f(b_tile[b_at], b_tile[b_at + 1u], b_tile[b_at + 2u], b_tile[b_at + 3u]);
            for (var i = 0u; i < 4u; i++) {
                sum[i] += a_tile[p * BLOCK_M + my_row + i] * b_row;
            }
        }
        workgroupBarrier();
    }

    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let row = row0 + my_row + i;
            let column = column0 + my_column + j;
            if row < m && column < n {
                c[(group.z * m + row) * n + column] = sum[i][j];
            }
        }
    }
}
