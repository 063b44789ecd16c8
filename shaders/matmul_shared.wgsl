// Matrix product c[s] = op(a) * op(b) over the s-th share of the inner dimension, through workgroup memory.
// m rows, n columns, k inner; a workgroup makes a BLOCK_M x BLOCK_N tile, a thread ROWS x COLUMNS of its elements.
// Both factors are staged with the inner index outermost, four rows or columns to a vector, so that the inner loop is an
// outer product of vectors. A quad of the tile is the rows (columns) quad + {0, 1, 2, 3} * QUADS: neighbouring threads
// then load and store neighbouring elements, whatever the shape.
// Rust: crates/kernels/src/matmul_shared.rs

override m: u32;
override n: u32;
override k: u32;
override trans_a: u32;
override trans_b: u32;
override splits: u32;

const WORKGROUP: u32 = 128u;
const BLOCK_M: u32 = 64u;
const BLOCK_N: u32 = 64u;
const BLOCK_K: u32 = 8u;
const ROWS: u32 = 8u;
const COLUMNS: u32 = 4u;
// With two buffers the next tile is staged while others still read this one: one barrier less.
const BUFFERS: u32 = 1u;
// Keeps threads that stage along the inner dimension in different banks.
const PAD: u32 = 1u;

const QUADS_M: u32 = BLOCK_M / 4u;
const QUADS_N: u32 = BLOCK_N / 4u;
const STRIDE_M: u32 = QUADS_M + PAD;
const STRIDE_N: u32 = QUADS_N + PAD;
const THREADS_M: u32 = BLOCK_M / ROWS;
const THREADS_N: u32 = BLOCK_N / COLUMNS;
const ROW_QUADS: u32 = ROWS / 4u;
const COLUMN_QUADS: u32 = COLUMNS / 4u;
const A_LOADS: u32 = BLOCK_K * QUADS_M / WORKGROUP;
const B_LOADS: u32 = BLOCK_K * QUADS_N / WORKGROUP;

// Every tile is full along the inner dimension: no load needs a check.
override whole: bool = k % (splits * BLOCK_K) == 0u;
// Elements from one inner index to the next.
override a_inner: u32 = select(1u, m, trans_a == 1u);
override b_inner: u32 = select(n, 1u, trans_b == 1u);

alias StoredA = f32; // or f16
alias StoredB = f32; // or f16
alias StoredC = f32; // or f16

@group(0) @binding(0) var<storage, read> a: array<StoredA>; // [m, k], or [k, m] if trans_a
@group(0) @binding(1) var<storage, read> b: array<StoredB>; // [k, n], or [n, k] if trans_b
@group(0) @binding(2) var<storage, read_write> c: array<StoredC>; // [splits, m, n]

var<workgroup> a_tile: array<vec4f, BUFFERS * BLOCK_K * STRIDE_M>; // [BUFFERS, BLOCK_K, QUADS_M + PAD]
var<workgroup> b_tile: array<vec4f, BUFFERS * BLOCK_K * STRIDE_N>; // [BUFFERS, BLOCK_K, QUADS_N + PAD]

// Which element of a tile a thread stages: (inner index, quad).
struct Place {
    inner: u32,
    quad: u32,
}

// Neighbouring threads go along the direction in which the factor is contiguous.
fn place(unit: u32, along_inner: bool, quads: u32) -> Place {
    if along_inner {
        return Place(unit % BLOCK_K, unit / BLOCK_K);
    }
    return Place(unit / quads, unit % quads);
}

fn a_place(thread: u32, i: u32) -> Place {
    return place(thread + i * WORKGROUP, trans_a == 0u, QUADS_M);
}

fn b_place(thread: u32, i: u32) -> Place {
    return place(thread + i * WORKGROUP, trans_b == 1u, QUADS_N);
}

// Past the end of the share the last element is repeated; b is cleared there, but only when it is staged, since whoever looks
// at a value waits for it.
fn load_a(row: vec4u, p: u32, last: u32) -> vec4f {
    let i = row + select(min(p, last - 1u), p, whole) * a_inner;
    return vec4f(vec4<StoredA>(a[i.x], a[i.y], a[i.z], a[i.w]));
}

