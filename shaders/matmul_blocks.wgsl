// Matrix product c[s] = op(a) * op(b) over the s-th share of the inner dimension, in blocks of 4x4 that need no arrays:
// some compilers keep arrays in memory, however constant their indices are.
// m rows, n columns, k inner; a thread makes 8 x 8 elements of one split, as two by two blocks. LANES_N neighbouring
// threads lie along the columns, the next ones further down.
// Rows and columns beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/matmul_blocks.rs

override m: u32;
override n: u32;
override k: u32;
override trans_a: u32;
override trans_b: u32;
override splits: u32;

const WORKGROUP: u32 = 8u;
const LANES_N: u32 = 8u;

alias StoredA = f32; // or f16
alias StoredB = f32; // or f16
alias StoredC = f32; // or f16

@group(0) @binding(0) var<storage, read> a: array<vec4<StoredA>>; // [m, k], or [k, m] if trans_a
@group(0) @binding(1) var<storage, read> b: array<vec4<StoredB>>; // [k, n], or [n, k] if trans_b
@group(0) @binding(2) var<storage, read_write> c: array<vec4<StoredC>>; // [splits, m, n]

/// Four elements.
fn b_at(i: u32) -> vec4f {
    return vec4f(b[i]);
}

/// Four rows from `row` on, at the four inner positions from `p` on: a vector per row.
fn rows_of_a(row: u32, p: u32, last: u32) -> mat4x4f {
    if trans_a == 1u {
        let column = min(row / 4u, m / 4u - 1u);
        return transpose(mat4x4f(
            a_column(column, p, last),
            a_column(column, p + 1u, last),
            a_column(column, p + 2u, last),
            a_column(column, p + 3u, last),
        ));
    }
    return mat4x4f(
        vec4f(a[min(row, m - 1u) * (k / 4u) + p / 4u]),
        vec4f(a[min(row + 1u, m - 1u) * (k / 4u) + p / 4u]),
        vec4f(a[min(row + 2u, m - 1u) * (k / 4u) + p / 4u]),
        vec4f(a[min(row + 3u, m - 1u) * (k / 4u) + p / 4u]),
    );
}

/// Four rows of a transposed factor at one inner position, 0 beyond the end of the share.
fn a_column(column: u32, p: u32, last: u32) -> vec4f {
    return select(vec4f(), vec4f(a[min(p, k - 1u) * (m / 4u) + column]), p < last);
}

/// Four columns, at the four inner positions from `p` on: a vector per position.
fn rows_of_b(vector: u32, p: u32) -> mat4x4f {
    if trans_b == 1u {
        let at = vector * k + p / 4u;
        return transpose(mat4x4f(b_at(at), b_at(at + k / 4u), b_at(at + k / 2u), b_at(at + 3u * (k / 4u))));
    }
    return mat4x4f(
        b_at(min(p, k - 1u) * (n / 4u) + vector),
        b_at(min(p + 1u, k - 1u) * (n / 4u) + vector),
        b_at(min(p + 2u, k - 1u) * (n / 4u) + vector),
        b_at(min(p + 3u, k - 1u) * (n / 4u) + vector),
    );
}

/// One row more of four products. One after the other: the order of the sum is the same in every variant.
fn fold(sum: vec4f, values: vec4f, b_rows: mat4x4f) -> vec4f {
    return sum + values.x * b_rows[0] + values.y * b_rows[1] + values.z * b_rows[2] + values.w * b_rows[3];
}

fn fold_block(sums: mat4x4f, a_rows: mat4x4f, b_rows: mat4x4f) -> mat4x4f {
    return mat4x4f(
        fold(sums[0], a_rows[0], b_rows),
        fold(sums[1], a_rows[1], b_rows),
        fold(sums[2], a_rows[2], b_rows),
        fold(sums[3], a_rows[3], b_rows),
    );
}

fn store(split: u32, row: u32, vector: u32, value: vec4f) {
    if row < m && vector < n / 4u {
        c[(split * m + row) * (n / 4u) + vector] = vec4<StoredC>(value);
    }
}

fn store_block(split: u32, row: u32, vector: u32, sums: mat4x4f) {
    store(split, row, vector, sums[0]);
    store(split, row + 1u, vector, sums[1]);
    store(split, row + 2u, vector, sums[2]);
    store(split, row + 3u, vector, sums[3]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let vector0 = (group.x * LANES_N + lane % LANES_N) * 2u;
    let row0 = (group.y * (WORKGROUP / LANES_N) + lane / LANES_N) * 8u;
    let share = ((k + splits - 1u) / splits + 3u) / 4u * 4u;
    let first = min(group.z * share, k);
    let last = min(first + share, k);
    let left = min(vector0, n / 4u - 1u);
    let right = min(vector0 + 1u, n / 4u - 1u);

    var top_left = mat4x4f();
    var top_right = mat4x4f();
    var bottom_left = mat4x4f();
    var bottom_right = mat4x4f();
    for (var p = first; p < last; p += 4u) {
        let b_left = rows_of_b(left, p);
        let b_right = rows_of_b(right, p);
        let a_top = rows_of_a(row0, p, last);
        top_left = fold_block(top_left, a_top, b_left);
        top_right = fold_block(top_right, a_top, b_right);
        let a_bottom = rows_of_a(row0 + 4u, p, last);
        bottom_left = fold_block(bottom_left, a_bottom, b_left);
        bottom_right = fold_block(bottom_right, a_bottom, b_right);
    }

    store_block(group.z, row0, vector0, top_left);
    store_block(group.z, row0, vector0 + 1u, top_right);
    store_block(group.z, row0 + 4u, vector0, bottom_left);
    store_block(group.z, row0 + 4u, vector0 + 1u, bottom_right);
}
