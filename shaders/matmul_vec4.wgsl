// Matrix product c[s] = op(a) * op(b) over the s-th share of the inner dimension, in registers alone and with
// four elements to a load.
// m rows, n columns, k inner; a thread makes ROWS x (4 * VECTORS) elements of one split. LANES_N neighbouring
// threads lie along the columns, the next ones further down.
// Rows and columns beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/matmul_vec4.rs

override m: u32;
override n: u32;
override k: u32;
override trans_a: u32;
override trans_b: u32;
override splits: u32;

const WORKGROUP: u32 = 8u;
const LANES_N: u32 = 8u;
const ROWS: u32 = 8u;
const VECTORS: u32 = 2u;
const ROW_VECTORS: u32 = ROWS / 4u;

alias StoredA = f32; // or f16
alias StoredB = f32; // or f16
alias StoredC = f32; // or f16

@group(0) @binding(0) var<storage, read> a: array<vec4<StoredA>>; // [m, k], or [k, m] if trans_a
@group(0) @binding(1) var<storage, read> b: array<vec4<StoredB>>; // [k, n], or [n, k] if trans_b
@group(0) @binding(2) var<storage, read_write> c: array<vec4<StoredC>>; // [splits, m, n]

// Four elements.
fn b_at(i: u32) -> vec4f {
    return vec4f(b[i]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let vector0 = (group.x * LANES_N + lane % LANES_N) * VECTORS;
    let row0 = (group.y * (WORKGROUP / LANES_N) + lane / LANES_N) * ROWS;
    let share = ((k + splits - 1u) / splits + 3u) / 4u * 4u;
    let first = min(group.z * share, k);
    let last = min(first + share, k);

    var a_start: array<u32, ROWS>;
    for (var i = 0u; i < ROWS; i++) {
        a_start[i] = min(row0 + i, m - 1u) * (k / 4u);
    }
    var a_column: array<u32, ROW_VECTORS>;
    for (var i = 0u; i < ROW_VECTORS; i++) {
        a_column[i] = min(row0 / 4u + i, m / 4u - 1u);
    }
    var b_vector: array<u32, VECTORS>;
    for (var j = 0u; j < VECTORS; j++) {
        b_vector[j] = min(vector0 + j, n / 4u - 1u);
    }

    var sum: array<array<vec4f, VECTORS>, ROWS>;
    if trans_a == 1u {
        for (var p = first; p < last; p++) {
            var b_row: array<vec4f, VECTORS>;
            for (var j = 0u; j < VECTORS; j++) {
                b_row[j] = vec4f(b[p * (n / 4u) + b_vector[j]]);
            }
            for (var i = 0u; i < ROW_VECTORS; i++) {
                let a_rows = vec4f(a[p * (m / 4u) + a_column[i]]);
                for (var j = 0u; j < VECTORS; j++) {
                    sum[4u * i][j] += a_rows.x * b_row[j];
                    sum[4u * i + 1u][j] += a_rows.y * b_row[j];
                    sum[4u * i + 2u][j] += a_rows.z * b_row[j];
                    sum[4u * i + 3u][j] += a_rows.w * b_row[j];
                }
            }
        }
    } else {
        for (var p = first; p < last; p += 4u) {
            var b_rows: array<array<vec4f, VECTORS>, 4>;
            for (var j = 0u; j < VECTORS; j++) {
                if trans_b == 1u {
                    // Four columns of b, each contiguous along k, turned into four rows.
                    let at = b_vector[j] * k + p / 4u;
                    let columns = transpose(mat4x4f(b_at(at), b_at(at + k / 4u), b_at(at + k / 2u), b_at(at + 3u * (k / 4u))));
                    b_rows[0][j] = columns[0];
                    b_rows[1][j] = columns[1];
                    b_rows[2][j] = columns[2];
                    b_rows[3][j] = columns[3];
                } else {
                    let at = p * (n / 4u) + b_vector[j];
                    b_rows[0][j] = b_at(at);
                    b_rows[1][j] = b_at(at + n / 4u);
                    b_rows[2][j] = b_at(at + n / 2u);
                    b_rows[3][j] = b_at(at + 3u * (n / 4u));
                }
            }
            for (var i = 0u; i < ROWS; i++) {
                let a_row = vec4f(a[a_start[i] + p / 4u]);
                for (var j = 0u; j < VECTORS; j++) {
                    // One after the other: the order of the sum is the same in every variant.
                    sum[i][j] += a_row.x * b_rows[0][j];
                    sum[i][j] += a_row.y * b_rows[1][j];
                    sum[i][j] += a_row.z * b_rows[2][j];
                    sum[i][j] += a_row.w * b_rows[3][j];
                }
            }
        }
    }

    for (var i = 0u; i < ROWS; i++) {
        for (var j = 0u; j < VECTORS; j++) {
            if row0 + i < m && vector0 + j < n / 4u {
                c[(group.z * m + row0 + i) * (n / 4u) + vector0 + j] = vec4<StoredC>(sum[i][j]);
            }
        }
    }
}
