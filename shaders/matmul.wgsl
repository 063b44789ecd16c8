// Matrix product c[s] = op(a) * op(b) over the s-th share of the inner dimension, in registers alone.
// m rows, n columns, k inner; a thread makes ROWS x COLUMNS elements of one split.
// Rows and columns beyond the edge repeat the last one and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/matmul.rs

override m: u32;
override n: u32;
override k: u32;
override trans_a: u32;
override trans_b: u32;
override splits: u32;

const WORKGROUP_X: u32 = 8u;
const WORKGROUP_Y: u32 = 1u;
const ROWS: u32 = 8u;
const COLUMNS: u32 = 8u;

alias StoredA = f32; // or f16
alias StoredB = f32; // or f16
alias StoredC = f32; // or f16

@group(0) @binding(0) var<storage, read> a: array<StoredA>; // [m, k], or [k, m] if trans_a
@group(0) @binding(1) var<storage, read> b: array<StoredB>; // [k, n], or [n, k] if trans_b
@group(0) @binding(2) var<storage, read_write> c: array<StoredC>; // [splits, m, n]

// Distances between neighbours along the inner dimension and along the other one.
override a_inner: u32 = select(1u, m, trans_a == 1u);
override a_row: u32 = select(k, 1u, trans_a == 1u);
override b_inner: u32 = select(n, 1u, trans_b == 1u);
override b_column: u32 = select(1u, k, trans_b == 1u);

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let column0 = id.x * COLUMNS;
    let row0 = id.y * ROWS;
    if column0 >= n || row0 >= m {
        return;
    }
    let share = ((k + splits - 1u) / splits + 3u) / 4u * 4u;
    let first = min(id.z * share, k);
    let last = min(first + share, k);

    var a_start: array<u32, ROWS>;
    for (var i = 0u; i < ROWS; i++) {
        a_start[i] = min(row0 + i, m - 1u) * a_row;
    }
    var b_start: array<u32, COLUMNS>;
    for (var j = 0u; j < COLUMNS; j++) {
        b_start[j] = min(column0 + j, n - 1u) * b_column;
    }

    var sum: array<array<f32, COLUMNS>, ROWS>;
    for (var p = first; p < last; p++) {
        var b_row: array<f32, COLUMNS>;
        for (var j = 0u; j < COLUMNS; j++) {
            b_row[j] = f32(b[b_start[j] + p * b_inner]);
        }
        for (var i = 0u; i < ROWS; i++) {
            let a_value = f32(a[a_start[i] + p * a_inner]);
            for (var j = 0u; j < COLUMNS; j++) {
                sum[i][j] += a_value * b_row[j];
            }
        }
    }

    for (var i = 0u; i < ROWS; i++) {
        for (var j = 0u; j < COLUMNS; j++) {
            if row0 + i < m && column0 + j < n {
                c[(id.z * m + row0 + i) * n + column0 + j] = StoredC(sum[i][j]);
            }
        }
    }
}