fn load_b(column: vec4u, p: u32, last: u32) -> vec4f {
    let i = column + select(min(p, last - 1u), p, whole) * b_inner;
    return vec4f(vec4<StoredB>(b[i.x], b[i.y], b[i.z], b[i.w]));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
    let column0 = group.x * BLOCK_N;
    let row0 = group.y * BLOCK_M;
    let share = ((k + splits - 1u) / splits + 3u) / 4u * 4u;
    let first = min(group.z * share, k);
    let last = min(first + share, k);

    // Rows and columns past the end repeat the last one; they are not stored.
    var a_at: array<vec4u, A_LOADS>;
    for (var i = 0u; i < A_LOADS; i++) {
        let at = a_place(thread, i);
        let row = min(row0 + at.quad + vec4u(0u, 1u, 2u, 3u) * QUADS_M, vec4u(m - 1u));
        a_at[i] = row * select(k, 1u, trans_a == 1u);
    }
    var b_at: array<vec4u, B_LOADS>;
    for (var i = 0u; i < B_LOADS; i++) {
        let at = b_place(thread, i);
        let column = min(column0 + at.quad + vec4u(0u, 1u, 2u, 3u) * QUADS_N, vec4u(n - 1u));
        b_at[i] = column * select(1u, k, trans_b == 1u);
    }

    let my_row_quad = thread / THREADS_N;
    let my_column_quad = thread % THREADS_N;
    var sum: array<array<vec4f, COLUMN_QUADS>, ROWS>;
    var a_next: array<vec4f, A_LOADS>;
    var b_next: array<vec4f, B_LOADS>;
    for (var i = 0u; i < A_LOADS; i++) {
        a_next[i] = load_a(a_at[i], first + a_place(thread, i).inner, last);
    }
    for (var i = 0u; i < B_LOADS; i++) {
        b_next[i] = load_b(b_at[i], first + b_place(thread, i).inner, last);
    }
    var buffer = 0u;
    for (var p0 = first; p0 < last; p0 += BLOCK_K) {
        if BUFFERS == 1u {
            workgroupBarrier();
        }
        for (var i = 0u; i < A_LOADS; i++) {
            let at = a_place(thread, i);
            a_tile[(buffer * BLOCK_K + at.inner) * STRIDE_M + at.quad] = a_next[i];
        }
        for (var i = 0u; i < B_LOADS; i++) {
            let at = b_place(thread, i);
            let valid = whole | (p0 + at.inner < last);
            b_tile[(buffer * BLOCK_K + at.inner) * STRIDE_N + at.quad] = select(vec4f(), b_next[i], valid);
        }
        workgroupBarrier();

        // The next tile is on its way from memory to registers while this one is in work.
        let p1 = p0 + BLOCK_K;
        if p1 < last {
            for (var i = 0u; i < A_LOADS; i++) {
                a_next[i] = load_a(a_at[i], p1 + a_place(thread, i).inner, last);
            }
            for (var i = 0u; i < B_LOADS; i++) {
                b_next[i] = load_b(b_at[i], p1 + b_place(thread, i).inner, last);
            }
        }

        for (var p = 0u; p < BLOCK_K; p++) {
            let a_line = (buffer * BLOCK_K + p) * STRIDE_M + my_row_quad;
            let b_line = (buffer * BLOCK_K + p) * STRIDE_N + my_column_quad;
            var b_row: array<vec4f, COLUMN_QUADS>;
            for (var j = 0u; j < COLUMN_QUADS; j++) {
                b_row[j] = b_tile[b_line + j * THREADS_N];
            }
            for (var i = 0u; i < ROW_QUADS; i++) {
                let a_rows = a_tile[a_line + i * THREADS_M];
                for (var j = 0u; j < COLUMN_QUADS; j++) {
                    sum[4u * i][j] += a_rows.x * b_row[j];
                    sum[4u * i + 1u][j] += a_rows.y * b_row[j];
                    sum[4u * i + 2u][j] += a_rows.z * b_row[j];
                    sum[4u * i + 3u][j] += a_rows.w * b_row[j];
                }
            }
        }
        buffer = (buffer + 1u) % BUFFERS;
    }

    for (var i = 0u; i < ROWS; i++) {
        let row = row0 + my_row_quad + i / 4u * THREADS_M + i % 4u * QUADS_M;
        for (var j = 0u; j < COLUMNS; j++) {
            let column = column0 + my_column_quad + j / 4u * THREADS_N + j % 4u * QUADS_N;
            if row < m && column < n {
                c[(group.z * m + row) * n + column] = StoredC(sum[i][j / 4u][j % 4u]);
            }
        }
    }
}
