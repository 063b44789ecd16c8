// Matrix product c[s] = op(a) * op(b) over the s-th share of the inner dimension, in registers alone, in which the
// lanes of a subgroup load different parts of a and hand them to each other.
// m rows, n columns, k inner; a subgroup of LANES_N threads makes ROWS x (4 * LANES_N) elements of one split, its lanes
// lie along the columns.
// Rows and columns beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/matmul_subgroup.rs

override m: u32;
override n: u32;
override k: u32;
override trans_a: u32;
override trans_b: u32;
override splits: u32;

const WORKGROUP: u32 = 8u;
const LANES_N: u32 = 8u;
const ROWS: u32 = 16u;
const ROW_VECTORS: u32 = ROWS / 4u;
const LOADS: u32 = ROWS / LANES_N;
const POSITIONS: u32 = LANES_N / ROW_VECTORS; // inner positions of one load, if trans_a

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
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
    let vector = group.x * LANES_N + lane;
    let row0 = group.y * ROWS;
    let share = ((k + splits - 1u) / splits + 3u) / 4u * 4u;
    let first = min(group.z * share, k);
    let last = min(first + share, k);

    var a_start: array<u32, LOADS>;
    for (var i = 0u; i < LOADS; i++) {
        a_start[i] = min(row0 + i * LANES_N + lane, m - 1u) * (k / 4u);
    }
    let a_column = min(row0 / 4u + lane % ROW_VECTORS, m / 4u - 1u);
    let b_vector = min(vector, n / 4u - 1u);

    var sum: array<vec4f, ROWS>;
    for (var p = first; p < last; p += 4u) {
        var b_rows: mat4x4f;
        if trans_b == 1u {
            // Four columns of b, each contiguous along k, turned into four rows.
            let at = b_vector * k + p / 4u;
            b_rows = transpose(mat4x4f(b_at(at), b_at(at + k / 4u), b_at(at + k / 2u), b_at(at + 3u * (k / 4u))));
        } else {
            b_rows = mat4x4f(
                b_at(p * (n / 4u) + b_vector),
                b_at(min(p + 1u, k - 1u) * (n / 4u) + b_vector),
                b_at(min(p + 2u, k - 1u) * (n / 4u) + b_vector),
                b_at(min(p + 3u, k - 1u) * (n / 4u) + b_vector),
            );
        }
        var own: array<vec4f, LOADS>;
        for (var i = 0u; i < LOADS; i++) {
            if trans_a == 1u {
                // Four rows at one inner position.
                let position = p + i * POSITIONS + lane / ROW_VECTORS;
                own[i] = select(vec4f(), vec4f(a[min(position, k - 1u) * (m / 4u) + a_column]), position < last);
            } else {
                // Four inner positions of one row.
                own[i] = vec4f(a[a_start[i] + p / 4u]);
            }
        }
        for (var r = 0u; r < ROW_VECTORS; r++) {
            var parts: array<vec4f, 4>;
            for (var q = 0u; q < 4u; q++) {
                let number = select(4u * r + q, q * ROW_VECTORS + r, trans_a == 1u);
                parts[q] = subgroupShuffle(own[number / LANES_N], number % LANES_N);
            }
            let as_stored = mat4x4f(parts[0], parts[1], parts[2], parts[3]);
            var a_rows = as_stored;
            if trans_a == 1u {
                a_rows = transpose(as_stored);
            }
            for (var i = 0u; i < 4u; i++) {
                // One after the other: the order of the sum is the same in every variant.
                sum[4u * r + i] += a_rows[i].x * b_rows[0];
                sum[4u * r + i] += a_rows[i].y * b_rows[1];
                sum[4u * r + i] += a_rows[i].z * b_rows[2];
                sum[4u * r + i] += a_rows[i].w * b_rows[3];
            }
        }
    }

    for (var i = 0u; i < ROWS; i++) {
        if row0 + i < m && vector < n / 4u {
            c[(group.z * m + row0 + i) * (n / 4u) + vector] = vec4<StoredC>(sum[i]);
        }
    }
}
